"""make_arm: the models by name, their heads, and the encoder that is not pre-trained."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import BayesianRidge

from skdim import CompositionStatistics, DeepInfoMaxEmbedder, SiteNetRegressor
from skdim._shared.arms import ARMS, COMBINED, HEADS, NETWORKS, PRETRAINED
from skdim.model_selection import label_draws, label_efficiency, make_arm
from skdim.model_selection._arms import untrained_copy
from tests.helpers.small_estimators import SMALL


@pytest.fixture(scope="module")
def embedder(X):
    return DeepInfoMaxEmbedder(max_epochs=2, representation="global", **SMALL).fit(X)


@pytest.mark.parametrize("name", [name for name in ARMS if name not in ("mean", *COMBINED, *NETWORKS)])
@pytest.mark.parametrize("head", HEADS)
def test_every_head_fits_every_model_of_features(name, head, embedder, X, y):
    model = make_arm(name, embedder, head=head, random_state=0).fit(X[:30], y[:30])
    regressor = {
        "gp": "GaussianProcessRegressor",
        "block_gp": "BlockGaussianProcessRegressor",
        "trees": "ExtraTreesRegressor",
        "ridge": "RidgeCV",
        "mlp": "MLPRegressor",
    }
    assert type(model[-1]).__name__ == regressor[head]
    spread = model.predict(X[:30]).std()
    assert 0.05 * y[:30].std() < spread < 2 * y[:30].std()


def test_untrained_has_the_weights_from_before_the_first_epoch(embedder, X):
    start = DeepInfoMaxEmbedder(max_epochs=0, representation="global", **SMALL).fit(X).transform(X)
    features = make_arm("untrained", FrozenEstimator(embedder))[0]
    assert_array_equal(features.transform(X), start)
    assert (embedder.transform(X) != start).all(axis=1).all()
    assert embedder.n_iter_ == 2
    other = make_arm("untrained", embedder, random_state=1)[0].transform(X)
    assert_array_equal(other, make_arm("untrained", embedder, random_state=1)[0].transform(X))
    assert (other != start).any(axis=1).all()


def test_an_untrained_copy_does_not_claim_to_be_pretrained():
    untrained = untrained_copy(DeepInfoMaxEmbedder.from_pretrained())
    assert (untrained.n_iter_, len(untrained.history_), untrained.max_epochs) == (0, 0, 0)
    assert not hasattr(untrained, "pretrained_info_")


def test_supervised_and_transfer_train_the_same_network(embedder, X, y):
    models = {name: make_arm(name, embedder, max_epochs=3, random_state=0) for name in ("supervised", "transfer")}
    supervised, transfer = (model.get_params(deep=False) for model in models.values())
    assert {name for name in supervised if supervised[name] != transfer[name]} == {"pretrained"}
    assert (supervised["local_dim"], supervised["representation"]) == (SMALL["local_dim"], "global")
    predictions = [model.fit(X[:30], y[:30]).predict(X[30:]) for model in models.values()]
    assert (predictions[0] != predictions[1]).all()


def test_supervised_without_an_embedder_has_the_default_network():
    assert make_arm("supervised").get_params() == SiteNetRegressor().get_params()


def test_mean_ignores_the_crystal(X, y):
    assert_array_equal(make_arm("mean").fit(X[:30], y[:30]).predict(X[30:]), np.full(10, y[:30].mean()))


@pytest.mark.parametrize("name", [name for name in PRETRAINED if name not in COMBINED])
def test_models_of_an_encoder_need_one(name):
    with pytest.raises(ValueError, match=rf"model '{name}' needs a pre-trained embedder: make_arm\('{name}', Deep"):
        make_arm(name)


def test_unknown_names_are_refused(embedder):
    with pytest.raises(ValueError, match="unknown model 'forest'; available: best, average, mean, composition"):
        make_arm("forest")
    with pytest.raises(ValueError, match="unknown head 'forest'; available: gp, block_gp"):
        make_arm("representation", embedder, head="forest")
    with pytest.raises(ValueError, match="model 'transfer' has no head to choose; got head='mlp'"):
        make_arm("transfer", embedder, head="mlp")


def test_best_has_a_block_for_each_source(embedder, X, y):
    other = DeepInfoMaxEmbedder.from_pretrained()
    features = [("elements", CompositionStatistics(site_features=["electronegativity"]))]
    model = make_arm("best", [embedder, FrozenEstimator(other)], features=features, random_state=0).fit(X[:30], y[:30])
    blocks = ["structure", "composition", "density", "oxidation", "vectors1", "vectors2", "elements"]
    table = model.features_.transform(X)
    assert list(dict.fromkeys(name.partition("__")[0] for name in table.columns)) == blocks
    assert_array_equal(table.filter(like="vectors1__"), embedder.transform(X))
    assert_array_equal(table.filter(like="vectors2__"), other.transform(X))
    assert not hasattr(other, "_sklearn_output_config"), "the embedder itself is not changed"
    assert (model.group_by, model.random_state) == ("composition", 0)
    assert model.choice_ == next(iter(model.cv_errors_))
    assert "average of Gaussian process and network" in model.cv_errors_
    predicted, std = model.predict(X[30:], return_std=True)
    assert_array_equal(predicted, model.predict(X[30:]))
    assert (std > 0).all()


def test_best_takes_the_included_weights():
    model = make_arm("best", device="cpu", max_epochs=3)
    parts = dict(model.features.transformer_list)
    blocks = ["structure", "composition", "density", "oxidation", "structures", "properties", "properties_known"]
    assert list(parts) == blocks
    for name in ("structures", "properties"):
        expected = DeepInfoMaxEmbedder.from_pretrained(name)
        assert parts[name].estimator.known_properties_ == expected.known_properties_
    assert parts["properties"].estimator.device == "cpu"
    network = dict(model.networks)["network"].regressor
    assert network.pretrained is parts["properties"]
    assert (network.max_epochs, network.device) == (3, "cpu")


def test_average_is_that_of_gaussian_process_and_trees(embedder, X, y):
    model = make_arm("average", embedder, random_state=0).fit(X[:30], y[:30])
    assert list(model.features_.named_transformers) == ["structure", "composition", "density", "oxidation", "vectors"]
    assert model.choice_ == "average of Gaussian process and trees"
    table = model.features_.transform(X[30:])
    parts = [part.predict(table) for part in model.estimators_.values()]
    assert_allclose(model.predict(X[30:]), np.mean(parts, axis=0))
    assert [type(part.regressor_).__name__ for part in model.estimators_.values()] == [
        "BlockGaussianProcessRegressor",
        "ExtraTreesRegressor",
    ]


def test_best_is_seeded_for_each_draw_and_computes_features_once(embedder, X, y, monkeypatch):
    calls, transform = [], DeepInfoMaxEmbedder.transform
    monkeypatch.setattr(DeepInfoMaxEmbedder, "transform", lambda self, X: calls.append(len(X)) or transform(self, X))
    arms = {name: make_arm(name, embedder, max_epochs=2) for name in ("best", "average")}
    tables = [
        label_efficiency(arms, X, y, test_size=0.5, train_sizes=[12], n_repeats=2, random_state=0) for _ in range(2)
    ]
    assert_array_equal(tables[0]["mae"], tables[1]["mae"])
    assert len(calls) == 2 * 2, "once for the training and once for the test rows of a comparison"


@pytest.mark.parametrize("name", COMBINED)
def test_shared_features_do_not_change_the_errors(name, embedder, X, y):
    arm = make_arm(name, embedder, random_state=0, max_epochs=2)
    X_train, y_train, X_test, y_test = X[:28], y[:28], X[28:], y[28:]
    table = label_efficiency({name: arm}, X_train, y_train, X_test=X_test, y_test=y_test, train_sizes=[12], n_repeats=2)
    models = [
        clone(arm).fit(X_train[draw.rows], y_train[draw.rows])
        for draw in label_draws(28, train_sizes=[12], n_repeats=2, random_state=0)
    ]
    assert_allclose(table["mae"], [np.abs(model.predict(X_test) - y_test).mean() for model in models], rtol=1e-5)


def test_network_of_best_is_averaged(embedder, X, y):
    model = make_arm("best", embedder, random_state=0, max_epochs=2).set_params(
        estimators=[("bayes", BayesianRidge())], selection="all", n_networks=2
    )
    model.fit(X[:30], y[:30])
    assert model.choice_ == "average of bayes and network"
    first, second = (member.predict(X[30:]) for member in model.networks_["network"])
    assert not np.allclose(first, second), "other random states"
    of_features = model.estimators_["bayes"].predict(model.features_.transform(X[30:]))
    assert_allclose(model.predict(X[30:]), (of_features + (first + second) / 2) / 2, rtol=1e-6)


@pytest.mark.parametrize("head", [None, "gp", "block_gp"])
@pytest.mark.parametrize("name", ["structure", "representation"])
def test_standard_deviations_of_gaussian_processes(name, head, embedder, X, y):
    model = make_arm(name, embedder, head=head).fit(X[:30], y[:30])
    mean, std = model.predict(X[30:], return_std=True)
    assert_allclose(mean, model.predict(X[30:]))
    assert ((std > 0) & (std < 2 * y.std())).all()


def test_only_combined_models_take_several_sources(embedder):
    with pytest.raises(ValueError, match="model 'transfer' takes one embedder; only best and average take several"):
        make_arm("transfer", [embedder, embedder])
    with pytest.raises(ValueError, match="model 'structure' takes no further features; only best and average do"):
        make_arm("structure", features=[("elements", CompositionStatistics())])
    with pytest.raises(ValueError, match="model 'best' has no head to choose; got head='gp'"):
        make_arm("best", embedder, head="gp")
    assert make_arm("representation", [embedder])[0].estimator is embedder
