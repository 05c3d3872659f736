"""Reduced formulas."""

import numpy as np
import pytest
from pymatgen.core import Composition

from skdim._chemistry.formulas import count_elements, reduced_formula


@pytest.mark.parametrize(
    ("amounts", "formula", "alphabetical"),
    [
        ({"O": 4, "Ti": 2}, "TiO2", "O2Ti"),
        ({"Cl": 1, "Na": 1}, "NaCl", "ClNa"),
        ({"O": 8}, "O", "O"),
        ({"Fe": 4.0, "O": 6.0, "S": 0}, "Fe2O3", "Fe2O3"),
        ({"Au": 0.5, "Cu": 1.5}, "Cu1.5Au0.5", "Au0.5Cu1.5"),
        ({"Rf": 1, "O": 2}, "O2Rf", "O2Rf"),  # not in the table of electronegativities
        ({}, "", ""),
    ],
)
def test_known_formulas(amounts, formula, alphabetical):
    assert reduced_formula(amounts) == formula
    assert reduced_formula(amounts, alphabetical=True) == alphabetical


def test_formulas_give_the_composition(formation_crystals):
    for structure in formation_crystals:
        amounts = structure.composition.get_el_amt_dict()
        for alphabetical in (False, True):
            formula = Composition(reduced_formula(amounts, alphabetical=alphabetical))
            assert formula.almost_equals(structure.composition.element_composition.reduced_composition)


def test_elements_are_counted():
    assert count_elements(np.array([8, 22, 8])) == {"O": 2, "Ti": 1}
    assert count_elements(np.array([8, 22, 8]), np.array([1, 2, 3], dtype=np.uint16)) == {"O": 4, "Ti": 2}
