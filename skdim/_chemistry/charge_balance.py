"""The assignment of oxidation states to the elements of a formula that comes closest to a neutral crystal."""

from __future__ import annotations

import csv
from functools import cache
from importlib.resources import files

from .elements import SYMBOLS, element_table


def balance_charges(numbers, counts, states="common"):
    """Assign an oxidation state to each element, so that the total charge is as close to zero as possible.

    All sites of an element have the same state. Among assignments with the same absolute charge, that with the largest
    negative charge on electronegative elements is chosen: the smallest sum of charge times electronegativity.

    Parameters
    ----------
    numbers : sequence of int
        Atomic numbers, each once, ascending.
    counts : sequence of int
        Number of atoms of each.
    states : {"common", "observed"}
        Which states are possible: common ones, or all that are frequent in the ICSD.

    Returns
    -------
    charge : int
        Total charge of the best assignment; 0 if it is neutral.
    assigned : tuple of int
        State of each element.

    Examples
    --------
    >>> balance_charges([8, 26], [3, 2])  # Fe2O3
    (0, (-2, 3))
    >>> balance_charges([13, 28], [1, 1])  # NiAl, a metal
    (5, (3, 2))
    """
    possible, electronegativity = _states(states), _electronegativity()
    # Exact, and polynomial in the number of elements: the best assignment of the first elements for each charge.
    best: dict[int, tuple[float, tuple[int, ...]]] = {0: (0.0, ())}
    for number, count in zip(numbers, counts, strict=True):
        longer: dict[int, tuple[float, tuple[int, ...]]] = {}
        for charge, (cost, assigned) in best.items():
            for state in possible[number]:
                candidate = cost + state * count * electronegativity[number], (*assigned, state)
                total = charge + state * count
                if total not in longer or candidate < longer[total]:
                    longer[total] = candidate
        best = longer
    charge = min(best, key=lambda charge: (abs(charge), best[charge]))
    return charge, best[charge][1]


@cache
def _states(column):
    """Possible oxidation states of each element, tuple of tuples of int by atomic number."""
    text = files(__package__).joinpath("oxidation_states.csv").read_text(encoding="utf-8")
    rows = csv.DictReader(line for line in text.splitlines() if not line.startswith("#"))
    by_symbol = {row["symbol"]: tuple(map(int, row[column].split())) for row in rows}
    return ((), *(by_symbol[symbol] for symbol in SYMBOLS[1:]))


@cache
def _electronegativity():
    return element_table("electronegativity", scaled=False)[:, 0].tolist()
