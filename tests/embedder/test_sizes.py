"""B, M and N are free: an embedder fitted to supercells of 50 sites embeds crystals of any number and size."""

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from skdim import DeepInfoMaxEmbedder, SiteNetFeaturizer, SiteNetRegressor, StructureStatistics
from skdim.datasets import make_crystals

pytestmark = pytest.mark.filterwarnings("ignore:X was featurized with")


@pytest.fixture(scope="module")
def crystals_50(structures):
    return SiteNetFeaturizer(max_sites=50).fit_transform(structures)


@pytest.fixture(scope="module", params=["default", "paper"])
def embedder(request, crystals_50):
    settings = {"max_epochs": 1, "random_state": 0, "device": "cpu", "encoder_params": None}
    if request.param == "paper":
        settings["encoder_params"] = {"value_network": "dense", "site_network": False}
    make = DeepInfoMaxEmbedder if request.param == "default" else DeepInfoMaxEmbedder.paper
    return make(**settings).fit(crystals_50)


def vectors(embedder, structures, **settings):
    X = SiteNetFeaturizer(**settings).transform(structures)
    result = embedder.transform(X)
    assert np.isfinite(result).all()
    return X, result


@pytest.mark.parametrize("max_sites", [20, 100, 500])
def test_other_supercells(max_sites, embedder, crystals_50, structures):
    small = [s for s in structures if len(s) <= 20][:6]
    X, result = vectors(embedder, small, max_sites=max_sites)
    assert (np.add.reduceat(X.count, X.pair_offsets[:-1]) <= max_sites).all()
    assert result.shape == (len(small), embedder.transform(crystals_50).shape[1])


def test_a_supercell_may_be_the_cell_itself(embedder, structures):
    """N = M."""
    X, _ = vectors(embedder, structures[:6], supercell="none")
    columns = np.add.reduceat(X.count, X.pair_offsets[:-1])
    assert columns.tolist() == np.repeat(X.n_sites, np.diff(X.class_offsets)).tolist()


def test_one_crystal_has_the_vector_that_it_has_among_others(embedder, crystals_50):
    together = embedder.transform(crystals_50)
    alone = np.concatenate([embedder.transform(crystals_50[k]) for k in range(3)])
    np.testing.assert_allclose(alone, together[:3], rtol=1e-4, atol=1e-5)


def test_one_site(embedder):
    copper = Structure(Lattice.cubic(2.5), ["Cu"], [[0, 0, 0]])
    X, _ = vectors(embedder, [copper])
    assert X.n_sites.tolist() == [1]


@pytest.mark.parametrize("settings", [{"supercell": "none"}, {"supercell": "primitive"}, {"max_sites": 1}], ids=str)
def test_a_lone_atom_has_a_vector(settings, embedder):
    """M = N = 1: its only pair is that with itself."""
    copper, iron = (Structure(Lattice.cubic(2.5), [symbol], [[0, 0, 0]]) for symbol in ("Cu", "Fe"))
    X, result = vectors(embedder, [copper, iron], **settings)
    assert X.distance.tolist() == [0, 0]
    assert not np.allclose(result[0], result[1])
    assert np.isfinite(StructureStatistics().fit_transform(X)).all()


@pytest.mark.parametrize("model", [DeepInfoMaxEmbedder, DeepInfoMaxEmbedder.paper, SiteNetRegressor], ids=str)
def test_lone_atoms_can_be_trained_on(model):
    structures = [Structure(Lattice.cubic(2.5), [symbol], [[0, 0, 0]]) for symbol in ("Cu", "Fe", "Ni", "Co")]
    structures += make_crystals(6, random_state=0)[0]
    X = SiteNetFeaturizer(supercell="none").fit_transform(structures)
    settings = {"max_epochs": 2, "random_state": 0, "device": "cpu", "encoder_params": None}
    fitted = model(**settings).fit(X, np.arange(len(X), dtype=float))
    result = fitted.transform(X) if hasattr(fitted, "transform") else fitted.predict(X)
    assert np.isfinite(result).all()


def test_without_the_pair_with_itself_a_lone_atom_adds_nothing():
    structures = [Structure(Lattice.cubic(2.5), [symbol], [[0, 0, 0]]) for symbol in ("Cu", "Fe", "Ni")]
    X = SiteNetFeaturizer(supercell="none").fit_transform(structures)
    model = DeepInfoMaxEmbedder(self_weight=0.0, objective="jsd", max_epochs=1, random_state=0, device="cpu").fit(X)
    assert model.history_[-1, "train_local"] == 0
    assert np.isfinite(model.transform(X)).all()
