"""Crystals larger than memory: read in blocks of rows, each given back to the system before the next."""

from __future__ import annotations

import mmap

import numpy as np

from .columns import COLUMNS

#: Bytes that are read before they are given back, about.
_BLOCK = 2**23


def rows_within(crystals, n_bytes):
    """How many rows, of average size, take at most so many bytes: a power of two.

    Rounded so coarsely, it is hardly ever another for the same crystals without those that failed.
    """
    mean = max(1, crystals.nbytes // max(1, len(crystals)))
    return 1 << max(0, (n_bytes // mean).bit_length() - 1)


def blocks(crystals, rows=None):
    """The rows, or some of them, as consecutive smaller Crystals, without ``errors_``.

    Of Crystals that are mapped from files, a block's memory is taken back when the next one is asked for.
    """
    kind, columns = type(crystals), {name: getattr(crystals, name) for name in COLUMNS}
    without_errors = kind(columns, crystals.site_features, crystals.settings)
    n = len(crystals) if rows is None else len(rows)
    step = rows_within(crystals, _BLOCK)
    for start in range(0, n, step):
        part = slice(start, start + step)
        yield without_errors[part if rows is None else rows[part]]
        release_pages(crystals)


def copied_rows(crystals, rows):
    """Some rows, in memory; ``rows`` must not be empty."""
    if not any(_map_of(getattr(crystals, name)) is not None for name in COLUMNS):
        return crystals[rows]
    # A slice of a map is still one.
    kind = type(crystals)
    return kind.concatenate(
        kind({name: np.array(getattr(block, name)) for name in COLUMNS}, block.site_features, block.settings)
        for block in blocks(crystals, rows)
    )


def release_pages(crystals):
    """Give back the memory of what was read from files that are mapped; it is read again where it is needed again.

    Where the system has no way to say so, it takes such memory back by itself once it is short.
    """
    if not hasattr(mmap, "MADV_DONTNEED"):
        return
    for name in COLUMNS:
        mapped = _map_of(getattr(crystals, name))
        if mapped is not None:
            mapped.madvise(mmap.MADV_DONTNEED)


def _map_of(column):
    """The memory map that a column is, or is part of; None if there is none, or one that may hold changes."""
    while isinstance(column.base, np.ndarray):
        column = column.base
    return column.base if isinstance(column, np.memmap) and column.mode == "r" else None
