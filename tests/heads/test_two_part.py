"""TwoPartRegressor: zero or not, and how large if not."""

import pickle

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import BayesianRidge, LogisticRegression, Ridge
from sklearn.utils.estimator_checks import estimator_checks_generator, parametrize_with_checks

from skdim import BlockGaussianProcessRegressor, TwoPartRegressor
from skdim._heads.regression_classifier import RegressionClassifier

SMALL = {"classifier": LogisticRegression(), "regressor": BayesianRidge()}


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 3))
    return X, np.where(X[:, 0] + 0.4 * rng.normal(size=400) > 0, 2 + X[:, 1] + 0.2 * rng.normal(size=400), 0.0)


def parts(X, y):
    nonzero = y != 0
    classifier, regressor = LogisticRegression().fit(X, nonzero), BayesianRidge().fit(X[nonzero], y[nonzero])
    return classifier.predict_proba(X)[:, 1], *regressor.predict(X, return_std=True)


def test_mean_and_standard_deviation_are_those_of_the_mixture(data):
    X, y = data
    p, size, std = parts(X, y)
    model = TwoPartRegressor(**SMALL, statistic="mean").fit(X, y)
    mean, deviation = model.predict(X, return_std=True)
    assert_allclose(mean, p * size)
    assert_array_equal(model.predict(X), mean)
    assert_allclose(deviation**2, p * (std**2 + size**2) - (p * size) ** 2)
    rng = np.random.default_rng(1)
    row = int(np.argmin(np.abs(p - 0.5)))
    drawn = np.where(rng.random(200_000) < p[row], rng.normal(size[row], std[row], 200_000), 0)
    assert drawn.mean() == pytest.approx(mean[row], rel=0.02)
    assert drawn.std() == pytest.approx(deviation[row], rel=0.02)


def test_median_is_zero_where_zero_is_likely(data):
    X, y = data
    p, size, _ = parts(X, y)
    model = TwoPartRegressor(**SMALL).fit(X, y)
    predicted = model.predict(X)
    assert_allclose(predicted[p > 0.7], size[p > 0.7])
    assert (predicted[p < 0.3] == 0).all()
    between = (p > 0.3) & (p < 0.7)
    assert_allclose(predicted[between], (size * (p - 0.3) / 0.4)[between])
    assert_allclose(model.predict_nonzero_proba(X), p)
    assert model.zero_fraction_ == pytest.approx((y == 0).mean())


def test_two_parts_have_a_smaller_error_than_one(data):
    X, y = data
    two = TwoPartRegressor(random_state=0).fit(X[:100], y[:100]).predict(X[100:])
    one = BlockGaussianProcessRegressor().fit(X[:100], y[:100]).predict(X[100:])
    assert np.abs(two - y[100:]).mean() < 0.85 * np.abs(one - y[100:]).mean()


def test_labels_without_zeros_and_of_zeros_only(data):
    X, y = data
    model = TwoPartRegressor(**SMALL).fit(X, y + 10)
    assert_allclose(model.predict(X), BayesianRidge().fit(X, y + 10).predict(X))
    assert model.classifier_ is None
    model.fit(X, np.zeros(400))
    assert_array_equal(model.predict(X, return_std=True), np.zeros((2, 400)))
    assert model.regressor_ is None


def test_column_names_reach_both_parts(data):
    X, y = data
    frame = pd.DataFrame(X, columns=["a__0", "a__1", "b__0"])
    model = TwoPartRegressor(random_state=0).fit(frame[:60], y[:60])
    assert list(model.regressor_.blocks_) == ["a", "b"]
    assert list(model.classifier_.named_estimators_["gp"].regressor_.blocks_) == ["a", "b"]
    again = TwoPartRegressor(random_state=0).fit(frame[:60], y[:60])
    assert_array_equal(again.predict(frame), model.predict(frame))
    assert_array_equal(pickle.loads(pickle.dumps(model)).predict(frame), model.predict(frame))


def test_a_regressor_without_standard_deviations(data):
    X, y = data
    model = TwoPartRegressor(LogisticRegression(), Ridge()).fit(X, y)
    assert np.isfinite(model.predict(X)).all()
    with pytest.raises(TypeError, match="Ridge has no standard deviations"):
        model.predict(X, return_std=True)


def test_regression_classifier_clips_to_probabilities(data):
    X = data[0]
    labels = np.where(X[:, 0] > 0, "yes", "no")
    model = RegressionClassifier(Ridge()).fit(X, labels)
    expected = Ridge().fit(X, (X[:, 0] > 0).astype(float)).predict(X)
    assert_allclose(model.predict_proba(X)[:, 1], np.clip(expected, 0, 1))
    assert (model.predict_proba(X).sum(axis=1) == 1).all()
    assert_array_equal(model.predict(X), np.where(expected > 0.5, "yes", "no"))
    with pytest.raises(ValueError, match="needs two classes; got 3"):
        model.fit(X, np.arange(400) % 3)


@parametrize_with_checks([TwoPartRegressor(**SMALL)])
def test_checks_of_scikit_learn(estimator, check):
    check(estimator)


def test_the_checks_are_many():
    assert len(list(estimator_checks_generator(TwoPartRegressor(**SMALL)))) >= 45
