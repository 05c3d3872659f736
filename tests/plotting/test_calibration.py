"""CalibrationDisplay: the curve, from predictions and from estimators."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.linear_model import BayesianRidge

from skdim.metrics import calibration_scores, interval_coverage

pytest.importorskip("matplotlib", reason="needs the extra 'plot'")
import matplotlib.pyplot as plt

from skdim.plotting import CalibrationDisplay


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(100, 2))
    return X, X[:, 0] + 0.3 * rng.normal(size=100)


def test_the_curve_is_the_coverage(data):
    X, y = data
    model = BayesianRidge().fit(X[:50], y[:50])
    mean, std = model.predict(X[50:], return_std=True)
    display = CalibrationDisplay.from_predictions(y[50:], mean, std, color="red")
    levels = np.linspace(0, 1, 101)
    assert_array_equal(display.line_.get_xdata(), levels)
    assert_array_equal(display.line_.get_ydata(), interval_coverage(y[50:], mean, std, levels=levels))
    assert_array_equal(display.reference_.get_data(), [[0, 1], [0, 1]])
    assert display.scores == calibration_scores(y[50:], mean, std)
    assert display.line_.get_color() == "red"
    assert display.figure_ is display.ax_.figure
    assert display.line_.get_label() == f"area {display.scores['miscalibration_area']:.3f}"


def test_two_models_in_one_figure(data):
    X, y = data
    model = BayesianRidge().fit(X[:50], y[:50])
    first = CalibrationDisplay.from_estimator(model, X[50:], y[50:])
    assert first.line_.get_label().startswith("BayesianRidge (area 0.")
    second = CalibrationDisplay.from_estimator(model, X[50:], y[50:], name="again", ax=first.ax_)
    assert second.ax_ is first.ax_
    labels = [text.get_text() for text in first.ax_.get_legend().get_texts()]
    assert [label.partition(" ")[0] for label in labels] == ["BayesianRidge", "again"]
