"""EmbeddingDisplay: a map of crystals by their vectors, coloured by properties."""

from __future__ import annotations

from typing import Self

import numpy as np

from ._embedding_map import choose_rows, make_projection, project, read_targets
from ._style import COLORS, GREY, as_panels, hex_colors, make_panels, pyplot

#: Side of a panel, in inches.
_PANEL = 4.0


class EmbeddingDisplay:
    """A map of crystals by their vectors, with a panel for each target.

    Create it with :meth:`from_estimator` or :meth:`from_vectors`. Vectors are standardised and projected to two
    dimensions once; all panels show the same points. Neighbours on the map are neighbours among the vectors. With t-SNE
    and UMAP, the axes and the distances between distant groups have no meaning.

    Points are drawn in random order, so that overlaps do not depend on the order of the data.

    Parameters
    ----------
    positions : ndarray of shape (n_points, 2)
        The map.
    targets : DataFrame, dict of str to array-like, Series, array-like or None, default=None
        Of length n_points. Numbers are continuous, with a colour bar; strings, booleans and categories have a legend.
        Missing values are grey.
    units : str or dict of str to str, default=None
        Unit of the target, or of each target by name, for the colour bar: "eV/atom".
    axis_names : tuple of two str, default=("", "")
        Labels of the axes.
    rows : ndarray of int of shape (n_points,), default=None
        Row of the data of each point.

    Attributes
    ----------
    positions, targets, units, axis_names, rows
        As passed. :meth:`from_vectors` passes the targets as a dict of Series; a target without name is "".
    figure_ : matplotlib Figure
    axes_ : list of matplotlib Axes
        One per panel.
    ax_ : matplotlib Axes
        The first panel.
    scatters_ : list of matplotlib PathCollection
        One per panel.
    colorbars_ : list of matplotlib Colorbar or None
        One per panel, None for categories.

    See Also
    --------
    LabelEfficiencyDisplay : Error against number of labels.

    Examples
    --------
    >>> import numpy as np
    >>> from skdim.plotting import EmbeddingDisplay
    >>> vectors = np.random.default_rng(0).normal(size=(50, 4))
    >>> y = {"first": vectors[:, 0], "second": vectors[:, 1]}
    >>> display = EmbeddingDisplay.from_vectors(vectors, y, method="pca")
    >>> len(display.axes_)
    2
    """

    def __init__(self, positions, targets=None, *, units=None, axis_names=("", ""), rows=None) -> None:
        self.positions = positions
        self.targets = targets
        self.units = units
        self.axis_names = axis_names
        self.rows = rows

    @classmethod
    def from_estimator(
        cls,
        embedder,
        X,
        y=None,
        *,
        method="tsne",
        max_points=5000,
        random_state=0,
        units=None,
        ax=None,
        **plot_params,
    ) -> Self:
        """Embed crystals, project their vectors and plot the map.

        Parameters
        ----------
        embedder : fitted estimator with ``transform``
            A :class:`skdim.DeepInfoMaxEmbedder`, or a Pipeline that ends in one.
        X : Crystals, or input of the embedder
        y, method, max_points, random_state, units, ax, **plot_params
            As in :meth:`from_vectors`.

        Returns
        -------
        EmbeddingDisplay
        """
        pyplot()  # raise before computing anything
        make_projection(method, 100, random_state)
        options = {"method": method, "max_points": max_points, "random_state": random_state, "units": units}
        return cls.from_vectors(embedder.transform(X), y, **options, ax=ax, **plot_params)

    @classmethod
    def from_vectors(
        cls,
        vectors,
        y=None,
        *,
        method="tsne",
        max_points=5000,
        random_state=0,
        units=None,
        ax=None,
        **plot_params,
    ) -> Self:
        """Project vectors and plot the map.

        Parameters
        ----------
        vectors : array-like of shape (n_crystals, n_components)
            Rows with NaN (crystals that failed to featurize) are skipped, with a warning.
        y : DataFrame, dict of str to array-like, Series, array-like or None, default=None
            Targets to colour by, of length n_crystals, each in its panel. Numbers are continuous: convert numeric
            classes to strings (``y.astype(str)``). Missing values are grey.
        method : {"tsne", "umap", "pca"} or estimator, default="tsne"
            "tsne" is scikit-learn's t-SNE, started from the principal components, with a perplexity of 30; "umap" needs
            umap-learn (``pip install 'skdim-crystals[umap]'``). Or an estimator with ``fit_transform`` to two columns,
            such as ``TSNE(perplexity=50)``, which is cloned.
        max_points : int or None, default=5000
            Maximum number of points, drawn at random; t-SNE takes about 10 s for 5000. None takes all.
        random_state : int, default=0
            Seed of the draw and the projection.
        units : str or dict of str to str, default=None
            Unit of the target, or of each target by name.
        ax : matplotlib Axes, or sequence of one per target, default=None
            None creates a figure.
        **plot_params
            Passed to :meth:`plot`.

        Returns
        -------
        EmbeddingDisplay

        Raises
        ------
        ImportError
            If matplotlib, or umap-learn for "umap", is not installed.
        ValueError
            If vectors are infinite or too few, or y does not match them.
        """
        pyplot()
        rows, vectors = choose_rows(vectors, max_points, random_state)
        targets = {name: values.iloc[rows] for name, values in read_targets(y, len(vectors)).items()}
        projection, axis_names = make_projection(method, len(rows), random_state)
        positions = project(vectors[rows], projection)
        display = cls(positions, targets or None, units=units, axis_names=axis_names, rows=rows)
        return display.plot(ax=ax, **plot_params)

    def plot(
        self, ax=None, *, cmap="viridis", quantiles=(0.02, 0.98), colors=COLORS, point_size=None, n_columns=3
    ) -> Self:
        """Draw the panels.

        Parameters
        ----------
        ax : matplotlib Axes, or sequence of one per target, default=None
            None creates a figure.
        cmap : str or Colormap, default="viridis"
            For continuous targets. Prefer a perceptually uniform one, such as the default.
        quantiles : tuple of two floats, default=(0.02, 0.98)
            Range of the colours, so that a few outliers do not stretch it; the colour bar then ends in an arrow. (0, 1)
            takes all values.
        colors : sequence of colors
            For categories. With more categories than colors, the most frequent have colors and the others are grey.
        point_size : float, default=None
            Area of a point in square points, as in ``Axes.scatter``. None decreases it with the number of points.
        n_columns : int, default=3
            Maximum number of panels per row of a new figure.

        Returns
        -------
        self : EmbeddingDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If the number of axes differs from that of the targets, or the quantiles are not two ascending fractions.
        """
        colors = hex_colors(colors)
        low, high = quantiles
        if not 0 <= low < high <= 1:
            raise ValueError(f"quantiles must be two ascending numbers within 0 and 1; got {quantiles!r}")
        targets = read_targets(self.targets, len(self.positions))
        names = list(targets) or [None]
        self.axes_ = _make_axes(len(names), n_columns) if ax is None else as_panels(ax, len(names))
        self.ax_, self.figure_ = self.axes_[0], self.axes_[0].figure
        self.scatters_, self.colorbars_ = [], []
        order = np.random.default_rng(0).permutation(len(self.positions))
        size = float(np.clip(10_000 / len(order), 3, 20)) if point_size is None else point_size
        for axes, name in zip(self.axes_, names, strict=True):
            colorbar = None
            if name is None:
                scatter = self._scatter(axes, order, size, color=colors[0])
            elif targets[name].dtype == "category":
                scatter = self._draw_categories(axes, name, targets[name], order, size, colors)
            else:
                scatter, colorbar = self._draw_continuous(axes, name, targets[name], order, size, cmap, quantiles)
            self.scatters_.append(scatter)
            self.colorbars_.append(colorbar)
            axes.set(xticks=[], yticks=[], xlabel=self.axis_names[0], ylabel=self.axis_names[1])
            axes.set_aspect("equal", adjustable="datalim")
            axes.spines[["top", "right"]].set_visible(False)
        return self

    def _draw_continuous(self, axes, name, values, order, size, cmap, quantiles):
        values = values.to_numpy()
        known = order[~np.isnan(values[order])]
        if len(known) < len(order):
            self._scatter(axes, order[np.isnan(values[order])], size, color=GREY)
        low, high = np.quantile(values[known], quantiles)
        scatter = self._scatter(axes, known, size, c=values[known], cmap=cmap, vmin=low, vmax=high)
        below, above = values[known].min() < low, values[known].max() > high
        extend = {(False, False): "neither", (True, False): "min", (False, True): "max", (True, True): "both"}
        colorbar = axes.figure.colorbar(
            scatter, ax=axes, extend=extend[bool(below), bool(above)], fraction=0.05, pad=0.02
        )
        colorbar.outline.set_visible(False)
        colorbar.set_label(self._label(name))
        return scatter, colorbar

    def _draw_categories(self, axes, name, values, order, size, colors):
        from matplotlib.lines import Line2D

        counts = values.value_counts()
        shown = counts[counts > 0].index[: len(colors)].tolist()
        # In the order of the categories, not of the counts.
        shown = [category for category in values.cat.categories if category in shown]
        color_of = dict(zip(shown, colors, strict=False))
        point_colors = np.array([color_of.get(value, GREY) for value in values], dtype=object)
        grey = point_colors[order] == GREY
        # Grey points first, below the others.
        order = np.concatenate([order[grey], order[~grey]])
        scatter = self._scatter(axes, order, size, color=point_colors[order].tolist())
        labels = {str(category): color for category, color in color_of.items()}
        if n_other := int((counts > 0).sum()) - len(shown):
            labels[f"{n_other} others"] = GREY
        elif values.isna().any():
            labels["unknown"] = GREY
        handles = [Line2D([], [], linestyle="none", marker="o", markersize=5, color=color) for color in labels.values()]
        axes.legend(
            handles, labels, title=self._label(name), loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False
        )
        return scatter

    def _scatter(self, axes, rows, size, **style):
        # As pixels: thousands of points make vector graphics slow to open.
        return axes.scatter(*self.positions[rows].T, s=size, linewidths=0, rasterized=True, **style)

    def _label(self, name):
        unit = self.units.get(name) if isinstance(self.units, dict) else self.units
        return name + (f" ({unit})" if unit and name else unit or "")


def _make_axes(n_panels, n_columns):
    axes = make_panels(n_panels, n_columns, _PANEL + 1, _PANEL)
    # In inches: space for each panel's legend or colour bar.
    axes[0].figure.get_layout_engine().set(w_pad=0.12, h_pad=0.08)
    return axes
