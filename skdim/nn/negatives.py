"""Which sites and crystals stand in as false partners. Never the own crystal, except where a name says so.

Every draw takes a generator, so that a fit repeats. Sites are drawn as sites: a class of multiplicity m is m times as
likely as one of 1, so that compression does not change what is drawn.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from .batch import Batch


class Chimera(NamedTuple):
    """The geometry of each crystal under the species of another one.

    ``species_of`` (K,) which crystal's species each geometry carries: a cycle through all crystals, so that each gives
    its species once. ``species_class`` (C,) the class whose species each class carries.
    """

    species_of: Tensor
    species_class: Tensor


def other_crystal(batch: Batch, generator) -> Tensor:
    """A crystal other than its own for every crystal, (K,): the next one on a random cycle through all."""
    n = len(batch)
    if n < 2:
        raise ValueError("negatives come from other crystals: a batch needs at least two")
    order = torch.randperm(n, generator=generator, device=batch.crystal.device)
    other = torch.empty_like(order)
    other[order] = order.roll(-1)
    return other


def draw_class(batch: Batch, crystals: Tensor, generator) -> Tensor:
    """For each entry of ``crystals`` the class of one of its sites, all its sites being equally likely."""
    ends = torch.cumsum(batch.multiplicity.to(torch.float64), dim=0)
    starts = torch.cat([ends.new_zeros(1), ends])[batch.class_offsets]
    n_sites = starts[1:] - starts[:-1]
    uniform = torch.rand(len(crystals), generator=generator, dtype=torch.float64, device=ends.device)
    position = starts[crystals] + torch.floor(uniform * n_sites[crystals])
    return torch.searchsorted(ends, position, right=True)


def draw_pair(batch: Batch, weights: Tensor, generator) -> Tensor:
    """For each class one of its pairs, (C,), drawn with ``weights`` (P,) that add up to 1 in each class."""
    n_classes = len(batch.numbers)
    ends = torch.cumsum(weights.to(torch.float64), dim=0)
    starts = torch.cat([ends.new_zeros(1), ends])
    first, last = starts[batch.pair_offsets[:-1]], starts[batch.pair_offsets[1:]]
    uniform = torch.rand(n_classes, generator=generator, dtype=torch.float64, device=ends.device)
    pair = torch.searchsorted(ends, first + uniform * (last - first), right=True)
    return torch.minimum(torch.maximum(pair, batch.pair_offsets[:-1]), batch.pair_offsets[1:] - 1)


def draw_chimera(batch: Batch, generator) -> Chimera:
    """Decorate every geometry with sites of another crystal.

    One such crystal is a false partner twice: of the crystal whose geometry it has (wrong composition: own distances,
    species of other sites) and of the crystal whose species it has (wrong structure: own species, other distances).
    """
    species_of = other_crystal(batch, generator)
    return Chimera(species_of, draw_class(batch, species_of[batch.crystal], generator))


def permute_pairs(batch: Batch, generator) -> Tensor:
    """For each pair another pair of the same row to take the distance from, (P,).

    Own species and own distances, mismatched: every row is turned by a random number of places, so each pair gets the
    distance of any other pair of its row with the same chance, and none is lost or doubled.
    """
    start = batch.pair_offsets[:-1]
    length = batch.pair_offsets[1:] - start
    uniform = torch.rand(len(length), generator=generator, dtype=torch.float64, device=length.device)
    shift = 1 + torch.floor(uniform * (length - 1)).to(torch.int64)
    start, length, shift = start[batch.row], length[batch.row], shift[batch.row]
    place = torch.arange(len(batch.row), device=length.device) - start + shift
    return start + torch.where(place >= length, place - length, place)


def of_one_element(batch: Batch) -> Tensor:
    """Whether each crystal holds a single element, (K,): mismatching its species and distances changes nothing."""
    first = batch.numbers[batch.class_offsets[:-1]]
    differs = (batch.numbers != first[batch.crystal]).to(torch.int64)
    return torch.zeros_like(first).index_add_(0, batch.crystal, differs) == 0
