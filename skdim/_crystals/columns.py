"""The columns of Crystals: their names, their dtypes, and checks of their values before compiled code reads them."""

from __future__ import annotations

import numpy as np

from .._chemistry.elements import SYMBOLS

#: The flat arrays that a Crystals is made of: name -> dtype.
COLUMNS = {
    # one entry a crystal (and one more: offsets)
    "class_offsets": np.int64,
    "site_offsets": np.int64,
    # one entry a site class (pair_offsets: and one more)
    "numbers": np.uint8,
    "oxidation_states": np.float32,
    "multiplicity": np.uint16,
    "pair_offsets": np.int64,
    # one entry an input site
    "site_class": np.uint16,
    # one entry a distinct pair
    "neighbour": np.uint16,
    "distance": np.float32,
    "count": np.uint16,
}
#: Which column each column of offsets points into.
POINT_INTO = {"class_offsets": "numbers", "site_offsets": "site_class", "pair_offsets": "distance"}
#: Angstrom and charges that no featurizer writes, and that might overflow in a network.
_MOST = 1e6
#: Columns of the same length.
_SIDE_BY_SIDE = (("numbers", "oxidation_states", "multiplicity"), ("distance", "neighbour", "count"))


def offsets_end_right(crystals):
    """Whether lengths and ends of the columns fit together; reads nothing else of them."""
    n_rows = {"class_offsets": len(crystals), "site_offsets": len(crystals), "pair_offsets": len(crystals.numbers)}
    return all(
        len(getattr(crystals, name)) == n_rows[name] + 1
        and getattr(crystals, name)[0] == 0
        and getattr(crystals, name)[-1] == len(getattr(crystals, into))
        for name, into in POINT_INTO.items()
    ) and all(len({len(getattr(crystals, name)) for name in names}) == 1 for names in _SIDE_BY_SIDE)


def offsets_fault(crystals):
    """What is wrong with the lengths and offsets of a Crystals, in words, or None."""
    if not offsets_end_right(crystals):
        return "its columns do not fit together"
    for name in POINT_INTO:
        offsets = getattr(crystals, name)
        # Compared, not subtracted: differences of wild numbers overflow.
        if (offsets[1:] < offsets[:-1]).any():
            return f"its {name} do not ascend"
    return None


def values_fault(crystals):
    """What is wrong with the values of a Crystals whose offsets are right, in words, or None."""
    n_classes, n_sites, n_pairs = (np.diff(getattr(crystals, name)) for name in POINT_INTO)
    right = {
        "numbers": (crystals.numbers >= 1) & (crystals.numbers < len(SYMBOLS)),
        "oxidation_states": np.abs(crystals.oxidation_states) <= _MOST,
        "multiplicity": crystals.multiplicity > 0,
        "site_class": crystals.site_class < np.repeat(n_classes, n_sites),
        "neighbour": crystals.neighbour < np.repeat(np.repeat(n_classes, n_classes), n_pairs),
        "distance": (crystals.distance >= 0) & (crystals.distance <= _MOST),
        "count": crystals.count > 0,
    }
    wrong = [name for name, is_right in right.items() if not is_right.all()]
    return f"its {', '.join(wrong)} cannot be what a featurizer wrote" if wrong else None
