"""The training run of both estimators: number of epochs, interrupts, callbacks, progress."""

import copy
import pickle
import re

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV, cross_val_score
from skorch.callbacks import Callback, EarlyStopping

from skdim import DeepInfoMaxEmbedder, SiteNetFeaturizer, SiteNetRegressor
from skdim._training.net import CrystalNet
from skdim.datasets import make_crystals
from tests.helpers.small_estimators import SMALL


@pytest.fixture(params=[DeepInfoMaxEmbedder, SiteNetRegressor])
def kind(request):
    return request.param


def output(estimator, X):
    return estimator.predict(X) if hasattr(estimator, "predict") else estimator.transform(X)


def weights(module):
    return {name: value.clone() for name, value in module.state_dict().items()}


def same_weights(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


class Recorder(Callback):
    """Record the learning rates after each epoch."""

    def __init__(self):
        self.rates = []

    def on_epoch_end(self, net, **kwargs):
        self.rates.append([group["lr"] for group in net.optimizer_.param_groups])


class Interrupt(Callback):
    """Raise KeyboardInterrupt, as Ctrl-C does, or another error in the middle of an epoch."""

    def __init__(self, epoch, error=KeyboardInterrupt):
        self.epoch = epoch
        self.error = error

    def on_batch_end(self, net, training=False, **kwargs):
        if training and len(net.history) == self.epoch:
            raise self.error


# ---- number of epochs ----


def test_history_has_a_finite_loss_per_epoch(kind, X, y):
    model = kind(**SMALL, max_epochs=3).fit(X, y)
    assert model.n_iter_ == len(model.history_) == 3
    assert np.isfinite(model.history_[:, "train_loss"]).all()


@pytest.mark.parametrize("weights_of_parts", [{}, {"kl_weight": 0.1}, {"kl_weight": 0.3, "descriptor_weight": 0.0}])
def test_the_history_has_the_parts_of_the_loss(weights_of_parts, X):
    model = DeepInfoMaxEmbedder(**SMALL, **weights_of_parts, max_epochs=2, early_stopping=True).fit(X)
    weight = {"local": 1, "global": 1, "kl": model.kl_weight, "descriptors": model.descriptor_weight}
    weight = {part: factor for part, factor in weight.items() if factor}
    for side in ("train", "valid"):
        recorded = {name for name in model.history_[-1] if name.startswith(f"{side}_")}
        recorded = {name for name in recorded if not name.endswith(("_best", "_batch_count"))}
        assert recorded == {f"{side}_loss", *(f"{side}_{part}" for part in weight)}
        total = sum(factor * model.history_[-1, f"{side}_{part}"] for part, factor in weight.items())
        assert_allclose(model.history_[-1, f"{side}_loss"], total, rtol=1e-6)


def test_zero_epochs_give_the_initial_weights(kind, X, y):
    model = kind(**SMALL, max_epochs=0).fit(X, y)
    assert model.n_iter_ == 0
    assert len(model.history_) == 0
    assert np.isfinite(output(model, X)).all()
    assert_array_equal(output(model, X), output(clone(model).fit(X, y), X))


def test_warm_start_equals_one_longer_fit(kind, X, y):
    settings = {**SMALL, "learning_rate": "constant"}
    whole = kind(**settings, max_epochs=5).fit(X, y)
    parts = kind(**settings, max_epochs=2, warm_start=True).fit(X, y)
    net = parts.net_
    parts.set_params(max_epochs=3).fit(X, y)
    assert parts.net_ is net
    assert parts.n_iter_ == 5
    assert_array_equal(output(parts, X), output(whole, X))
    assert parts.history_[:, "train_loss"] == whole.history_[:, "train_loss"]


def test_a_second_fit_without_warm_start_repeats_the_first(kind, X, y):
    model = kind(**SMALL, max_epochs=2)
    first = output(model.fit(X, y), X)
    assert_array_equal(output(model.fit(X, y), X), first)
    assert model.n_iter_ == 2


def test_warm_start_uses_new_learning_rate_schedule_and_callbacks(kind, X, y):
    def rates(model):
        return next(callback for _, callback in model.net_.callbacks_ if isinstance(callback, Recorder)).rates

    model = kind(**SMALL, max_epochs=2, warm_start=True, callbacks=Recorder()).fit(X, y)
    assert len({rate for rate, *_ in rates(model)}) == 2
    model.set_params(learning_rate="constant", learning_rate_init=5e-4).fit(X, y)
    assert_allclose(rates(model), 5e-4)
    assert len(rates(model)) == 2


def test_warm_start_refuses_other_data(X, y):
    other = SiteNetFeaturizer(site_features=["row", "group"]).transform(make_crystals(40, random_state=0)[0])
    model = SiteNetRegressor(**SMALL, max_epochs=1, warm_start=True).fit(X, y)
    with pytest.raises(ValueError, match="continues with 1 targets, but y has 2"):
        model.fit(X, np.column_stack([y, y]))
    embedder = DeepInfoMaxEmbedder(**SMALL, max_epochs=1, warm_start=True).fit(X)
    for estimator in (model, embedder):
        with pytest.raises(ValueError, match="was fitted on the site features"):
            estimator.fit(other, y)


def test_warm_start_refuses_another_network(kind, X, y):
    model = kind(**SMALL, max_epochs=1, warm_start=True).fit(X, y)
    before = output(model, X)
    changes = [{"n_components": 5}, {"encoder_params": {**SMALL["encoder_params"], "pooling": "max"}}]
    changes += [{"temperature": 0.5}] if kind is DeepInfoMaxEmbedder else [{"hidden_layer_sizes": 8}, {"loss": "huber"}]
    for change in changes:
        changed = copy.deepcopy(model).set_params(**change)
        with pytest.raises(ValueError, match=r"the trained network has .*, not .*: reset the parameters, or"):
            changed.fit(X, y)
        assert_array_equal(output(changed, X), before)


def test_warm_start_uses_new_weight_decay(kind, X, y):
    model = kind(**SMALL, max_epochs=1, warm_start=True).fit(X, y).set_params(weight_decay=0.5).fit(X, y)
    assert {group["weight_decay"] for group in model.net_.optimizer_.param_groups} == {0.5}


def test_warm_start_uses_new_freeze_and_encoder_rate(X, y):
    def encoder(model):
        return weights(model.net_.module_.encoder)

    start = FrozenEstimator(DeepInfoMaxEmbedder(**SMALL, max_epochs=1).fit(X))
    model = SiteNetRegressor(**SMALL, pretrained=start, max_epochs=1, warm_start=True, freeze="encoder").fit(X, y)
    before = encoder(model)
    model.set_params(freeze=None, encoder_rate=0.5, learning_rate="constant").fit(X, y)
    assert not same_weights(encoder(model), before)
    assert sorted(group["lr"] for group in model.net_.optimizer_.param_groups) == [5e-4, 1e-3]
    before = encoder(model)
    model.set_params(freeze="encoder").fit(X, y)
    assert same_weights(encoder(model), before)


def test_non_finite_output_is_an_error(kind, X, y):
    """The loss of the only epoch is computed before the step that makes the weights diverge."""
    model = kind(**SMALL, max_epochs=1, batch_sites=10**6, learning_rate_init=1e30).fit(X, y)
    with pytest.raises(ValueError, match="its training diverged; lower learning_rate_init"):
        output(model, X)
    with pytest.raises(ValueError, match="its training diverged; lower learning_rate_init"):
        model.score(X, y)


def test_initialising_a_net_again_makes_an_optimiser_of_the_new_weights(kind, X, y):
    net = kind(**SMALL, max_epochs=1).fit(X, y).net_
    net.initialize()
    trained = {id(p) for group in net.optimizer_.param_groups for p in group["params"]}
    assert trained == {id(p) for p in net.module_.parameters()}


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"pooling": "sum"}, "'pooling' parameter of encoder_params must be a str among"),
        ({"site_width": 0}, "'site_width' parameter of encoder_params must be an int"),
        ({"attention_hidden": None}, "'attention_hidden' parameter of encoder_params must be an int"),
        ({"pre_pool": 8}, "'pre_pool' parameter of encoder_params"),
        ({"post_pool": (8, 0)}, r"post_pool in encoder_params must contain positive integers; got \(8, 0\)"),
        ({"log_coulomb": "no"}, "'log_coulomb' parameter of encoder_params"),
    ],
)
def test_encoder_params_are_checked(params, match, kind, X, y):
    with pytest.raises(ValueError, match=match):
        kind(**{**SMALL, "encoder_params": params}).fit(X, y)


