"""PretrainingHistoryDisplay: losses of a training run against the epoch."""

from __future__ import annotations

from typing import Self

import numpy as np
import pandas as pd

from .._shared.fitted import find_step
from ._style import as_panels, legend_at_right, make_panels, pyplot

#: Parts of the loss in the order of their panels, and their labels; other parts follow.
_NAMES = {
    "loss": "Loss",
    "local": "Local loss",
    "global": "Global loss",
    "kl": "Kullback-Leibler term",
    "descriptors": "Descriptor loss",
    "radial": "Radial statistics loss",
    "properties": "Known properties loss",
}
#: Training and validation differ in colour, lightness, line style and marker.
_STYLES = {
    "train": {"label": "training", "color": "#0072B2", "linestyle": "-", "marker": "o"},
    "valid": {"label": "validation", "color": "#E69F00", "linestyle": "--", "marker": "s", "markerfacecolor": "white"},
}
#: Maximum number of epochs for lines with markers.
_MOST_MARKERS = 40
#: Size of a panel, in inches.
_WIDTH, _HEIGHT = 3.4, 2.6
#: Width of the legend, in inches.
_LEGEND = 2.0


class PretrainingHistoryDisplay:
    """Training and validation loss and their parts against the epoch, one panel each.

    Create it with :meth:`from_estimator` or :meth:`from_history`. The loss of a :class:`skdim.DeepInfoMaxEmbedder` is
    "local" + "global" + ``kl_weight`` * "kl" + ``descriptor_weight`` * "descriptors"; each panel shows a part without
    its weight. A :class:`skdim.SiteNetRegressor` has no parts. With ``early_stopping`` there is a validation loss; a
    dotted line marks the epoch where it is lowest.

    The validation loss can be below the training loss: the training loss is the mean over an epoch in which the weights
    change, and InfoNCE is smaller with fewer negative samples, of which a small validation set has fewer than a batch.

    Parameters
    ----------
    history : skorch History, list of dict, or DataFrame
        One record per epoch, with "train_loss" and optionally "valid_loss", "train_local" and so on.

    Attributes
    ----------
    history : skorch History, list of dict, or DataFrame
        As passed.
    figure_ : matplotlib Figure
    axes_ : list of matplotlib Axes
        One per part.
    ax_ : matplotlib Axes
        The first panel.
    lines_ : dict of str to dict
        For each part the lines "train" and, if there is a validation loss, "valid".
    best_epoch_ : int or None
        Epoch with the lowest validation loss.

    See Also
    --------
    skdim.DeepInfoMaxEmbedder : Has the losses in ``history_``.

    Examples
    --------
    >>> from skdim import DeepInfoMaxEmbedder
    >>> from skdim.plotting import PretrainingHistoryDisplay
    >>> display = PretrainingHistoryDisplay.from_estimator(DeepInfoMaxEmbedder.from_pretrained())
    >>> list(display.lines_)
    ['loss', 'descriptors', 'radial']
    """

    def __init__(self, history) -> None:
        self.history = history

    @classmethod
    def from_estimator(cls, estimator, *, ax=None, **plot_params) -> Self:
        """Plot the history of a fitted estimator.

        Parameters
        ----------
        estimator : fitted DeepInfoMaxEmbedder or SiteNetRegressor
            Or a FrozenEstimator or Pipeline of one.
        ax : matplotlib Axes, or sequence of one per part, default=None
            None creates a figure.
        **plot_params
            Passed to :meth:`plot`.

        Returns
        -------
        PretrainingHistoryDisplay
        """
        return cls(find_step(estimator, "history_")[1].history_).plot(ax=ax, **plot_params)

    @classmethod
    def from_history(cls, history, *, ax=None, **plot_params) -> Self:
        """Plot a history.

        Parameters
        ----------
        history : skorch History, list of dict, or DataFrame
            An estimator's ``history_``, or a table made from it.
        ax : matplotlib Axes, or sequence of one per part, default=None
            None creates a figure.
        **plot_params
            Passed to :meth:`plot`.

        Returns
        -------
        PretrainingHistoryDisplay
        """
        return cls(history).plot(ax=ax, **plot_params)

    def plot(self, ax=None, *, parts=None, n_columns=3) -> Self:
        """Draw the losses.

        Parameters
        ----------
        ax : matplotlib Axes, or sequence of one per part, default=None
            None creates a figure.
        parts : str or sequence of str, default=None
            Panels in this order: "loss", "local", "global", "kl", "descriptors". None shows all parts of the history.
        n_columns : int, default=3
            Maximum number of panels per row of a new figure; fewer where this fills the rows better.

        Returns
        -------
        self : PretrainingHistoryDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If the history has no losses or not all of ``parts``, or the number of axes differs from that of the parts.
        """
        pyplot()
        from matplotlib.ticker import MaxNLocator

        table = read_history(self.history)
        known = _parts_of(table)
        parts = known if parts is None else [parts] if isinstance(parts, str) else list(parts)
        if not parts or not set(parts) <= set(known):
            raise ValueError(f"parts must be some of {known}; got {parts}")
        self.best_epoch_ = None
        if "valid_loss" in table and table["valid_loss"].notna().any():
            self.best_epoch_ = int(table.loc[table["valid_loss"].idxmin(), "epoch"])
        if ax is None:
            n_columns = -(-len(parts) // -(-len(parts) // n_columns))
            self.axes_ = make_panels(len(parts), n_columns, _WIDTH, _HEIGHT, legend_width=_LEGEND)
        else:
            self.axes_ = as_panels(ax, len(parts))
        self.ax_, self.figure_, self.lines_ = self.axes_[0], self.axes_[0].figure, {}
        for axes, part in zip(self.axes_, parts, strict=True):
            self.lines_[part] = self._draw(axes, table, part)
            axes.set(xlabel="Epoch", ylabel=_NAMES.get(part, part))
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
            axes.grid(axis="y", color="0.9", linewidth=0.8)
            axes.set_axisbelow(True)
            axes.spines[["top", "right"]].set_visible(False)
        legend_at_right(self.axes_[n_columns - 1 if ax is None else -1])
        return self

    def _draw(self, axes, table, part):
        lines = {}
        for prefix, style in _STYLES.items():
            if f"{prefix}_{part}" not in table:
                continue
            losses = table[f"{prefix}_{part}"].to_numpy(dtype=float)
            options = {**style, "markersize": 4, "linewidth": 1.5}
            if len(table) > _MOST_MARKERS:
                options["marker"] = ""
            (lines[prefix],) = axes.plot(table["epoch"].to_numpy(), losses, **options)
        if self.best_epoch_ is not None:
            axes.axvline(self.best_epoch_, color="0.3", linestyle=":", linewidth=1.2, label="lowest validation loss")
        return lines


def read_history(history):
    """Convert a history to a DataFrame with a column "epoch" and the losses.

    Raises
    ------
    ValueError
        If it has no epochs or no losses.
    """
    if isinstance(history, pd.DataFrame):
        table = history.reset_index(drop=True)
    else:
        records = list(history)
        if not all(isinstance(record, dict) for record in records):
            raise ValueError("history must be a list of records (dict of str to number), one per epoch, or a DataFrame")
        # skorch's "batches" are lists of records.
        table = pd.DataFrame([{k: v for k, v in record.items() if k != "batches"} for record in records])
    if not len(table):
        raise ValueError("the history has no epochs: nothing was trained (max_epochs=0)")
    if "train_loss" not in table and "valid_loss" not in table:
        raise ValueError(f"the history has neither 'train_loss' nor 'valid_loss'; it has {table.columns.tolist()}")
    if "epoch" not in table:
        table = table.assign(epoch=np.arange(1, len(table) + 1))
    return table


def _parts_of(table):
    """Parts of the loss in a history."""
    parts = set()
    for prefix in _STYLES:
        names = (name for name in table if str(name).startswith(f"{prefix}_") and not str(name).endswith("_best"))
        parts |= {str(name).removeprefix(f"{prefix}_") for name in names} - {"batch_count"}
    order = list(_NAMES)
    return sorted(parts, key=lambda part: (order.index(part) if part in order else len(order), part))
