"""SiteNetClassifier: labels, probabilities, weights of classes, transfer, early stopping."""

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, cross_val_predict

from skdim import SiteNetClassifier, SiteNetFeaturizer, SiteNetRegressor
from skdim._classifier.classes import ClassPriors, class_weighted
from skdim._regressor.weighted_loss import WeightedLoss
from tests.helpers.small_estimators import SMALL


@pytest.fixture(scope="module")
def two(y):
    return np.where(y < np.median(y), "stable", "unstable")


@pytest.fixture(scope="module")
def three(y):
    return np.digitize(y, np.quantile(y, [0.3, 0.7])) * 10


# ---- labels and probabilities ----


@pytest.mark.parametrize("labels", ["two", "three"])
def test_classes_are_learned(labels, X, request):
    labels = request.getfixturevalue(labels)
    model = SiteNetClassifier(**SMALL, max_epochs=100, learning_rate_init=1e-2).fit(X, labels)
    assert model.score(X, labels) > 0.85
    assert_array_equal(model.classes_, np.unique(labels))
    proba = model.predict_proba(X)
    assert proba.shape == (40, len(model.classes_))
    assert_allclose(proba.sum(axis=1), 1)
    assert_array_equal(model.predict(X), model.classes_[proba.argmax(axis=1)])
    assert_allclose(np.log(proba), model.predict_log_proba(X))
    assert log_loss(labels, proba) < 0.6 * np.log(len(model.classes_))


def test_the_decision_function_gives_logits(X, two, three):
    model = SiteNetClassifier(**SMALL, max_epochs=2)
    binary = clone(model).fit(X, two)
    odds = binary.predict_proba(X)
    assert_allclose(binary.decision_function(X), np.log(odds[:, 1] / odds[:, 0]), rtol=1e-6)
    logits = clone(model).fit(X, three).decision_function(X)
    assert logits.shape == (40, 3)
    shares = np.exp(logits)
    assert_allclose(shares / shares.sum(axis=1, keepdims=True), clone(model).fit(X, three).predict_proba(X), rtol=1e-6)


@pytest.mark.parametrize(
    "dtype", ["int8", "bool", "float32", "U", object, "category", "string", "Int64", "boolean"], ids=str
)
def test_labels_can_have_any_dtype(dtype, X, y):
    codes = (y < np.median(y)).astype(int)
    if dtype in ("U", object, "category", "string"):
        labels = np.array(["b", "a"])[codes]
        labels = pd.Series(labels, dtype=dtype) if dtype in ("category", "string") else labels.astype(dtype)
        expected = codes == 1  # "a" comes first
    else:
        labels = pd.Series(codes, dtype=dtype) if dtype in ("Int64", "boolean") else codes.astype(dtype)
        expected = codes == 0
    model = SiteNetClassifier(**SMALL, max_epochs=3).fit(X, labels)
    same = SiteNetClassifier(**SMALL, max_epochs=3).fit(X, (~expected).astype(int))
    assert_array_equal(model.predict_proba(X), same.predict_proba(X))
    assert model.predict(X)[0] in np.asarray(labels).tolist()
    assert 0 <= model.score(X, labels) <= 1


def test_training_starts_at_the_shares_of_the_classes(X):
    labels = np.r_[np.zeros(30), np.ones(10)]
    start = SiteNetClassifier(**SMALL, max_epochs=0, hidden_layer_sizes=())
    module = clone(start).fit(X, labels).net_.module_
    assert_allclose(np.exp(module.target_mean.numpy() @ [-1, 1]), 1 / 3, rtol=1e-6)
    balanced = clone(start).set_params(class_weight="balanced").fit(X, labels)
    assert_allclose(balanced.net_.module_.target_mean, 0, atol=1e-6)
    assert_allclose(clone(start).set_params(standardize=False).fit(X, labels).net_.module_.target_mean, 0)


