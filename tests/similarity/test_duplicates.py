"""Near-duplicates: copies that pymatgen's StructureMatcher matches, and polymorphs that it does not."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Lattice, Structure
from sklearn.model_selection import GroupKFold

from skdim import Crystals, SiteNetFeaturizer
from skdim._similarity.duplicates import candidate_pairs
from skdim._similarity.local_distances import N_NEIGHBOURS, log_distances, relative_differences
from skdim.model_selection import duplicate_groups, formula_groups

ROCK_SALT = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
CAESIUM_CHLORIDE = Structure.from_spacegroup("Pm-3m", Lattice.cubic(3.5), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
ZINC_BLENDE = Structure.from_spacegroup("F-43m", Lattice.cubic(5.41), ["Zn", "S"], [[0, 0, 0], [0.25, 0.25, 0.25]])
WURTZITE = Structure.from_spacegroup(
    "P6_3mc", Lattice.hexagonal(3.82, 6.26), ["Zn", "S"], [[1 / 3, 2 / 3, 0], [1 / 3, 2 / 3, 0.375]]
)


def featurize(structures):
    return SiteNetFeaturizer().transform(structures)


def strained(structure, seed=0):
    """A larger, distorted supercell with displaced sites."""
    rng = np.random.default_rng(seed)
    strain = rng.uniform(-0.01, 0.01, size=(3, 3))
    cell = structure.lattice.matrix @ (np.eye(3) + strain + strain.T) * 1.05
    directions = rng.normal(size=(len(structure), 3))
    displaced = 0.02 * directions / np.linalg.norm(directions, axis=1, keepdims=True)
    positions = structure.frac_coords @ cell + displaced
    return Structure(cell, structure.species, positions, coords_are_cartesian=True) * (1, 1, 2)


# ---- distances ----


def test_distances_of_rock_salt():
    distances = np.exp(log_distances(featurize([ROCK_SALT]), 0))
    assert distances.shape == (2, 2, N_NEIGHBOURS)
    near, like = 5.64 / 2, 5.64 / np.sqrt(2)
    assert_allclose(distances, np.array([[[like], [near]], [[near], [like]]]).repeat(N_NEIGHBOURS, axis=2), rtol=1e-6)


def test_volume_and_order_of_sites_do_not_matter():
    larger = Structure(ROCK_SALT.lattice.matrix * 1.1, ROCK_SALT.species[::-1], ROCK_SALT.frac_coords[::-1])
    X = featurize([ROCK_SALT, larger, CAESIUM_CHLORIDE])
    one, *others = (log_distances(X, row) for row in range(3))
    same, polymorph = relative_differences(one, np.array(others))
    assert same < 1e-6
    assert polymorph > 0.1


def test_missing_neighbours_are_not_compared():
    one = np.zeros((1, 1, 4))
    others = np.array([[[[0.1, -0.1, np.nan, np.nan]]], [[[np.nan] * 4]]])
    assert_allclose(relative_differences(one, others), [0.1, np.inf])


# ---- groups ----


def test_copies_are_grouped_and_polymorphs_are_not(recwarn):
    structures = [ROCK_SALT, ZINC_BLENDE, CAESIUM_CHLORIDE, strained(ROCK_SALT), WURTZITE, strained(WURTZITE, 1)]
    structures.append(ROCK_SALT.copy())
    X = featurize(structures)
    groups = duplicate_groups(X, structures)
    assert groups.tolist() == [0, 1, 2, 0, 3, 3, 0]
    matcher = StructureMatcher()
    for i in range(7):
        for j in range(i):
            assert (groups[i] == groups[j]) == matcher.fit(structures[i], structures[j])
    assert duplicate_groups(X).tolist() == [0, 1, 0, 0, 1, 1, 0], "distances alone join polymorphs"
    assert duplicate_groups(X, tolerance=0.0).tolist() == [0, 1, 2, 3, 4, 5, 0]


def test_the_matcher_decides():
    structures = [ROCK_SALT, strained(ROCK_SALT)]
    X = featurize(structures)
    strict = StructureMatcher(ltol=1e-6, stol=1e-6, angle_tol=1e-6)
    assert duplicate_groups(X, structures).tolist() == [0, 0]
    assert duplicate_groups(X, structures, matcher=strict).tolist() == [0, 1]


def test_exact_copies_are_not_compared(X):
    twice = Crystals.concatenate([X[:10], X[:10]])
    pairs = candidate_pairs(twice)
    assert [pair for pair in pairs if pair[2] == 0] == [(k, k + 10, 0.0) for k in range(10)]
    assert duplicate_groups(twice).tolist()[10:] == duplicate_groups(twice).tolist()[:10]


def test_groups_are_parts_of_formula_groups(crystals):
    groups = duplicate_groups(crystals)
    formulas = formula_groups(crystals)
    assert len(set(zip(groups, formulas, strict=True))) == len(set(groups))
    folds = GroupKFold(3).split(np.zeros(len(groups)), groups=groups)
    assert all(not set(groups[train]) & set(groups[test]) for train, test in folds)


def test_failed_rows_are_separate_groups():
    with pytest.warns(UserWarning, match="could not be featurized"):
        X = SiteNetFeaturizer(on_error="warn").transform(["no cif", ROCK_SALT, "no cif", ROCK_SALT])
    assert duplicate_groups(X).tolist() == [0, 1, 2, 1]


def test_single_sites_without_neighbours():
    """Their rows are equal; the matcher distinguishes them."""
    cubic = [Structure.from_spacegroup(group, Lattice.cubic(3.6), ["Cu"], [[0, 0, 0]]) for group in ("Fm-3m", "Im-3m")]
    X = SiteNetFeaturizer(supercell="primitive").transform(cubic)
    assert duplicate_groups(X).tolist() == [0, 0]
    assert duplicate_groups(X, cubic).tolist() == [0, 1]


# ---- errors ----


def test_bad_input(X, structures):
    with pytest.raises(TypeError, match="needs the Crystals"):
        duplicate_groups(structures)
    with pytest.raises(ValueError, match="structures has 3 rows for 40 crystals"):
        duplicate_groups(X, structures[:3])
    with pytest.raises(ValueError, match="pass structures too"):
        duplicate_groups(X, matcher=StructureMatcher())
    for tolerance in (-0.1, np.inf, "0.1"):
        with pytest.raises(ValueError, match="tolerance must be a number of at least 0"):
            duplicate_groups(X, tolerance=tolerance)
