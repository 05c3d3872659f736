"""Read Crystals that are larger than memory in blocks of rows, whose memory is released."""

from __future__ import annotations

import mmap

import numpy as np

from .columns import COLUMNS

#: Approximate bytes per block.
_BLOCK = 2**23


def rows_within(crystals, n_bytes):
    """Return how many rows of average size fit into ``n_bytes``, rounded down to a power of two.

    Because of the coarse rounding, leaving out failed rows rarely changes the result.
    """
    mean = max(1, crystals.nbytes // max(1, len(crystals)))
    return 1 << max(0, (n_bytes // mean).bit_length() - 1)


def blocks(crystals, rows=None):
    """Yield the rows as consecutive smaller Crystals, without ``errors_`` and ``index``.

    If the Crystals are memory-mapped, the memory of a block is released when the next one is requested.

    Parameters
    ----------
    crystals : Crystals
    rows : ndarray of int of shape (k,), default=None
        None takes all rows.

    Yields
    ------
    Crystals
    """
    kind, columns = type(crystals), {name: getattr(crystals, name) for name in COLUMNS}
    bare = kind(columns, crystals.site_features, crystals.settings)
    n = len(crystals) if rows is None else len(rows)
    step = rows_within(crystals, _BLOCK)
    for start in range(0, n, step):
        part = slice(start, start + step)
        yield bare[part if rows is None else rows[part]]
        release_pages(crystals)


def copied_rows(crystals, rows):
    """Return some rows, copied into memory if they are memory-mapped; ``rows`` must not be empty."""
    if not any(_map_of(getattr(crystals, name)) is not None for name in COLUMNS):
        return crystals[rows]
    # A slice of a memory map is still memory-mapped.
    kind = type(crystals)
    return kind.concatenate(
        kind({name: np.array(getattr(block, name)) for name in COLUMNS}, block.site_features, block.settings)
        for block in blocks(crystals, rows)
    )


def release_pages(crystals):
    """Release the memory of memory-mapped columns; they are read from disk again when needed.

    On systems without ``madvise``, the system releases it when memory is short.
    """
    if not hasattr(mmap, "MADV_DONTNEED"):
        return
    for name in COLUMNS:
        mapped = _map_of(getattr(crystals, name))
        if mapped is not None:
            mapped.madvise(mmap.MADV_DONTNEED)


def _map_of(column):
    """Return the read-only memory map that a column is a view of, or None."""
    while isinstance(column.base, np.ndarray):
        column = column.base
    return column.base if isinstance(column, np.memmap) and column.mode == "r" else None
