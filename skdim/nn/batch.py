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
        """Copy on another device or in another floating-point type, if it differs; index tensors stay integers."""
        moved = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if value is None:
                continue
            target = value.to(*args, **kwargs)
            moved[field.name] = target if value.is_floating_point() else target.to(value.dtype)
        if all(value is getattr(self, name) for name, value in moved.items()):
            return self
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

        The same means equal sums of 1, Z and Z^2 over the sites, and sums of three functions of species and distance
        over the pairs that are equal to a thousandth.
        """
        z, sites = self.numbers.to(torch.float64), self.multiplicity.to(torch.float64)
        of_sites = torch.stack([sites, sites * z, sites * z.square()], dim=1)
        sums = z.new_zeros(len(self), 3).index_add(0, self.crystal, of_sites)
        _, group, size = torch.unique(sums, dim=0, return_inverse=True, return_counts=True)
        crystal = self.crystal[self.row]
        pairs = torch.nonzero(size[group][crystal] > 1)[:, 0]  # few, as compositions seldom repeat
        row, neighbour, distance = self.row[pairs], self.neighbour[pairs], self.distance[pairs].to(torch.float64)
        product, columns = z[row] * z[neighbour], sites[row] * self.count[pairs]
        of_pairs = [product / (1 + distance), product.sqrt() / (1 + distance.square()), distance]
        sums = z.new_ones(len(self), 3).index_add(0, crystal[pairs], columns[:, None] * torch.stack(of_pairs, dim=1))
        keys = torch.cat([group[:, None].to(torch.float64), torch.round(1000 * torch.log(sums))], dim=1)
        return torch.unique(keys, dim=0, return_inverse=True)[1]

    @cached_property
    def distinct_distances(self):
        """Distances of each crystal without repetition (U,), and the index of each pair's distance among them (P,).

        The pairs ij and ji have the same distance, so there are about half as many distances as pairs.
        """
        return operations.distinct_distances(self)
