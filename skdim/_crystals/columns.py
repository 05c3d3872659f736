"""The columns of Crystals: their names, their dtypes, and checks of their values before compiled code reads them."""

from __future__ import annotations

import numpy as np

from .._chemistry.elements import SYMBOLS

#: Names and dtypes of the columns.
COLUMNS = {
    # one entry per crystal, plus one
    "class_offsets": np.int64,
    "site_offsets": np.int64,
    # one entry per crystal
    "volume": np.float32,
    # one entry per site class (pair_offsets: plus one)
    "numbers": np.uint8,
    "oxidation_states": np.float32,
    "multiplicity": np.uint16,
    "pair_offsets": np.int64,
    # one entry per input site
    "site_class": np.uint16,
    # one entry per distinct pair
    "neighbour": np.uint16,
    "distance": np.float32,
    "count": np.uint16,
}
#: The column that each column of offsets refers to.
OFFSETS_INTO = {"class_offsets": "numbers", "site_offsets": "site_class", "pair_offsets": "distance"}
#: Upper limit of distances in angstrom and of oxidation states, which could overflow in a network.
_MAX_VALUE = 1e6
#: Groups of columns of the same length.
_EQUAL_LENGTHS = (("numbers", "oxidation_states", "multiplicity"), ("distance", "neighbour", "count"))


def lengths_match(crystals):
    """Whether the lengths of the columns match the last offsets; reads nothing else."""
    n_rows = {"class_offsets": len(crystals), "site_offsets": len(crystals), "pair_offsets": len(crystals.numbers)}
    offsets_match = all(
        len(getattr(crystals, name)) == n_rows[name] + 1
        and getattr(crystals, name)[0] == 0
        and getattr(crystals, name)[-1] == len(getattr(crystals, into))
        for name, into in OFFSETS_INTO.items()
    )
    lengths_equal = all(len({len(getattr(crystals, name)) for name in names}) == 1 for names in _EQUAL_LENGTHS)
    return offsets_match and lengths_equal and len(crystals.volume) == len(crystals)


def offsets_fault(crystals):
    """Describe what is wrong with the lengths and offsets of Crystals; None if they are valid."""
    if not lengths_match(crystals):
        return "the lengths of its columns do not match"
    for name in OFFSETS_INTO:
        offsets = getattr(crystals, name)
        # Compared, not subtracted: differences can overflow.
        if (offsets[1:] < offsets[:-1]).any():
            return f"its {name} decrease"
    return None


def values_fault(crystals):
    """Describe what is wrong with the values of Crystals with valid offsets; None if they are valid."""
    n_classes, n_sites, n_pairs = (np.diff(getattr(crystals, name)) for name in OFFSETS_INTO)
    valid = {
        "volume": np.where(np.diff(crystals.class_offsets) > 0, crystals.volume > 0, crystals.volume == 0),
        "numbers": (crystals.numbers >= 1) & (crystals.numbers < len(SYMBOLS)),
        "oxidation_states": np.abs(crystals.oxidation_states) <= _MAX_VALUE,
        "multiplicity": crystals.multiplicity > 0,
        "site_class": crystals.site_class < np.repeat(n_classes, n_sites),
        "neighbour": crystals.neighbour < np.repeat(np.repeat(n_classes, n_classes), n_pairs),
        "distance": (crystals.distance >= 0) & (crystals.distance <= _MAX_VALUE),
        "count": crystals.count > 0,
    }
    invalid = [name for name, is_valid in valid.items() if not is_valid.all()]
    return f"its {', '.join(invalid)} have values that no featurizer writes" if invalid else None
