"""scikit-learn's callbacks, experimental in 1.9, on searches and pipelines of skdim's estimators.

skdim's estimators have no callbacks of that kind, as scikit-learn's methods for them are private and may change; the
networks have those of skorch. scikit-learn warns that progress is not shown inside of a step.
"""

import pytest
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from skdim import DeepInfoMaxEmbedder, SiteNetFeaturizer, SiteNetRegressor
from tests.helpers.small_estimators import SMALL

callback = pytest.importorskip("sklearn.callback", reason="needs scikit-learn 1.9")
pytestmark = pytest.mark.filterwarnings("ignore:The estimator .* does not support callbacks:UserWarning")


def test_progress_bars_of_a_search_end_with_it(structures, y, capsys):
    pytest.importorskip("rich", reason="sklearn's progress bars need rich")
    model = make_pipeline(SiteNetFeaturizer(), DeepInfoMaxEmbedder(**SMALL, max_epochs=0), Ridge())
    search = GridSearchCV(model, {"ridge__alpha": [0.1, 1.0]}, cv=2, error_score="raise")
    search.set_callbacks(callback.ProgressBar()).fit(structures, y)
    assert search.predict(structures).shape == (40,)
    assert "100%" in capsys.readouterr().out


def test_progress_bars_of_a_pipeline_end_with_it(X, y, capsys):
    pytest.importorskip("rich", reason="sklearn's progress bars need rich")
    model = make_pipeline(SiteNetRegressor(**SMALL, max_epochs=1)).set_callbacks(callback.ProgressBar())
    assert model.fit(X, y).predict(X).shape == (40,)
    assert "Pipeline - fit" in (shown := capsys.readouterr().out)
    assert "100%" in shown
