"""Charge balance: the assignment of oxidation states is the best of all, and its table agrees with pymatgen."""

import csv
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from pymatgen.core import Composition, Element

from skdim._chemistry import charge_balance
from skdim._chemistry.charge_balance import balance_charges
from skdim._chemistry.elements import SYMBOLS, element_table

STATES = ("common", "observed")


def assign(formula, states="common"):
    amounts = {Element(symbol).Z: int(n) for symbol, n in Composition(formula).get_el_amt_dict().items()}
    numbers = sorted(amounts)
    charge, assigned = balance_charges(numbers, [amounts[z] for z in numbers], states)
    return charge, {SYMBOLS[z]: state for z, state in zip(numbers, assigned, strict=True)}


@pytest.mark.parametrize(
    ("formula", "charge", "expected"),
    [
        ("NaCl", 0, {"Na": 1, "Cl": -1}),
        ("Fe2O3", 0, {"Fe": 3, "O": -2}),
        ("BaTiO3", 0, {"Ba": 2, "Ti": 4, "O": -2}),
        ("LiFePO4", 0, {"Li": 1, "Fe": 2, "P": 5, "O": -2}),
        ("GaN", 0, {"Ga": 3, "N": -3}),
        ("ZnS", 0, {"Zn": 2, "S": -2}),
        ("NH4Cl", 0, {"N": -3, "H": 1, "Cl": -1}),
        ("NiAl", 5, {"Ni": 2, "Al": 3}),
        ("Si", -4, {"Si": -4}),
        ("Ar", 0, {"Ar": 0}),
        ("Cu2O", 2, {"Cu": 2, "O": -2}),  # Cu+ is not among the common states
    ],
)
def test_states_of_known_compounds(formula, charge, expected):
    assert assign(formula) == (charge, expected)


def test_observed_states_balance_more_formulas():
    assert assign("Cu2O", "observed") == (0, {"Cu": 1, "O": -2})
    assert assign("VO2", "common")[0] == 1
    assert assign("VO2", "observed") == (0, {"V": 4, "O": -2})


@pytest.mark.parametrize("states", STATES)
def test_the_assignment_is_the_best_of_all(states):
    possible = charge_balance._states(states)
    chi = element_table("electronegativity", scaled=False)[:, 0]
    rng = np.random.default_rng(0)
    for _ in range(150):
        numbers = np.sort(rng.choice(np.arange(1, 104), size=rng.integers(1, 5), replace=False))
        counts = rng.integers(1, 6, size=len(numbers))
        charge, assigned = balance_charges(numbers.tolist(), counts.tolist(), states)
        assert charge == counts @ assigned
        every = np.array(list(product(*(possible[z] for z in numbers))))
        totals, costs = np.abs(every @ counts), (every * counts) @ chi[numbers]
        assert abs(charge) == totals.min()
        assert (counts * assigned) @ chi[numbers] == pytest.approx(costs[totals == totals.min()].min())


def test_many_elements_take_no_exponential_time():
    numbers = list(range(11, 51))
    charge, assigned = balance_charges(numbers, [3] * len(numbers), "observed")
    assert len(assigned) == 40
    assert charge == 3 * sum(assigned)


def test_table_agrees_with_pymatgen():
    path = Path(charge_balance.__file__).with_name("oxidation_states.csv")
    rows = list(csv.DictReader(x for x in path.read_text(encoding="utf-8").splitlines() if not x.startswith("#")))
    assert [row["symbol"] for row in rows] == list(SYMBOLS[1:])
    differ = 0
    for row in rows:
        element = Element(row["symbol"])
        common, observed = (set(map(int, row[name].split())) for name in STATES)
        assert (common - {0}) <= observed
        differ += common != set(element.common_oxidation_states or (0,))
        differ += observed != ({*element.common_oxidation_states, *element.icsd_oxidation_states} or {0})
    assert differ <= 12, "versions of pymatgen differ in few elements"
