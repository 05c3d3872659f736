"""Primitive cells, compared with moyopy."""

import subprocess
import sys

import moyopy
import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from skdim._geometry import primitive_cell as _primitive_cell
from skdim._geometry.lattice import GeometryError
from skdim._geometry.primitive_cell import Cell, primitive_cell
from skdim._geometry.supercell import nearest_pair, supercell_distances
from tests.helpers.cells import cell_of, numbers_of


def test_number_of_sites_and_volume_are_those_of_moyopy(formation_crystals):
    for structure in formation_crystals:
        for cell_matrix in (np.eye(3), [[2, 0, 0], [0, 1, 0], [0, 0, 1]], [[0, 1, 1], [1, 0, 1], [1, 1, 0]]):
            repeated = structure.make_supercell(cell_matrix, in_place=False)
            given = (repeated.lattice.matrix, repeated.frac_coords, numbers_of(repeated))
            expected = moyopy.MoyoDataset(moyopy.Cell(*(a.tolist() for a in given)), symprec=1e-3).prim_std_cell
            cell = primitive_cell(*given)
            assert len(cell.kinds) == len(expected.numbers)
            volumes = np.abs(np.linalg.det([cell.lattice, expected.basis]))
            assert volumes[0] == pytest.approx(volumes[1], rel=1e-3)


def test_input_sites_differ_from_their_primitive_sites_by_lattice_vectors(formation_crystals):
    for structure in formation_crystals[::3]:
        repeated = structure.make_supercell([[2, 0, 0], [0, 1, 0], [0, 1, 2]], in_place=False)
        order = np.random.default_rng(0).permutation(len(repeated))
        repeated = Structure.from_sites([repeated[i] for i in order])
        cell = cell_of(repeated)
        assert set(cell.site_of) == set(range(len(cell.kinds)))
        np.testing.assert_array_equal(cell.kinds[cell.site_of], numbers_of(repeated))
        # The vector from each site to its primitive site is one of the primitive lattice.
        delta = repeated.cart_coords @ np.linalg.inv(cell.lattice) - cell.coords[cell.site_of]
        off = (delta - np.rint(delta)) @ cell.lattice
        assert np.abs(off).max() < 1e-5


def test_noise_below_symprec_is_averaged_and_larger_noise_is_kept():
    rng = np.random.default_rng(0)
    rock_salt = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    rock_salt.make_supercell([2, 1, 1])
    noise = rng.uniform(-1, 1, size=(16, 3))
    noise *= 4e-4 / np.linalg.norm(noise, axis=1).max()
    noisy = Structure(rock_salt.lattice, rock_salt.species, rock_salt.cart_coords + noise, coords_are_cartesian=True)
    cell = cell_of(noisy)
    assert len(cell.kinds) == 2
    distance = supercell_distances(cell, 2, grow=False)[0, 1]
    sodium = numbers_of(noisy) == 11
    shift = (noise[~sodium].mean(axis=0) - noise[sodium].mean(axis=0)).tolist()
    assert distance == pytest.approx(2.82, abs=np.linalg.norm(shift))
    # The mean does not depend on the order of the sites.
    order = rng.permutation(16)
    again = cell_of(Structure.from_sites([noisy[i] for i in order]))
    assert supercell_distances(again, 2, grow=False)[0, 1] == pytest.approx(distance, abs=1e-9)
    assert len(primitive_cell(noisy.lattice.matrix, noisy.frac_coords, numbers_of(noisy), symprec=1e-5).kinds) == 16
    moved = rock_salt.copy()
    moved.translate_sites([3], [0.01, 0, 0], frac_coords=False)
    assert len(cell_of(moved).kinds) == 16


