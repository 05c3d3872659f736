"""Supercells and their distances, compared with pymatgen, scipy and brute force."""

import itertools

import numpy as np
import pytest
import scipy.linalg
from pymatgen.core import Lattice, Structure

from skdim._geometry.lattice import minkowski_reduced, reduced_bases
from skdim._geometry.primitive_cell import Cell
from skdim._geometry.supercell import minimum_image_distances, nearest_pair, supercell_distances, supercell_steps
from tests.helpers.cells import cell_of, lattices


def grown_by_rq(lattice, n_sites, max_sites):
    """The matrix of the paper: RQ decomposition, growth of the shortest edge, shear, rounding."""
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
def test_supercell_is_that_of_the_paper(max_sites, formation_crystals):
    for structure in formation_crystals:
        lattice = reduced_bases(structure.lattice.matrix)[0]
        steps = supercell_steps(lattice, len(structure), max_sites)
        np.testing.assert_array_equal(steps, grown_by_rq(lattice, len(structure), max_sites))
        np.testing.assert_array_equal(steps, np.triu(steps))
        assert 1 <= np.linalg.det(steps) * len(structure) <= max_sites + 1e-6
        # The edges are equal up to one step.
        edges = np.abs(np.diag(np.linalg.qr((steps @ lattice)[::-1].T)[1]))[::-1]
        assert edges.max() - edges.min() <= np.abs(np.diag(np.linalg.qr(lattice[::-1].T)[1])).max() + 1e-6


def test_known_supercells():
    np.testing.assert_array_equal(supercell_steps(3 * np.eye(3), 1, 50), np.diag([4, 4, 3]))
    np.testing.assert_array_equal(supercell_steps(3 * np.eye(3), 2, 54), np.diag([3, 3, 3]))
    np.testing.assert_array_equal(supercell_steps(np.diag([2.0, 4.0, 8.0]), 1, 8), np.diag([4, 2, 1]))
    np.testing.assert_array_equal(supercell_steps(3 * np.eye(3), 50, 50), np.eye(3))
    # Hexagonal: the sheared supercell of twice the cell has right angles.
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
        computed = minimum_image_distances(cell, bases, steps)
        assert computed.shape == (len(bases), m, m * round(np.linalg.det(steps)))
        for basis, distances in list(zip(bases, computed, strict=True))[:2]:
            expected, labels = pymatgen_distances(cell, basis, steps)
            for i in range(m):
                for j in range(m):
                    # The order of the copies may differ; copy 0 is the cell itself.
                    actual = np.sort(distances[i, j::m])
                    np.testing.assert_allclose(actual, np.sort(expected[i, labels == j]), atol=1e-7)
            np.testing.assert_array_equal(np.diag(distances), 0)


def pymatgen_distances(cell, basis, steps):
    primitive = Structure(Lattice(basis), cell.kinds.tolist(), cell.coords @ cell.lattice, coords_are_cartesian=True)
    primitive.add_site_property("label", list(range(len(primitive))))
    supercell = primitive.make_supercell(steps, in_place=False)
    labels = np.array(supercell.site_properties["label"])
    rows = [np.flatnonzero(labels == i)[0] for i in range(len(primitive))]
    return supercell.distance_matrix[rows], labels


def test_the_chosen_supercell_is_one_of_the_candidates(formation_crystals):
    for structure in formation_crystals[::2]:
        cell = cell_of(structure)
        bases = reduced_bases(cell.lattice)
        computed = minimum_image_distances(cell, bases, supercell_steps(bases[0], len(cell.kinds), 50))
        chosen = np.sort(supercell_distances(cell, 50), axis=1)
        assert chosen.shape[1] <= 50
        assert min(np.abs(np.sort(d, axis=1) - chosen).max() for d in computed) < 1e-9


def test_nearest_images_in_skewed_cells_are_those_of_brute_force():
    rng = np.random.default_rng(0)
    images = np.array(list(itertools.product(range(-3, 4), repeat=3)))
    for lattice in lattices(40, skew=5, seed=1):
        coords = rng.uniform(-1, 2, size=(6, 3))
        cell = Cell(lattice, coords, np.arange(6), np.arange(6))
        computed = minimum_image_distances(cell, lattice[None], np.eye(3, dtype=int))[0]
        # Brute force over images in a reduced basis; in the skewed basis more images would be needed.
        reduced = minkowski_reduced(lattice)
        delta = (coords[None] - coords[:, None]) @ lattice @ np.linalg.inv(reduced)
        delta -= np.floor(delta)
        expected = np.linalg.norm((delta[:, :, None] + images) @ reduced, axis=3).min(axis=2)
        np.testing.assert_allclose(computed, expected, atol=1e-9)


def test_a_supercell_may_have_one_site():
    cell = Cell(3 * np.eye(3), np.zeros((1, 3)), np.array([29]), np.zeros(1, dtype=int))
    assert supercell_distances(cell, 50, grow=False).tolist() == [[0]]
    assert supercell_distances(cell, 1).tolist() == [[0]]
    assert supercell_distances(cell, 2).shape == (1, 2)


def test_nearest_pair_can_be_a_site_and_its_image():
    cell = Cell(np.diag([0.4, 3.0, 3.0]), np.array([[0, 0, 0], [0, 0.5, 0.5]]), np.array([1, 2]), np.arange(2))
    distance, i, j = nearest_pair(supercell_distances(cell, 50))
    assert distance == pytest.approx(0.4)
    assert i == j
