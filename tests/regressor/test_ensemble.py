"""SiteNetRegressor(n_estimators=...): folds of formulas, mean and standard deviations."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skdim import SiteNetRegressor
from skdim._heads.standard_deviation import has_std
from skdim.model_selection import formula_groups
from tests.helpers.small_estimators import SMALL

N = 3


@pytest.fixture(scope="module")
def trained_on(X, y):
    """An ensemble, and the rows that each of its networks was trained on."""
    calls, fit = [], SiteNetRegressor.fit
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SiteNetRegressor, "fit", lambda self, X, y, w=None: calls.append(y) or fit(self, X, y, w))
        model = SiteNetRegressor(**SMALL, max_epochs=2, n_estimators=N).fit(X, y)
    return model, [np.isin(y, labels) for labels in calls[1:]]


def test_each_formula_is_held_out_once(trained_on, X):
    model, used = trained_on
    assert len(model.estimators_) == len(used) == N
    assert_array_equal(np.sum(used, axis=0), N - 1)
    groups = formula_groups(X)
    for rows in used:
        assert not set(groups[rows]) & set(groups[~rows])
    assert len({member.random_state for member in model.estimators_}) == N
    assert all(member.n_estimators == 1 for member in model.estimators_)


def test_mean_and_standard_deviations(trained_on, X, y):
    model, used = trained_on
    alone = SiteNetRegressor(**SMALL, max_epochs=2).fit(X, y)
    predictions = np.array([alone.predict(X), *(member.predict(X) for member in model.estimators_)])
    mean, std = model.predict(X, return_std=True)
    assert_allclose(mean, predictions.mean(axis=0), rtol=1e-6)
    assert_array_equal(model.predict(X), mean)
    held_out = np.select([~rows for rows in used], predictions[1:])
    assert_allclose(model.noise_, [np.quantile(np.abs(y - held_out), 0.9) / 1.645], rtol=1e-3)
    assert_allclose(std, np.sqrt(model.noise_**2 + predictions.var(axis=0)), rtol=1e-5)
    assert_allclose(pickle.loads(pickle.dumps(model)).predict(X, return_std=True), (mean, std))


def test_several_targets_with_unknown_values(X, y):
    Y = np.column_stack([y, 10 * y])
    Y[:5, 1] = np.nan
    model = SiteNetRegressor(**SMALL, max_epochs=1, n_estimators=2).fit(X, Y)
    mean, std = model.predict(X[:4], return_std=True)
    assert mean.shape == std.shape == (4, 2)
    assert model.noise_.shape == (2,)
    assert (std >= model.noise_).all()
    assert model.noise_[1] > 3 * model.noise_[0]


def test_crystals_of_weight_0_are_in_no_fold(X, y):
    weight = (np.arange(len(y)) >= 10).astype(float)
    model = SiteNetRegressor(**SMALL, max_epochs=1, n_estimators=2)
    weighted = model.fit(X, np.where(weight, y, 1e6), sample_weight=weight)
    assert weighted.noise_[0] < 100
    assert_allclose(weighted.noise_, SiteNetRegressor(**model.get_params()).fit(X[10:], y[10:]).noise_, rtol=1e-4)


def test_one_network_has_no_standard_deviations(X, y):
    model = SiteNetRegressor(**SMALL, max_epochs=1).fit(X, y)
    assert model.estimators_ == []
    assert not has_std(model)
    with pytest.raises(ValueError, match="needs a regressor that was fitted with n_estimators of at least 2"):
        model.predict(X, return_std=True)


def test_an_embedder_that_is_not_frozen_is_kept(embedder, X, y):
    model = SiteNetRegressor(**{**SMALL, "random_state": 1}, pretrained=embedder, max_epochs=0, n_estimators=2).fit(
        X, y
    )
    start = embedder.net_.module_.encoder.state_dict()
    for member in model.estimators_:
        assert all((value == start[name]).all() for name, value in member.net_.module_.encoder.state_dict().items())


def test_bad_ensembles_are_refused(X, y):
    with pytest.raises(ValueError, match="warm_start cannot be used with n_estimators > 1"):
        SiteNetRegressor(**SMALL, max_epochs=0, n_estimators=2, warm_start=True).fit(X, y)
    with pytest.raises(ValueError, match=r"n_estimators=5 needs as many formulas, .* X has 1"):
        SiteNetRegressor(**SMALL, max_epochs=0, n_estimators=5).fit(X[[0, 0, 0]], y[:3])
