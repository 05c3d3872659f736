"""CIFs as databases and programs write them: each gives the right crystal, or an error that names what is wrong."""

import re
import warnings
from pathlib import Path

import numpy as np
import pytest

from skdim import SiteNetFeaturizer
from skdim._structures.cif import read_cif
from skdim._structures.errors import StructureError
from skdim._structures.read import read_structure
from tests.helpers.assertions import assert_same_crystals

CIFS = Path(__file__).parent / "cifs"

#: Formula of the cell, or None where it is refused; and the warning or the error.
CASES = {
    "01_occupancy_dot": ("Mg2 O2", None),
    "03_icsd_dum": ("Li1 O1", "left out as dummies.*: H1"),
    "04_it_number_other_setting": ("Mg4 O4", None),
    "06_rhombohedral_cell": ("Bi2", None),
    "08_singular_symop": (None, "'x,y,x' is singular"),
    "09_symop_typo": (None, r"'1/2\+x,1/2-y,l/2\+z' is not understood at 'l/2\+z'"),
    "10_short_symop_list_to_number": (None, r"'1/2\+x,1/2-y' does not have three parts"),
    "11_only_xyz_under_Fm-3m": (None, "1 of the 192.*'F m -3 m'.*gives Na4 Cl4.*and Na1 Cl1 was read"),
    "12_duplicated_centring": (None, "its symmetry operations are not a group"),
    "14_vacancy_Va": ("Na4 Cl4", "left out as vacancies or dummy atoms: Va1"),
    "15_centroid_Cp": ("Fe1 C1", "left out as dummies.*: Cp1"),
    "17_tag_case": ("Mg2 O2", None),
    "18_numeric_label": (None, "atom '1': its label does not begin with the symbol of an element"),
    "19_mcif_ordinary_ops": ("Ni4 O4", None),
    "20_hash_in_quotes": ("Na4 Cl4", None),
    "e1_upper_case_names": ("Na1 Cl1", None),
    "e2_LOOP": ("Na1 Cl1", None),
    "e3_unlooped_atom": ("W2", None),
    "e4_empty_loop": ("Na4 Cl4", None),
    "e5_text_field_data_": ("Na4 Cl4", None),
    "e6_HD_shared": ("Mg1 H1 O1", None),
    "e9_angles_omitted": ("Na4 Cl4", None),
    "e11_isotope_7Li": ("Li4 H4", None),
}


def read(raw, **options):
    """A structure, and its warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        structure = read_structure(raw, 3, **options)
    return structure, " ".join(str(warning.message) for warning in caught)


def formula(structure):
    return structure.composition.element_composition.formula


def test_every_file_has_a_case():
    assert {path.stem for path in CIFS.glob("*.cif")} == set(CASES)


@pytest.mark.parametrize("name", CASES)
def test_cases(name):
    expected, match = CASES[name]
    for raw in (CIFS / f"{name}.cif", (CIFS / f"{name}.cif").read_text()):
        if expected is None:
            with pytest.raises(StructureError, match=f"(?s)row 3.*cannot read .*{match}"):
                read(raw)
            continue
        structure, warned = read(raw)
        assert formula(structure) == expected
        if match is None:
            assert warned == ""
        else:
            assert re.search(rf"row 3[ ,].*{match}", warned), warned


@pytest.mark.parametrize("oxidation_states", [None, "species"])
def test_crystals_of_a_cif_are_those_of_its_structure(oxidation_states):
    """The featurizer makes no pymatgen Structure of a CIF."""
    featurizer = SiteNetFeaturizer(disordered="majority", oxidation_states=oxidation_states)
    texts = [(CIFS / f"{name}.cif").read_text() for name, (expected, _) in CASES.items() if expected is not None]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        structures = [read_cif(text, "the CIF text")[0] for text in texts]
        assert_same_crystals(featurizer.transform(texts), featurizer.transform(structures))


def test_the_symbol_gives_what_its_operations_give():
    """P 21/n without a list of operations is not the P 21/c of its number."""
    text = (CIFS / "04_it_number_other_setting.cif").read_text()
    operations = ["x,y,z", "1/2-x,1/2+y,1/2-z", "-x,-y,-z", "1/2+x,1/2-y,1/2+z"]
    listed = text.replace(
        "_cell_formula",
        "loop_\n_symmetry_equiv_pos_as_xyz\n" + "".join(f"'{o}'\n" for o in operations) + "_cell_formula",
    )
    X = SiteNetFeaturizer().transform([text, listed])
    first, second = X[:1], X[1:]
    np.testing.assert_allclose(first.distance, second.distance, atol=1e-6)
    np.testing.assert_array_equal(first.numbers, second.numbers)
