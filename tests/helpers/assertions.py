"""Assertions that several test files share: equal Crystals, and representations that only depend on the crystal.

A representation is any callable: list of structures -> array with one row per structure. ``assert_unchanged_by_...``
changes the structures in a way that leaves the crystals the same; values of the array may differ by ``atol``.
"""

import copy

import numpy as np
from pymatgen.core import Lattice, Structure

from skdim._crystals.columns import COLUMNS

#: Supercells of the input: along each axis, with sheared vectors, and face-centred.
SUPERCELLS = ([[2, 0, 0], [0, 1, 0], [0, 0, 1]], [[1, 0, 0], [0, 1, 0], [0, 0, 3]], [[1, 1, 0], [0, 1, 1], [1, 0, 1]])


def assert_same_crystals(actual, expected, atol=0):
    """Check that columns (values and dtypes), settings and errors are equal; distances may differ by ``atol``.

    Volumes may differ by rounding.
    """
    tolerance = {"distance": {"rtol": 0, "atol": atol}, "volume": {"rtol": max(1e-6, atol)}}
    for name, dtype in COLUMNS.items():
        ours, theirs = getattr(actual, name), getattr(expected, name)
        assert ours.dtype == theirs.dtype == dtype, name
        np.testing.assert_allclose(ours, theirs, err_msg=name, **tolerance.get(name, {"rtol": 0}))
    for name in ("site_features", "settings", "errors_"):
        assert getattr(actual, name) == getattr(expected, name), name


def assert_unchanged_by_rotation(function, structures, atol):
    def rotate(structure, rng):
        q, _ = np.linalg.qr(rng.normal(size=(3, 3)))
        q[0] *= np.sign(np.linalg.det(q))
        return _with(structure, lattice=structure.lattice.matrix @ q)

    _assert_same(function, structures, rotate, atol, "rotation")


def assert_unchanged_by_translation(function, structures, atol):
    def translate(structure, rng):
        return _with(structure, coords=structure.frac_coords + rng.uniform(-2, 2, size=3))

    _assert_same(function, structures, translate, atol, "translation")


def assert_unchanged_by_site_order(function, structures, atol):
    def permute(structure, rng):
        return Structure.from_sites([structure[i] for i in rng.permutation(len(structure))])

    _assert_same(function, structures, permute, atol, "permutation of sites")


def assert_unchanged_by_lattice_choice(function, structures, atol):
    def change_basis(structure, rng):
        basis = np.eye(3, dtype=int)
        for _ in range(4):
            # Adding a vector to another, and exchanging two, reach every basis of the lattice.
            i, j = rng.choice(3, size=2, replace=False)
            basis[i] += rng.choice([-2, -1, 1, 2]) * basis[j]
            basis = basis[rng.permutation(3)]
        return _with(structure, basis @ structure.lattice.matrix, structure.frac_coords @ np.linalg.inv(basis))

    _assert_same(function, structures, change_basis, atol, "another basis of the same lattice")


def assert_unchanged_by_supercell(function, structures, atol):
    def repeat(structure, rng):
        return structure.make_supercell(SUPERCELLS[rng.integers(len(SUPERCELLS))], in_place=False)

    _assert_same(function, structures, repeat, atol, "a supercell of the input")


def assert_inputs_unchanged(function, structures):
    before = copy.deepcopy(structures)
    function(structures)
    for old, new in zip(before, structures, strict=True):
        assert type(old) is type(new)
        assert old.as_dict() == new.as_dict(), f"{old.composition.reduced_formula} was modified"
        np.testing.assert_array_equal(old.lattice.matrix, new.lattice.matrix)
        np.testing.assert_array_equal(old.frac_coords, new.frac_coords)


def _with(structure, lattice=None, coords=None):
    lattice = structure.lattice.matrix if lattice is None else lattice
    coords = structure.frac_coords if coords is None else coords
    return Structure(Lattice(lattice), structure.species, coords)


def _assert_same(function, structures, change, atol, what):
    rng = np.random.default_rng(0)
    expected = function(structures)
    actual = function([change(structure, rng) for structure in structures])
    assert expected.shape == actual.shape
    assert np.isfinite(expected).all(), "the representation is not finite"
    assert len(structures) == 1 or expected.std(axis=0).max() > 10 * atol, (
        "a constant representation is invariant, but useless"
    )
    off = np.abs(actual - expected).max(axis=1)
    worst = int(off.argmax())
    formula = structures[worst].composition.reduced_formula
    assert off[worst] <= atol, f"{what} changes {(off > atol).sum()} of {len(off)}; {formula} by {off[worst]:.2g}"
