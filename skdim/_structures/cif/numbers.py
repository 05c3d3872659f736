"""Numbers of a CIF: decimals with a standard uncertainty, and fractions."""

from __future__ import annotations

import math
import re
from functools import lru_cache
from typing import NamedTuple

_NUMBER = re.compile(r"([+-]?(?:\d+\.?(\d*)|\.(\d+))(?:[eE]([+-]?\d{1,3}))?)(\(\d+\.?\d*\))?")
_FRACTION = re.compile(r"([+-]?)(\d{1,4})/(\d{1,4})")


class Number(NamedTuple):
    """A number as it is written.

    Attributes
    ----------
    value : float
    unit : float
        One unit of its last digit; 0 for a fraction, which is exact.
    refined : bool
        Whether it has a standard uncertainty.
    """

    value: float
    unit: float
    refined: bool


@lru_cache(maxsize=2**14)
def number(text):
    """Read a number that is written out completely.

    Parameters
    ----------
    text : str

    Returns
    -------
    Number or None
        None where the text is anything else.
    """
    text = text.strip()
    match = _NUMBER.fullmatch(text)
    if match:
        value = float(match[1])
        decimals = len(match[2] or match[3] or "") - int(match[4] or 0)
        return Number(value, 10.0**-decimals, match[5] is not None) if math.isfinite(value) else None
    match = _FRACTION.fullmatch(text)
    if match and int(match[3]):
        return Number(int(match[1] + match[2]) / int(match[3]), 0.0, False)
    return None


#: Of these, decimals are rounded: they are read as the fraction.
_SIXTHS = (1 / 6, 1 / 3, 2 / 3, 5 / 6)


@lru_cache(maxsize=2**14)
def coordinate(text):
    """Read a fractional coordinate, as :func:`number`; 0.333 and the like, of at least three decimals, are thirds."""
    read = number(text)
    if read is not None and not read.refined and 0 < read.unit < 5e-3:
        integer = read.value // 1
        for sixth in _SIXTHS:
            if abs(read.value - integer - sixth) < read.unit:
                return read._replace(value=integer + sixth)
    return read
