"""FewLabelsRegressor: candidates, their comparison by cross-validation, and scaled standard deviations."""

import pickle

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.linear_model import BayesianRidge, Ridge
from sklearn.neighbors import KNeighborsRegressor
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import estimator_checks_generator, parametrize_with_checks

from skdim import BlockGaussianProcessRegressor, CompositionStatistics, FewLabelsRegressor, SiteNetFeaturizer
from skdim._heads.candidates import default_candidates, describe
from skdim._heads.rows import group_equal_rows

SMALL = {"estimators": [("ridge", BayesianRidge()), ("near", KNeighborsRegressor(3))], "cv": 2}


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 4))
    return X, X @ [2.0, -1.0, 0.5, 0.0] + 0.3 * rng.normal(size=300)


def test_errors_are_those_of_held_out_rows(data):
    X, y = data[0][:60], data[1][:60]
    estimators = [("bayes", BayesianRidge()), ("far", KNeighborsRegressor(30)), ("near", KNeighborsRegressor(5))]
    model = FewLabelsRegressor(estimators, cv=3, random_state=0).fit(X, y)
    held_out = {name: np.empty(60) for name, _ in estimators}
    folds = model._folds(X, np.random.RandomState(0))
    assert_array_equal(np.sort(np.concatenate([test for _, test in folds])), np.arange(60))
    for train, test in folds:
        for name, estimator in estimators:
            held_out[name][test] = clone(estimator).fit(X[train], y[train]).predict(X[test])
    errors = {name: np.abs(held_out[name] - y).mean() for name in ("bayes",)}  # alone, only with standard deviations
    errors |= {
        f"average of {a} and {b}": np.abs((held_out[a] + held_out[b]) / 2 - y).mean()
        for a, b in (("bayes", "far"), ("bayes", "near"))
    }
    assert model.cv_errors_ == pytest.approx(errors)
    assert list(model.cv_errors_) == sorted(errors, key=errors.get)
    assert model.choice_ == "bayes"
    assert_allclose(model.predict(X), BayesianRidge().fit(X, y).predict(X))


def test_averages_of_all_candidates(data):
    X, y = data
    model = FewLabelsRegressor(**{**SMALL, "selection": "all"}).fit(X[:60], y[:60])
    assert list(model.cv_errors_) == [model.choice_] == ["average of ridge and near"]
    ridge, near = (estimator.fit(X[:60], y[:60]) for _, estimator in SMALL["estimators"])
    mean, std = ridge.predict(X, return_std=True)
    expected = (mean + near.predict(X)) / 2
    assert_allclose(model.predict(X), expected)
    apart = (mean - expected) ** 2  # the same for both
    assert_allclose(model.predict(X, return_std=True)[1], model.std_factor_ * np.sqrt(std**2 + apart))


def test_standard_deviations_cover_held_out_labels(data):
    X, y = data
    heavy = y + np.random.default_rng(1).standard_t(2, size=300)
    model = FewLabelsRegressor([("gp", BlockGaussianProcessRegressor())], random_state=0).fit(X[:100], heavy[:100])
    mean, std = model.predict(X[100:], return_std=True)
    assert 0.83 < (np.abs(mean - heavy[100:]) < 1.645 * std).mean() < 0.96
    assert_allclose(std / model.std_factor_, model.estimators_["gp"].predict(X[100:], return_std=True)[1])


def test_default_candidates_follow_from_the_labels():
    y = np.random.default_rng(0).lognormal(size=50)
    assert list(default_candidates(y)) == [
        *("gp", "trees", "gp_log", "trees_log", "gp_yeo-johnson", "trees_yeo-johnson")
    ]
    assert list(default_candidates(y - 1)) == ["gp", "trees", "gp_yeo-johnson", "trees_yeo-johnson"]
    assert list(default_candidates(np.where(np.arange(50) < 20, 0, y))) == ["gp", "trees", "two_part"]
    assert list(default_candidates(np.where(np.arange(50) < 45, 0, y))) == ["gp", "trees"]


def test_the_choice_follows_from_the_labels(data):
    X, y = data
    model = FewLabelsRegressor(random_state=0).fit(X[:60], np.exp(y[:60]))
    assert model.choice_.startswith(("Gaussian process", "average of Gaussian process"))
    assert model.choice_.endswith("on log labels")
    zero = np.where(y > 0, y + 3, 0)
    model = FewLabelsRegressor(random_state=0).fit(X[:80], zero[:80])
    assert "two-part model" in model.choice_
    assert np.abs(model.predict(X[80:]) - zero[80:]).mean() < 0.7


def test_choices_in_words():
    assert describe(["gp"]) == "Gaussian process"
    assert describe(["gp_log", "trees_log"]) == "average of Gaussian process and trees, on log labels"
    assert describe(["gp", "trees_log"]) == "average of Gaussian process and trees on log labels"
    assert describe(["mine", "two_part", "x_log"]) == "average of mine, two-part model and x_log"


def test_equal_rows_are_kept_in_one_fold(data):
    X, y = data[0][:40], data[1][:40]
    formula = np.arange(40) % 8
    composition = np.random.default_rng(0).normal(size=(8, 3))[formula] * (1 + 1e-9 * X[:, :1])
    frame = pd.DataFrame(
        np.column_stack([X, composition]),
        columns=[*(f"x__{k}" for k in range(4)), *(f"formula__{k}" for k in range(3))],
    )
    model = FewLabelsRegressor([("bayes", BayesianRidge())], group_by="formula", random_state=0).fit(frame, y)
    folds = model._folds(frame.to_numpy(), np.random.RandomState(0))
    assert len(folds) == 5
    for train, test in folds:
        assert not set(formula[train]) & set(formula[test])
    model.set_params(group_by="z")
    with pytest.raises(ValueError, match=r"group_by='z' is not a block of X; available: x, formula"):
        model.fit(frame, y)


