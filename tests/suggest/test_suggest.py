"""suggest: conditioning against a Gaussian process that is fitted again, and each strategy against its definition."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import norm
from sklearn.base import clone
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdim import BlockGaussianProcessRegressor, SiteNetFeaturizer, StructureStatistics, suggest
from skdim._suggest.posterior import posterior_of
from skdim.model_selection import make_arm

KERNEL = ConstantKernel(2.0) * Matern(1.5, nu=1.5) + WhiteKernel(0.1)


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(90, 3))
    return X, X[:, 0] ** 2 + np.sin(2 * X[:, 1])


@pytest.fixture(scope="module", params=["gp", "block_gp", "nested"])
def model(request, data):
    X, y = data
    process = GaussianProcessRegressor(KERNEL, optimizer=None, normalize_y=True)
    model = {
        "gp": process,
        "block_gp": BlockGaussianProcessRegressor(),
        "nested": make_pipeline(make_pipeline(StandardScaler(), "passthrough"), make_pipeline(process)),
    }[request.param]
    return clone(model).fit(X[:30], y[:30])


# ---- the posterior ----


def test_mean_and_variance_are_those_of_the_model(model, data):
    pool = data[0][30:]
    posterior = posterior_of(model, pool, np.arange(60))
    mean, std = model.predict(pool, return_std=True)
    assert_allclose(posterior.mean, mean)
    noise = std**2 - posterior.std**2
    assert_allclose(noise, noise[0], rtol=1e-6)
    assert noise[0] > 0


def test_conditioning_equals_fitting_with_the_new_rows(data):
    X, y = data
    process = GaussianProcessRegressor(KERNEL, optimizer=None).fit(X[:30], y[:30])
    posterior = posterior_of(process, X[30:], np.arange(60))
    for row in (4, 17, 31):
        before = posterior.variance.sum() - posterior.reductions[row]
        posterior.condition(row)
        assert_allclose(posterior.variance.sum(), before, rtol=1e-9)
    measured = [*range(30), 34, 47, 61]
    again = posterior_of(GaussianProcessRegressor(KERNEL, optimizer=None).fit(X[measured], y[measured]), X[30:], [0])
    assert_allclose(posterior.variance, again.variance, atol=1e-8)


def test_models_without_a_gaussian_process(data):
    X, y = data
    assert posterior_of(ExtraTreesRegressor(5, random_state=0).fit(X, y), X, [0]) is None
    two_targets = GaussianProcessRegressor().fit(X, np.column_stack([y, y]))
    assert posterior_of(two_targets, X, [0]) is None


# ---- strategies ----


def test_variance_reduces_the_total_variance_most(model, data):
    pool = data[0][30:]
    chosen = suggest(model, pool, 6)
    assert len(set(chosen.tolist())) == 6

    def total(rows):
        posterior = posterior_of(model, pool, np.arange(len(pool)))
        for row in rows:
            posterior.condition(row)
        return posterior.variance.sum()

    assert_allclose(total(chosen[:1]), min(total([row]) for row in range(len(pool))))
    rng = np.random.default_rng(0)
    assert total(chosen) < min(total(rng.choice(len(pool), 6, replace=False)) for _ in range(50))
    most_uncertain = np.argsort(-model.predict(pool, return_std=True)[1])[:6]
    assert total(chosen) < total(most_uncertain)


@pytest.mark.parametrize("maximize", [True, False])
def test_expected_improvement(model, data, maximize):
    X, y = data
    pool, best = X[30:], y[:30].max() if maximize else y[:30].min()
    options = {"strategy": "expected_improvement", "best": best, "maximize": maximize}
    chosen = suggest(model, pool, 5, **options)
    posterior = posterior_of(model, pool, [0])
    gain = (posterior.mean - best) * (1 if maximize else -1)
    expected = gain * norm.cdf(gain / posterior.std) + posterior.std * norm.pdf(gain / posterior.std)
    assert chosen[0] == np.argmax(expected)
    assert len(set(chosen.tolist())) == 5


def test_copies_are_not_chosen_twice(data):
    X, y = data
    process = GaussianProcessRegressor(ConstantKernel(2.0) * Matern(1.5) + WhiteKernel(1e-4), optimizer=None)
    pool = np.repeat(X[30:34], 5, axis=0)
    chosen = suggest(process.fit(X[:30], y[:30]), pool, 4)
    assert sorted(row // 5 for row in chosen) == [0, 1, 2, 3]


def test_diversity_is_farthest_point_sampling(data):
    X = data[0]
    scaled = X[30:] / X[30:].std(axis=0)
    chosen = suggest(None, X[30:], 8, strategy="diversity", X_train=X[:3])
    known = list(X[:3] / X[30:].std(axis=0))
    for row in chosen:
        nearest = np.min([np.linalg.norm(scaled - one, axis=1) for one in known], axis=0)
        assert row == np.argmax(nearest)
        known.append(scaled[row])
    first = suggest(None, X, 1, strategy="diversity")
    scaled = X / X.std(axis=0)
    assert first[0] == np.argmin(np.linalg.norm(scaled - scaled.mean(axis=0), axis=1))


def test_other_models_take_the_largest_values(data):
    class Ensemble(ExtraTreesRegressor):
        def predict(self, X, return_std=False):
            every = np.array([tree.predict(X.astype(np.float32)) for tree in self.estimators_])
            return (every.mean(axis=0), every.std(axis=0)) if return_std else every.mean(axis=0)

    X, y = data
    ensemble = Ensemble(20, random_state=0).fit(X[:30], y[:30])
    std = ensemble.predict(X[30:], return_std=True)[1]
    assert_array_equal(suggest(ensemble, X[30:], 4), np.argsort(-std, kind="stable")[:4])
    with pytest.raises(TypeError, match="has no standard deviations"):
        suggest(ExtraTreesRegressor(5).fit(X, y), X)


# ---- crystals ----


def test_crystals_and_structures(X, y, structures):
    model = make_arm("structure").fit(X[:20], y[:20])
    chosen = suggest(model, X[20:], 5)
    whole = make_pipeline(SiteNetFeaturizer(), make_arm("structure")).fit(structures[:20], y[:20])
    assert_array_equal(suggest(whole, structures[20:], 5), chosen)
    assert len(set(suggest(model, X[20:], 5, strategy="diversity"))) == 5
    features = StructureStatistics().fit_transform(X)
    assert_array_equal(
        suggest(None, X[20:], 5, strategy="diversity", X_train=X[:20]),
        suggest(None, features[20:], 5, strategy="diversity", X_train=features[:20]),
    )


def test_failed_rows_are_not_chosen(structures, y):
    with pytest.warns(UserWarning, match="could not be featurized"):
        X = SiteNetFeaturizer(on_error="warn").transform(["no cif", *structures[:6], "no cif"])
    model = make_arm("structure").fit(X[1:7], y[:6])
    for strategy in ("variance", "diversity"):
        assert sorted(suggest(model, X, 6, strategy=strategy)) == [1, 2, 3, 4, 5, 6]
    with pytest.raises(ValueError, match="n must be from 1 to 6, the number of candidates; got 7"):
        suggest(model, X, 7)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"strategy": "random"}, "unknown strategy 'random'; available: variance"),
        ({"strategy": "expected_improvement"}, "needs best, the best label so far; got None"),
        ({"strategy": "expected_improvement", "best": np.nan}, "needs best"),
        ({"n": 0}, "n must be from 1 to 60"),
        ({"n": 2.5}, "n must be from 1 to 60"),
    ],
)
def test_bad_parameters(data, options, message):
    X, y = data
    model = GaussianProcessRegressor().fit(X[:30], y[:30])
    with pytest.raises(ValueError, match=message):
        suggest(model, X[30:], **options)
    with pytest.raises(ValueError, match="needs a fitted model"):
        suggest(None, X[30:])
