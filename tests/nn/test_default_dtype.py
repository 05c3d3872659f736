"""Results do not depend on torch's default dtype or on automatic mixed precision around the calls."""

import contextlib
import pickle

import numpy as np
import pytest
import torch

from skdim import DeepInfoMaxEmbedder, SiteNetFeaturizer, SiteNetRegressor, StructureStatistics
from tests.helpers.small_estimators import SMALL


@contextlib.contextmanager
def default_float64():
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def autocast():
    return torch.autocast("cpu", dtype=torch.bfloat16)


SURROUNDINGS = {"float64": default_float64, "autocast": autocast}


@pytest.fixture(params=["compiled", "plain"], autouse=True)
def implementation(request, monkeypatch):
    if request.param == "plain":
        monkeypatch.setenv("SKDIM_NO_NUMBA", "1")


EMBEDDERS = {
    "default": DeepInfoMaxEmbedder(**SMALL, max_epochs=2),
    "paper": DeepInfoMaxEmbedder.paper(**SMALL, max_epochs=2),
    "adversaries": DeepInfoMaxEmbedder(**SMALL, max_epochs=2, prior_weight=0.1, composition_weight=0.1, kl_weight=0.1),
}


@pytest.mark.parametrize("where", SURROUNDINGS)
@pytest.mark.parametrize("name", EMBEDDERS)
def test_pretraining_and_embedding(name, where, X):
    expected = EMBEDDERS[name].fit(X)
    numbers = expected.transform(X), expected.score(X), expected.history_[:, "train_loss"]
    sites, attention = expected.transform_sites(X)[0], expected.attention(X[:2])
    with SURROUNDINGS[where]():
        fitted = EMBEDDERS[name].fit(X)
        np.testing.assert_array_equal(fitted.transform(X), numbers[0])
        assert fitted.transform(X).dtype == np.float32
        assert fitted.score(X) == numbers[1]
        assert fitted.history_[:, "train_loss"] == numbers[2]
        np.testing.assert_array_equal(fitted.transform_sites(X)[0], sites)
        for one, other in zip(fitted.attention(X[:2]), attention, strict=True):
            np.testing.assert_array_equal(np.asarray(one), np.asarray(other))
    assert {p.dtype for p in fitted.net_.module_.parameters()} == {torch.float32}


@pytest.mark.parametrize("where", SURROUNDINGS)
def test_pretrained_weights(where, X, tmp_path):
    default = DeepInfoMaxEmbedder.from_pretrained(device="cpu")
    expected = default.transform(X)
    with SURROUNDINGS[where]():
        np.testing.assert_array_equal(DeepInfoMaxEmbedder.from_pretrained(device="cpu").transform(X), expected)
        default.save_pretrained(tmp_path / "weights")
        np.testing.assert_array_equal(pickle.loads(pickle.dumps(default)).transform(X), expected)
    loaded = DeepInfoMaxEmbedder.from_pretrained(tmp_path / "weights", device="cpu")
    np.testing.assert_array_equal(loaded.transform(X), expected)


@pytest.mark.parametrize("where", SURROUNDINGS)
def test_supervised_training_and_statistics(where, X, y, structures):
    model = SiteNetRegressor(**SMALL, max_epochs=2)
    expected, statistics = model.fit(X, y).predict(X), StructureStatistics().fit_transform(X)
    with SURROUNDINGS[where]():
        np.testing.assert_array_equal(model.fit(X, y).predict(X), expected)
        np.testing.assert_array_equal(StructureStatistics().fit_transform(X), statistics)
        again = SiteNetFeaturizer().fit_transform(structures)
    np.testing.assert_array_equal(again.distance, X.distance)