def test_equal_rows():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(5, 3)).repeat(3, axis=0) * [1e-6, 1, 1e6]
    X = np.column_stack([X * (1 + 1e-7 * rng.normal(size=X.shape)), np.ones(15)])
    groups = group_equal_rows(X)
    assert_array_equal(groups, np.arange(5).repeat(3))
    assert_array_equal(group_equal_rows(np.ones((4, 2))), np.zeros(4))


def test_results_depend_on_the_seed_only(data):
    X, y = data[0][:50], data[1][:50]
    model = FewLabelsRegressor(random_state=0).fit(X, y)
    again = clone(model).set_params(n_jobs=2).fit(X, y)
    assert again.cv_errors_ == model.cv_errors_
    assert_array_equal(again.predict(X), model.predict(X))
    assert_array_equal(pickle.loads(pickle.dumps(model)).predict(X), model.predict(X))
    assert clone(model).set_params(random_state=1).fit(X, y).cv_errors_ != model.cv_errors_


def test_candidates_need_standard_deviations(data):
    with pytest.raises(ValueError, match="at least one of the estimators must have return_std; got ridge"):
        FewLabelsRegressor([("ridge", Ridge())]).fit(*data)


def test_networks_are_averaged_with_a_candidate_that_has_standard_deviations(data):
    X, y = data[0][:60], data[1][:60]
    bent = np.where(X[:, 0] > 0, 3.0, 0.0) + y
    features = FunctionTransformer(lambda X: X[:, 1:])  # the networks see the first column too
    estimators = [("bayes", BayesianRidge()), ("ridge", Ridge())]
    trees = ExtraTreesRegressor(30)
    model = FewLabelsRegressor(estimators, features=features, networks=[("net", trees)], cv=3, random_state=0)
    model.fit(X, bent)
    assert sorted(model.cv_errors_) == ["average of bayes and net", "average of bayes and ridge", "bayes"]
    assert model.choice_ == "average of bayes and net"
    assert (model.n_features_in_, list(model.estimators_), len(model.networks_["net"])) == (3, ["bayes"], 3)
    new = data[0][60:90]
    means = [member.predict(new) for member in model.networks_["net"]]
    assert not np.allclose(means[0], means[1]), "networks differ in their random states"
    bayes, std = model.estimators_["bayes"].predict(new[:, 1:], return_std=True)
    expected = (bayes + np.mean(means, axis=0)) / 2
    predicted, total = model.predict(new, return_std=True)
    assert_allclose(predicted, expected)
    assert_allclose(total, model.std_factor_ * np.sqrt(std**2 + (bayes - expected) ** 2))
    again = clone(model).set_params(n_jobs=2).fit(X, bent)
    assert_array_equal(again.predict(new), predicted)


def test_networks_without_features_see_the_table(data):
    X, y = data[0][:40], data[1][:40]
    model = FewLabelsRegressor([("bayes", BayesianRidge())], networks=[("net", Ridge())], selection="all", n_networks=1)
    model.fit(X, y)
    assert_allclose(model.predict(X), (BayesianRidge().fit(X, y).predict(X) + Ridge().fit(X, y).predict(X)) / 2)
    with pytest.raises(ValueError, match="estimators and networks have the same name: net"):
        model.set_params(estimators=[("net", BayesianRidge())]).fit(X, y)


def test_rows_that_are_all_equal_are_not_compared():
    y = np.arange(12.0)
    model = FewLabelsRegressor([("bayes", BayesianRidge()), ("ridge", Ridge())]).fit(np.ones((12, 2)), y)
    assert (model.cv_errors_, model.choice_, model.std_factor_) == ({}, "bayes", 1.0)


@parametrize_with_checks([FewLabelsRegressor(**SMALL)])
def test_checks_of_scikit_learn(estimator, check):
    check(estimator)


def test_the_checks_are_many():
    assert len(list(estimator_checks_generator(FewLabelsRegressor(**SMALL)))) >= 45


@pytest.mark.parametrize(
    ("label", "match"),
    [
        (np.nan, r"Input y contains NaN: row 3 \(FORMULA\)\. Remove such rows: keep = np\.isfinite\(y\)"),
        (np.inf, r"Input y contains infinity.*: row 3 \(FORMULA\)"),
        ("high", r"y must be numbers, but row 3 \(FORMULA\) has 'high'\. For classes, use a classifier"),
        (None, r"y must be numbers, but row 3 \(FORMULA\) has None"),
    ],
)
def test_labels_that_are_no_numbers_are_named_before_features_are_computed(X, y, label, match):
    def no_features(X):
        raise AssertionError

    labels = y.astype(object)
    labels[3] = label
    if label != label or label == np.inf:
        labels = labels.astype(float)
    match = match.replace("FORMULA", X.formulas[3])
    with pytest.raises(ValueError, match=match):
        FewLabelsRegressor(features=FunctionTransformer(no_features), **SMALL).fit(X, labels)


def test_numbers_as_text_are_labels(X, y):
    fitted = [
        FewLabelsRegressor(features=CompositionStatistics(), **SMALL).fit(X, labels) for labels in (y, y.astype(str))
    ]
    assert_allclose(*(model.predict(X) for model in fitted))


def test_failed_crystals_are_named(structures, y):
    with pytest.warns(UserWarning, match="1 of 10"):
        X = SiteNetFeaturizer(on_error="warn").fit_transform([*structures[:9], None])
    match = (
        r"1 of 10 labelled crystals could not be featurized\. The first: row 9: the structure is missing.* keep = ~X"
    )
    with pytest.raises(ValueError, match=match):
        FewLabelsRegressor(features=CompositionStatistics(), **SMALL).fit(X, y[:10])
