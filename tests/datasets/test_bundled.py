"""Bundled data sets, and the tool that builds their files."""

import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from pymatgen.core import Element, Structure

from skdim.datasets import _bundled, load_band_gap


@pytest.fixture(scope="module")
def formation_energy(formation_data):
    return formation_data


@pytest.fixture(scope="module")
def band_gap():
    return load_band_gap()


@pytest.fixture(params=["formation_energy", "band_gap"])
def name(request):
    return request.param


@pytest.fixture
def data(name, request):
    return request.getfixturevalue(name)


def mean_absolute_error_of_train_mean(data):
    train = data.split == "train"
    return np.abs(data.target[~train] - data.target[train].mean()).mean()


# -- bundled data ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "n_train", "n_test", "n_sites", "n_elements"),
    [("formation_energy", 3147, 791, 46488, 86), ("band_gap", 828, 228, 7952, 63)],
)
def test_numbers_of_crystals_sites_and_elements(data, n_train, n_test, n_sites, n_elements):
    assert len(data.structures) == len(data.target) == len(data.ids) == len(data.split) == n_train + n_test
    assert (data.split == "train").sum() == n_train
    assert (data.split == "test").sum() == n_test
    assert sum(len(structure) for structure in data.structures) == n_sites
    assert len({site.specie for structure in data.structures for site in structure}) == n_elements
    assert len(set(data.ids)) == len(data.ids)


def test_types_of_the_attributes(data):
    assert all(type(structure) is Structure for structure in data.structures)
    assert data.target.dtype == np.float64
    assert data.ids.dtype.kind == data.split.dtype.kind == "U"
    assert Path(data.filename).is_file()
    for values in data.extra_targets.values():
        assert values.shape == data.target.shape
        assert np.isfinite(values).all()


# Values from the sources: they fail for a wrong file even if its checksum was updated.
@pytest.mark.parametrize(
    ("name", "index", "material_id", "formula", "n_sites", "target", "split"),
    [
        ("formation_energy", 0, "mp-10", "As", 2, 0.1074050600000005, "train"),
        ("formation_energy", 1, "mp-10000", "Hf2S", 6, -1.2533515846874994, "train"),
        ("formation_energy", -1, "mp-9999", "Ni(BMo)2", 5, -0.4739102826666667, "train"),
        ("band_gap", 0, "mp-441", "Rb2Te", 3, 1.88, "test"),
        ("band_gap", 100, "mp-7140", "SiC", 4, 2.3, "train"),
        ("band_gap", -1, "mp-3486", "KSnSb", 6, 0.26, "train"),
    ],
)
def test_rows_have_the_values_of_the_source(data, index, material_id, formula, n_sites, target, split):
    assert data.ids[index] == material_id
    assert data.structures[index].composition.reduced_formula == formula
    assert len(data.structures[index]) == n_sites
    assert data.target[index] == target
    assert data.split[index] == split


def test_structure_and_extra_targets_have_the_values_of_the_source(formation_energy, band_gap):
    structure = band_gap.structures[0]
    matrix = [[5.271776, 0, 3.043661], [1.757259, 4.970278, 3.043661], [0, 0, 6.087323]]
    assert structure.lattice.matrix.tolist() == matrix
    assert structure.atomic_numbers == (37, 37, 52)
    assert structure.frac_coords.ravel().tolist() == [0.25] * 3 + [0.75] * 3 + [0] * 3
    assert {name: float(values[0]) for name, values in band_gap.extra_targets.items()} == {
        "n": 1.86,
        "poly_electronic": 3.44,
        "poly_total": 6.23,
    }
    # a coordinate that single precision rounds
    assert formation_energy.structures[-1].frac_coords[1, 0] == np.float32(0.5)
    assert formation_energy.structures[-1].frac_coords[0, 1] == np.float64(np.float32(0.7015385))
    assert formation_energy.extra_targets["e_above_hull"][0] == formation_energy.target[0]


def test_values_are_in_the_documented_units(formation_energy, band_gap):
    """Other units or shuffled columns would have other orders of magnitude."""
    assert formation_energy.target_name == "formation_energy_per_atom"
    assert -5 < formation_energy.target.min() < -4
    assert (formation_energy.extra_targets["e_above_hull"] >= 0).all()
    assert band_gap.target_name == "band_gap"
    assert band_gap.target.min() > 0
    assert 8 < band_gap.target.max() < 9
    # eps = n^2 for light, as far as the rounding of n allows
    extra = band_gap.extra_targets
    assert_allclose(extra["n"] ** 2, extra["poly_electronic"], rtol=0.02)
    assert (extra["poly_total"] >= extra["poly_electronic"]).all()
    for structure in formation_energy.structures + band_gap.structures:
        assert 5 < structure.volume / len(structure) < 150  # angstrom^3: from diamond to caesium


def test_targets_are_in_the_order_of_the_structures(formation_energy):
    fluorides = np.array([Element("F") in structure.composition for structure in formation_energy.structures])
    assert formation_energy.target[fluorides].mean() < formation_energy.target[~fluorides].mean() - 1