def test_translations_that_hold_for_some_sites_only_are_refused():
    """Three pairs of sites, which a third of the cell maps onto each other within about symprec."""
    off = 1e-4 * np.array([0, 3, 2, -7, 5, -6])
    coords = np.zeros((6, 3))
    coords[:, 0] = (np.arange(6) // 2 + [0, 0.5] * 3) / 3 + off / 12
    coords[1::2, 1:] = 0.5
    given = (np.diag([12.0, 4.0, 4.0]), coords, np.array([1, 2] * 3))
    with pytest.raises(
        GeometryError, match=r"translations map only some of its sites onto each other: choose another symprec"
    ):
        primitive_cell(*given)
    assert len(primitive_cell(*given, symprec=1e-5).kinds) == 6
    assert len(primitive_cell(*given, symprec=1e-2).kinds) == 2


@pytest.mark.parametrize("n_failures", [1, 2, 3])
def test_a_failed_search_is_repeated_with_smaller_tolerances(n_failures, monkeypatch):
    rock_salt = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    tried, search = [], moyopy.MoyoDataset

    def failing(crystal, symprec):
        tried.append(symprec)
        if len(tried) <= n_failures:
            raise ValueError("primitive cell not found")
        return search(crystal, symprec=symprec)

    monkeypatch.setattr(moyopy, "MoyoDataset", failing)
    monkeypatch.setattr(_primitive_cell, "_MAX_CANDIDATE_PAIRS", 0)
    if n_failures < 3:
        assert len(cell_of(rock_salt).kinds) == 2
    else:
        with pytest.raises(GeometryError, match=r"failed \(primitive cell not found\): .* pass supercell='none'"):
            cell_of(rock_salt)
    assert tried == pytest.approx([1e-3, 1e-4, 1e-5][: n_failures + 1])


#: The symmetry search of moyopy would not end for some of these lattices, and use all memory.
ENDLESS = """
import resource
import numpy as np
from skdim._geometry.primitive_cell import Cell, primitive_cell

resource.setrlimit(resource.RLIMIT_AS, (4 * 2**30, 4 * 2**30))
rng = np.random.default_rng(0)
for k in range(600):
    lattice, coords = rng.normal(size=(3, 3)), rng.random((2, 3))
    if k % 2:  # needles and plates
        edges = np.sort(10 ** rng.uniform(-0.3, 4, 3))
        lattice = (np.eye(3) + np.tril(rng.uniform(-0.5, 0.5, (3, 3)), -1) * (rng.random() < 0.7)) * edges
    for symprec in (0.002, 0.01, 0.02, 0.04, 0.06, 0.2, 0.5):
        try:
            primitive_cell(lattice, coords, np.array([1, 1]), symprec=symprec * np.linalg.norm(lattice[0]))
        except ValueError:
            pass
"""


@pytest.mark.skipif(sys.platform == "win32", reason="the memory of a process cannot be limited on Windows")
def test_the_search_ends_for_every_ratio_of_symprec_and_lattice():
    done = subprocess.run([sys.executable, "-c", ENDLESS], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-500:]
    slab, coords = np.diag([0.008, 5.0, 5.0]), np.array([[0, 0, 0], [0, 0.5, 0.1]])
    with pytest.raises(GeometryError, match=r"is 0\.008 angstrom and its longest 5, too short or too different for "):
        primitive_cell(slab, coords, np.array([1, 1]))
    assert len(primitive_cell(slab, coords, np.array([1, 1]), symprec=1e-5).kinds) == 2
    needle = np.array([[3, 0, 0], [3 * np.cos(np.pi / 180), 3 * np.sin(np.pi / 180), 0], [0, 0, 900]])
    with pytest.raises(GeometryError, match=r"is 0\.0524 angstrom and its longest 900, .* symprec=0\.001: check the"):
        primitive_cell(needle, coords, np.array([1, 1]))


def test_sites_of_different_kinds_are_not_equivalent():
    lattice, coords = Lattice.cubic(3.0).matrix, np.array([[0, 0, 0], [0.5, 0.5, 0.5]])
    assert len(primitive_cell(lattice, coords, np.array([26, 26])).kinds) == 1
    assert len(primitive_cell(lattice, coords, np.array([26, 27])).kinds) == 2


def test_a_translation_must_hold_for_all_kinds():
    # Half of the first axis maps A to A, but B to C.
    coords = [[0, 0, 0], [0.5, 0, 0], [0.25, 0, 0], [0.25, 0.5, 0], [0.75, 0, 0], [0.75, 0.5, 0]]
    lattice = np.diag([8.0, 5.0, 4.0])
    assert len(primitive_cell(lattice, np.array(coords), np.array([1, 1, 2, 2, 3, 3])).kinds) == 6
    assert len(primitive_cell(lattice, np.array(coords), np.array([1, 1, 2, 2, 2, 2])).kinds) == 3


@pytest.mark.parametrize("kinds", [[11, 11, 17, 17], [11, 11, 11, 11]])
def test_coinciding_sites_are_kept(kinds):
    coords = np.array([[0, 0, 0], [0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0.5]])
    cell = primitive_cell(3 * np.eye(3), coords, np.array(kinds))
    assert len(cell.kinds) == 4
    distance, i, j = nearest_pair(supercell_distances(cell, 50))
    assert distance == 0
    assert i != j


def test_a_large_supercell_is_reduced_to_its_primitive_cell():
    structure = Structure(Lattice.cubic(3.0), ["Cs", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    structure.make_supercell([6, 5, 5])
    assert len(cell_of(structure).kinds) == 2


@pytest.mark.parametrize(
    "cell_matrix", [np.eye(3), [[2, 0, 0], [0, 1, 0], [0, 0, 1]], [[0, 1, 1], [1, 0, 1], [1, 1, 0]], 2 * np.eye(3)]
)
def test_translations_found_by_comparing_sites_are_those_of_the_search(cell_matrix, formation_crystals, monkeypatch):
    """With noise below, near and above symprec."""
    rng = np.random.default_rng(0)
    compared = 0
    for structure in formation_crystals:
        repeated = structure.make_supercell(cell_matrix, in_place=False)
        for scale in (0, 3e-5, 3e-4, 1e-3, 3e-3):
            noise = rng.uniform(-scale, scale, (len(repeated), 3)) @ np.linalg.inv(repeated.lattice.matrix)
            given = (repeated.lattice.matrix, repeated.frac_coords + noise, numbers_of(repeated))
            translations = _primitive_cell._certain_translations(Cell(*given, np.arange(len(repeated))), 1e-3)
            if translations is None:
                continue
            cell = primitive_cell(*given)
            with monkeypatch.context() as patch:
                patch.setattr(_primitive_cell, "_MAX_CANDIDATE_PAIRS", 0)
                searched = primitive_cell(*given)
            assert len(cell.kinds) == len(searched.kinds) == len(repeated) // len(translations)
            same = cell.site_of[:, None] == cell.site_of
            np.testing.assert_array_equal(same, searched.site_of[:, None] == searched.site_of)
            difference = cell.lattice @ np.linalg.inv(searched.lattice)
            np.testing.assert_allclose(difference, np.rint(difference), atol=1e-6)
            shift = cell.coords[cell.site_of] @ cell.lattice - searched.coords[searched.site_of] @ searched.lattice
            shift = shift @ np.linalg.inv(cell.lattice)
            np.testing.assert_allclose(shift, np.rint(shift), atol=1e-9)
            compared += 1
    assert compared > len(formation_crystals), "most cells were in doubt"


def test_most_primitive_cells_need_no_search(formation_crystals, monkeypatch):
    monkeypatch.setattr(_primitive_cell, "_search_translations", lambda *args: pytest.fail("the search was called"))
    for structure in formation_crystals:
        assert len(cell_of(structure).kinds) == len(structure)
        assert len(cell_of(structure.make_supercell([2, 1, 1], in_place=False)).kinds) == len(structure)