def test_early_stopping_keeps_the_best_weights(kind, X, y):
    class Remember(Callback):
        def on_train_begin(self, net, **kwargs):
            self.weights = []

        def on_epoch_end(self, net, **kwargs):
            self.weights.append(weights(net.module_))

    settings = {**SMALL, "early_stopping": True, "validation_fraction": 0.4, "n_iter_no_change": 2, "max_epochs": 60}
    settings |= {"learning_rate": "constant", "learning_rate_init": 3e-2}
    model = kind(**settings, callbacks=("remember", Remember())).fit(X, y)
    losses = model.history_[:, "valid_loss"]
    best = int(np.argmin(losses))
    assert best + 1 < model.n_iter_ < 60
    by_epoch = next(callback for name, callback in model.net_.callbacks_ if name == "remember").weights
    assert same_weights(weights(model.net_.module_), by_epoch[best])


def test_early_stopping_refuses_too_few_crystals(X, y):
    with pytest.raises(ValueError, match="early_stopping holds out 10 of 12 crystals"):
        SiteNetRegressor(**SMALL, early_stopping=True).fit(X[:12], y[:12])
    with pytest.raises(ValueError, match="early_stopping holds out 2 of 3 crystals"):
        DeepInfoMaxEmbedder(**SMALL, early_stopping=True).fit(X[:3])


