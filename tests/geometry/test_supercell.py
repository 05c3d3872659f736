"""Primitive cells, supercells and distances against pymatgen, moyopy, scipy and brute force."""

import itertools
import subprocess
import sys

import moyopy
import numpy as np
import pytest
import scipy.linalg
from pymatgen.core import Lattice, Structure

from skdim._geometry.lattice import GeometryError, hermite_form, minkowski_reduced, reduced_bases
from skdim._geometry.primitive_cell import Cell, primitive_cell
from skdim._geometry.supercell import minimum_image_distances, nearest_pair, supercell_distances, supercell_steps


def cell_of(structure):
    return primitive_cell(structure.lattice.matrix, structure.frac_coords, numbers_of(structure))


def numbers_of(structure):
    return np.array([site.specie.Z for site in structure])


def lattices(n, skew, seed=0):
    """Random lattices in bases that are ``skew`` steps away from reduced ones."""
    rng = np.random.default_rng(seed)
    for _ in range(n):
        lattice = rng.normal(size=(3, 3)) + 2.5 * np.eye(3)
        for _ in range(skew):
            i, j = rng.choice(3, size=2, replace=False)
            lattice[i] += rng.integers(-3, 4) * lattice[j]
        yield lattice


def unimodular(rng, steps=5):
    matrix = np.eye(3, dtype=int)
    for _ in range(steps):
        i, j = rng.choice(3, size=2, replace=False)
        matrix[i] += rng.integers(-2, 3) * matrix[j]
    return matrix


# ---- primitive cell ----


def test_as_many_sites_as_a_symmetry_search_finds(formation_crystals):
    for structure in formation_crystals:
        for cell_matrix in (np.eye(3), [[2, 0, 0], [0, 1, 0], [0, 0, 1]], [[0, 1, 1], [1, 0, 1], [1, 1, 0]]):
            repeated = structure.make_supercell(cell_matrix, in_place=False)
            given = (repeated.lattice.matrix, repeated.frac_coords, numbers_of(repeated))
            expected = moyopy.MoyoDataset(moyopy.Cell(*(a.tolist() for a in given)), symprec=1e-3).prim_std_cell
            cell = primitive_cell(*given)
            assert len(cell.kinds) == len(expected.numbers)
            volumes = np.abs(np.linalg.det([cell.lattice, expected.basis]))
            assert volumes[0] == pytest.approx(volumes[1], rel=1e-3)


def test_every_input_site_is_its_primitive_site(formation_crystals):
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


def test_noise_within_symprec_is_averaged_and_beyond_it_is_kept():
    rng = np.random.default_rng(0)
    rock_salt = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    rock_salt.make_supercell([2, 1, 1])
    noise = rng.uniform(-1, 1, size=(16, 3))
    noise *= 4e-4 / np.linalg.norm(noise, axis=1).max()
    noisy = Structure(rock_salt.lattice, rock_salt.species, rock_salt.cart_coords + noise, coords_are_cartesian=True)
    found = cell_of(noisy)
    assert len(found.kinds) == 2
    distance = supercell_distances(found, 2, grow=False)[0, 1]
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


