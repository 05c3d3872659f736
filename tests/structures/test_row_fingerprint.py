"""Fingerprints of rows that hold structures or name files."""

import threading

import numpy as np
import pytest

from skdim import SiteNetFeaturizer
from skdim._shared.fingerprint import fingerprint
from skdim._structures.row_fingerprint import row_fingerprint
from skdim.datasets import make_crystals


def test_structures_are_identified_by_their_content(structures):
    fresh = make_crystals(40, random_state=0)[0]
    expected = row_fingerprint(fresh)
    SiteNetFeaturizer().fit_transform(fresh)  # fills caches of the lattices
    assert row_fingerprint(fresh) == expected == row_fingerprint(structures)
    moved = [*fresh[:-1], fresh[-1].copy()]
    moved[-1].translate_sites([0], [1e-4, 0, 0])
    assert row_fingerprint(moved) != expected
    swapped = [*fresh[:-1], fresh[-1].copy()]
    swapped[-1].replace(0, "Xe")
    assert row_fingerprint(swapped) != expected
    assert row_fingerprint(fresh[::-1]) != expected


def test_files_are_identified_by_their_content(structures, tmp_path):
    for name, k in (("a.cif", 0), ("b.cif", 0), ("c.cif", 1)):
        structures[k].to(tmp_path / name, fmt="cif")
    a, b, c = (row_fingerprint([tmp_path / name]) for name in ("a.cif", "b.cif", "c.cif"))
    assert a == b == row_fingerprint([str(tmp_path / "a.cif")]) != c


def test_unreadable_files_are_identified_by_their_paths(tmp_path):
    fingerprints = [row_fingerprint([tmp_path / name]) for name in ("no.cif", "nor.cif", ".", "no.cif")]
    assert len(set(fingerprints)) == 3
    assert fingerprints[0] == fingerprints[3]


def test_calculators_of_atoms_are_ignored():
    ase = pytest.importorskip("ase", reason="needs the extra 'ase'")
    from ase.calculators.lj import LennardJones

    atoms = ase.Atoms("CsCl", [(0, 0, 0), (2, 2, 2)], cell=[4, 4, 4], pbc=True)
    expected = row_fingerprint([atoms])
    atoms.calc = LennardJones()
    atoms.get_potential_energy()
    atoms.calc.lock = threading.Lock()  # has no comparable content
    assert row_fingerprint([atoms]) == expected
    for name, value in (("pbc", False), ("positions", np.ones((2, 3))), ("numbers", [55, 35]), ("cell", [4, 4, 5])):
        other = atoms.copy()
        setattr(other, name, value)
        assert row_fingerprint([other]) != expected


def test_crystals_and_tables_are_identified_by_their_content(X, structures):
    assert row_fingerprint(X) == fingerprint(X)
    table = np.arange(6.0).reshape(3, 2)
    assert row_fingerprint(table) == fingerprint(table) != row_fingerprint(table[::-1])
