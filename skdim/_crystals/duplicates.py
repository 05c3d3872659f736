"""Crystals that occur more than once."""

from __future__ import annotations

import hashlib

import numpy as np

from .blocks import blocks


def first_occurrences(parts):
    """Mark the first occurrence of each crystal in several Crystals.

    A row is a duplicate of another if it has the same id or exactly the same columns. Rows that failed to featurize are
    not marked.

    Parameters
    ----------
    parts : sequence of (Crystals of shape (n,), sequence of length n or None)
        Crystals and their ids; None if they have no ids.

    Returns
    -------
    list of ndarray of bool of shape (n,)
    """
    seen, seen_ids, masks = set(), set(), []
    for crystals, ids in parts:
        first = ~crystals.failed
        for row, content in enumerate(row_contents(crystals)):
            if not first[row]:
                continue
            name = None if ids is None else ids[row]
            first[row] = content not in seen and (name is None or name not in seen_ids)
            seen.add(content)
            seen_ids.add(name)
        masks.append(first)
    return masks


def row_contents(crystals):
    """Yield a hash of the columns of each row."""
    for block in blocks(crystals):
        yield from _contents_of_block(block)


def _contents_of_block(crystals):
    lengths = np.diff(crystals.pair_offsets)
    for row in range(len(crystals)):
        a, b = (int(crystals.class_offsets[k]) for k in (row, row + 1))
        pairs = slice(int(crystals.pair_offsets[a]), int(crystals.pair_offsets[b]))
        digest = hashlib.blake2b(digest_size=16)
        for column in (crystals.numbers, crystals.oxidation_states, crystals.multiplicity, lengths):
            digest.update(column[a:b].tobytes())
        for column in (crystals.neighbour, crystals.distance, crystals.count):
            digest.update(column[pairs].tobytes())
        yield digest.digest()
