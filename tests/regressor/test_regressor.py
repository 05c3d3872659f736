"""SiteNetRegressor: transfer, freezing, losses, activations, targets and sample weights."""

import pickle

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator

from skdim import DeepInfoMaxEmbedder, SiteNetRegressor, StructureStatistics
from tests.helpers.small_estimators import SMALL


def weights(module):
    return {name: value.clone() for name, value in module.state_dict().items()}


def same_weights(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def transfer(embedder, **params):
    return SiteNetRegressor(**{**SMALL, "random_state": 1, "pretrained": FrozenEstimator(embedder), **params})


def test_transfer_starts_at_the_pretrained_weights(embedder, X, y):
    start = transfer(embedder, max_epochs=0).fit(X, y).net_.module_
    assert same_weights(weights(start.encoder), weights(embedder.net_.module_.encoder))
    trained = transfer(embedder, max_epochs=1).fit(X, y).net_.module_
    assert not same_weights(weights(trained.encoder), weights(embedder.net_.module_.encoder))


def test_transfer_does_not_change_the_embedder(embedder, X, y):
    before = weights(embedder.net_.module_)
    for freeze in (None, "local", "encoder"):
        transfer(embedder, max_epochs=2, freeze=freeze).fit(X, y)
    assert same_weights(weights(embedder.net_.module_), before)
    assert all(parameter.requires_grad for parameter in embedder.net_.module_.parameters())


@pytest.mark.parametrize("freeze", ["local", "encoder"])
def test_frozen_weights_are_not_trained(freeze, embedder, X, y):
    module = transfer(embedder, max_epochs=3, freeze=freeze).fit(X, y).net_.module_
    pretrained, trained = embedder.net_.module_.encoder, module.encoder
    local = zip(pretrained.local_modules(), trained.local_modules(), strict=True)
    assert all(same_weights(weights(a), weights(b)) for a, b in local)
    assert same_weights(weights(pretrained.post_pool), weights(trained.post_pool)) == (freeze == "encoder")
    start = transfer(embedder, max_epochs=0).fit(X, y).net_.module_
    assert not same_weights(weights(start.head), weights(module.head))


@pytest.mark.parametrize("freeze", ["local", "encoder"])
def test_freeze_without_pretrained_keeps_random_weights(freeze, X, y):
    model = SiteNetRegressor(**SMALL, freeze=freeze)
    start, trained = (clone(model).set_params(max_epochs=n).fit(X, y).net_.module_ for n in (0, 3))
    local = zip(start.encoder.local_modules(), trained.encoder.local_modules(), strict=True)
    assert all(same_weights(weights(a), weights(b)) for a, b in local)
    assert same_weights(weights(start.encoder), weights(trained.encoder)) == (freeze == "encoder")
    assert not same_weights(weights(start.head), weights(trained.head))


def test_encoder_rate_scales_the_learning_rate_of_the_encoder(embedder, X, y):
    model = transfer(embedder, learning_rate="constant", max_epochs=1)
    models = {rate: clone(model).set_params(encoder_rate=rate).fit(X, y) for rate in (1.0, 0.1, 0.0)}
    rates = {rate: sorted(group["lr"] for group in m.net_.optimizer_.param_groups) for rate, m in models.items()}
    assert_allclose([group[0] for group in rates.values()], [1e-3, 1e-4, 0])
    assert all(np.isclose(group[-1], 1e-3) for group in rates.values())
    assert same_weights(weights(models[0.0].net_.module_.encoder), weights(embedder.net_.module_.encoder))


def test_other_encoder_settings_are_refused(embedder, X, y):
    with pytest.raises(ValueError, match=r"other settings: n_components=4 \(here 5\)\. Omit them"):
        transfer(embedder, n_components=5).fit(X, y)
    with pytest.raises(ValueError, match=r"other settings: site_width=8 \(here 9\)"):
        transfer(embedder, encoder_params={"site_width": 9}).fit(X, y)
    with pytest.raises(ValueError, match=r"encoder_params has unknown keys \['width'\]"):
        SiteNetRegressor(encoder_params={"width": 3}).fit(X, y)


@pytest.mark.parametrize("kind", [DeepInfoMaxEmbedder, SiteNetRegressor])
def test_encoder_settings_are_those_of_the_pretrained_encoder(kind, X, y):
    settings = {**SMALL, "local_dim": None, "n_blocks": 2, "n_heads": 3}
    source = kind(**settings, max_epochs=1).fit(X, y)
    options = {"pretrained": FrozenEstimator(source), "max_epochs": 1, "random_state": 1, "device": "cpu"}
    default = SiteNetRegressor(**options, warm_start=True).fit(X, y)
    explicit = SiteNetRegressor(**{**settings, **options}).fit(X, y)
    assert_array_equal(default.predict(X), explicit.predict(X))
    trained, inherited = (m.net_.get_params_for("module")["encoder"] for m in (source, default))
    assert inherited == {**trained, "spread": inherited["spread"]}
    assert default.fit(X, y).n_iter_ == 2, "a warm start keeps the settings"


@pytest.mark.parametrize("representation", ["global", "local", "both"])
def test_statistics_are_inputs_of_the_head(representation, embedder, X, y):
    params = {"representation": representation, "freeze": "encoder", "max_epochs": 0, "batch_sites": 10_000}
    module = transfer(embedder, statistics=True, **params).fit(X, y).net_.module_
    without = transfer(embedder, **params).fit(X, y).net_.module_
    vectors = pickle.loads(pickle.dumps(embedder)).set_params(representation=representation).transform(X)
    values = np.hstack([vectors, StructureStatistics().transform(X)])
    assert len(module.feature_mean) == values.shape[1] == len(without.feature_mean) + 106
    assert_allclose(module.feature_mean, values.mean(axis=0), rtol=1e-4, atol=1e-5)
    varies = values.std(axis=0) > 1e-2
    assert_allclose(module.feature_scale[varies], values.std(axis=0)[varies], rtol=1e-3)


def test_statistics_learn_what_the_frozen_vectors_lack(embedder, X):
    density = StructureStatistics().set_output(transform="pandas").transform(X)["mean_log_packing"].to_numpy()
    params = {"freeze": "encoder", "max_epochs": 60, "learning_rate_init": 1e-2, "hidden_layer_sizes": ()}
    errors = [
        np.abs(transfer(embedder, statistics=statistics, **params).fit(X, density).predict(X) - density).mean()
        for statistics in (False, True)
    ]
    assert errors[1] < errors[0] / 2


def test_a_warm_start_cannot_change_the_inputs_of_the_head(X, y):
    model = SiteNetRegressor(**SMALL, statistics=True, max_epochs=1, warm_start=True).fit(X, y)
    expected = model.predict(X)
    assert_array_equal(pickle.loads(pickle.dumps(model)).predict(X), expected)
    with pytest.raises(ValueError, match="the trained network has statistics=True, not False"):
        model.set_params(statistics=False).fit(X, y)


@pytest.mark.parametrize("activation", ["trelu", "softplus"])
def test_predictions_of_positive_activations_are_not_negative(activation, X, y):
    positive = np.maximum(y - np.quantile(y, 0.6), 0)
    model = SiteNetRegressor(**SMALL, output_activation=activation, max_epochs=20).fit(X, positive)
    assert (model.predict(X) >= 0).all()
    linear = SiteNetRegressor(**SMALL, max_epochs=20).fit(X, positive).predict(X)
    assert (linear < 0).any()


@pytest.mark.parametrize("loss", ["huber", "absolute_error", "squared_error"])
def test_every_loss_decreases(loss, X, y):
    model = SiteNetRegressor(**SMALL, loss=loss, max_epochs=60, learning_rate_init=1e-2).fit(X, y)
    assert model.score(X, y) > 0.5
    assert model.history_[-1, "train_loss"] < model.history_[0, "train_loss"] / 2


def test_fits_do_not_depend_on_the_units_of_y(X, y):
    model = SiteNetRegressor(**SMALL, max_epochs=5)
    plain = clone(model).fit(X, y).predict(X)
    assert_allclose(clone(model).fit(X, 1000 * y).predict(X), 1000 * plain, rtol=1e-3, atol=1)
    # SI units.
    assert_allclose(clone(model).fit(X, 1e-20 * y).predict(X), 1e-20 * plain, rtol=1e-3, atol=1e-23)
    for factor in (1e-40, 1e39, 1e200):
        with pytest.raises(ValueError, match=r"single precision, .* pass y in other units"):
            model.fit(X, factor * y)
    # A large constant, as in total energies, does not reduce the precision.
    assert_allclose(clone(model).fit(X, y + 1e6).predict(X) - 1e6, plain, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("sizes", [(0,), (8, -1), (8.0,), ["a"]])
def test_hidden_layer_sizes_are_checked(sizes, X, y):
    with pytest.raises(ValueError, match="hidden_layer_sizes must contain positive integers"):
        SiteNetRegressor(**SMALL, hidden_layer_sizes=sizes).fit(X, y)


@pytest.mark.parametrize("factor", [3.0, 1e-60, 1e-310, 1e60, 1e308])
def test_only_the_ratios_of_weights_matter(factor, X, y):
    model = SiteNetRegressor(**SMALL, max_epochs=3)
    weight = np.tile([1.0, 0.5], 20)
    expected = clone(model).fit(X, y, sample_weight=weight).predict(X)
    assert_allclose(clone(model).fit(X, y, sample_weight=factor * weight).predict(X), expected, rtol=1e-6)


def test_batches_of_tiny_weights_give_finite_predictions(X, y):
    weight = np.where(np.arange(40) < 20, 1.0, 1e-60)
    model = SiteNetRegressor(**SMALL, max_epochs=2, batch_sites=1).fit(X, y, sample_weight=weight)
    assert np.isfinite(model.predict(X)).all()


def test_several_targets_are_learned_together(X, y):
    both = np.column_stack([y, 100 - 50 * y])
    model = SiteNetRegressor(**SMALL, max_epochs=60, learning_rate_init=1e-2).fit(X, both)
    assert model.predict(X).shape == (40, 2)
    assert model.n_outputs_ == 2
    assert (np.corrcoef(model.predict(X).T)[0, 1]) < -0.9


def test_a_constant_target_is_predicted(X):
    model = SiteNetRegressor(**SMALL, max_epochs=30, learning_rate_init=1e-2).fit(X, np.full(40, 3.0))
    assert_allclose(model.predict(X), 3, atol=0.3)


def test_rows_of_weight_zero_are_ignored(X, y):
    weight = np.ones(40)
    weight[::3] = 0
    model = SiteNetRegressor(**SMALL, max_epochs=3)
    weighted = clone(model).fit(X, np.where(weight > 0, y, 1e9), sample_weight=weight)
    without = clone(model).fit(X[weight > 0], y[weight > 0])
    assert_array_equal(weighted.predict(X), without.predict(X))


def test_invalid_sample_weights_are_refused(X, y):
    model, weight = SiteNetRegressor(**SMALL), np.ones(40)
    bad = {
        "it is nan in row 7": np.where(np.arange(40) == 7, np.nan, 1.0),
        "negative": -weight,
        "zero": 0 * weight,
        "one dimension": weight[:, None],
        "inconsistent": weight[1:],
    }
    for message, wrong in bad.items():
        with pytest.raises(ValueError, match=message):
            model.fit(X, y, sample_weight=wrong)
