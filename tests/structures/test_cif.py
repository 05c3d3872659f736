"""Reading CIFs: warnings and errors."""

import contextlib
import re
import warnings

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from skdim._structures.errors import StructureError
from skdim._structures.read import read_structure
from tests.helpers.small_structures import cif_of, pair, sorted_numbers


@pytest.mark.parametrize(
    ("spoil", "match"),
    [
        (lambda cif: cif.replace("_atom_site_fract_x", "_atom_site_foo"), "it lacks '_atom_site_fract_x'"),
        (
            lambda cif: cif.replace("_cell_angle_beta   90", "_cell_angle_beta   ninety"),
            "_cell_angle_beta is 'ninety.*', which is not a number",
        ),
        (lambda cif: cif[: cif.index("loop_")], "has no data block with both a cell and atoms"),
        (lambda cif: "Na Cl", "in none of the formats that are read: CIF"),
        (
            lambda cif: cif.replace("_cell_length_c   4.1", "_cell_length_c   0.0"),
            "its edge c is 0: correct _cell_length_c",
        ),
    ],
)
def test_unreadable_cif_names_row_file_and_fault(tmp_path, spoil, match):
    path = tmp_path / "bad.cif"
    path.write_text(spoil(cif_of(pair())))
    with pytest.raises(StructureError, match=rf"(?s)row 4.*(bad\.cif|its cell).*({match})") as caught:
        read_structure(path, 4)
    assert caught.value.row == 4


def test_unreadable_cif_text_knows_its_formula():
    with pytest.raises(StructureError, match=r"row 4 \(CsCl\): cannot read the CIF text: "):
        read_structure(cif_of(pair()).replace("_atom_site_fract_x", "_atom_site_foo"), 4)


def test_a_folder_is_not_a_cif(tmp_path):
    with pytest.raises(StructureError, match=r"row 1, .*: cannot open the file \((Is a directory.*glob|Permission)"):
        read_structure(tmp_path, 1)


def test_rounded_fractions_raise_no_warning():
    structure = Structure(Lattice.hexagonal(3.2, 5.2), ["Mg", "Mg"], [[1 / 3, 2 / 3, 0.25], [2 / 3, 1 / 3, 0.75]])
    cif = cif_of(structure).replace("0.33333333", "0.3333").replace("0.66666667", "0.6667")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read = read_structure(cif, 0)
    np.testing.assert_allclose(read.frac_coords, structure.frac_coords, atol=1e-12)


def test_all_warnings_are_one_with_the_row():
    cif = cif_of(pair())
    spoilt = cif[: cif.index("loop_\n _symmetry")] + cif[cif.index("loop_\n _atom") :]
    spoilt = spoilt.replace("_symmetry_Int_Tables_number   1\n", "").replace("_symmetry_space_group_name_H-M", "_foo")
    with pytest.warns(
        UserWarning, match=r"row 5 \(CsCl\): reading the CIF text: .*gives no symmetry, and is read as P 1"
    ) as caught:
        read_structure(spoilt, 5)
    assert len(caught) == 1


def test_first_of_several_blocks_is_read_with_a_warning():
    both = cif_of(pair()) + cif_of(pair("Na", "Cl", 3.5))
    with pytest.warns(UserWarning, match=r"row 5 \(CsCl\): .*holds 2 structures, of which the first is used") as caught:
        read = read_structure(both, 5)
    assert len(caught) == 1
    assert sorted_numbers(read) == [17, 55]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_files_of_other_systems(end, tmp_path):
    """A byte order mark hides no block, or the second would be taken for the first; nor do other ends of lines."""
    for k, text in enumerate([cif_of(pair()), cif_of(pair()) + cif_of(pair("Na", "Cl", 3.5))]):
        file = tmp_path / f"{k}.cif"
        file.write_bytes(("\ufeff" + text[text.index("data_") :].replace("\n", end)).encode())
        for raw in (file, file.read_bytes().decode()):
            with contextlib.nullcontext() if k == 0 else pytest.warns(UserWarning, match="the first is used"):
                assert sorted_numbers(read_structure(raw, 0)) == [17, 55]


def test_blocks_without_atoms_are_skipped_without_a_warning():
    head = "data_global\n_journal_name_full 'A Journal'\n"
    assert sorted_numbers(read_structure(head + cif_of(pair()), 0)) == [17, 55]


def test_noble_gas_raises_no_warning():
    assert sorted_numbers(read_structure(cif_of(pair("Xe", "F")), 0)) == [9, 54]


def test_disordered_cif():
    cif = cif_of(pair({"Na": 0.6, "K": 0.4}, "Cl"))
    with pytest.raises(StructureError, match="site 0 is disordered"):
        read_structure(cif, 0)
    assert sorted_numbers(read_structure(cif, 0, disordered="majority")) == [11, 17]


def test_negative_occupancies():
    """They are refused; atoms with an occupancy of 0 are left out and named."""
    lines = cif_of(pair()).splitlines()
    (k,) = [k for k, line in enumerate(lines) if line.split()[:1] == ["Cl"]]
    assert lines[k].split()[-1] == "1"

    def cif(occupancy):
        return "\n".join([*lines[:k], lines[k][: lines[k].rindex("1")] + occupancy, *lines[k + 1 :], ""])

    for occupancy in ("-1", "-0.5", "-.25(3)"):
        with pytest.raises(StructureError, match=f"row 4.*atom 'Cl1' has an occupancy of {re.escape(occupancy)}"):
            read_structure(cif(occupancy), 4)
    for occupancy in ("-0", "-0.0", "0"):
        with pytest.warns(
            UserWarning, match="left out as atoms with an occupancy of 0: Cl1.*gives Cs1 Cl1.*Cs1 was read"
        ):
            assert sorted_numbers(read_structure(cif(occupancy), 4)) == [55]
    assert sorted_numbers(read_structure(cif("1.0(1)"), 4)) == [17, 55]