def test_the_loss_is_the_weighted_cross_entropy():
    rng = np.random.default_rng(0)
    logits, codes, weight = rng.normal(size=(9, 4)), rng.integers(0, 4, 9), np.linspace(0.1, 1, 9)
    targets = ClassPriors(4).fit(codes, weight).pack(codes, weight)
    loss = WeightedLoss("cross_entropy", np.ones(1))(torch.from_numpy(logits.astype(np.float32)), targets)
    proba = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert loss.item() == pytest.approx(log_loss(codes, proba, sample_weight=weight, labels=range(4)), rel=1e-5)


# ---- weights ----


def test_class_weights_multiply_sample_weights():
    weight, codes, classes = np.array([1.0, 0.5, 1.0, 0.25]), np.array([0, 0, 1, 1]), np.array(["a", "b"])
    assert class_weighted(weight, None, classes, codes) is weight
    assert_allclose(class_weighted(weight, {"b": 4}, classes, codes), [0.25, 0.125, 1, 0.25])
    balanced = class_weighted(weight, "balanced", classes, codes)
    assert balanced[:2].sum() == pytest.approx(balanced[2:].sum())
    for wrong in ({"a": 0}, {"a": -1.0}, {"a": np.nan}):
        with pytest.raises(ValueError, match="class_weight must be positive numbers"):
            class_weighted(weight, wrong, classes, codes)


def test_a_class_weight_equals_sample_weights(X, two):
    model = SiteNetClassifier(**SMALL, max_epochs=3)
    by_class = clone(model).set_params(class_weight={"stable": 3}).fit(X, two)
    by_sample = clone(model).fit(X, two, sample_weight=np.where(two == "stable", 3, 1))
    assert_array_equal(by_class.predict_proba(X), by_sample.predict_proba(X))
    more = by_class.predict_proba(X)[:, 0] - clone(model).fit(X, two).predict_proba(X)[:, 0]
    assert more.mean() > 0.1
    with pytest.raises(ValueError, match="class_weight"):
        clone(model).set_params(class_weight={"no such class": 1}).fit(X, two)


@pytest.mark.parametrize("class_weight", [None, "balanced"])
def test_rows_of_weight_zero_are_ignored(class_weight, X, two):
    weight = np.ones(40)
    weight[::3] = 0
    model = SiteNetClassifier(**SMALL, max_epochs=3, class_weight=class_weight)
    weighted = clone(model).fit(X, np.where(weight > 0, two, "another class"), sample_weight=weight)
    without = clone(model).fit(X[weight > 0], two[weight > 0])
    assert_array_equal(weighted.classes_, ["stable", "unstable"])
    assert_array_equal(weighted.predict_proba(X), without.predict_proba(X))


# ---- transfer, early stopping, warm start ----


def test_transfer_starts_from_every_kind_of_network(X, y, two, three, embedder):
    regressor = SiteNetRegressor(**SMALL, max_epochs=1).fit(X, y)
    classifier = SiteNetClassifier(**SMALL, max_epochs=1).fit(X, three)
    for kind, target in ((SiteNetClassifier, two), (SiteNetRegressor, y)):
        for source in (embedder, regressor, classifier):
            model = kind(**SMALL, max_epochs=0, pretrained=FrozenEstimator(source)).fit(X, target)
            started, source_encoder = (each.net_.module_.encoder.state_dict() for each in (model, source))
            assert all(torch.equal(started[name], value) for name, value in source_encoder.items())
    frozen = SiteNetClassifier(**SMALL, max_epochs=3, freeze="encoder", pretrained=FrozenEstimator(embedder))
    trained = frozen.fit(X, two).net_.module_.encoder.state_dict()
    assert all(torch.equal(trained[name], value) for name, value in embedder.net_.module_.encoder.state_dict().items())


