"""Statistics of the sites of a structure and of their local environments, which need no labels.

They are the targets of a self-supervised regression (:class:`Descriptors`), and features next to the learned vectors
(:func:`crystal_statistics`).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from . import operations
from .batch import Batch
from .choices import GEOMETRY
from .layers import Linear, LinearReadout
from .operations.functional import segment_sum, segment_total

#: Neighbours have the weight d^-6, like the attraction of induced dipoles: first neighbours, without a cutoff.
_POWER = 6
#: Closer neighbours, in angstrom, have the weight of this distance.
_SHORTEST = 0.5
#: Centres of the shells of a radial distribution, in angstrom, and their standard deviation.
SHELLS = tuple(1.25 + 0.4 * k for k in range(13))
_SHELL_WIDTH = 0.3
#: Columns with a smaller standard deviation are constant except for rounding.
_CONSTANT = 1e-4


def environments(batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    """Statistics of the local environment of every site, with weights d^-6 of its neighbours.

    Returns
    -------
    difference : Tensor of shape (C, F)
        Mean over the neighbours of their features minus those of the site.
    contrast : Tensor of shape (C, F)
        Mean of the absolute differences.
    geometry : Tensor of shape (C, 3)
        Mean distance (angstrom); logarithm of the sum of d^-6; logarithm of the effective number of neighbours, the
        inverse of the sum of squared weights.
    """
    # Pairs contain each site with itself, at distance 0; here it is not a neighbour.
    distance = batch.distance.clamp(min=_SHORTEST)
    pair_weight = torch.where(batch.distance > 0, distance**-_POWER, 0.0)
    n = len(batch.numbers)
    total = segment_total(batch.count * pair_weight, batch.row, n).clamp(min=1e-12)
    pair_weight = pair_weight / total.index_select(0, batch.row)
    weight = batch.count * pair_weight

    def mean(values):
        return segment_sum(values, weight, batch.pair_offsets, batch.row)

    difference = batch.site_inputs.index_select(0, batch.neighbour)
    difference.sub_(batch.site_inputs.index_select(0, batch.row))
    squares = segment_total(weight * pair_weight, batch.row, n)
    geometry = torch.stack(
        [segment_total(weight * distance, batch.row, n), torch.log(total), -torch.log(squares.clamp(min=1e-12))], dim=1
    )
    # A site that is alone in its supercell has no neighbours; logarithms of 0 would exceed all other values.
    alone = segment_total(weight, batch.row, n) < 0.5
    return mean(difference), mean(difference.abs()), geometry.masked_fill(alone[:, None], 0.0)


def crystal_statistics(batch: Batch) -> Tensor:
    """Mean and standard deviation over sites of features, differences from the neighbours, and geometry.

    (K, 2 * (2F + 3)): the columns of :class:`skdim.StructureStatistics`.
    """
    difference, _, geometry = environments(batch)
    return operations.crystal_moments(torch.cat([batch.site_inputs, difference, geometry], dim=1), batch)


def radial_statistics(batch: Batch, features: tuple[int, ...]) -> Tensor:
    """Radial distribution of the neighbours of a crystal's sites, and correlations of features at these distances.

    (K, n_shells * (1 + n_features)), for Gaussian shells from 1.25 to 6.05 angstrom: the logarithm of 1 plus the mean
    number of neighbours of a site; and, for each feature (its column of the site inputs), the mean over the sites of
    the sum over these neighbours of the product of both sites' differences from the mean of the crystal.
    """
    centres = torch.tensor(SHELLS, dtype=batch.distance.dtype, device=batch.distance.device)
    shells = torch.exp(-((batch.distance[:, None] - centres) / _SHELL_WIDTH).square() / 2)
    of_pairs = torch.where(batch.distance > 0, batch.count * batch.site_share[batch.row], 0.0)
    offsets, crystal = batch.pair_offsets[batch.class_offsets], batch.crystal[batch.row]
    columns = [torch.log1p(segment_sum(shells, of_pairs, offsets, crystal))]
    for feature in features:
        values = batch.site_inputs[:, feature]
        deviation = values - segment_total(batch.site_share * values, batch.crystal, len(batch))[batch.crystal]
        product = deviation[batch.row] * deviation[batch.neighbour]
        columns.append(segment_sum(shells, of_pairs * product, offsets, crystal))
    return torch.cat(columns, dim=1)


class Standardised(nn.Module):
    """Scales columns to mean 0 and standard deviation 1 of given rows; values are clipped at five deviations."""

    mean: Tensor
    scale: Tensor

    def __init__(self, width: int):
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("scale", torch.ones(width))

    def fix(self, values: Tensor) -> None:
        """Set mean and standard deviation to those of these rows."""
        self.mean.copy_(values.mean(dim=0))
        scale = values.std(dim=0, correction=0)
        self.scale.copy_(torch.where(scale > _CONSTANT, scale, 1.0))

    def forward(self, values: Tensor) -> Tensor:
        return ((values - self.mean) / self.scale).clamp(-5, 5)


class Descriptors(nn.Module):
    """Linear maps from the vectors of a structure to its statistics, and their loss.

    From each local vector the site's features and local environment are predicted, from each crystal's vector their
    mean and standard deviation over the sites. What a linear map can predict, a small model can use.
    """

    def __init__(self, n_site_inputs: int, local_dim: int, n_components: int):
        super().__init__()
        width = 3 * n_site_inputs + len(GEOMETRY)
        self.site_target, self.crystal_target = Standardised(width), Standardised(2 * width)
        self.site = Linear(local_dim, width)
        self.crystal = Linear(n_components, 2 * width)

    def standardise(self, batches) -> None:
        """Set the scale of the targets to that of some batches; once, before the first step."""
        pairs = [self._raw(batch) for batch in batches]
        self.site_target.fix(torch.cat([sites for sites, _ in pairs]))
        self.crystal_target.fix(torch.cat([crystals for _, crystals in pairs]))

    def forward(self, batch: Batch, z: Tensor, g: Tensor) -> Tensor:
        """Loss of local vectors z (C, local_dim) and crystal vectors g (K, n_components).

        Quadratic up to one standard deviation and linear beyond; mean over columns, sites and crystals.
        """
        sites, crystals = self.targets(batch)
        return (self.of_sites(batch, z, sites) + self.of_crystals(g, crystals)) / len(batch)

    @torch.no_grad()
    def targets(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Standardised statistics of the sites (C, width) and of the crystals (K, 2 * width)."""
        sites, crystals = self._raw(batch)
        return self.site_target(sites), self.crystal_target(crystals)

    def of_sites(self, batch: Batch, z: Tensor, targets: Tensor) -> Tensor:
        """Mean loss of each crystal's sites, summed over the crystals."""
        of_sites = functional.smooth_l1_loss(self.site(z), targets, reduction="none").mean(dim=1)
        return (batch.site_share * of_sites).sum()

    def of_crystals(self, g: Tensor, targets: Tensor) -> Tensor:
        """Loss of the crystals, summed over them."""
        return functional.smooth_l1_loss(self.crystal(g), targets, reduction="sum") / targets.shape[1]

    @staticmethod
    def _raw(batch):
        sites = torch.cat([batch.site_inputs, *environments(batch)], dim=1)
        return sites, operations.crystal_moments(sites, batch)


class RadialStatistics(LinearReadout):
    """A linear map from the vectors of crystals to their :func:`radial_statistics`, and its loss.

    Parameters
    ----------
    width : int
        Length of the vectors.
    features : tuple of int
        Columns of the site inputs whose correlations are predicted.
    """

    def __init__(self, width: int, features: tuple[int, ...]):
        n_columns = len(SHELLS) * (1 + len(features))
        super().__init__(width, n_columns)
        self.features = tuple(features)
        self.target = Standardised(n_columns)

    def standardise(self, batches, vectors: Tensor) -> None:
        """Set the scales of targets and vectors to those of some batches; once, before the first step."""
        self.target.fix(torch.cat([radial_statistics(batch, self.features) for batch in batches]))
        self.standardize_vectors(vectors)

    def loss(self, batch: Batch, vectors: Tensor) -> Tensor:
        """Sum over crystals of the mean over columns, quadratic up to one standard deviation and linear beyond."""
        with torch.no_grad():
            target = self.target(radial_statistics(batch, self.features))
        return functional.smooth_l1_loss(self(vectors), target, reduction="none").mean(dim=1).sum()
