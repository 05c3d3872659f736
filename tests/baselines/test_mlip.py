"""MLIPFeatures: values of chgnet itself, and rows that do not depend on each other."""

import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from pymatgen.core import Lattice, Structure
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.utils import estimator_checks

from skdim.baselines import MLIPFeatures
from skdim.datasets import make_crystals
from tests.helpers import assertions
from tests.house.test_conformance import OnRows, assert_conventions

chgnet = pytest.importorskip("chgnet.model.model", reason="needs the extra 'mlip'")

import torch

from skdim.baselines import _chgnet

ROCK_SALT = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
IRON = Structure(Lattice.cubic(2.87), ["Fe", "Fe"], [[0, 0, 0], [0.5, 0.5, 0.5]])
#: One atom per cell, so that bonds join an atom to its own images.
POLONIUM = Structure(Lattice.cubic(3.34), ["Po"], [[0, 0, 0]])
TRICLINIC = Structure(
    Lattice.from_parameters(4.1, 5.3, 6.2, 82, 97, 104),
    ["Fe", "O", "O"],
    [[0, 0, 0], [0.31, 0.42, 0.53], [0.7, 0.6, 0.1]],
)
#: Atoms 5 angstrom apart: no bonds of 3 angstrom, so no angles.
SPARSE = Structure(Lattice.cubic(5.0), ["K"], [[0, 0, 0]])
LONELY = Structure(Lattice.cubic(9), ["Na"], [[0, 0, 0]])
AMERICIUM = Structure(Lattice.cubic(4), ["Am"], [[0, 0, 0]])
CRYSTALS = [ROCK_SALT, IRON, POLONIUM, TRICLINIC, SPARSE]


@pytest.fixture(scope="module")
def network():
    return chgnet.CHGNet.load(use_device="cpu", verbose=False)


@pytest.fixture(scope="module")
def structures():
    return make_crystals(20, random_state=0)[0]


def columns(values):
    """Columns of a matrix of features by their meaning."""
    parts = np.split(values, [64, 128, 192, 193, 194, 195], axis=1)
    return dict(zip(["crystal", "mean", "std", "energy", "site energy", "moment", "moment std"], parts, strict=True))


# -- values ------------------------------------------------------------------------------------------------------------


def test_values_are_those_of_chgnet(network, structures):
    crystals = [*CRYSTALS, *structures[:5]]
    features = columns(MLIPFeatures().transform(crystals))
    options = {"return_site_energies": True, "return_atom_feas": True, "return_crystal_feas": True}
    for row, structure in enumerate(crystals):
        with torch.no_grad():
            expected = network.predict_structure(structure, task="em", **options)
        sites, energies, moments = expected["atom_fea"], expected["site_energies"], expected["m"]
        for name, value in {
            "crystal": expected["crystal_fea"] / len(structure),
            "mean": sites.mean(axis=0),
            "std": sites.std(axis=0),
            "energy": expected["e"],
            "site energy": energies.std(),
            "moment": moments.mean(),
            "moment std": moments.std(),
        }.items():
            assert_allclose(features[name][row], np.atleast_1d(value), rtol=1e-4, atol=2e-5, err_msg=name)


def test_energies_and_moments_of_known_crystals():
    """As in the Materials Project, with its corrections: -3.7 and -8.5 eV/atom; over 2 Bohr magnetons in iron only."""
    frame = MLIPFeatures().set_output(transform="pandas").transform([ROCK_SALT, IRON])
    assert_allclose(frame["energy per atom"], [-3.7, -8.45], atol=0.1)
    assert_allclose(frame["mean magnetic moment"], [0.0, 2.3], atol=0.3)
    assert frame.loc[0, "std site energy"] > 0.1
    assert_allclose(frame.loc[1, "std site energy"], 0, atol=1e-5)


