"""Draws of negative samples: sites and crystals that do not belong together.

Every draw takes a generator, so that fits are reproducible. Sites are drawn, not classes: a class of multiplicity m is
m times as likely as one of multiplicity 1, so compression does not change what is drawn. Crystals that occur more than
once in a batch are not negatives of each other.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ..batch import Batch


class Chimera(NamedTuple):
    """The geometry of each crystal with the species of another crystal.

    ``species_of`` (K,) is the crystal whose species each geometry has; without duplicates each crystal lends its
    species once. ``species_class`` (C,) is the class whose species each class has.
    """

    species_of: Tensor
    species_class: Tensor


def other_crystal(batch: Batch, generator) -> Tensor:
    """For each crystal another one, (K,): the next on a random cycle through all that is not its duplicate.

    Where all crystals are duplicates of each other it is the crystal itself (:func:`has_negative`).
    """
    n = len(batch)
    if n < 2:
        raise ValueError("negatives come from other crystals: a batch needs at least two")
    order = torch.randperm(n, generator=generator, device=batch.crystal.device)
    other = torch.empty_like(order)
    other[order] = order.roll(-1)
    for shift in range(2, n + 1):
        same = batch.duplicates[other] == batch.duplicates
        if not same.any():
            break
        other[order] = torch.where(same[order], order.roll(-shift), other[order])
    return other


def has_negative(batch: Batch, other: Tensor) -> Tensor:
    """Whether the crystal drawn for each crystal differs from it, (K,)."""
    return batch.duplicates[other] != batch.duplicates


def draw_class(batch: Batch, crystals: Tensor, generator) -> Tensor:
    """For each entry of ``crystals`` the class of one of its sites; all its sites are equally likely."""
    ends = torch.cumsum(batch.multiplicity.to(torch.float64), dim=0)
    starts = torch.cat([ends.new_zeros(1), ends])[batch.class_offsets]
    n_sites = starts[1:] - starts[:-1]
    uniform = torch.rand(len(crystals), generator=generator, dtype=torch.float64, device=ends.device)
    position = starts[crystals] + torch.floor(uniform * n_sites[crystals])
    return torch.searchsorted(ends, position, right=True)


def draw_pair(batch: Batch, weights: Tensor, generator) -> Tensor:
    """For each class one of its pairs, (C,), drawn with ``weights`` (P,) that sum to 1 in each class."""
    n_classes = len(batch.numbers)
    ends = torch.cumsum(weights.to(torch.float64), dim=0)
    starts = torch.cat([ends.new_zeros(1), ends])
    first, last = starts[batch.pair_offsets[:-1]], starts[batch.pair_offsets[1:]]
    uniform = torch.rand(n_classes, generator=generator, dtype=torch.float64, device=ends.device)
    pair = torch.searchsorted(ends, first + uniform * (last - first), right=True)
    return torch.minimum(torch.maximum(pair, batch.pair_offsets[:-1]), batch.pair_offsets[1:] - 1)


def draw_chimera(batch: Batch, generator) -> Chimera:
    """Give every geometry the species of sites of another crystal.

    A chimera is a negative of two crystals: of the one whose geometry it has (wrong composition) and of the one whose
    species it has (wrong structure).
    """
    species_of = other_crystal(batch, generator)
    return Chimera(species_of, draw_class(batch, species_of[batch.crystal], generator))


def draw_partner(batch: Batch, generator) -> Tensor:
    """For each class the class of a site of another crystal, (C,)."""
    return draw_class(batch, other_crystal(batch, generator)[batch.crystal], generator)


def valid_partners(batch: Batch, partner: Tensor) -> Tensor:
    """1 for each class whose partner is a site of a different crystal, else 0, (C,)."""
    different = batch.duplicates[batch.crystal[partner]] != batch.duplicates[batch.crystal]
    return different.to(batch.distance.dtype)


def permute_pairs(batch: Batch, generator) -> Tensor:
    """For each pair another pair of the same row that gives the distance, (P,): right species, right distances,
    mismatched.

    Every row is rotated by a random number of places, so each pair gets the distance of any other pair of its row with
    the same probability, and no distance is lost or doubled.
    """
    start = batch.pair_offsets[:-1]
    length = batch.pair_offsets[1:] - start
    uniform = torch.rand(len(length), generator=generator, dtype=torch.float64, device=length.device)
    shift = 1 + torch.floor(uniform * (length - 1)).to(torch.int64)
    start, length, shift = start[batch.row], length[batch.row], shift[batch.row]
    place = torch.arange(len(batch.row), device=length.device) - start + shift
    return start + torch.where(place >= length, place - length, place)


def of_one_element(batch: Batch) -> Tensor:
    """Whether each crystal has a single element, (K,): mismatching its species and distances changes nothing."""
    first = batch.numbers[batch.class_offsets[:-1]]
    differs = (batch.numbers != first[batch.crystal]).to(torch.int64)
    return torch.zeros_like(first).index_add_(0, batch.crystal, differs) == 0
