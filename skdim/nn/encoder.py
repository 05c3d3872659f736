"""The Site-Net encoder: sites and distances in, a local vector per site and one vector per crystal out."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from . import operations
from .attention import AttentionBlock, PairTerm
from .batch import Batch
from .layers import Dense, ElementEmbedding, Gain, InputScale, Linear, dense_stack
from .operations.functional import segment_max

#: Log-variances stay within plus and minus this: standard deviations of 0.007 to 150.
LOG_VAR_LIMIT = 10.0
#: Angstrom in bohr, the unit of the Coulomb matrix.
_BOHR = 1.88975437731336


class Gaussian(NamedTuple):
    """Mean and log-variance of a vector; ``log_var`` is None where the layer has no spread."""

    mean: Tensor
    log_var: Tensor | None

    def sample(self, noise: Tensor | None) -> Tensor:
        """mean + exp(log_var / 2) * noise, or the mean without a log-variance or without noise."""
        if self.log_var is None or noise is None:
            return self.mean
        return self.mean + torch.exp(self.log_var / 2) * noise


class SiteNetEncoder(nn.Module):
    """Site-Net: lift sites and distances, attend, reduce to local vectors, pool, reduce to one vector per crystal.

    The settings cover three published or measured networks (figure S2 of the paper):

    ====================  =========  ==========  ==========
    setting               default    2025        2023
    ====================  =========  ==========  ==========
    n_blocks, n_heads     1, 1       1, 1        2, 3
    site_width            64         64          30
    pair_width            64         64          16
    attention_hidden      64         64          225
    value_network         "linear"   "dense"     "single"
    shared_values         False      False       True
    site_network          True       False       True
    local_activation      "mish"     "mish"      "mish"
    local_dim             64         32          None
    pre_pool              (64, 128)  (64, 128)   (94,)
    post_pool             (64,)      (64,)       (200, 200)
    n_components          64         64          200
    output_layer          "linear"   "linear"    "dense"
    element_embedding     0          0           92
    log_coulomb           False      False       True
    gains                 False      False       True
    ====================  =========  ==========  ==========

    Parameters
    ----------
    n_site_inputs : int
        Number of site features F.
    n_components : int, default=64
        Width of the crystal's vector.
    local_dim : int or None, default=32
        Width of the local vectors. None omits the bottleneck: the local vectors are the outputs of the blocks.
    n_blocks, n_heads : int, default=1
    site_width, pair_width : int, default=64
        Width of the lifted sites and pairs, per head.
    attention_hidden, value_hidden : int, default=64
        Hidden widths of g^W and g^A.
    value_network, shared_values, site_network
        The pieces of an :class:`~skdim.nn.attention.AttentionBlock`.
    local_activation : {"mish", "relu"}, default="mish"
        Activation up to the local vectors. After these it is Mish.
    gains : bool, default=False
        Whether layer normalizations have gains and offsets, which the next linear layer could absorb.
    cutoff : float or None, default=None
        In angstrom; pairs of sites further apart get no attention.
    pre_pool, post_pool : tuple of int
        Widths of the dense layers before and after pooling.
    output_layer : {"linear", "dense"}, default="linear"
        Whether the crystal's vector is the output of a linear layer, or activation and normalization follow.
    element_embedding : int, default=0
        Width of a learned vector per element next to the site features; 0 for none.
    element_rows : int, default=104
        Rows of the table of these vectors, one per atomic number.
    element_norm_limit : float or None, default=None
        Largest length of these vectors; longer ones are scaled.
    log_coulomb : bool, default=False
        Whether log(Z_i Z_j / d), with d in bohr, is a pair input next to the distance; for a site with itself it is
        log(0.5 Z^2.4), the diagonal of the Coulomb matrix (Rupp et al. 2012, 10.1103/PhysRevLett.108.058301).
    input_scale : sequence of (factor, offset) or None, default=None
        Scale of each site feature.
    pooling : {"mean", "max"}, default="mean"
    idle_weights : bool, default=False
        Whether there are weights that change no result, as in the published network of 2023.
    spread : bool, default=True
        Whether local and crystal vectors have a log-variance, as Kullback-Leibler terms need.
    """

    blocks: Any  # a ModuleList, whose items count as modules of any kind

    def __init__(
        self,
        n_site_inputs,
        *,
        n_components=64,
        local_dim=32,
        n_blocks=1,
        n_heads=1,
        site_width=64,
        pair_width=64,
        attention_hidden=64,
        value_hidden=64,
        value_network="linear",
        shared_values=False,
        site_network=True,
        local_activation="mish",
        gains=False,
        cutoff=None,
        pre_pool=(64, 128),
        post_pool=(64,),
        output_layer="linear",
        element_embedding=0,
        element_rows=104,
        element_norm_limit=None,
        log_coulomb=False,
        input_scale=None,
        pooling="mean",
        idle_weights=False,
        spread=True,
    ):
        super().__init__()
        self.local_activation = local_activation
        self.cutoff = cutoff
        self.log_coulomb = log_coulomb
        self.pooling = pooling
        self.spread = spread
        self.output_layer = output_layer
        site_width, pair_width = site_width * n_heads, pair_width * n_heads
        local = {"activation": local_activation, "gains": gains}
        self.input_scale = InputScale(input_scale)
        self.element = (
            ElementEmbedding(element_rows, element_embedding, element_norm_limit) if element_embedding else None
        )
        self.lift_site = Dense(n_site_inputs + element_embedding, site_width, **local)
        self.lift_pair = Dense(2 if log_coulomb else 1, pair_width, **local)
        self.blocks = nn.ModuleList(
            AttentionBlock(
                site_width,
                pair_width,
                n_heads,
                attention_hidden,
                value_hidden,
                last=k == n_blocks - 1,
                value_network=value_network,
                shared_values=shared_values,
                site_network=site_network,
                idle_weights=idle_weights,
                **local,
            )
            for k in range(n_blocks)
        )
        factor = 2 if spread else 1
        width = n_blocks * site_width
        self.local_dim = local_dim or width
        self.bottleneck = Linear(width, factor * local_dim) if local_dim else None
        self.pre_pool = dense_stack(self.local_dim, pre_pool, gains=gains)
        pooled = pre_pool[-1] if pre_pool else self.local_dim
        self.n_components = n_components
        self.post_pool = dense_stack(pooled, post_pool, factor * n_components, gains=gains)
        self.output_norm = Gain(n_components) if output_layer == "dense" and gains else None

    # ---- sites <- local environments ----

    def site_terms(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Contributions of the lifted sites to the first block's bond layer, (C, hidden) each.

        Each row depends on its site alone, so sites of other species at the same positions are other rows.
        """
        inputs = self.input_scale(batch.site_inputs)
        if self.element is not None:
            inputs = torch.cat([inputs, self.element(batch.numbers)], dim=1)
        lift, bond = self.lift_site, self.blocks[0].bond
        if not lift.is_one_operation:
            return self.blocks[0].site_terms(lift(inputs))
        lifting, centre = ((layer.weight, layer.bias) for layer in (lift.linear, bond.centre))
        return operations.site_terms(inputs, lifting, centre, (bond.neighbour.weight,), self.local_activation)

    def pair_term(self, batch: Batch) -> PairTerm:
        """Contribution of the lifted pairs to the first block's bond layer.

        Without log-Coulomb inputs it depends on distances alone, so passes with other species share it.
        """
        lift, pair = self.lift_pair, self.blocks[0].bond.pair
        if not self.log_coulomb and lift.norm is None:
            distances, which = batch.distinct_distances
            weights = lift.linear.weight, lift.linear.bias, pair.weight
            return PairTerm(operations.distance_term(distances, *weights, self.local_activation), which)
        if not self.log_coulomb:
            distances, which = batch.distinct_distances
            return PairTerm(pair(lift(distances[:, None])), which)
        inputs = torch.stack([batch.distance, log_coulomb(batch)], dim=1)
        return _term_of_all(self.blocks[0], lift(inputs))

    def local(self, batch: Batch, site_terms: tuple, pair_term: PairTerm, attention: list | None = None) -> Gaussian:
        """Local vectors (C, local_dim) from the contributions of sites and pairs to the first block.

        A list given as ``attention`` is filled with each block's weights (P, H).
        """
        outputs: list[Tensor] = []
        log_count = torch.log(batch.count)
        if self.cutoff is not None:
            log_count = log_count.masked_fill(batch.distance > self.cutoff, -torch.inf)
        for k, block in enumerate(self.blocks):
            if k:
                site_terms = block.site_terms(outputs[-1])
            sites, pairs, weights = block(site_terms, pair_term, batch, log_count)
            outputs.append(sites)
            if attention is not None:
                attention.append(weights)
            if pairs is not None:
                pair_term = _term_of_all(self.blocks[k + 1], pairs)
        joined = torch.cat(outputs, dim=1) if len(outputs) > 1 else outputs[0]
        if self.bottleneck is None:
            return Gaussian(joined, None)
        return self._gaussian(self.bottleneck(joined))

    def local_mean(self, batch: Batch) -> Tensor:
        """Means of the local vectors (C, local_dim) of a batch."""
        return self.local(batch, self.site_terms(batch), self.pair_term(batch)).mean

    def attention(self, batch: Batch) -> Tensor:
        """Attention weights of all blocks and heads side by side, (P, n_blocks * n_heads)."""
        weights: list[Tensor] = []
        self.local(batch, self.site_terms(batch), self.pair_term(batch), weights)
        return torch.cat(weights, dim=1)

    def local_modules(self) -> list[nn.Module]:
        """The modules that local vectors depend on; the others compute the crystal's vector from these."""
        parts = [self.lift_site, self.lift_pair, self.blocks, self.element, self.bottleneck]
        return [part for part in parts if part is not None]

    # ---- crystal <- sites ----

    def pool(self, batch: Batch, local: Tensor) -> Gaussian:
        """Crystal vectors (K, n_components) from local vectors."""
        stacks = self.pre_pool, self.post_pool
        if self.pooling == "mean" and all(stack.is_one_operation for stack in stacks):
            (before, activated), (after, activated_after) = (stack.parameters_and_activated() for stack in stacks)
            vectors = self._gaussian(operations.pool(local, before, after, activated + activated_after, batch))
        else:
            sites = self.pre_pool(local)
            if self.pooling == "max":
                pooled = segment_max(sites, batch.crystal, len(batch))
            else:
                pooled = operations.crystal_mean(sites, batch)
            vectors = self._gaussian(self.post_pool(pooled))
        if self.output_layer == "linear":
            return vectors
        mean = operations.normalize(vectors.mean)
        return vectors._replace(mean=mean if self.output_norm is None else self.output_norm(mean))

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Means of the local vectors (C, local_dim) and of the crystal vectors (K, n_components)."""
        local = self.local_mean(batch)
        return local, self.pool(batch, local).mean

    def _gaussian(self, output: Tensor) -> Gaussian:
        if not self.spread:
            return Gaussian(output, None)
        mean, log_var = output.chunk(2, dim=-1)
        # The gradient outside the limits is that of the limit, so that training can return.
        return Gaussian(mean, log_var + (log_var.clamp(-LOG_VAR_LIMIT, LOG_VAR_LIMIT) - log_var).detach())


def log_coulomb(batch: Batch) -> Tensor:
    """Logarithm of the Coulomb matrix element of each pair in atomic units, (P,), within plus and minus 10."""
    z_i, z_j = (batch.numbers[index].to(batch.distance.dtype) for index in (batch.row, batch.neighbour))
    same = batch.distance == 0
    ratio = torch.where(same, 0.5 * z_i**2.4, z_i * z_j / torch.where(same, 1.0, batch.distance * _BOHR))
    return torch.log(ratio + 1e-8).clamp(-10, 10)


def _term_of_all(block, pairs):
    """Contribution of pairs that are all different."""
    return PairTerm(block.bond.pair(pairs), torch.arange(len(pairs), device=pairs.device))
