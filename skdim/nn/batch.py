"""Batch: some crystals as flat tensors."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property

import torch
from torch import Tensor

from .compiled import autograd as fused


@dataclass
class Batch:
    """K crystals with C site classes and P distinct pairs; classes and pairs of a crystal are consecutive.

    Attributes
    ----------
    site_inputs : Tensor of float of shape (C, F)
        Elemental properties, each of order one.
    numbers : Tensor of int64 of shape (C,)
        Atomic numbers.
    multiplicity : Tensor of float of shape (C,)
        How many sites of the primitive cell a class stands for.
    crystal : Tensor of int64 of shape (C,)
        Which crystal of the batch each class belongs to.
    class_offsets : Tensor of int64 of shape (K + 1,)
        Where each crystal's classes begin.
    pair_offsets : Tensor of int64 of shape (C + 1,)
        Where each class's pairs begin.
    row : Tensor of int64 of shape (P,)
        Class i of each pair.
    neighbour : Tensor of int64 of shape (P,)
        Class j of each pair.
    distance : Tensor of float of shape (P,)
        In angstrom.
    count : Tensor of float of shape (P,)
        How many supercell sites are such a neighbour.
    """

    site_inputs: Tensor
    numbers: Tensor
    multiplicity: Tensor
    crystal: Tensor
    class_offsets: Tensor
    pair_offsets: Tensor
    row: Tensor
    neighbour: Tensor
    distance: Tensor
    count: Tensor

    def __len__(self):
        """Number of crystals: what a loss is averaged over."""
        return len(self.class_offsets) - 1

    def to(self, *args, **kwargs):
        """The batch on another device, or in another floating-point type (index tensors stay integers)."""
        moved = {}
        for field in fields(self):
            value = getattr(self, field.name)
            target = value.to(*args, **kwargs)
            moved[field.name] = target if value.is_floating_point() else target.to(value.dtype)
        return Batch(**moved)

    @cached_property
    def site_share(self):
        """Weight of each class in its crystal's mean over sites, (C,): they add up to 1 in each crystal."""
        total = torch.zeros(len(self), dtype=self.multiplicity.dtype, device=self.multiplicity.device)
        total.index_add_(0, self.crystal, self.multiplicity)
        return self.multiplicity / total[self.crystal]

    @cached_property
    def distinct(self):
        """The distances of each crystal without repetition, (U,), and which of them each pair has, (P,).

        i has from j what j has from i, so there are about half as many as pairs.
        """
        if fused.fusible(self.distance):
            return fused.distinct(self.pair_offsets[self.class_offsets], self.distance)
        # One sort for all crystals; double precision holds both numbers.
        apart = 2 ** torch.ceil(torch.log2(self.distance.max().to(torch.float64) + 1))  # more than any distance
        key = self.crystal.index_select(0, self.row).to(torch.float64) * apart + self.distance
        values, which = torch.unique(key, return_inverse=True)
        return (values % apart).to(self.distance.dtype), which
