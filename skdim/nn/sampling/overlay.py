"""Rows of wrong pairs: of a partner site, or of a site's species with the distances of a partner, column by column."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ..batch import Batch
from ..shared_batch import Whole
from .negatives import of_one_element, valid_partners


def pairs_of(batch: Batch, classes: Tensor) -> tuple[Tensor, Tensor]:
    """Pairs of some classes, one class after the other, and the position in ``classes`` that each belongs to."""
    start = batch.pair_offsets[classes]
    length = batch.pair_offsets[classes + 1] - start
    row = torch.repeat_interleave(torch.arange(len(classes), device=classes.device), length)
    before = torch.cumsum(length, dim=0) - length
    return torch.arange(len(row), device=classes.device) - before[row] + start[row], row


def with_pairs(part: Batch, row: Tensor, neighbour: Tensor, distance: Tensor, count: Tensor) -> Batch:
    """The site classes of a batch with other pairs, sorted by row."""
    lengths = torch.bincount(row, minlength=len(part.numbers))
    return Batch(
        site_inputs=part.site_inputs,
        numbers=part.numbers,
        multiplicity=part.multiplicity,
        crystal=part.crystal,
        class_offsets=part.class_offsets,
        pair_offsets=torch.cat([lengths.new_zeros(1), lengths.cumsum(0)]),
        row=row,
        neighbour=neighbour,
        distance=distance,
        count=count,
    )


class Overlay(NamedTuple):
    """Columns of each class next to the columns of its partner, by their position in the row.

    Where rows differ in length, or a pair stands for several columns, both rows count as the interval from 0 to 1, and
    each overlap of two columns is a column of ``share`` of the interval. Rows of the same number of single columns are
    paired column by column.
    """

    row: Tensor
    pair: Tensor
    partner_pair: Tensor
    share: Tensor


def overlay_rows(batch: Batch, classes: Tensor, partners: Tensor) -> Overlay:
    """Overlay of the rows of ``classes`` and those of their ``partners``."""
    ends = torch.cumsum(batch.count.to(torch.float64), dim=0)
    starts = torch.cat([ends.new_zeros(1), ends])[batch.pair_offsets]
    ends = (ends - starts[batch.row]) / (starts[1:] - starts[:-1])[batch.row]
    (pairs, row), (partner_pairs, partner_row) = pairs_of(batch, classes), pairs_of(batch, partners)
    keys, partner_keys = row + ends[pairs], partner_row + ends[partner_pairs]
    borders = torch.unique(torch.cat([keys, partner_keys]))
    share = torch.diff(borders, prepend=borders.new_zeros(1))
    kept = share > 1e-9  # rounding
    middle, share = (borders - share / 2)[kept], share[kept]
    return Overlay(
        middle.to(torch.int64),
        pairs[torch.searchsorted(keys, middle)],
        partner_pairs[torch.searchsorted(partner_keys, middle)],
        share.to(batch.count.dtype),
    )


def wrong_neighbours(share: Whole, draws, kinds, pairing: str) -> list[tuple[Batch, Tensor]]:
    """Negatives of the local block: wrong neighbours of this process's sites, and which sites they are valid for (C,).

    Neighbours index the classes of the whole batch. With the pairing "crystals" the kind "batch" is not among them.
    """
    batch, part = share.batch, share.part
    device = batch.numbers.device
    classes = torch.arange(len(batch.numbers), device=device)[share.classes]
    result = []
    if {"composition", "structure"} & set(kinds) or pairing == "sites":
        valid = valid_partners(batch, draws.partner)[share.classes]
        partners = draws.partner[classes]
    if "batch" in kinds and pairing == "sites":
        pairs, row = pairs_of(batch, partners)
        columns = (batch.neighbour[pairs], batch.distance[pairs], batch.count[pairs])
        result.append((with_pairs(part, row, *columns), valid))
    if {"composition", "structure"} & set(kinds):
        row, pairs, partner_pairs, count = overlay_rows(batch, classes, partners)
        if "structure" in kinds:
            columns = batch.neighbour[pairs], batch.distance[partner_pairs], count
            result.append((with_pairs(part, row, *columns), valid))
        if "composition" in kinds:
            columns = batch.neighbour[partner_pairs], batch.distance[pairs], count
            result.append((with_pairs(part, row, *columns), valid))
    if "permuted" in kinds:
        columns = batch.neighbour[share.pairs], batch.distance[draws.turn][share.pairs], part.count
        wrong = ~of_one_element(batch)[batch.crystal][share.classes]
        result.append((with_pairs(part, part.row, *columns), wrong.to(part.distance.dtype)))
    return result
