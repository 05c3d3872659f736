"""Fingerprints of rows that hold structures; a row that is the path of a file stands for the file's content."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from .._shared.fingerprint import fingerprint
from .containers import as_rows


def row_fingerprint(X):
    """Fingerprint of structures, Crystals or a table of numbers.

    Parameters
    ----------
    X : sequence of structures, Crystals, ndarray or DataFrame

    Returns
    -------
    str
        32 hexadecimal digits.
    """
    try:
        rows = as_rows(X)
    except (TypeError, ValueError):  # Crystals or a table of numbers
        return fingerprint(X)
    return fingerprint([row_content(row) for row in rows])


def row_content(row):
    """Return the content of the file if the row is the path of a readable file, otherwise the row itself."""
    if isinstance(row, os.PathLike) or (isinstance(row, str) and "\n" not in row and os.path.isfile(row)):
        with contextlib.suppress(OSError):
            return Path(row).read_bytes()
    return row