@pytest.mark.parametrize("structure", CRYSTALS, ids=lambda structure: structure.reduced_formula)
def test_graphs_are_those_of_chgnet(structure, network):
    ours, theirs = _chgnet.CHGNetFeatures().graph(structure), network.graph_converter(structure)
    for graph in (ours, theirs):
        # Numbers of bonds are arbitrary; those of the edges of a bond are equal.
        bond_of_edge, first = graph.directed2undirected.numpy(), graph.undirected2directed.numpy()
        assert_array_equal(bond_of_edge[first], np.arange(len(first)))
        angles = graph.bond_graph.numpy().reshape(-1, 5)
        assert_array_equal(bond_of_edge[angles[:, [2, 4]]], angles[:, [1, 3]])
    assert_array_equal(ours.atomic_number, theirs.atomic_number)
    assert_array_equal(ours.atom_frac_coord, theirs.atom_frac_coord.detach())
    assert_array_equal(ours.lattice, theirs.lattice.detach())
    for ours_sorted, theirs_sorted in zip(edges_and_angles(ours), edges_and_angles(theirs), strict=True):
        assert_array_equal(ours_sorted, theirs_sorted)


def edges_and_angles(graph):
    """Sorted rows: (center, neighbour, image) of each edge; the edges of its bond; and the two edges of each angle."""
    edges = np.column_stack([graph.atom_graph.numpy(), graph.neighbor_image.numpy()]).astype(int)
    bond = graph.directed2undirected.numpy()
    other = np.array([np.setdiff1d(np.flatnonzero(bond == bond[k]), k)[0] for k in range(len(bond))])
    angles = graph.bond_graph.numpy().reshape(-1, 5)
    pairs = np.column_stack([edges, edges[other]])
    angles = np.column_stack([angles[:, 0], edges[angles[:, 2]], edges[angles[:, 4]]])
    return [rows[np.lexsort(rows.T)] for rows in (pairs, angles)]


def test_asymmetric_neighbour_lists_are_refused():
    with pytest.raises(ValueError, match="neighbour list is not symmetric"):
        _chgnet._bonds(np.array([0, 1, 0]), np.array([1, 0, 1]), np.array([[0, 0, 0], [0, 0, 0], [1, 0, 0]]))


# -- rows --------------------------------------------------------------------------------------------------------------


def test_rows_do_not_depend_on_other_rows(structures):
    values = MLIPFeatures().transform(structures)
    assert values.shape == (20, 196)
    assert np.isfinite(values).all()
    assert_array_equal(MLIPFeatures().transform(structures[::-1]), values[::-1])
    assert_array_equal(MLIPFeatures().transform(structures[7:9]), values[7:9])


def test_processes_and_batches_give_the_same_rows(structures):
    values = MLIPFeatures().transform(structures)
    assert_array_equal(MLIPFeatures(n_jobs=2).transform(structures), values)
    assert_allclose(MLIPFeatures(batch_size=7).transform(structures), values, rtol=1e-4, atol=1e-5)


def test_features_do_not_depend_on_the_choice_of_cell(formation_crystals):
    few = [s for s in formation_crystals if len(s) <= 8][:6]
    transform = MLIPFeatures().transform
    assertions.assert_unchanged_by_rotation(transform, few, 1e-3)
    assertions.assert_unchanged_by_translation(transform, few, 1e-3)
    assertions.assert_unchanged_by_site_order(transform, few, 1e-3)
    assertions.assert_unchanged_by_supercell(transform, few, 1e-3)
    assertions.assert_unchanged_by_lattice_choice(transform, few, 1e-3)
    assertions.assert_inputs_unchanged(transform, few)