def test_divergence_is_an_error(kind, X, y):
    with pytest.raises(ValueError, match="training diverged"):
        kind(**SMALL, max_epochs=5, learning_rate="constant", learning_rate_init=1e30).fit(X, y)


# ---- interrupts ----


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("epoch", [1, 3])
def test_an_interrupt_ends_fit_and_leaves_no_fitted_estimator(kind, epoch, early_stopping, X, y):
    model = kind(**SMALL, max_epochs=5, callbacks=Interrupt(epoch), early_stopping=early_stopping)
    with pytest.raises(KeyboardInterrupt, match=f"training was interrupted in epoch {epoch}"):
        model.fit(X, y)
    with pytest.raises(NotFittedError):
        output(model, X)


def test_an_interrupt_between_two_epochs_ends_fit(kind, X, y, monkeypatch):
    def interrupt(self, net, **kwargs):
        if len(net.history) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr("skdim._training.callbacks.EpochBar.on_epoch_end", interrupt)
    with pytest.raises(KeyboardInterrupt, match="training was interrupted in epoch 2"):
        kind(**SMALL, max_epochs=4, verbose=1).fit(X, y)


def test_an_interrupted_second_fit_leaves_the_first(kind, X, y):
    model = kind(**SMALL, max_epochs=2).fit(X, y)
    before = output(model, X)
    with pytest.raises(KeyboardInterrupt):
        model.set_params(callbacks=Interrupt(1)).fit(X, y)
    assert_array_equal(output(model, X), before)
    assert model.n_iter_ == len(model.history_) == 2


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_a_warm_start_can_continue_after_an_interrupt_or_an_error(kind, error, X, y):
    model = kind(**SMALL, max_epochs=2, warm_start=True).fit(X, y)
    with pytest.raises(error):
        model.set_params(callbacks=Interrupt(4, error)).fit(X, y)
    assert len(model.history_) == 3, "only complete epochs"
    model.set_params(callbacks=None).fit(X, y)
    assert model.n_iter_ == len(model.history_) == 5
    assert np.isfinite(model.history_[:, "train_loss"]).all()


def test_early_stopping_among_the_callbacks_is_not_an_interrupt(kind, X, y):
    stop = EarlyStopping(monitor="train_loss", patience=2, threshold=0.9, threshold_mode="rel")
    model = kind(**SMALL, max_epochs=30, callbacks=[stop]).fit(X, y)
    assert model.n_iter_ == 3


def test_an_interrupt_in_a_fold_ends_cross_validation_and_searches(X, y):
    model = SiteNetRegressor(**SMALL, max_epochs=2, callbacks=Interrupt(2))
    with pytest.raises(KeyboardInterrupt):
        cross_val_score(model, X, y, cv=2)
    with pytest.raises(KeyboardInterrupt):
        GridSearchCV(model, {"n_blocks": [1, 2]}, cv=2).fit(X, y)


# ---- callbacks and progress ----


def test_callbacks_are_used_and_not_changed(kind, X, y):
    recorder = Recorder()
    for callbacks in (recorder, [recorder], [("name", recorder)], ("name", recorder), (recorder,)):
        model = kind(**SMALL, max_epochs=2, callbacks=callbacks).fit(X, y)
        used = [callback for _, callback in model.net_.callbacks_ if isinstance(callback, Recorder)]
        assert len(used[0].rates) == 2
        assert recorder.rates == []
    with pytest.raises(ValueError, match="The 'callbacks' parameter of"):
        kind(callbacks=3).fit(X, y)


def test_verbose_selects_silence_a_bar_or_a_table(kind, X, y, capsys):
    model = kind(**SMALL, max_epochs=2)
    model.fit(X, y)
    assert capsys.readouterr() == ("", "")
    model.set_params(verbose=1).fit(X, y)
    out, err = capsys.readouterr()
    assert out == ""
    assert re.search(r"train: 1 of 2 epochs.*loss=\d.*\n.*train: 2 of 2 epochs.*loss=\d", err)
    model.set_params(verbose=2).fit(X, y)
    out, err = capsys.readouterr()
    assert "train_loss" in out
    assert err == ""


def test_the_progress_bar_is_closed_when_training_raises(kind, X, y):
    from tqdm import tqdm

    with pytest.raises(RuntimeError):
        kind(**SMALL, max_epochs=5, verbose=1, callbacks=Interrupt(2, RuntimeError)).fit(X, y)
    assert not list(getattr(tqdm, "_instances", ()))


def test_an_uninitialised_net_can_be_copied():
    net = CrystalNet(torch.nn.Linear, criterion=torch.nn.MSELoss, module__in_features=3, max_epochs=7)
    for again in (pickle.loads(pickle.dumps(net)), copy.deepcopy(net)):
        assert again.get_params()["max_epochs"] == 7
        assert again.get_params()["module__in_features"] == 3
        assert not again.initialized_
