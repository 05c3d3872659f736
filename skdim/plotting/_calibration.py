"""CalibrationDisplay: coverage of intervals against their level."""

from __future__ import annotations

from typing import Self

import numpy as np

from ..metrics import calibration_scores, interval_coverage
from ._style import pyplot


class CalibrationDisplay:
    """Fraction of the labels in the central intervals of a regressor with standard deviations, against the level.

    Create it with :meth:`from_estimator` or :meth:`from_predictions`. The curve of a calibrated regressor is the
    diagonal; below it, the standard deviations are too small.

    Parameters
    ----------
    levels : ndarray of shape (n_levels,)
        Levels of the intervals.
    coverage : ndarray of shape (n_levels,)
        Fraction of the labels in these intervals.
    scores : dict of str to float
        Result of :func:`skdim.metrics.calibration_scores`.
    name : str, default=None
        Name of the model, for the legend.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    line_ : matplotlib Line2D
        Coverage against level.
    reference_ : matplotlib Line2D
        The diagonal.

    See Also
    --------
    skdim.metrics.calibration_scores : The numbers.
    sklearn.metrics.PredictionErrorDisplay : Predictions against labels.

    Examples
    --------
    >>> import numpy as np
    >>> from skdim.plotting import CalibrationDisplay
    >>> y = np.random.default_rng(0).normal(size=200)
    >>> display = CalibrationDisplay.from_predictions(y, np.zeros(200), np.ones(200))
    >>> display.ax_.get_xlabel()
    'Level of the interval'
    """

    def __init__(self, levels, coverage, scores, *, name=None) -> None:
        self.levels = levels
        self.coverage = coverage
        self.scores = scores
        self.name = name

    @classmethod
    def from_estimator(cls, estimator, X, y, *, name=None, ax=None, **line_kw) -> Self:
        """Plot the calibration of a fitted regressor whose ``predict`` has ``return_std``.

        Parameters
        ----------
        estimator : fitted estimator or Pipeline
        X : object of shape (n_samples,)
            What the estimator predicts from.
        y : array-like of shape (n_samples,)
            Labels.
        name, ax, **line_kw
            As in :meth:`from_predictions`; the default name is that of the class.

        Returns
        -------
        CalibrationDisplay
        """
        mean, std = estimator.predict(X, return_std=True)
        name = type(estimator).__name__ if name is None else name
        return cls.from_predictions(y, mean, std, name=name, ax=ax, **line_kw)

    @classmethod
    def from_predictions(cls, y_true, y_mean, y_std, *, name=None, ax=None, **line_kw) -> Self:
        """Plot the calibration of predictions.

        Parameters
        ----------
        y_true, y_mean, y_std : array-like of shape (n_samples,)
            Labels, predictions and their standard deviations.
        name : str, default=None
            Name of the model, for the legend.
        ax : matplotlib Axes, default=None
            None creates a figure.
        **line_kw
            Passed to :meth:`matplotlib.axes.Axes.plot`.

        Returns
        -------
        CalibrationDisplay
        """
        levels = np.linspace(0, 1, 101)
        coverage = interval_coverage(y_true, y_mean, y_std, levels=levels)
        display = cls(levels, coverage, calibration_scores(y_true, y_mean, y_std), name=name)
        return display.plot(ax=ax, **line_kw)

    def plot(self, ax=None, *, name=None, **line_kw) -> Self:
        """Plot.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None creates a figure.
        name : str, default=None
            None takes the name of the display.
        **line_kw
            Passed to :meth:`matplotlib.axes.Axes.plot`.

        Returns
        -------
        CalibrationDisplay
        """
        if ax is None:
            _, ax = pyplot().subplots(figsize=(3.8, 3.6), layout="constrained")
        name = self.name if name is None else name
        area = f"area {self.scores['miscalibration_area']:.3f}"
        style = {"color": "#0072B2", "label": area if name is None else f"{name} ({area})", **line_kw}
        (self.line_,) = ax.plot(self.levels, self.coverage, **style)
        (self.reference_,) = ax.plot([0, 1], [0, 1], color="black", linestyle=":", linewidth=1, zorder=0)
        ax.set(xlabel="Level of the interval", ylabel="Fraction of labels in it", xlim=(0, 1), ylim=(0, 1))
        ax.set_aspect("equal")
        ax.legend(loc="upper left", frameon=False)
        self.ax_, self.figure_ = ax, ax.figure
        return self