def reduced_formula(structure):
    # pymatgen's reduced_formula sorts by electronegativity and warns about noble gases, which have none
    numbers, counts = np.unique(structure.atomic_numbers, return_counts=True)
    return tuple(numbers), tuple(counts // np.gcd.reduce(counts))


def test_split_by_reduced_formula_is_the_same_in_both_sets(formation_energy, band_gap):
    sides = {}
    for data in (formation_energy, band_gap):
        for structure, side in zip(data.structures, data.split, strict=True):
            sides.setdefault(reduced_formula(structure), set()).add(str(side))
    assert len(sides) == 4415
    assert all(len(side) == 1 for side in sides.values())
    shared = set(formation_energy.ids) & set(band_gap.ids)
    assert len(shared) == 232


@pytest.mark.parametrize(("name", "error"), [("formation_energy", 0.88173), ("band_gap", 1.17796)])
def test_error_of_the_mean_is_that_of_the_description(data, error):
    assert_allclose(mean_absolute_error_of_train_mean(data), error, atol=1e-5)
    assert f"{error:.2f} eV" in data.DESCR


def test_description_names_source_and_licence(data):
    for text in (str(len(data.target)), "eV", "CC BY 4.0", "10.1063/1.4812323", "split"):
        assert text in data.DESCR


def test_return_X_y(name, data):
    structures, target = getattr(_bundled, f"load_{name}")(return_X_y=True)
    assert_array_equal(target, data.target)
    assert structures[7] == data.structures[7]
    # changing the result must not change later results
    assert structures[7] is not data.structures[7]


def damage(content):
    return content[:5000] + bytes([content[5000] ^ 1]) + content[5001:]


@pytest.mark.parametrize("spoil", [damage, lambda content: content[:-1], lambda content: b""])
def test_damaged_files_are_refused(name, data, spoil, tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    path = tmp_path / "data" / f"{name}.npz"
    path.write_bytes(spoil(Path(data.filename).read_bytes()))
    monkeypatch.setattr(_bundled, "files", lambda package: tmp_path)
    with pytest.raises(OSError, match=rf"{name}\.npz is damaged: its sha256 is .*Reinstall"):
        getattr(_bundled, f"load_{name}")()


def test_data_files_contain_no_objects(data):
    with np.load(data.filename, allow_pickle=False) as archive:
        assert all(archive[column].dtype.kind in "fiubS" for column in archive)


def test_import_is_light():
    code = (
        "import sys, skdim.datasets;"
        "print([name for name in ('pymatgen', 'sklearn', 'torch', 'pandas') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


# -- tools/build_datasets.py -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def build_datasets():
    spec = spec_from_file_location("build_datasets", Path(__file__).parents[2] / "tools" / "build_datasets.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_tool_reproduces_the_bundled_file(build_datasets, name, data, tmp_path):
    """The bytes do not depend on date or platform."""
    with np.load(data.filename, allow_pickle=False) as archive:
        columns = dict(archive)
    digest = build_datasets.write_npz(tmp_path / "again.npz", columns)
    assert digest == _bundled.SHA256[f"{name}.npz"]


@pytest.fixture
def table():
    return pd.DataFrame(
        {
            "id": ["a", "b", "c"],
            "formula": ["Cu", "NaCl", "Cu"],
            "lattice": [np.eye(3).ravel() * 2.5, np.eye(3).ravel() * 3.5, np.eye(3).ravel() * 3],
            "species": [np.array([29]), np.array([11, 17]), np.array([29])],
            "frac_coords": [np.zeros(3), np.array([0, 0, 0, 0.5, 0.5, 0.5]), np.zeros(3)],
            "y": [0.0, -2.1, 0.1],
            "split": ["train", "test", "train"],
        }
    )


def test_columns_of_a_table(build_datasets, table):
    columns = build_datasets.to_columns(table, ("y",))
    structures = _bundled._build_structures(columns)
    assert [structure.formula for structure in structures] == ["Cu1", "Na1 Cl1", "Cu1"]
    assert_allclose(structures[1].get_distance(0, 1), 3.5 * np.sqrt(3) / 2)
    assert columns["is_test"].tolist() == [False, True, False]
    assert columns["targets"].tolist() == [[0.0, -2.1, 0.1]]


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("split", ["train", "test", "test"], "both sides"),
        ("split", ["train", "test", "validation"], "only"),
        ("id", ["a", "b", "a"], "repeated"),
        ("y", [0, np.nan, 1], "missing"),
        ("frac_coords", [np.zeros(3), np.zeros(3), np.zeros(3)], "three numbers"),
        ("frac_coords", [np.zeros(3), np.full(6, 1 / 3), np.zeros(3)], "single precision"),
    ],
)
def test_wrong_tables_are_refused(build_datasets, table, column, values, message):
    table[column] = values
    with pytest.raises(SystemExit, match=message):
        build_datasets.to_columns(table, ("y",))
