"""Contributions of sites: they sum to the prediction minus the baseline, and are exact where the readout is a sum."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from pymatgen.core import Lattice, Structure
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline

from skdim import DeepInfoMaxEmbedder, SiteNetFeaturizer, SiteNetRegressor
from skdim.inspection import site_contributions
from tests.helpers.small_estimators import NARROW, SMALL

ROCK_SALT = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.6), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])


@pytest.fixture(scope="module")
def fit(X, y):
    def fit(**params):
        model = SiteNetRegressor(**{**SMALL, "max_epochs": 5, "learning_rate_init": 0.02, **params})
        return model.fit(X[:30], y[:30] + 3)

    return fit


def sums(result):
    return result.sites.groupby("crystal")["contribution"].sum()


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"representation": "global", "output_activation": "softplus"},
        {"representation": "local", "hidden_layer_sizes": ()},
        {"encoder_params": {**NARROW, "pooling": "max"}},
        {"n_blocks": 2, "n_heads": 2, "local_dim": None},
    ],
)
def test_contributions_sum_to_the_prediction_minus_the_baseline(params, fit, X):
    model = fit(**params)
    result = site_contributions(model, X[30:], X[:30], n_steps=200)
    assert_allclose(result.predictions, model.predict(X[30:]), atol=1e-5)
    assert np.ptp(result.predictions) > 0.1
    assert_allclose(result.baseline + sums(result), result.predictions, atol=2e-3 * np.ptp(result.predictions))


@pytest.fixture(scope="module")
def non_negative(X, y):
    return SiteNetRegressor(**SMALL, max_epochs=5, output_activation="trelu").fit(X[:30], np.maximum(y[:30], 0))


def test_trelu_contributes_nothing_below_zero(non_negative, X):
    """The gradient of "trelu" is 1 also where the prediction is 0."""
    model = non_negative
    result = site_contributions(model, X, X[:30], n_steps=1000)
    assert (result.predictions == 0).any()
    assert_allclose(result.baseline + sums(result), result.predictions, atol=5e-3)


def test_contributions_are_exact_where_the_readout_is_a_sum_over_sites(fit, X):
    encoder_params = {**NARROW, "pre_pool": (8,), "post_pool": ()}
    model = fit(representation="global", hidden_layer_sizes=(), encoder_params=encoder_params)
    result = site_contributions(model, X[30:], X[:30], n_steps=100)
    module = model.net_.module_
    with torch.no_grad():
        (batch,) = model.net_.batches(X[30:31])
        local = module.encoder.local_mean(batch)
        means = []
        for row in range(30):
            (one,) = model.net_.batches(X[[row]])
            means.append(one.site_share @ module.encoder.local_mean(one))
        start = torch.stack(means).mean(dim=0, keepdim=True)
        # The prediction is a constant plus the mean over sites of a function of the local vector.
        n = module.encoder.n_components
        slope = (
            module.head[0].weight / module.feature_scale @ module.encoder.post_pool[0].weight[:n] * module.target_scale
        )
        term = (module.encoder.pre_pool(local) - module.encoder.pre_pool(start)) @ slope[0]
    per_site = term.numpy()[X[30].site_class] / X.n_sites[30]
    assert_allclose(result.sites.query("crystal == 0")["contribution"], per_site, atol=2e-5)
    assert np.abs(per_site).max() > 0.01


def test_the_baseline_is_the_prediction_for_the_mean_local_vector(fit, X):
    """A crystal of one site compared with itself: nothing to contribute."""
    model = fit()
    with_one_site = X[[int(np.argmin(np.diff(X.class_offsets)))]]
    polonium = SiteNetFeaturizer().transform([Structure(Lattice.cubic(3.35), ["Po"], [[0, 0, 0]])])
    result = site_contributions(model, polonium, polonium)
    assert_allclose(result.sites["contribution"], [0], atol=1e-6)
    assert_allclose(result.baseline, model.predict(polonium), atol=1e-5)
    other = site_contributions(model, with_one_site, polonium)
    assert_allclose(other.baseline, result.baseline, atol=1e-5)


def test_sites_are_those_of_the_input_structures(fit):
    """A conventional cell has the contributions of its primitive cell, divided among more sites."""
    model = fit()
    primitive = ROCK_SALT.get_primitive_structure()
    X = SiteNetFeaturizer().transform([primitive, ROCK_SALT])
    result = site_contributions(model, X, X[:1])
    small, large = (rows for _, rows in result.sites.groupby("crystal"))
    assert small["element"].tolist() == [site.specie.symbol for site in primitive]
    assert large["element"].tolist() == [site.specie.symbol for site in ROCK_SALT]
    assert large["site"].tolist() == list(range(8))
    by_element = [rows.groupby("element")["contribution"].sum() for rows in (small, large)]
    assert_allclose(*by_element, atol=1e-5)
    assert large.groupby("element")["contribution"].nunique().tolist() == [1, 1]


def test_a_pipeline_takes_structures_and_failed_rows_have_no_sites(X, y, structures):
    regressor = SiteNetRegressor(**SMALL, max_epochs=1).fit(X[:30], y[:30])
    model = make_pipeline(SiteNetFeaturizer(on_error="warn"), FrozenEstimator(regressor)).fit(structures, y)
    with pytest.warns(UserWarning, match="1 of 3"):
        result = site_contributions(model, [structures[30], None, structures[31]], structures[:30])
    assert np.isnan(result.predictions).tolist() == [False, True, False]
    assert result.sites["crystal"].unique().tolist() == [0, 2]
    expected = site_contributions(regressor, X[30:32], X[:30])
    assert_allclose(result.sites["contribution"], expected.sites["contribution"], atol=1e-5)
    with pytest.warns(UserWarning, match="1 of 1"):
        assert not len(site_contributions(model, [None], structures[:30]).sites)


def test_networks_that_read_statistics_are_refused(X, y):
    model = SiteNetRegressor(**SMALL, statistics=True, max_epochs=1).fit(X, y)
    with pytest.raises(ValueError, match="needs a network without statistics=True"):
        site_contributions(model, X[:2], X)


def test_targets_are_explained_one_by_one(X, y):
    model = SiteNetRegressor(**SMALL, max_epochs=2).fit(X, np.column_stack([y, 1000 + 5 * y**2]))
    for target in (0, 1):
        result = site_contributions(model, X[:3], X, target=target)
        assert_allclose(result.predictions, model.predict(X[:3])[:, target], rtol=1e-6)
        assert_allclose(result.baseline + sums(result), result.predictions, rtol=1e-4)


def test_too_few_steps_are_reported(non_negative, X):
    with pytest.warns(UserWarning, match=r"the contributions of row \d+ \(.*increase n_steps, which is 1"):
        site_contributions(non_negative, X, X[:30], n_steps=1)


def test_errors_name_what_is_wrong(fit, embedder, X, structures):
    model = fit()
    for wrong, error, message in (
        ({"target": 1}, ValueError, "target must be a column of y, from 0 to 0; got 1"),
        ({"n_steps": 0}, ValueError, "n_steps must be a positive integer"),
        ({"estimator": embedder}, TypeError, "needs a SiteNetRegressor; got a DeepInfoMaxEmbedder"),
        ({"estimator": SiteNetFeaturizer()}, TypeError, "attention"),
        ({"X": structures[:2]}, TypeError, "needs the Crystals"),
        ({"reference": X[:0]}, ValueError, "0 sample"),
    ):
        with pytest.raises(error, match=message):
            site_contributions(**{"estimator": model, "X": X[:2], "reference": X, **wrong})
    with pytest.raises(ValueError, match="site features"):
        site_contributions(model, X[:2].with_site_features(["row"]), X)


def test_a_fitted_embedder_in_front_does_not_matter(X, y):
    """From a pre-trained encoder, as in transfer learning."""
    pretrained = FrozenEstimator(DeepInfoMaxEmbedder(**SMALL, max_epochs=1).fit(X))
    model = SiteNetRegressor(**SMALL, max_epochs=2, pretrained=pretrained).fit(X, y)
    result = site_contributions(model, X[:5], X)
    assert_allclose(result.baseline + sums(result), result.predictions, atol=1e-4)
