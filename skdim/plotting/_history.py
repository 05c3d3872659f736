"""PretrainingHistoryDisplay: the losses of a training run against the epoch."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ._fitted import find_step
from ._style import as_panels, legend_beside, make_panels, pyplot

#: Parts of the loss in the order of their panels, and what they are called; others follow.
_NAMES = {
    "loss": "Loss",
    "local": "Local loss",
    "global": "Global loss",
    "kl": "Kullback-Leibler term",
    "descriptors": "Descriptor loss",
}
#: Training and validation differ in colour, lightness, line and marker.
_STYLES = {
    "train": {"label": "training", "color": "#0072B2", "linestyle": "-", "marker": "o"},
    "valid": {"label": "validation", "color": "#E69F00", "linestyle": "--", "marker": "s", "markerfacecolor": "white"},
}
#: With more epochs than this, lines have no markers.
_MOST_MARKERS = 40
#: Of a panel, in inches.
_WIDTH, _HEIGHT = 3.4, 2.6
#: Of the legend.
_LEGEND = 2.0


class PretrainingHistoryDisplay:
    """Training and validation loss and their parts against the epoch, a panel each.

    Made by :meth:`from_estimator` or :meth:`from_history`. The loss of a :class:`skdim.DeepInfoMaxEmbedder` is "local"
    + "global" + ``kl_weight`` * "kl" + ``descriptor_weight`` * "descriptors"; each panel shows a part without its
    weight. A :class:`skdim.SiteNetRegressor` has no parts. There is a validation loss with ``early_stopping``; a dotted
    line marks the epoch where it is lowest.

    A validation loss below that of training is no mistake: training losses are means over an epoch in which the weights
    change, and InfoNCE falls with the number of partners to tell apart, of which a few held-out crystals have less than
    a batch of training.

    Parameters
    ----------
    history : skorch History, list of dict, or DataFrame
        One record an epoch, with "train_loss" and, as far as there are such, "valid_loss", "train_local" and so on.

    Attributes
    ----------
    history
        As given.
    figure_ : matplotlib Figure
    axes_ : list of matplotlib Axes
        One a part.
    ax_ : matplotlib Axes
        The first of them.
    lines_ : dict of str to dict
        For each part the lines of "train" and, where there is one, "valid".
    best_epoch_ : int or None
        Where the validation loss is lowest.

    See Also
    --------
    skdim.DeepInfoMaxEmbedder : Its ``history_`` holds the losses.

    Examples
    --------
    >>> from skdim import DeepInfoMaxEmbedder
    >>> from skdim.plotting import PretrainingHistoryDisplay
    >>> display = PretrainingHistoryDisplay.from_estimator(DeepInfoMaxEmbedder.from_pretrained())
    >>> list(display.lines_)
    ['loss', 'local', 'global', 'descriptors']
    """

    def __init__(self, history):
        self.history = history

    @classmethod
    def from_estimator(cls, estimator, *, ax=None, **plot_params):
        """Plot the history of a fitted estimator.

        Parameters
        ----------
        estimator : fitted DeepInfoMaxEmbedder or SiteNetRegressor
            Also one that was loaded by ``from_pretrained``, and a FrozenEstimator or Pipeline of one.
        ax : matplotlib Axes, or sequence of one a part, default=None
            None makes a new figure.
        **plot_params
            For :meth:`plot`.

        Returns
        -------
        PretrainingHistoryDisplay
        """
        return cls(find_step(estimator, "history_")[1].history_).plot(ax=ax, **plot_params)

    @classmethod
    def from_history(cls, history, *, ax=None, **plot_params):
        """Plot a history.

        Parameters
        ----------
        history : skorch History, list of dict, or DataFrame
            An estimator's ``history_``, or a table made of one.
        ax : matplotlib Axes, or sequence of one a part, default=None
            None makes a new figure.
        **plot_params
            For :meth:`plot`.

        Returns
        -------
        PretrainingHistoryDisplay
        """
        return cls(history).plot(ax=ax, **plot_params)

    def plot(self, ax=None, *, parts=None, n_columns=3):
        """Draw the losses.

        Parameters
        ----------
        ax : matplotlib Axes, or sequence of one a part, default=None
            None makes a new figure.
        parts : str or sequence of str, default=None
            Which panels, in this order: "loss", "local", "global", "kl", "descriptors". None shows all that there are.
        n_columns : int, default=3
            At most so many panels side by side in a new figure; fewer where they fill its rows better.

        Returns
        -------
        self : PretrainingHistoryDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If the history has no losses, or not those of a part that is asked for; or if the number of axes is not that
            of the parts.
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
            self.axes_ = make_panels(len(parts), n_columns, _WIDTH, _HEIGHT, beside=_LEGEND)
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
        legend_beside(self.axes_[n_columns - 1 if ax is None else -1])
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
    """A history as a DataFrame with a column "epoch" and the losses.

    Raises
    ------
    ValueError
        If it holds no epoch, or no loss.
    """
    if isinstance(history, pd.DataFrame):
        table = history.reset_index(drop=True)
    else:
        records = list(history)
        if not all(isinstance(record, dict) for record in records):
            raise ValueError("history must be a list of records (dict of str to number), one an epoch, or a DataFrame")
        # The batches are lists of records themselves.
        table = pd.DataFrame([{k: v for k, v in record.items() if k != "batches"} for record in records])
    if not len(table):
        raise ValueError("the history holds no epoch: nothing was trained (max_epochs=0)")
    if "train_loss" not in table and "valid_loss" not in table:
        raise ValueError(f"the history has neither 'train_loss' nor 'valid_loss', but {table.columns.tolist()}")
    if "epoch" not in table:
        table = table.assign(epoch=np.arange(1, len(table) + 1))
    return table


def _parts_of(table):
    """Parts of the loss that a history has."""
    found = set()
    for prefix in _STYLES:
        names = (name for name in table if str(name).startswith(f"{prefix}_") and not str(name).endswith("_best"))
        found |= {str(name).removeprefix(f"{prefix}_") for name in names} - {"batch_count"}
    order = list(_NAMES)
    return sorted(found, key=lambda part: (order.index(part) if part in order else len(order), part))