def test_translations_that_hold_only_in_part():
    """Three along a line, each pair within symprec of where a third of the cell would take it, or nearly so."""
    off = 1e-4 * np.array([0, 3, 2, -7, 5, -6])
    coords = np.zeros((6, 3))
    coords[:, 0] = (np.arange(6) // 2 + [0, 0.5] * 3) / 3 + off / 12
    coords[1::2, 1:] = 0.5
    given = (np.diag([12.0, 4.0, 4.0]), coords, np.array([1, 2] * 3))
    with pytest.raises(GeometryError, match=r"carry its sites onto each other only in part: choose another symprec"):
        primitive_cell(*given)
    assert len(primitive_cell(*given, symprec=1e-5).kinds) == 6, "as it says"
    assert len(primitive_cell(*given, symprec=1e-2).kinds) == 2


@pytest.mark.parametrize("n_failures", [1, 2, 3])
def test_a_search_that_fails_is_made_again_more_finely(n_failures, monkeypatch):
    rock_salt = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    tried, search = [], moyopy.MoyoDataset

    def failing(crystal, symprec):
        tried.append(symprec)
        if len(tried) <= n_failures:
            raise ValueError("primitive cell not found")
        return search(crystal, symprec=symprec)

    monkeypatch.setattr(moyopy, "MoyoDataset", failing)
    if n_failures < 3:
        assert len(cell_of(rock_salt).kinds) == 2
    else:
        with pytest.raises(GeometryError, match=r"failed \(primitive cell not found\): .* pass supercell='none'"):
            cell_of(rock_salt)
    assert tried == pytest.approx([1e-3, 1e-4, 1e-5][: n_failures + 1])


#: Among them are lattices whose symmetries moyopy would gather without end, until no memory is left.
ENDLESS = """
import resource
import numpy as np
from skdim._geometry.primitive_cell import primitive_cell

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


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit of a process's memory to be set")
def test_a_tolerance_as_long_as_the_lattice_ends():
    done = subprocess.run([sys.executable, "-c", ENDLESS], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-500:]
    slab, coords = np.diag([0.008, 5.0, 5.0]), np.array([[0, 0, 0], [0, 0.5, 0.1]])
    with pytest.raises(GeometryError, match=r"is 0\.008 angstrom and its longest 5, too short or too unequal for "):
        primitive_cell(slab, coords, np.array([1, 1]))
    assert len(primitive_cell(slab, coords, np.array([1, 1]), symprec=1e-5).kinds) == 2
    needle = np.array([[3, 0, 0], [3 * np.cos(np.pi / 180), 3 * np.sin(np.pi / 180), 0], [0, 0, 900]])
    with pytest.raises(GeometryError, match=r"is 0\.0524 angstrom and its longest 900, .* symprec=0\.001: check the"):
        primitive_cell(needle, coords, np.array([1, 1]))


def test_kinds_tell_sites_apart():
    lattice, coords = Lattice.cubic(3.0).matrix, np.array([[0, 0, 0], [0.5, 0.5, 0.5]])
    assert len(primitive_cell(lattice, coords, np.array([26, 26])).kinds) == 1
    assert len(primitive_cell(lattice, coords, np.array([26, 27])).kinds) == 2


def test_a_translation_that_holds_for_some_kinds_only():
    # Half the first axis takes A to A, but B to C.
    coords = [[0, 0, 0], [0.5, 0, 0], [0.25, 0, 0], [0.25, 0.5, 0], [0.75, 0, 0], [0.75, 0.5, 0]]
    lattice = np.diag([8.0, 5.0, 4.0])
    assert len(primitive_cell(lattice, np.array(coords), np.array([1, 1, 2, 2, 3, 3])).kinds) == 6
    assert len(primitive_cell(lattice, np.array(coords), np.array([1, 1, 2, 2, 2, 2])).kinds) == 3


@pytest.mark.parametrize("kinds", [[11, 11, 17, 17], [11, 11, 11, 11]])
def test_coinciding_sites_are_left_for_the_check_of_distances(kinds):
    coords = np.array([[0, 0, 0], [0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0.5]])
    cell = primitive_cell(3 * np.eye(3), coords, np.array(kinds))
    assert len(cell.kinds) == 4
    distance, i, j = nearest_pair(supercell_distances(cell, 50))
    assert distance == 0
    assert i != j


def test_a_large_supercell_takes_no_time():
    structure = Structure(Lattice.cubic(3.0), ["Cs", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    structure.make_supercell([6, 5, 5])
    assert len(cell_of(structure).kinds) == 2


# ---- bases ----


def test_hermite_form_knows_a_lattice_in_any_basis():
    rng = np.random.default_rng(0)
    for _ in range(30):
        rows = rng.integers(-4, 5, size=(3, 3))
        if round(np.linalg.det(rows)) == 0:
            continue
        form = hermite_form(rows)
        np.testing.assert_array_equal(hermite_form(unimodular(rng) @ rows), form)
        np.testing.assert_array_equal(form, np.triu(form))
        assert np.diag(form).prod() == abs(round(np.linalg.det(rows)))
        assert np.abs(rows @ np.linalg.inv(form) - np.rint(rows @ np.linalg.inv(form))).max() < 1e-9
    with pytest.raises(ValueError, match="do not span"):
        hermite_form([[1, 2, 3], [2, 4, 6], [0, 0, 1]])


def test_minkowski_reduced_finds_the_shortest_vectors():
    points = np.array(list(itertools.product(range(-4, 5), repeat=3)))
    for lattice in lattices(40, skew=6):
        reduced = minkowski_reduced(lattice)
        change = reduced @ np.linalg.inv(lattice)
        assert np.abs(change - np.rint(change)).max() < 1e-6
        assert abs(np.linalg.det(change)) == pytest.approx(1)
        lengths = np.linalg.norm(reduced, axis=1)
        assert (np.diff(lengths) >= -1e-9).all()
        # No vector of the lattice outside the span of those before it is shorter.
        vectors = points @ reduced
        size = np.linalg.norm(vectors, axis=1)
        assert lengths[0] == pytest.approx(size[points.any(axis=1)].min())
        assert lengths[1] == pytest.approx(size[points[:, 1:].any(axis=1)].min())
        assert lengths[2] == pytest.approx(size[points[:, 2] != 0].min())


@pytest.mark.parametrize(
    ("lattice", "n_bases"),
    [(Lattice.cubic(3), 24), (Lattice.hexagonal(3, 5), 12), (Lattice.tetragonal(3, 5), 8)],
    ids=["cubic", "hexagonal", "tetragonal"],
)
def test_reduced_bases_are_the_lattice_symmetries(lattice, n_bases):
    # One basis for each symmetry of the lattice; half, as a basis and its negative count once.
    assert len(reduced_bases(lattice.matrix)) == n_bases


def test_reduced_bases_do_not_depend_on_the_input_basis(formation_crystals):
    rng = np.random.default_rng(0)
    for structure in formation_crystals:
        lattice = structure.lattice.matrix
        first, second = reduced_bases(lattice), reduced_bases(unimodular(rng) @ lattice)
        assert len(first) == len(second)
        np.testing.assert_allclose(first[0] @ first[0].T, second[0] @ second[0].T, atol=2e-3)
        both = np.concatenate([second, -second])
        for basis in first:
            assert np.abs(both - basis).max(axis=(1, 2)).min() < 1e-4


# ---- supercell ----


def grown_by_rq(lattice, n_sites, max_sites):
    """The matrix as the paper has it: RQ decomposition, shear, growth of the shortest edge, rounding."""
    r, _ = scipy.linalg.rq(lattice)
    r *= np.sign(np.diag(r))
    edges, scale = np.diag(r), np.ones(3, dtype=int)
    while True:
        larger = scale.copy()
        larger[np.flatnonzero(np.isclose(edges * scale, (edges * scale).min(), rtol=1e-4))[0]] += 1
        if n_sites * larger.prod() > max_sites:
            break
        scale = larger
    return np.floor(scale[:, None] * (np.diag(edges) @ np.linalg.inv(r)) + 0.5001).astype(int)


@pytest.mark.parametrize("max_sites", [50, 100, 500])
def test_supercell_is_grown_as_in_the_paper(max_sites, formation_crystals):
    for structure in formation_crystals:
        lattice = reduced_bases(structure.lattice.matrix)[0]
        steps = supercell_steps(lattice, len(structure), max_sites)
        np.testing.assert_array_equal(steps, grown_by_rq(lattice, len(structure), max_sites))
        np.testing.assert_array_equal(steps, np.triu(steps))
        assert 1 <= np.linalg.det(steps) * len(structure) <= max_sites + 1e-6
        # As near to equal edges as one step of the shortest edge allows.
        edges = np.abs(np.diag(np.linalg.qr((steps @ lattice)[::-1].T)[1]))[::-1]
        assert edges.max() - edges.min() <= np.abs(np.diag(np.linalg.qr(lattice[::-1].T)[1])).max() + 1e-6


def test_supercells_that_can_be_told_by_hand():
    np.testing.assert_array_equal(supercell_steps(3 * np.eye(3), 1, 50), np.diag([4, 4, 3]))
    np.testing.assert_array_equal(supercell_steps(3 * np.eye(3), 2, 54), np.diag([3, 3, 3]))
    np.testing.assert_array_equal(supercell_steps(np.diag([2.0, 4.0, 8.0]), 1, 8), np.diag([4, 2, 1]))
    np.testing.assert_array_equal(supercell_steps(3 * np.eye(3), 50, 50), np.eye(3))
    # Hexagonal: two of the sheared cell make a right angle.
    steps = supercell_steps(reduced_bases(Lattice.hexagonal(3, 5).matrix)[0], 1, 4)
    a, b, c = steps @ reduced_bases(Lattice.hexagonal(3, 5).matrix)[0]
    assert max(abs(a @ b), abs(a @ c), abs(b @ c)) < 1e-9


@pytest.mark.parametrize("max_sites", [50, 100])
def test_distances_are_those_of_pymatgen(max_sites, formation_crystals):
    for structure in formation_crystals[::2]:
        cell = cell_of(structure)
        m = len(cell.kinds)
        bases = reduced_bases(cell.lattice)
        steps = supercell_steps(bases[0], m, max_sites)
        found = minimum_image_distances(cell, bases, steps)
        assert found.shape == (len(bases), m, m * round(np.linalg.det(steps)))
        for basis, distances in list(zip(bases, found, strict=True))[:2]:
            expected, labels = pymatgen_distances(cell, basis, steps)
            for i in range(m):
                for j in range(m):
                    # Copies may come in another order; copy 0 is the cell itself.
                    ours = np.sort(distances[i, j::m])
                    np.testing.assert_allclose(ours, np.sort(expected[i, labels == j]), atol=1e-7)
            np.testing.assert_array_equal(np.diag(distances), 0)


def pymatgen_distances(cell, basis, steps):
    primitive = Structure(Lattice(basis), cell.kinds.tolist(), cell.coords @ cell.lattice, coords_are_cartesian=True)
    primitive.add_site_property("label", list(range(len(primitive))))
    supercell = primitive.make_supercell(steps, in_place=False)
    labels = np.array(supercell.site_properties["label"])
    rows = [np.flatnonzero(labels == i)[0] for i in range(len(primitive))]
    return supercell.distance_matrix[rows], labels


def test_the_chosen_supercell_is_one_of_the_equally_good_ones(formation_crystals):
    for structure in formation_crystals[::2]:
        cell = cell_of(structure)
        bases = reduced_bases(cell.lattice)
        found = minimum_image_distances(cell, bases, supercell_steps(bases[0], len(cell.kinds), 50))
        chosen = np.sort(supercell_distances(cell, 50), axis=1)
        assert chosen.shape[1] <= 50
        assert min(np.abs(np.sort(d, axis=1) - chosen).max() for d in found) < 1e-9


def test_nearest_images_of_skewed_cells():
    rng = np.random.default_rng(0)
    images = np.array(list(itertools.product(range(-3, 4), repeat=3)))
    for lattice in lattices(40, skew=5, seed=1):
        coords = rng.uniform(-1, 2, size=(6, 3))
        cell = Cell(lattice, coords, np.arange(6), np.arange(6))
        found = minimum_image_distances(cell, lattice[None], np.eye(3, dtype=int))[0]
        # Brute force over many images in a reduced basis (in the skewed one they would not reach far enough).
        reduced = minkowski_reduced(lattice)
        delta = (coords[None] - coords[:, None]) @ lattice @ np.linalg.inv(reduced)
        delta -= np.floor(delta)
        expected = np.linalg.norm((delta[:, :, None] + images) @ reduced, axis=3).min(axis=2)
        np.testing.assert_allclose(found, expected, atol=1e-9)


def test_a_lone_atom_has_no_neighbours():
    cell = Cell(3 * np.eye(3), np.zeros((1, 3)), np.array([29]), np.zeros(1, dtype=int))
    with pytest.raises(GeometryError, match="lone atom"):
        supercell_distances(cell, 50, grow=False)
    with pytest.raises(GeometryError, match="lone atom"):
        supercell_distances(cell, 1)
    assert supercell_distances(cell, 2).shape == (1, 2)


def test_nearest_pair_of_a_site_and_its_own_image():
    cell = Cell(np.diag([0.4, 3.0, 3.0]), np.array([[0, 0, 0], [0, 0.5, 0.5]]), np.array([1, 2]), np.arange(2))
    distance, i, j = nearest_pair(supercell_distances(cell, 50))
    assert distance == pytest.approx(0.4)
    assert i == j
