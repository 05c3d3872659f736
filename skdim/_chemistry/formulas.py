"""Reduced formulas."""

from __future__ import annotations

from collections import Counter
from functools import cache
from math import gcd

import numpy as np

from .elements import MAX_Z, SYMBOLS, element_table

#: Amounts this close to integers are counted as integers.
_INTEGER_TOL = 1e-6


def reduced_formula(amounts, *, alphabetical=False):
    """Return the reduced formula of a composition.

    Parameters
    ----------
    amounts : dict of str to float
        Amount of each element, by symbol.
    alphabetical : bool, default=False
        Sort the elements by symbol: that order depends on no table. The default sorts them by electronegativity.

    Returns
    -------
    str
        Empty without elements. Amounts that are not all integers are written as they are.

    Examples
    --------
    >>> reduced_formula({"O": 6, "Al": 4}), reduced_formula({"O": 1, "Na": 2}, alphabetical=True)
    ('Al2O3', 'Na2O')
    >>> reduced_formula({"Au": 0.5, "Cu": 0.5})
    'Cu0.5Au0.5'
    """
    amounts = {symbol: float(amount) for symbol, amount in amounts.items() if amount}
    counts = {symbol: round(amount) for symbol, amount in amounts.items()}
    if all(counts.values()) and all(abs(amounts[symbol] - counts[symbol]) < _INTEGER_TOL for symbol in amounts):
        divisor = gcd(*counts.values())
        amounts = {symbol: count // divisor for symbol, count in counts.items()}
    symbols = sorted(amounts) if alphabetical else sorted(amounts, key=_rank)
    return "".join(f"{symbol}{'' if amounts[symbol] == 1 else f'{amounts[symbol]:.10g}'}" for symbol in symbols)


def count_elements(numbers, multiplicity=None):
    """Count the sites of each element.

    Parameters
    ----------
    numbers : ndarray of int of shape (n,)
        Atomic numbers.
    multiplicity : ndarray of int of shape (n,), default=None
        How often each of them counts. None counts each once.

    Returns
    -------
    dict of str to int
        By symbol, in the order of first appearance.
    """
    times = np.ones(len(numbers), dtype=int) if multiplicity is None else multiplicity
    counts: Counter[str] = Counter()
    for number, count in zip(numbers.tolist(), times.tolist(), strict=True):
        counts[SYMBOLS[number]] += count
    return dict(counts)


def _rank(symbol):
    return _ranks().get(symbol, MAX_Z), symbol


@cache
def _ranks():
    """Position of each element when all are sorted by electronegativity."""
    order = np.argsort(element_table("electronegativity", scaled=False)[1:, 0], kind="stable")
    return {SYMBOLS[index + 1]: rank for rank, index in enumerate(order.tolist())}
