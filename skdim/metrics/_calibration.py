"""Calibration of predictions with standard deviations."""

from __future__ import annotations

import numpy as np
from scipy.integrate import trapezoid
from scipy.stats import norm
from sklearn.utils import check_array, check_consistent_length

#: Levels over which the miscalibration area is integrated.
_GRID = np.linspace(0, 1, 101)


def calibration_scores(y_true, y_mean, y_std, *, levels=(0.5, 0.8, 0.95)) -> dict[str, float]:
    """Scores of predictions with standard deviations, each taken as a normal distribution.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        Labels.
    y_mean : array-like of shape (n_samples,)
        Predictions.
    y_std : array-like of shape (n_samples,)
        Standard deviations of the predictions, positive, in the same units.
    levels : sequence of float, default=(0.5, 0.8, 0.95)
        Levels of the intervals, between 0 and 1.

    Returns
    -------
    dict of str to float
        ``coverage_50`` and so on: fraction of the labels in the central interval of that percentage; a calibrated model
        has 0.5. ``miscalibration_area``: area between coverage and level, over all levels; 0 is best, 0.5 worst.
        ``nll``: mean negative log-likelihood of a label, in natural units; lower is better. ``mean_std``: mean standard
        deviation, in the units of the labels; of two calibrated models, the one with smaller intervals is sharper.

    Raises
    ------
    ValueError
        If the lengths differ, a value is not finite, a standard deviation is not positive, or a level is not between 0
        and 1.

    See Also
    --------
    interval_coverage : The coverage at any levels.
    skdim.plotting.CalibrationDisplay : Plots it.

    Examples
    --------
    >>> import numpy as np
    >>> from skdim.metrics import calibration_scores
    >>> y = np.random.default_rng(0).normal(size=1000)
    >>> scores = calibration_scores(y, np.zeros(1000), np.ones(1000))
    >>> round(scores["coverage_80"], 1), round(scores["miscalibration_area"], 1)
    (0.8, 0.0)
    >>> too_sure = calibration_scores(y, np.zeros(1000), np.full(1000, 0.1))
    >>> round(too_sure["coverage_80"], 1), round(too_sure["miscalibration_area"], 1)
    (0.1, 0.4)
    """
    y_true, y_mean, y_std = checked_predictions(y_true, y_mean, y_std)
    coverage = interval_coverage(y_true, y_mean, y_std, levels=levels)
    scores = {f"coverage_{100 * level:g}": float(value) for level, value in zip(levels, coverage, strict=True)}
    gaps = np.abs(interval_coverage(y_true, y_mean, y_std, levels=_GRID) - _GRID)
    scores["miscalibration_area"] = float(trapezoid(gaps, _GRID))
    scores["nll"] = float(-norm.logpdf(y_true, y_mean, y_std).mean())
    scores["mean_std"] = float(y_std.mean())
    return scores


def interval_coverage(y_true, y_mean, y_std, *, levels) -> np.ndarray:
    """Fraction of the labels in the central intervals of normal distributions.

    Parameters
    ----------
    y_true, y_mean, y_std : array-like of shape (n_samples,)
        Labels, predictions and their standard deviations.
    levels : array-like of float of shape (n_levels,)
        Levels of the intervals, between 0 and 1.

    Returns
    -------
    ndarray of shape (n_levels,)
        Of a calibrated model, equal to ``levels``.

    Raises
    ------
    ValueError
        As :func:`calibration_scores`.

    See Also
    --------
    calibration_scores : Summaries of the coverage in single numbers.

    Examples
    --------
    >>> from skdim.metrics import interval_coverage
    >>> interval_coverage([0.0, 1.0, 2.0, 3.0], [0.0, 0.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0], levels=[0.5, 0.9]).tolist()
    [0.25, 0.5]
    """
    y_true, y_mean, y_std = checked_predictions(y_true, y_mean, y_std)
    levels = np.asarray(levels, dtype=np.float64)
    if not ((levels >= 0) & (levels <= 1)).all():
        raise ValueError(f"levels must be between 0 and 1; got {levels.tolist()}")
    deviations = np.sort(np.abs(y_true - y_mean) / y_std)
    return np.searchsorted(deviations, norm.ppf(0.5 + levels / 2), side="right") / len(deviations)


def checked_predictions(y_true, y_mean, y_std):
    """Labels, predictions and standard deviations as float64 of shape (n_samples,)."""
    arrays = []
    for name, values in (("y_true", y_true), ("y_mean", y_mean), ("y_std", y_std)):
        values = check_array(values, dtype=np.float64, ensure_2d=False, input_name=name)
        if values.ndim != 1:
            raise ValueError(f"{name} must have one dimension; got shape {values.shape}")
        arrays.append(values)
    check_consistent_length(*arrays)
    if (arrays[2] <= 0).any():
        raise ValueError(f"y_std must be positive; it is {arrays[2].min():g} in row {int(np.argmin(arrays[2]))}")
    return arrays