@pytest.mark.parametrize("batch_size", [1, 3, 10])
def test_rows_that_fail_are_nan_with_a_reason(batch_size):
    rows = [ROCK_SALT, LONELY, None, IRON, AMERICIUM]
    features = MLIPFeatures(batch_size=batch_size, on_error="warn")
    with pytest.warns(UserWarning, match=r"3 of 5 structures have no features.* row 1 \(Na\): site 0 has no neighbour"):
        values = features.transform(rows)
    assert_array_equal(np.isnan(values).all(axis=1), [False, True, True, False, True])
    assert_allclose(values[[0, 3]], MLIPFeatures().transform([ROCK_SALT, IRON]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("structure", "match"),
    [
        (LONELY, r"row 1 \(Na\): site 0 has no neighbour within 6 angstrom, which CHGNet requires"),
        (AMERICIUM, r"row 1 \(Am\): CHGNet knows the elements up to Pu; the structure has one of Z = 95"),
        (None, "row 1: the structure is missing"),
    ],
)
def test_errors_name_row_and_reason(structure, match):
    with pytest.raises(ValueError, match=match) as caught:
        MLIPFeatures(batch_size=2).transform([ROCK_SALT, structure])
    assert caught.value.row == 1


def test_failures_leave_no_files_and_nothing_is_printed(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    _chgnet._network.cache_clear()
    with pytest.warns(UserWarning, match="1 of 2 structures"):
        MLIPFeatures(on_error="warn").transform([ROCK_SALT, LONELY])
    assert not os.listdir(tmp_path)
    assert capfd.readouterr() == ("", "")


def test_number_of_threads_is_left_as_it_was():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        MLIPFeatures().transform([ROCK_SALT])
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


# -- estimator ---------------------------------------------------------------------------------------------------------


def test_leaks_are_what_the_potential_was_trained_on():
    leaks = MLIPFeatures().leaks
    assert {"energy_per_atom", "formation_energy_per_atom", "e_above_hull", "forces", "magnetic_moments"} <= set(leaks)
    assert "band_gap" not in leaks


def test_names_are_distinct_and_match_the_columns(structures):
    frame = MLIPFeatures().set_output(transform="pandas").transform(structures[:2])
    names = list(frame.columns)
    assert len(set(names)) == 196
    assert names[:1] + names[64:65] + names[128:129] == ["crystal 0", "mean site 0", "std site 0"]
    assert_array_equal(frame, MLIPFeatures().transform(structures[:2]))


def test_fitted_pipelines_are_pickled_without_the_network(structures):
    y = np.arange(20.0)
    model = make_pipeline(MLIPFeatures(), Ridge()).fit(structures, y)
    content = pickle.dumps(model)
    assert len(content) < 10_000
    assert_array_equal(pickle.loads(content).predict(structures[:3]), model.predict(structures[:3]))


class RowsMLIP(OnRows, MLIPFeatures):
    """Accepts numeric tables, for scikit-learn's checks."""

    def fit(self, X, y=None):
        return super().fit(self.structures(X), y)

    def transform(self, X):
        return super().transform(self.structures(X, reset=False))


@estimator_checks.parametrize_with_checks([RowsMLIP()])
def test_checks_of_scikit_learn(estimator, check):
    check(estimator)


def test_parameters_follow_scikit_learn():
    assert_conventions(MLIPFeatures())
    assert clone(MLIPFeatures(batch_size=3)).batch_size == 3


@pytest.mark.parametrize("params", [{"model": "mace"}, {"batch_size": 0}, {"on_error": "skip"}, {"n_jobs": 1.5}])
def test_bad_parameters_are_refused(params):
    with pytest.raises(ValueError, match=f"The '{next(iter(params))}' parameter of MLIPFeatures"):
        MLIPFeatures(**params).fit([ROCK_SALT])


def test_error_without_chgnet_names_the_extra(monkeypatch):
    _chgnet._network.cache_clear()
    monkeypatch.setitem(sys.modules, "chgnet", None)
    with pytest.raises(ImportError, match=r'pip install "skdim-crystals\[mlip\]"'):
        MLIPFeatures().transform([ROCK_SALT])


def test_import_and_names_need_neither_chgnet_nor_torch():
    code = (
        "import sys; sys.modules['chgnet'] = None; import skdim.baselines as b; "
        "assert len(b.MLIPFeatures().get_feature_names_out()) == 196; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
