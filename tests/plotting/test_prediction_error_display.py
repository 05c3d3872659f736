"""scikit-learn's PredictionErrorDisplay works with models on crystals."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.linear_model import Ridge
from sklearn.metrics import PredictionErrorDisplay
from sklearn.pipeline import make_pipeline

from skdim import DeepInfoMaxEmbedder, SiteNetFeaturizer, SiteNetRegressor
from tests.helpers.small_estimators import SMALL

pytest.importorskip("matplotlib", reason="needs the extra 'plot'")


def estimators():
    return {
        "regressor": SiteNetRegressor(**SMALL, max_epochs=2),
        "pipeline": make_pipeline(DeepInfoMaxEmbedder(**SMALL, max_epochs=1), Ridge()),
        "from structures": make_pipeline(SiteNetFeaturizer(), SiteNetRegressor(**SMALL, max_epochs=2)),
    }


@pytest.mark.parametrize("name", estimators())
def test_parity_plot_of_models_on_crystals(name, crystals, formation_crystals):
    X = formation_crystals if name == "from structures" else crystals
    y = np.array([structure.density for structure in formation_crystals])
    estimator = estimators()[name].fit(X[:40], y[:40])
    display = PredictionErrorDisplay.from_estimator(estimator, X[40:], y[40:], kind="actual_vs_predicted")
    assert_array_equal(display.y_true, y[40:])
    assert_array_equal(display.y_pred, estimator.predict(X[40:]))
    assert_array_equal(display.scatter_.get_offsets(), np.column_stack([display.y_pred, display.y_true]))
    assert display.ax_.get_xlabel() == "Predicted values"


def test_subsample_of_crystals(crystals, formation_crystals):
    y = np.array([structure.density for structure in formation_crystals])
    model = estimators()["regressor"].fit(crystals, y)
    display = PredictionErrorDisplay.from_estimator(model, crystals, y, subsample=20, random_state=0)
    assert len(display.y_true) == 20
    predictions = dict(zip(y, model.predict(crystals), strict=True))
    assert_array_equal([predictions[value] for value in display.y_true], display.y_pred)