def test_early_stopping_holds_out_a_stratified_part_over_formulas(X, monkeypatch):
    import skdim._regressor.supervise as module

    parts = []
    hold_out = module.hold_out
    monkeypatch.setattr(
        module, "hold_out", lambda *args, **options: parts.append(hold_out(*args, **options)) or parts[0]
    )
    labels = (np.arange(40) % 4 == 0).astype(int)
    model = SiteNetClassifier(**SMALL, max_epochs=60, learning_rate_init=0.03, early_stopping=True, n_iter_no_change=3)
    model.set_params(validation_fraction=0.3).fit(X, labels)
    (training, validation) = parts[0]
    assert 10 <= len(validation) <= 12
    assert labels[validation].sum() == 3
    formulas = np.array(X.formulas)
    assert not set(formulas[training]) & set(formulas[validation])
    assert model.n_iter_ < 60
    assert "valid_loss" in model.history_[0]


def test_warm_start_continues_with_the_same_classes(X, two):
    model = SiteNetClassifier(**SMALL, max_epochs=2, warm_start=True).fit(X, two)
    before = model.predict_proba(X)
    assert model.fit(X, two).n_iter_ == 4
    assert not np.allclose(model.predict_proba(X), before)
    with pytest.raises(ValueError, match=r"warm_start continues with the classes \['stable' 'unstable'\], but y has"):
        model.fit(X, np.where(two == "stable", "stable", "another"))


def test_searches_and_cross_validation(X, two, embedder):
    model = SiteNetClassifier(**SMALL, max_epochs=1)
    proba = cross_val_predict(model, X, two, cv=2, method="predict_proba")
    assert_allclose(proba.sum(axis=1), 1)
    grid = {"pretrained": [None, FrozenEstimator(embedder)], "class_weight": [None, "balanced"]}
    search = GridSearchCV(model, grid, cv=2, scoring="neg_log_loss", error_score="raise").fit(X, two)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.predict(X).shape == (40,)


# ---- errors ----


def test_bad_labels_are_refused(X, y, two):
    model = SiteNetClassifier(**SMALL, max_epochs=1)
    missing = two.astype(object)
    missing[[3, 8]] = None, np.nan
    with pytest.raises(ValueError, match=r"Input y contains NaN or infinity: row 3 \(.*\), row 8 \(.*\)\. Remove"):
        model.fit(X, missing)
    with pytest.raises(ValueError, match="Unknown label type: continuous"):
        model.fit(X, y)
    with pytest.raises(ValueError, match="needs at least two classes, but all labels are one class: 'metal'"):
        model.fit(X, ["metal"] * 40)
    with pytest.raises(ValueError, match="needs at least two classes"):
        model.fit(X, two, sample_weight=two == "stable")
    with pytest.raises(TypeError, match=r"of the types \['int', 'str'\]: pass one type"):
        model.fit(X, np.array([1, "a"] * 20, dtype=object))
    with pytest.raises(ValueError, match="y should be a 1d array"):
        model.fit(X, np.column_stack([two, two]))
    with pytest.raises(ValueError, match="the target y is None"):
        model.fit(X, None)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        model.fit(X, two[1:])


def test_failed_rows_have_no_class(structures, two):
    with pytest.warns(UserWarning, match="1 of 40 structures could not be featurized"):
        X = SiteNetFeaturizer(on_error="warn").transform([*structures[:2], None, *structures[3:]])
    model = SiteNetClassifier(**SMALL, max_epochs=1)
    with pytest.raises(ValueError, match=r"1 of 40 labelled crystals could not be featurized\. The first: row 2"):
        model.fit(X, two)
    good = ~X.failed
    model.fit(X[good], two[good])
    assert_array_equal(np.isnan(model.predict_proba(X)).any(axis=1), X.failed)
    assert_array_equal(np.isnan(model.decision_function(X)), X.failed)
    with pytest.raises(ValueError, match=r"failed to featurize, which have no class: row 2 \(\?\)\. Leave them out"):
        model.predict(X)
