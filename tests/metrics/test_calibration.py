"""Scores of predictions with standard deviations."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import norm

from skdim.metrics import calibration_scores, interval_coverage


def test_scores_of_known_deviations():
    y, mean, std = np.array([0.5, -2.0, 3.0, 10.0]), np.array([0.0, 0.0, 0.0, 10.0]), np.array([1.0, 2.0, 1.0, 0.5])
    deviations = [0.5, 1.0, 3.0, 0.0]
    scores = calibration_scores(y, mean, std, levels=[0.5, 0.8, 0.999])
    assert (scores["coverage_50"], scores["coverage_80"], scores["coverage_99.9"]) == (0.5, 0.75, 1.0)
    assert scores["nll"] == pytest.approx(
        -np.mean([norm.logpdf(d) - np.log(s) for d, s in zip(deviations, std, strict=True)])
    )
    assert scores["mean_std"] == pytest.approx(1.125)
    # Coverage is a staircase that rises by a quarter at the level of each deviation; the area is exact up to the grid.
    steps = np.sort([2 * norm.cdf(d) - 1 for d in deviations])
    fine = np.linspace(0, 1, 100_001)
    staircase = np.searchsorted(steps, fine, side="right") / 4
    assert scores["miscalibration_area"] == pytest.approx(np.abs(staircase - fine).mean(), abs=0.01)


def test_normal_labels_are_calibrated():
    rng = np.random.default_rng(0)
    std = rng.uniform(0.1, 3, size=20_000)
    y = 5 + std * rng.normal(size=20_000)
    levels = np.linspace(0, 1, 21)
    assert_allclose(interval_coverage(y, np.full(20_000, 5.0), std, levels=levels), levels, atol=0.015)
    exact = calibration_scores(y, np.full(20_000, 5.0), std)
    assert exact["miscalibration_area"] < 0.01
    for factor in (0.5, 2.0):
        wrong = calibration_scores(y, np.full(20_000, 5.0), factor * std)
        assert wrong["miscalibration_area"] > 0.1
        assert wrong["nll"] > exact["nll"] + 0.1


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (([1.0], [1.0], [0.0]), "y_std must be positive; it is 0 in row 0"),
        (([1.0, 2.0], [1.0], [1.0]), "inconsistent numbers of samples"),
        (([np.nan], [1.0], [1.0]), "Input y_true contains NaN"),
        (([[1.0]], [1.0], [1.0]), r"y_true must have one dimension; got shape \(1, 1\)"),
    ],
)
def test_bad_predictions_are_refused(arrays, message):
    with pytest.raises(ValueError, match=message):
        calibration_scores(*arrays)


def test_bad_levels_are_refused():
    with pytest.raises(ValueError, match=r"levels must be between 0 and 1; got \[0\.5, 80\.0\]"):
        calibration_scores([1.0], [1.0], [1.0], levels=[0.5, 80])
