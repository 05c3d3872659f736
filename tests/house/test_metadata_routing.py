"""Sample weights and groups reach the estimators and splitters through pipelines and searches (metadata routing)."""

import numpy as np
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.utils.fixes import parse_version

from skdim import (
    BlockGaussianProcessRegressor,
    SiteNetClassifier,
    SiteNetFeaturizer,
    SiteNetRegressor,
    StructureStatistics,
)
from skdim.model_selection import FormulaKFold, formula_groups
from tests.helpers.small_estimators import SMALL

pytestmark = pytest.mark.skipif(
    parse_version(sklearn.__version__) < parse_version("1.8"),
    reason="scikit-learn before 1.8 routes no weights through the score of a Pipeline",
)

WEIGHTED = {"sample_weight": True}
#: Estimators, and what comes before them in a pipeline that starts from Crystals.
MODELS = {
    "regressor": ([], SiteNetRegressor(**SMALL, max_epochs=2)),
    "classifier": ([], SiteNetClassifier(**SMALL, max_epochs=2)),
    "block Gaussian process": ([StructureStatistics()], BlockGaussianProcessRegressor()),
}
#: A parameter to search over, of each.
GRIDS = {
    "regressor": ("hidden_layer_sizes", [(4,), (8,)]),
    "classifier": ("hidden_layer_sizes", [(4,), (8,)]),
    "block Gaussian process": ("noise_prior", [(0.1, 1.0), (1.0, 1.0)]),
}


@pytest.fixture(autouse=True)
def _routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


@pytest.fixture(params=MODELS)
def name(request):
    return request.param


@pytest.fixture
def target(name, y):
    return (y > np.median(y)).astype(int) if name == "classifier" else y


@pytest.fixture(scope="module")
def weight():
    return np.random.default_rng(0).choice([0.2, 1.0, 3.0], size=40)


def requesting(name):
    before, model = MODELS[name]
    return make_pipeline(*before, clone(model).set_fit_request(**WEIGHTED).set_score_request(**WEIGHTED))


def by_hand(name, X, y, weight, X_test, **params):
    """Predictions of a model that is fitted with the weights directly."""
    before, model = MODELS[name]
    for step in before:
        step = clone(step).fit(X)
        X, X_test = step.transform(X), step.transform(X_test)
    return clone(model).set_params(**params).fit(X, y, sample_weight=weight).predict(X_test)


def test_a_search_routes_weights_to_fit_and_score_and_groups_to_the_splitter(name, X, target, weight):
    parameter, values = GRIDS[name]
    pipe, groups = requesting(name), np.arange(40) % 4
    full = f"{pipe.steps[-1][0]}__{parameter}"
    search = GridSearchCV(pipe, {full: values}, cv=GroupKFold(2), error_score="raise")
    search.fit(X, target, sample_weight=weight, groups=groups)
    metric = accuracy_score if name == "classifier" else r2_score
    for fold, (train, test) in enumerate(GroupKFold(2).split(X, target, groups)):
        assert not set(groups[train]) & set(groups[test])
        for candidate, value in enumerate(values):
            predicted = by_hand(name, X[train], target[train], weight[train], X[test], **{parameter: value})
            expected = metric(target[test], predicted, sample_weight=weight[test])
            assert search.cv_results_[f"split{fold}_test_score"][candidate] == pytest.approx(expected, abs=1e-5)
    best = clone(pipe).set_params(**search.best_params_).fit(X, target, sample_weight=weight)
    assert_allclose(search.predict(X), best.predict(X), rtol=1e-6)
    unweighted = clone(pipe).set_params(**search.best_params_).fit(X, target)
    decide = "predict_proba" if name == "classifier" else "predict"
    assert not np.allclose(getattr(search, decide)(X), getattr(unweighted, decide)(X))


def test_weights_pass_through_a_pipeline_from_structures(name, structures, X, target, weight):
    pipe = make_pipeline(SiteNetFeaturizer(), *requesting(name))
    expected = by_hand(name, X, target, weight, X)
    assert_allclose(pipe.fit(structures, target, sample_weight=weight).predict(structures), expected, rtol=1e-6)


def test_weights_that_nobody_asked_for_are_refused(name, X, target, weight):
    before, model = MODELS[name]
    pipe = make_pipeline(*before, clone(model))
    with pytest.raises(UnsetMetadataPassedError, match="sample_weight"):
        pipe.fit(X, target, sample_weight=weight)


def test_weights_can_be_for_the_score_alone(name, X, target, weight):
    before, model = MODELS[name]
    pipe = make_pipeline(*before, clone(model).set_fit_request(sample_weight=False).set_score_request(**WEIGHTED))
    groups = np.arange(40) % 4
    params = {"sample_weight": weight, "groups": groups}
    scores = cross_validate(pipe, X, target, cv=GroupKFold(2), params=params, return_estimator=True)
    train, _ = next(GroupKFold(2).split(X, target, groups))
    unweighted = clone(pipe).fit(X[train], target[train])
    assert_array_equal(scores["estimator"][0].predict(X), unweighted.predict(X))


def test_formula_groups_and_formula_folds_work_with_routing(X, y, weight):
    pipe = requesting("regressor")
    params = {"sample_weight": weight}
    by_groups = cross_validate(pipe, X, y, cv=GroupKFold(3), params={**params, "groups": formula_groups(X)})
    by_formula = cross_validate(pipe, X, y, cv=FormulaKFold(3), params=params)
    for scores in (by_groups, by_formula):
        assert np.isfinite(scores["test_score"]).all()
    train, test = next(FormulaKFold(3).split(X))
    predicted = by_hand("regressor", X[train], y[train], weight[train], X[test])
    expected = r2_score(y[test], predicted, sample_weight=weight[test])
    assert by_formula["test_score"][0] == pytest.approx(expected, abs=1e-5)
