"""LabelEfficiencyDisplay: box plots of the error or score against the number of labels, for several models."""

from __future__ import annotations

from typing import Self

import numpy as np
import pandas as pd

from .._shared.scores import score_label
from ..model_selection._label_draws import TRAIN_SIZES
from ..model_selection._label_efficiency import label_efficiency
from ..model_selection._summaries import check_frame
from ._style import pyplot

#: Fills that differ in colour, lightness and hatch, to be distinct in greyscale and for colour-blind readers: the
#: palette of Okabe and Ito (2008), with light grey instead of black, so that the median is visible. No hatch
#: has circles, as the draws are circles.
STYLES = (
    ("#0072B2", ""),
    ("#E69F00", "///"),
    ("#56B4E9", "..."),
    ("#D55E00", "\\\\\\"),
    ("#009E73", "xxx"),
    ("#F0E442", "|||"),
    ("#CC79A7", ""),
    ("#CCCCCC", ""),
    ("#FFFFFF", "---"),
    ("#999999", "++"),
)
#: Maximum number of draws per box to show as points.
MOST_POINTS = 12
#: Fraction of the distance between two numbers of labels that boxes take.
_BOXES = 0.84


class LabelEfficiencyDisplay:
    """Box plots of the test error or score against the number of labels, as in the paper's figure S1.

    Create it with :meth:`from_estimators` or :meth:`from_results`. Each number of labels has a box for each model over
    the label draws: median, quartiles, and whiskers to the farthest draw within 1.5 interquartile ranges of the box.
    Up to 12 draws are all shown as points; of more, only those beyond the whiskers.

    Parameters
    ----------
    results : DataFrame
        Result of :func:`skdim.model_selection.label_efficiency`. With a column "seed", boxes are over the draws of all
        seeds.
    units : str, default=None
        Unit of the labels, for the y axis: "eV/atom".

    Attributes
    ----------
    results : DataFrame
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    boxes_ : dict of str to dict
        For each model the artists of :meth:`matplotlib.axes.Axes.boxplot`.

    See Also
    --------
    skdim.model_selection.label_efficiency : Makes the table.
    EmbeddingDisplay : A map of crystals.

    Examples
    --------
    >>> from sklearn.datasets import make_regression
    >>> from sklearn.dummy import DummyRegressor
    >>> from sklearn.linear_model import Ridge
    >>> from skdim.plotting import LabelEfficiencyDisplay
    >>> X, y = make_regression(200, 5, noise=1.0, random_state=0)
    >>> models = {"mean": DummyRegressor(), "ridge": Ridge()}
    >>> display = LabelEfficiencyDisplay.from_estimators(models, X, y, train_sizes=[20, 80], n_repeats=4)
    >>> display.ax_.get_xlabel()
    'Number of labels'
    """

    def __init__(self, results, *, units=None) -> None:
        self.results = results
        self.units = units

    @classmethod
    def from_estimators(
        cls,
        estimators,
        X,
        y,
        *,
        scoring=None,
        train_sizes=TRAIN_SIZES,
        n_repeats=12,
        X_test=None,
        y_test=None,
        test_size=0.2,
        groups=None,
        random_state=0,
        memory=None,
        results_file=None,
        n_jobs=None,
        verbose=0,
        units=None,
        ax=None,
        **plot_params,
    ) -> Self:
        """Run :func:`skdim.model_selection.label_efficiency` and plot the result.

        Parameters
        ----------
        estimators, X, y, scoring, train_sizes, n_repeats, X_test, y_test, test_size, groups, random_state
            See :func:`skdim.model_selection.label_efficiency`.
        memory, results_file, n_jobs, verbose
            See :func:`skdim.model_selection.label_efficiency`.
        units : str, default=None
            Unit of the labels, for the y axis.
        ax : matplotlib Axes, default=None
            None creates a figure.
        **plot_params
            Passed to :meth:`plot`.

        Returns
        -------
        LabelEfficiencyDisplay
        """
        pyplot()  # raise before hours of training
        results = label_efficiency(
            estimators,
            X,
            y,
            scoring=scoring,
            train_sizes=train_sizes,
            n_repeats=n_repeats,
            X_test=X_test,
            y_test=y_test,
            test_size=test_size,
            groups=groups,
            random_state=random_state,
            memory=memory,
            results_file=results_file,
            n_jobs=n_jobs,
            verbose=verbose,
        )
        return cls(results, units=units).plot(ax=ax, **plot_params)

    @classmethod
    def from_results(cls, results, *, units=None, ax=None, **plot_params) -> Self:
        """Plot the results of label draws.

        Parameters
        ----------
        results : DataFrame
            Result of :func:`skdim.model_selection.label_efficiency`.
        units : str, default=None
            Unit of the labels, for the y axis.
        ax : matplotlib Axes, default=None
            None creates a figure.
        **plot_params
            Passed to :meth:`plot`.

        Returns
        -------
        LabelEfficiencyDisplay
        """
        return cls(results, units=units).plot(ax=ax, **plot_params)

    def plot(self, ax=None, *, arms=None, styles=STYLES, points=None, legend=True) -> Self:
        """Draw the boxes.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None creates a figure, as wide as the boxes need.
        arms : sequence of str, default=None
            Models to show, in this order. None shows all, in the order of the results. The style of a model does not
            depend on which others are shown.
        styles : sequence of (color, hatch)
            Fill and hatch of each model of the results.
        points : bool, default=None
            Show every draw as a point. None does so if no box has more than 12 draws.
        legend : bool, default=True
            Add a legend above the axes.

        Returns
        -------
        self : LabelEfficiencyDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If a column is missing in the results, or one of ``arms``.
        """
        plt = pyplot()
        column = check_frame(self.results)
        known = pd.unique(self.results["arm"]).tolist()
        arms = known if arms is None else list(arms)
        unknown = [arm for arm in arms if arm not in known]
        if unknown or not arms:
            raise ValueError(f"arms must be some of {known}; got {arms}")
        shown = self.results[self.results["arm"].isin(arms)]
        sizes = np.sort(shown["n_labels"].unique())
        if points is None:
            points = shown.groupby(["arm", "n_labels"]).size().max() <= MOST_POINTS
        if ax is None:
            width = min(14.0, max(5.0, 1.6 + 0.26 * len(arms) * len(sizes)))
            _, ax = plt.subplots(figsize=(width, 4.2), layout="constrained")
        self.ax_, self.figure_, self.boxes_ = ax, ax.figure, {}
        step = _BOXES / len(arms)
        for k, arm in enumerate(arms):
            errors = shown[shown["arm"] == arm].groupby("n_labels")[column]
            values = [errors.get_group(n).to_numpy() for n in errors.groups]
            places = np.searchsorted(sizes, list(errors.groups)) + step * (k - (len(arms) - 1) / 2)
            self.boxes_[arm] = self._draw_arm(values, places, step, styles[known.index(arm) % len(styles)], points)
        for place in range(1, len(sizes)):
            ax.axvline(place - 0.5, color="0.85", linewidth=0.8, zorder=0)
        ax.set_xticks(range(len(sizes)), [str(n) for n in sizes])
        ax.tick_params(axis="x", length=0)
        ax.set_xlim(-0.5, len(sizes) - 0.5)
        ax.set_xlabel("Number of labels")
        ax.set_ylabel(f"Test {score_label(column)}" + (f" ({self.units})" if self.units else ""))
        ax.grid(axis="y", color="0.9", linewidth=0.8)
        ax.set_axisbelow(True)
        ax.spines[["top", "right"]].set_visible(False)
        if legend:
            handles = [self.boxes_[arm]["boxes"][0] for arm in arms]
            most = next((n for n in (4, 3, 2) if len(arms) >= n and _fits(arms, n, ax)), 1)
            n_rows = -(-len(arms) // most)
            ax.legend(
                handles,
                arms,
                loc="lower left",
                bbox_to_anchor=(0, 1.01, 1, 0.1),
                ncols=-(-len(arms) // n_rows),
                frameon=False,
                handlelength=1.8,
                handleheight=1.2,
                borderaxespad=0.2,
            )
        return self

    def _draw_arm(self, values, places, step, style, points):
        plt = pyplot()
        color, hatch = style
        line = {"color": "0.15", "linewidth": 0.9}
        # Thin strokes keep the fill visible in small boxes. matplotlib < 3.10 reads this only when it draws.
        with plt.rc_context({"hatch.linewidth": 0.5}):
            drawn = self.ax_.boxplot(
                values,
                positions=places,
                widths=0.8 * step,
                patch_artist=True,
                manage_ticks=False,
                showfliers=not points,
                boxprops={"facecolor": color, "edgecolor": "0.15", "linewidth": 0.9, "hatch": hatch},
                whiskerprops=line,
                capprops=line,
                medianprops={"color": "black", "linewidth": 2.0, "solid_capstyle": "butt"},
                flierprops={"marker": ".", "markersize": 4, "markerfacecolor": color, "markeredgecolor": "0.15"},
            )
        if points:
            for place, errors in zip(places, values, strict=True):
                # Spread sideways by rank, so that equal errors stay distinct.
                spread = (np.arange(len(errors)) % 3 - 1) * 0.18 * step
                self.ax_.plot(
                    place + spread,
                    np.sort(errors),
                    linestyle="none",
                    marker="o",
                    markersize=2.8,
                    markerfacecolor="white",
                    markeredgecolor="0.15",
                    markeredgewidth=0.6,
                    zorder=3,
                )
        return drawn


def _fits(arms, columns, ax):
    """Whether a legend with this many columns is about as wide as the axes at most."""
    # matplotlib fills a legend column by column.
    inches = sum(0.5 + 0.075 * max(map(len, part)) for part in np.array_split(np.array(arms, dtype=object), columns))
    # A layout engine widens the axes when the figure is drawn.
    widening = 1.1 if ax.figure.get_layout_engine() is None else 1.2
    return inches <= ax.figure.get_figwidth() * ax.get_position().width * widening
