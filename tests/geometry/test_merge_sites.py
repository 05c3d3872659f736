"""Merging sites and pairs is lossless: classes and counts expand to the original distances."""

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from skdim import SiteNetFeaturizer
from skdim._geometry import merge_sites as _merge_sites
from skdim._geometry.merge_sites import compress_sites, keep_all
from skdim._geometry.primitive_cell import Cell
from skdim._geometry.supercell import supercell_distances
from tests.helpers.cells import cell_of


def distances_of(structure, max_sites=50):
    cell = cell_of(structure)
    return supercell_distances(cell, max_sites), cell.kinds


def rows_of(compressed):
    """Arrays (neighbour, distance, count) of each class."""
    ends = np.cumsum(compressed.n_pairs)[:-1]
    columns = (compressed.neighbour, compressed.distance, compressed.count)
    return list(zip(*(np.split(column, ends) for column in columns), strict=True))


def assert_expands(compressed, distances, kinds, tol):
    """Compare the distances of each site to each class of neighbours, repeated by their counts."""
    m, n = distances.shape
    column_class = np.tile(compressed.class_of, n // m)
    rows = rows_of(compressed)
    np.testing.assert_array_equal(compressed.kinds[compressed.class_of], kinds)
    np.testing.assert_array_equal(np.bincount(compressed.class_of), compressed.multiplicity)
    for i in range(m):
        neighbour, distance, count = rows[compressed.class_of[i]]
        assert count.sum() == n
        for c in range(len(compressed.kinds)):
            expected = np.sort(distances[i, column_class == c])
            assert count[neighbour == c].sum() == len(expected) == compressed.multiplicity[c] * (n // m)
            actual = np.sort(np.repeat(distance[neighbour == c], count[neighbour == c]))
            np.testing.assert_allclose(actual, expected, atol=tol)


@pytest.mark.parametrize("max_sites", [50, 100])
def test_classes_and_counts_expand_to_the_distances(max_sites, formation_crystals):
    for structure in formation_crystals:
        distances, kinds = distances_of(structure, max_sites)
        # A merged pair is the mean over sites that are equal within tol, and then over distances within tol.
        assert_expands(compress_sites(distances, kinds, 1e-3), distances, kinds, 2e-3)
        assert_expands(compress_sites(distances, kinds, 1e-6), distances, kinds, 2e-6)
        assert_expands(keep_all(distances, kinds), distances, kinds, 0)


def test_supercells_of_500_sites_expand_to_the_distances(formation_crystals):
    for structure in formation_crystals[1:40:8]:
        distances, kinds = distances_of(structure, 500)
        assert 250 < distances.shape[1] <= 500
        assert_expands(compress_sites(distances, kinds, 1e-3), distances, kinds, 2e-3)


def test_the_pair_of_a_site_with_itself_is_kept(formation_crystals):
    for structure in formation_crystals:
        for classes, (neighbour, distance, count) in enumerate(rows_of(compress_sites(*distances_of(structure)))):
            assert (distance == 0).sum() == 1
            assert neighbour[distance == 0] == classes
            assert count[distance == 0] == 1


def test_symmetry_equivalent_sites_are_one_class():
    perovskite = Structure(
        Lattice.cubic(3.9),
        ["Sr", "Ti", "O", "O", "O"],
        [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]],
    )
    compressed = compress_sites(*distances_of(perovskite, 40))
    assert sorted(zip(compressed.kinds.tolist(), compressed.multiplicity.tolist(), strict=True)) == [
        (8, 3),
        (22, 1),
        (38, 1),
    ]
    rock_salt = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    numbers = np.array([site.specie.Z for site in rock_salt])
    cell = Cell(rock_salt.lattice.matrix, rock_salt.frac_coords, numbers, np.arange(8))
    compressed = compress_sites(supercell_distances(cell, 8, grow=False), numbers)
    np.testing.assert_array_equal(compressed.multiplicity, [4, 4])
    # In a cube of 8 sites, the 6 nearest images of the other kind are 3 sites; the 4th is on the body diagonal.
    neighbour, distance, count = rows_of(compressed)[0]
    np.testing.assert_allclose(distance[neighbour == 0], [0, 5.64 / 2**0.5])
    np.testing.assert_allclose(distance[neighbour == 1], [2.82, 2.82 * 3**0.5])
    np.testing.assert_array_equal(count, [1, 3, 3, 1])


def test_sites_of_different_kinds_are_not_merged():
    distances = np.array([[0, 2.0, 2.0], [2.0, 0, 2.0], [2.0, 2.0, 0]])
    assert len(compress_sites(distances, np.array([1, 1, 1])).kinds) == 1
    compressed = compress_sites(distances, np.array([1, 2, 2]))
    np.testing.assert_array_equal(compressed.multiplicity, [1, 2])
    np.testing.assert_array_equal(compressed.n_pairs, [2, 3])


def test_sites_whose_neighbours_differ_are_split():
    # The Y differ by their distance to Z, and the X by their distances to the Y: two rounds of refinement.
    z, y1, y2, x1, x2 = range(5)
    distances = np.zeros((5, 5))
    for i, j, d in [
        (z, y1, 1),
        (z, y2, 2),
        (z, x1, 3),
        (z, x2, 3),
        (x1, y1, 4),
        (x1, y2, 5),
        (x2, y1, 5),
        (x2, y2, 4),
        (x1, x2, 6),
        (y1, y2, 7),
    ]:
        distances[i, j] = distances[j, i] = d
    kinds = np.array([30, 20, 20, 10, 10])
    assert len(compress_sites(distances, kinds).kinds) == 5
    distances[z, y1] = distances[y1, z] = 2
    assert len(compress_sites(distances, kinds).kinds) == 3


def test_a_chain_of_small_steps_is_split():
    tol = 1e-3
    steps = 2 + 0.6e-3 * np.arange(8)
    row = np.concatenate([[0], steps])
    distances = np.abs(row[:, None] - row[None])
    kinds = np.arange(9)
    kinds[1:] = 100
    # The neighbours of the first site are 0.6 tol apart.
    distances[1:, 1:] = 10 * np.arange(8)[:, None]
    np.fill_diagonal(distances, 0)
    compressed = compress_sites(distances, kinds, tol)
    assert len(compressed.kinds) == 9, "the neighbours are not equivalent"
    # The same with equivalent neighbours: a primitive cell of two sites, eight copies of the second.
    distances = np.zeros((2, 16))
    distances[0, 1::2], distances[0, 2::2] = steps, 5
    distances[1, 0::2], distances[1, 3::2] = steps, 5
    compressed = compress_sites(distances, np.array([3, 4]), tol)
    neighbour, distance, count = rows_of(compressed)[0]
    np.testing.assert_array_equal(count[neighbour == 1], [2, 2, 2, 2])
    np.testing.assert_allclose(distance[neighbour == 1], steps.reshape(4, 2).mean(axis=1))
    merged = np.repeat(distance[neighbour == 1], 2)
    assert np.abs(merged - steps).max() <= tol
    # A larger tolerance merges the whole chain.
    neighbour, distance, count = rows_of(compress_sites(distances, np.array([3, 4]), 0.01))[0]
    np.testing.assert_array_equal(count[neighbour == 1], [8])


def test_sites_are_merged_if_their_distances_agree_within_tol():
    distances = np.array([[0, 2.0, 3.0], [2.0, 0, 3.0004], [3.0, 3.0004, 0]])
    kinds = np.array([5, 5, 6])
    assert len(compress_sites(distances, kinds, 1e-3).kinds) == 2
    assert compress_sites(distances, kinds, 1e-3).distance.max() == pytest.approx(3.0002)
    assert len(compress_sites(distances, kinds, 1e-4).kinds) == 3


@pytest.mark.parametrize("tol", [1e-6, 1e-3, 0.1, 0.5])
def test_groups_do_not_depend_on_the_fast_path(tol, formation_crystals, monkeypatch):
    for structure in formation_crystals:
        distances, kinds = distances_of(structure)
        distances = distances + np.random.default_rng(0).uniform(-tol, tol, distances.shape)
        fast = compress_sites(distances, kinds, tol)
        with monkeypatch.context() as patch:
            patch.setattr(
                _merge_sites,
                "_group_rows",
                lambda profiles, class_of, tol: _merge_sites._group_rows_one_by_one(
                    profiles, profiles.mean(axis=1), class_of, tol
                ),
            )
            slow = compress_sites(distances, kinds, tol)
        for a, b in zip(fast, slow, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.filterwarnings("ignore:X was featurized with max_sites")
@pytest.mark.parametrize(("max_sites", "step"), [(50, 2), (100, 6), (500, 18)])
def test_merging_does_not_change_vectors(max_sites, step, formation_crystals, untrained):
    structures = formation_crystals[::step]
    dense = SiteNetFeaturizer(max_sites=max_sites, compress=False).transform(structures)
    for tol, atol in ((1e-3, 2e-3), (1e-6, 2e-5)):
        compressed = SiteNetFeaturizer(max_sites=max_sites, distance_tol=tol).transform(structures)
        assert len(compressed.distance) < 0.8 * len(dense.distance)
        np.testing.assert_array_equal(compressed.n_sites, dense.n_sites)
        np.testing.assert_allclose(untrained.transform(compressed), untrained.transform(dense), atol=atol)
        np.testing.assert_allclose(
            untrained.transform_sites(compressed)[0], untrained.transform_sites(dense)[0], atol=atol
        )
