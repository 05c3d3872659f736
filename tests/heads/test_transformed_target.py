"""AutoTransformedTargetRegressor: median, mean and standard deviations in the units of the labels."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.linear_model import BayesianRidge
from sklearn.utils.estimator_checks import estimator_checks_generator, parametrize_with_checks

from skdim import AutoTransformedTargetRegressor, BlockGaussianProcessRegressor


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 3))
    return X, np.exp(1 + X @ [1.0, -0.5, 0.2] + 0.5 * rng.normal(size=300))


def test_median_is_the_prediction_transformed_back(data):
    X, y = data
    model = AutoTransformedTargetRegressor(BayesianRidge()).fit(X[:100], y[:100])
    assert model.transformation_ == "log"
    assert model.log_likelihoods_["log"] > model.log_likelihoods_["identity"]
    mean, std = BayesianRidge().fit(X[:100], np.log(y[:100])).predict(X[100:], return_std=True)
    median, width = model.predict(X[100:], return_std=True)
    assert_allclose(median, np.exp(mean))
    assert_array_equal(model.predict(X[100:]), median)
    assert_allclose(width, (np.exp(mean + std) - np.exp(mean - std)) / 2)
    inside = (np.exp(mean - std) < y[100:]) & (y[100:] < np.exp(mean + std))
    assert 0.6 < inside.mean() < 0.76


def test_mean_is_that_of_a_lognormal_distribution(data):
    X, y = data
    model = AutoTransformedTargetRegressor(BayesianRidge(), transformation="log", statistic="mean").fit(X, y)
    mean, std = BayesianRidge().fit(X, np.log(y)).predict(X, return_std=True)
    near = np.abs(mean) < 2  # far from the limits of predictions
    assert_allclose(model.predict(X)[near], np.exp(mean + std**2 / 2)[near], rtol=1e-3)
    assert not hasattr(model, "log_likelihoods_")


def test_the_default_is_a_block_gaussian_process(data):
    X, y = data
    model = AutoTransformedTargetRegressor().fit(X[:60], y[:60])
    expected = BlockGaussianProcessRegressor().fit(X[:60], np.log(y[:60]))
    assert_allclose(model.predict(X), np.exp(expected.predict(X)))
    error = np.abs(model.predict(X[60:]) - y[60:]).mean()
    plain = BlockGaussianProcessRegressor().fit(X[:60], y[:60])
    assert error < 0.9 * np.abs(plain.predict(X[60:]) - y[60:]).mean()


def test_weights_reach_the_regressor(data):
    X, y = data
    weight = np.arange(300) < 50
    model = AutoTransformedTargetRegressor(transformation="log")
    weighted, some = clone(model).fit(X, y, sample_weight=weight), clone(model).fit(X[:50], y[:50])
    assert_allclose(weighted.regressor_.predict(X), some.regressor_.predict(X), rtol=1e-9)


def test_regressors_without_standard_deviations(data):
    X, y = data
    model = AutoTransformedTargetRegressor(ExtraTreesRegressor(5, random_state=0)).fit(X, y)
    assert (model.predict(X) > 0).all()
    for ask in (lambda: model.predict(X, return_std=True), lambda: model.set_params(statistic="mean").predict(X)):
        with pytest.raises(TypeError, match="ExtraTreesRegressor has no standard deviations"):
            ask()


def test_a_second_fit_forgets_the_first(data):
    X, y = data
    model = AutoTransformedTargetRegressor(BayesianRidge(), transformation="yeo-johnson").fit(X, y)
    assert -2 < model.lambda_ < 0.5
    model.set_params(transformation="identity").fit(X, y)
    assert not hasattr(model, "lambda_")
    assert_allclose(model.predict(X), BayesianRidge().fit(X, y).predict(X))
    assert_array_equal(pickle.loads(pickle.dumps(model)).predict(X), model.predict(X))


@pytest.mark.parametrize("y", [np.full(300, np.nan), np.full(300, np.inf)])
def test_labels_that_are_not_finite_are_refused(data, y):
    with pytest.raises(ValueError, match="Input y contains"):
        AutoTransformedTargetRegressor().fit(data[0], y)


@parametrize_with_checks([AutoTransformedTargetRegressor(BayesianRidge())])
def test_checks_of_scikit_learn(estimator, check):
    check(estimator)


def test_the_checks_are_many():
    assert len(list(estimator_checks_generator(AutoTransformedTargetRegressor(BayesianRidge())))) >= 45
