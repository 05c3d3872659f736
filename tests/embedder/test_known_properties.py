"""Pre-training with known properties: masks, names, units, files, and the start from other weights."""

import json

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator

from skdim import DeepInfoMaxEmbedder, SiteNetFeaturizer
from skdim._embedder.known_properties import property_table
from tests.helpers.small_estimators import SMALL


@pytest.fixture(scope="module")
def Y(X):
    """Two properties that follow from the structure, with different units; each is unknown for some crystals."""
    rng = np.random.default_rng(0)
    sums = np.array([X.numbers[a:b].mean() for a, b in zip(X.class_offsets, X.class_offsets[1:], strict=False)])
    table = pd.DataFrame({"energy": 0.01 * sums - 3, "modulus": 100 + 5 * sums})
    table.loc[rng.permutation(len(X))[:10], "modulus"] = np.nan
    table.iloc[3] = np.nan
    return table


@pytest.fixture(scope="module")
def embedder(X, Y):
    model = DeepInfoMaxEmbedder(**SMALL, property_weight=10.0, max_epochs=60, learning_rate_init=1e-2)
    return model.fit(X, Y)


def test_properties_are_learned_and_predicted_in_their_units(embedder, X, Y):
    predicted = embedder.predict_properties(X)
    assert embedder.known_properties_ == ("energy", "modulus")
    assert predicted.columns.tolist() == ["energy", "modulus"]
    for name in Y:
        known = Y[name].notna()
        error = (predicted[name] - Y[name])[known].abs().mean()
        assert error < 0.5 * (Y[name] - Y[name].mean()).abs().mean(), name
    assert np.isfinite(predicted.to_numpy()).all()
    assert "train_properties" in embedder.history_[-1]
    assert embedder.history_[-1, "train_properties"] < 0.5 * embedder.history_[0, "train_properties"]


def test_without_weight_properties_are_ignored(X, Y):
    plain = DeepInfoMaxEmbedder(**SMALL, max_epochs=1).fit(X)
    given = DeepInfoMaxEmbedder(**SMALL, max_epochs=1).fit(X, Y)
    assert_array_equal(plain.transform(X), given.transform(X))
    assert given.known_properties_ == ()
    with pytest.raises(ValueError, match=r"trained without known properties: take from_pretrained\('properties'\)"):
        given.predict_properties(X)


def test_known_properties_can_be_the_only_task(X, Y):
    params = {**SMALL, "objective": None, "descriptor_weight": 0.0, "property_weight": 1.0, "random_state": 0}
    model = DeepInfoMaxEmbedder(**params, max_epochs=40, learning_rate_init=1e-2).fit(X, Y)
    assert {"train_loss", "train_properties"} <= set(model.history_[-1])
    assert not {"train_local", "train_global"} & set(model.history_[-1])
    error = (model.predict_properties(X)["energy"] - Y["energy"]).abs().mean()
    assert error < 0.5 * (Y["energy"] - Y["energy"].mean()).abs().mean()
    with pytest.raises(ValueError, match="no loss without known properties"):
        model.score(X)
    with pytest.raises(ValueError, match="objective=None leaves no task"):
        DeepInfoMaxEmbedder(**{**params, "property_weight": 0.0}).fit(X)
    again = DeepInfoMaxEmbedder(**params, max_epochs=40, learning_rate_init=1e-2).fit(X, Y)
    assert_array_equal(again.transform(X), model.transform(X))


def test_descriptors_alone_train_the_encoder(X):
    params = {**SMALL, "objective": None, "random_state": 0}
    model = DeepInfoMaxEmbedder(**params, max_epochs=8).fit(X)
    untrained = DeepInfoMaxEmbedder(**params, max_epochs=0).fit(X)
    assert model.score(X) > untrained.score(X)
    assert np.abs(model.transform(X) - untrained.transform(X)).max() > 1e-3


def test_crystals_without_any_property_are_trained_on(X, Y):
    model = DeepInfoMaxEmbedder(**SMALL, property_weight=1.0, max_epochs=1)
    some = Y[["energy"]].copy()
    some.iloc[5:] = np.nan
    vectors = clone(model).fit(X, some).transform(X)
    fewer = clone(model).fit(X[:5], some[:5]).transform(X)
    assert np.isfinite(vectors).all()
    assert np.abs(vectors - fewer).max() > 1e-3


def test_units_of_a_property_do_not_change_the_vectors(X, Y):
    model = DeepInfoMaxEmbedder(**SMALL, property_weight=1.0, max_epochs=2)
    joules = Y.assign(energy=1000 * Y["energy"] + 7)
    one, other = clone(model).fit(X, Y), clone(model).fit(X, joules)
    assert_allclose(one.transform(X), other.transform(X), atol=1e-4)
    expected = 1000 * one.predict_properties(X)["energy"] + 7
    assert_allclose(other.predict_properties(X)["energy"], expected, rtol=1e-3, atol=0.1)


def test_names_of_arrays_and_series(X, Y):
    model = DeepInfoMaxEmbedder(**SMALL, property_weight=1.0, max_epochs=0)
    assert clone(model).fit(X, Y.to_numpy()).known_properties_ == ("property0", "property1")
    assert clone(model).fit(X, Y["modulus"]).known_properties_ == ("modulus",)
    assert clone(model).fit(X, Y["energy"].to_numpy()).known_properties_ == ("property0",)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda Y: None, "the properties Y are None"),
        (lambda Y: Y[:-1], "inconsistent numbers of samples"),
        (lambda Y: Y.assign(energy=np.inf), "Y contains infinity"),
        (lambda Y: Y.assign(energy=1.5), r"\['energy'\] have fewer than two different known values"),
        (lambda Y: Y.assign(modulus=np.nan), r"\['modulus'\] have fewer than two different known values"),
        (lambda Y: Y.set_axis(["a", "a"], axis=1), "several columns of one name"),
    ],
)
def test_invalid_properties_are_refused(change, message, X, Y):
    with pytest.raises(ValueError, match=message):
        DeepInfoMaxEmbedder(**SMALL, property_weight=1.0, max_epochs=1).fit(X, change(Y))


