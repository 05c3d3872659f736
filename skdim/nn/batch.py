"""Batch: crystals as flat tensors."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property

import torch
from torch import Tensor

from . import operations


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
        Number of sites of the primitive cell that a class stands for.
    crystal : Tensor of int64 of shape (C,)
        Index of each class's crystal in the batch.
    class_offsets : Tensor of int64 of shape (K + 1,)
        Start of each crystal's classes.
    pair_offsets : Tensor of int64 of shape (C + 1,)
        Start of each class's pairs.
    row : Tensor of int64 of shape (P,)
        Class i of each pair.
    neighbour : Tensor of int64 of shape (P,)
        Class j of each pair.
    distance : Tensor of float of shape (P,)
        In angstrom.
    count : Tensor of float of shape (P,)
        Number of supercell sites that a pair stands for.
    properties : Tensor of float of shape (K, n_properties), or None
        Standardized known properties of the crystals, NaN where unknown.
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
    properties: Tensor | None = None

    def __len__(self):
        """Number of crystals, over which losses are averaged."""
        return len(self.class_offsets) - 1

    def to(self, *args, **kwargs):
        """Copy on another device or in another floating-point type; index tensors stay integers."""
        moved = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if value is None:
                continue
            target = value.to(*args, **kwargs)
            moved[field.name] = target if value.is_floating_point() else target.to(value.dtype)
        return Batch(**moved)

    @cached_property
    def site_share(self):
        """Weight of each class in its crystal's mean over sites, (C,); they sum to 1 in each crystal."""
        total = torch.zeros(len(self), dtype=self.multiplicity.dtype, device=self.multiplicity.device)
        total.index_add_(0, self.crystal, self.multiplicity)
        return self.multiplicity / total[self.crystal]

    @cached_property
    def duplicates(self):
        """A number for each crystal, (K,), that crystals have in common if they are the same.

        The same means equal site counts and elements, and equal sums of functions of species and distances over all
        pairs, to a thousandth.
        """
        one = torch.ones(len(self), dtype=torch.float64, device=self.crystal.device)
        z, sites = self.numbers.to(torch.float64), self.multiplicity.to(torch.float64)
        columns = sites[self.row] * self.count
        distance, z_i, z_j = self.distance.to(torch.float64), z[self.row], z[self.neighbour]
        of_pairs = self.crystal[self.row]
        sums = [one.index_add(0, self.crystal, values) for values in (sites, sites * z, sites * z.square())] + [
            one.index_add(0, of_pairs, columns * values)
            for values in (z_i * z_j / (1 + distance), (z_i * z_j).sqrt() / (1 + distance.square()), distance)
        ]
        return torch.unique(torch.round(1000 * torch.log(torch.stack(sums, dim=1))), dim=0, return_inverse=True)[1]

    @cached_property
    def distinct_distances(self):
        """Distances of each crystal without repetition (U,), and the index of each pair's distance among them (P,).

        The pairs ij and ji have the same distance, so there are about half as many distances as pairs.
        """
        return operations.distinct_distances(self)
