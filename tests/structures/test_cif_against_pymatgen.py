"""The reader against pymatgen's, on CIFs that both read: the same crystal."""

import warnings

import numpy as np
import pytest
from pymatgen.core import Structure
from pymatgen.io.cif import CifParser, CifWriter

from skdim._structures.cif import read_cif
from skdim._structures.errors import ReadError
from skdim.datasets import load_formation_energy, make_crystals
from tests.helpers.small_structures import pair

N_BUNDLED = 60


def structures():
    everything = load_formation_energy().structures
    yield from (everything[k] for k in np.linspace(0, len(everything) - 1, N_BUNDLED).astype(int))
    yield from make_crystals(20, random_state=3)[0]
    yield pair({"Na": 0.6, "K": 0.4}, {"Cl": 0.9})
    yield pair("Fe3+", "O2-")
    yield pair("D", "Xe")


def written(structure, symprec):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return str(CifWriter(structure, symprec=symprec, significant_figures=9))


def pymatgen_reads(text):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return CifParser.from_str(text).parse_structures(primitive=False)[0]


def sites_of(structure: Structure):
    """Occupancies of the elements of each site, and positions."""
    contents = [
        sorted((s.symbol, round(x, 4)) for s, x in site.species.element_composition.items()) for site in structure
    ]
    return contents, structure.frac_coords


def assert_same_crystal(ours, theirs):
    np.testing.assert_allclose(ours.lattice.matrix, theirs.lattice.matrix, atol=1e-6)
    assert len(ours) == len(theirs)
    contents, coords = sites_of(ours)
    other_contents, other_coords = sites_of(theirs)
    gaps = coords[:, None] - other_coords
    gaps = np.sqrt(np.square((gaps - np.rint(gaps)) @ ours.lattice.matrix).sum(axis=2))
    nearest = gaps.argmin(axis=1)
    assert sorted(nearest) == list(range(len(ours)))
    assert gaps.min(axis=1).max() < 2e-3
    assert contents == [other_contents[k] for k in nearest]


@pytest.mark.parametrize("symprec", [None, 1e-3])
def test_both_read_the_same_crystals(symprec):
    for structure in structures():
        text = written(structure, symprec)
        ours, warned = read_cif(text, "the CIF text")
        assert warned == []
        assert_same_crystal(ours, pymatgen_reads(text))


def test_without_a_list_of_operations_both_read_the_same_crystals():
    """Where the symbol has several settings in the cell, pymatgen takes the first, and this reader asks which."""
    n_compared = 0
    for structure in structures():
        text = written(structure, 1e-3)
        begin, end = text.index("loop_\n _symmetry_equiv"), text.index("loop_\n _atom_site_type")
        text = text[:begin] + text[end:]
        theirs = pymatgen_reads(text)
        try:
            ours, warned = read_cif(text, "the CIF text")
        except ReadError as error:
            if "has several settings" not in str(error):
                raise
            continue
        if warned:
            assert "the space group has several settings" in warned[0]
            continue
        n_compared += 1
        assert_same_crystal(ours, theirs)
    assert n_compared > N_BUNDLED
