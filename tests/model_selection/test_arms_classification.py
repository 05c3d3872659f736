"""make_arm(task="classification"): the models of classes."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import is_classifier
from sklearn.frozen import FrozenEstimator

from skdim import SiteNetClassifier
from skdim._shared.arms import ARMS, CLASSIFIERS
from skdim.model_selection import cross_validate_arms, label_efficiency, make_arm

#: Models of features.
FEATURES = ("composition", "structure", "representation", "untrained")


@pytest.fixture(scope="module")
def metal(y):
    return np.where(y > np.median(y), "metal", "insulator")


@pytest.mark.parametrize("name", FEATURES)
@pytest.mark.parametrize("head", [None, *CLASSIFIERS])
def test_every_head_fits_every_model_of_features(name, head, embedder, X, metal):
    model = make_arm(name, embedder, task="classification", head=head, random_state=0).fit(X, metal)
    expected = {"logistic": "LogisticRegression", "trees": "ExtraTreesClassifier"}
    assert type(model[-1]).__name__ == expected[head or ("trees" if name == "composition" else "logistic")]
    proba = model.predict_proba(X)[:, list(model.classes_).index("metal")]
    assert proba[metal == "metal"].mean() > proba[metal == "insulator"].mean() + 0.05


def test_networks_are_classifiers(embedder, X, metal):
    options = {"task": "classification", "max_epochs": 1, "device": "cpu", "random_state": 0}
    models = {name: make_arm(name, embedder, **options) for name in ("supervised", "transfer")}
    supervised, transfer = (model.get_params(deep=False) for model in models.values())
    assert {name for name in supervised if supervised[name] != transfer[name]} == {"pretrained"}
    for model in models.values():
        assert isinstance(model, SiteNetClassifier)
        assert_allclose(model.fit(X, metal).predict_proba(X).sum(axis=1), 1)
    assert transfer["pretrained"].estimator is embedder


def test_mean_gives_the_shares_of_the_classes(X, metal):
    model = make_arm("mean", task="classification").fit(X, np.r_[["a"] * 10, ["b"] * 30])
    assert_array_equal(model.predict_proba(X), [[0.25, 0.75]] * 40)


@pytest.mark.parametrize("name", ARMS)
def test_models_are_classifiers(name, embedder):
    assert is_classifier(make_arm(name, FrozenEstimator(embedder), task="classification"))


def test_the_combined_model_averages_logistic_regression_and_trees(embedder, X, metal):
    best = make_arm("best", embedder, task="classification", random_state=0).fit(X, metal)
    table = best[0].transform(X)
    blocks = {name.partition("__")[0] for name in table}
    assert blocks == {"structure", "composition", "density", "oxidation", "vectors"}
    parts = [model.predict_proba(table) for model in best[-1].estimators_]
    assert_allclose(best.predict_proba(X), np.mean(parts, axis=0))
    assert [type(model[-1]).__name__ for model in best[-1].estimators_] == [
        "LogisticRegression",
        "ExtraTreesClassifier",
    ]


def test_other_tasks_and_heads_are_refused(embedder):
    with pytest.raises(ValueError, match="unknown task 'ranking'; available: regression, classification"):
        make_arm("structure", task="ranking")
    with pytest.raises(ValueError, match="unknown head 'gp' for classification; available: logistic, trees"):
        make_arm("structure", task="classification", head="gp")


def test_models_of_classes_are_compared(embedder, X, metal):
    models = {name: make_arm(name, embedder, task="classification") for name in ("mean", "structure", "representation")}
    table = label_efficiency(models, X, metal, train_sizes=[16], n_repeats=3, test_size=0.4)
    losses = -table.groupby("arm")["test_neg_log_loss"].median()
    assert losses["mean"] == pytest.approx(np.log(2), rel=0.1)
    assert losses["structure"] < losses["mean"]
    folds = cross_validate_arms(models, X, metal, n_splits=2, n_draws=1, scoring="roc_auc")
    assert (folds.query("arm == 'mean'")["test_roc_auc"] == 0.5).all()
    assert len(folds) == 6