def test_one_outlier_does_not_set_the_scale(X):
    values = np.linspace(0, 1, 400)
    values[7] = 1e6
    table = property_table(values, np.zeros(400), np.arange(400))
    assert 0.2 < float(table.scale) < 0.4


def test_a_rare_value_is_standardized_by_all_values():
    values = np.zeros(1000)
    values[0] = 5.0
    table = property_table(values, np.zeros(1000), np.arange(1000))
    assert float(table.scale) == pytest.approx(values.std())
    assert torch.isfinite(table.values).all()


def test_rows_that_failed_are_nan_and_the_index_is_kept(embedder, structures):
    series = pd.Series([structures[0], "not a crystal", structures[1]], index=["a", "b", "c"], dtype=object)
    with pytest.warns(UserWarning, match="could not be featurized"):
        some = SiteNetFeaturizer(on_error="warn").transform(series)
    predicted = embedder.predict_properties(some)
    assert predicted.index.tolist() == ["a", "b", "c"]
    assert predicted.isna().all(axis=1).tolist() == [False, True, False]


def test_files_keep_the_properties(embedder, X, tmp_path):
    expected = embedder.predict_properties(X)
    embedder.save_pretrained(tmp_path / "weights")
    loaded = DeepInfoMaxEmbedder.from_pretrained(tmp_path / "weights", device="cpu")
    pd.testing.assert_frame_equal(loaded.predict_properties(X), expected)
    joblib.dump(embedder, tmp_path / "model.joblib")
    pd.testing.assert_frame_equal(joblib.load(tmp_path / "model.joblib").predict_properties(X), expected)
    config = json.loads((tmp_path / "weights" / "config.json").read_text())
    assert config["known_properties"] == ["energy", "modulus"]
    for wrong in ("energy", [1, 2], ["energy", "energy"], ["energy"]):
        (tmp_path / "weights" / "config.json").write_text(json.dumps({**config, "known_properties": wrong}))
        with pytest.raises(ValueError, match=r"known_properties|n_properties"):
            DeepInfoMaxEmbedder.from_pretrained(tmp_path / "weights")


def test_training_resumes_with_the_same_properties_only(X, Y, tmp_path):
    path = tmp_path / "run.pt"
    model = DeepInfoMaxEmbedder(**SMALL, property_weight=1.0, max_epochs=2, checkpoint=path)
    whole = clone(model).set_params(checkpoint=None).fit(X, Y).transform(X)
    clone(model).fit(X, Y)
    assert_array_equal(clone(model).fit(X, Y).transform(X), whole)
    with pytest.raises(ValueError, match="other crystals"):
        clone(model).fit(X, Y + 1 * (Y.index == 0)[:, None])


def test_training_starts_from_pretrained_weights(X, Y):
    first = DeepInfoMaxEmbedder(**SMALL, max_epochs=2).fit(X)
    model = DeepInfoMaxEmbedder(**SMALL, pretrained=FrozenEstimator(first), property_weight=1.0, max_epochs=0)
    assert_array_equal(clone(model).fit(X, Y).transform(X), first.transform(X))
    trained = clone(model).set_params(max_epochs=1).fit(X, Y)
    assert np.abs(trained.transform(X) - first.transform(X)).max() > 1e-4
    other = DeepInfoMaxEmbedder(**SMALL, property_weight=1.0, max_epochs=0).fit(X, Y)
    assert np.abs(other.transform(X) - first.transform(X)).max() > 1e-4


def test_pretrained_with_other_settings_is_refused(X):
    first = DeepInfoMaxEmbedder(**SMALL, max_epochs=0).fit(X)
    wider = DeepInfoMaxEmbedder(**{**SMALL, "n_components": 5}, pretrained=FrozenEstimator(first))
    with pytest.raises(ValueError, match=r"n_components=4 \(here 5\)"):
        wider.fit(X)
    with pytest.raises(ValueError, match="is not fitted"):
        DeepInfoMaxEmbedder(**SMALL, pretrained=DeepInfoMaxEmbedder()).fit(X)


def test_a_warm_start_needs_the_same_properties(embedder, X, Y):
    model = clone(embedder).set_params(warm_start=True, max_epochs=1).fit(X, Y)
    first = model.predict_properties(X)
    longer = model.fit(X[:30], Y[:30]).predict_properties(X)
    assert model.n_iter_ == 2
    assert np.abs(longer - first).to_numpy().max() > 0
    with pytest.raises(ValueError, match="warm_start continues with the properties"):
        model.fit(X, Y[["energy"]])


def test_another_fit_forgets_the_properties_of_the_one_before(X, Y):
    model = DeepInfoMaxEmbedder(**SMALL, property_weight=1.0, max_epochs=1).fit(X, Y)
    model.set_params(property_weight=0.0).fit(X, Y)
    assert model.known_properties_ == ()
    assert_array_equal(model.transform(X), DeepInfoMaxEmbedder(**SMALL, max_epochs=1).fit(X).transform(X))
    model.set_params(property_weight=1.0).fit(X, Y["energy"])
    assert model.predict_properties(X).columns.tolist() == ["energy"]
