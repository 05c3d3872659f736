"""The Site-Net encoder: sites and distances in, local vectors and one vector a crystal out."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from . import operations
from .batch import Batch
from .layers import BondLinear, Dense, dense_stack
from .operations.functional import segment_max, segment_sum


class Gaussian(NamedTuple):
    """Mean and log-variance of a vector; ``log_var`` is None where the layer has no spread."""

    mean: Tensor
    log_var: Tensor | None

    def sample(self, generator=None, total: int | None = None, part: slice = slice(None)) -> Tensor:
        """mean + exp(log_var / 2) * noise, or the mean where there is no spread.

        Where the rows are the ``part`` of ``total`` rows, their noise is what it is when all are drawn at once.
        """
        if self.log_var is None:
            return self.mean
        total = len(self.mean) if total is None else total
        shape = (total, *self.mean.shape[1:])
        noise = torch.randn(shape, generator=generator, dtype=self.mean.dtype, device=self.mean.device)[part]
        return self.mean + torch.exp(self.log_var / 2) * noise


class PairTerm(NamedTuple):
    """What pairs add to a bond layer: ``rows`` (U, hidden), and ``which`` (P,) of them each pair has."""

    rows: Tensor
    which: Tensor


class AttentionBlock(nn.Module):
    """One round of attention of each site over its surroundings.

    From the bond vectors b_ij = [x_i, x_j, e_ij], a network g^W gives a logit a head, softmax over j makes weights, and
    a network g^A gives values whose weighted sums, all heads side by side, pass through g^S to the new x_i. A third
    network g^I gives the pairs of the next block. The three have one hidden layer each (g^I none after it) and share
    one pass over the pairs; g^A's last layer is linear and so acts once on the sum.
    """

    def __init__(self, site_width, pair_width, n_heads, attention_hidden, value_hidden, last):
        super().__init__()
        self.n_heads = n_heads
        self.widths = (attention_hidden, value_hidden) + (() if last else (pair_width,))
        self.bond = BondLinear(site_width, pair_width, sum(self.widths))
        self.logit = nn.Linear(attention_hidden, n_heads, bias=False)
        self.value = nn.Linear(value_hidden, site_width)
        self.site = Dense(site_width, site_width)

    def site_terms(self, sites: Tensor) -> tuple[Tensor, Tensor]:
        """Terms of sites (C, width) in the bond layer, as centres and as neighbours, (C, hidden) each."""
        return self.bond.centre(sites), self.bond.neighbour(sites)

    def forward(self, site_terms: tuple[Tensor, Tensor], pair_term: PairTerm, batch: Batch):
        """New sites (C, width), new pairs (P, width) or None, and the attention weights (P, H).

        A weight is that of a distinct pair: the sum over the ``count`` equal columns it stands for.
        """
        terms, which = (*site_terms, pair_term.rows), pair_term.which
        n_attended = sum(self.widths[:2])
        attended = (term[:, :n_attended] for term in terms)
        summed, attention = operations.attend(*attended, which, self.logit.weight, batch, torch.log(batch.count))
        # Each head has its share of the value layer's outputs.
        shares = zip(self.value.weight.chunk(self.n_heads), self.value.bias.chunk(self.n_heads), summed, strict=True)
        values = [nn.functional.linear(one_head, weight, bias) for weight, bias, one_head in shares]
        new_pairs = None
        if len(self.widths) > 2:
            new_pairs = operations.pair_hidden(*(term[:, n_attended:] for term in terms), which, batch)
        return self.site(torch.cat(values, dim=1)), new_pairs, attention


class SiteNetEncoder(nn.Module):
    """Site-Net: lift sites and distances, attend, reduce to a local vector a site, pool, reduce to a vector a crystal.

    Parameters
    ----------
    n_site_inputs : int
        Site features F.
    n_components : int, default=64
        Width of the crystal's vector.
    local_dim : int or None, default=32
        Width of the local vector. None leaves the bottleneck out: the local vector is what the blocks return.
    n_blocks, n_heads : int, default=1
    site_width, pair_width : int, default=64
        Width a head of the lifted sites and pairs.
    attention_hidden, value_hidden : int, default=64
        Hidden widths of g^W and g^A.
    pre_pool, post_pool : tuple of int
        Dense layers before and after the mean over sites.
    element_embedding : int, default=0
        Width of a learnt vector for each element beside the site features; 0 for none.
    log_coulomb : bool, default=False
        Whether log(Z_i Z_j / d) joins the distance as a pair input; for a site with itself log(0.5 Z^2.4), the
        diagonal of the Coulomb matrix (Rupp et al. 2012, 10.1103/PhysRevLett.108.058301).
    pooling : {"mean", "max"}, default="mean"
    spread : bool, default=True
        Whether local and global vectors have a log-variance beside the mean (for the Kullback-Leibler term).
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
        pre_pool=(64, 128),
        post_pool=(64,),
        element_embedding=0,
        log_coulomb=False,
        pooling="mean",
        spread=True,
    ):
        super().__init__()
        self.log_coulomb = log_coulomb
        self.pooling = pooling
        self.spread = spread
        site_width, pair_width = site_width * n_heads, pair_width * n_heads
        self.element = nn.Embedding(104, element_embedding) if element_embedding else None
        self.lift_site = Dense(n_site_inputs + element_embedding, site_width)
        self.lift_pair = Dense(2 if log_coulomb else 1, pair_width)
        self.blocks = nn.ModuleList(
            AttentionBlock(site_width, pair_width, n_heads, attention_hidden, value_hidden, last=k == n_blocks - 1)
            for k in range(n_blocks)
        )
        factor = 2 if spread else 1
        width = n_blocks * site_width
        self.local_dim = local_dim or width
        self.bottleneck = nn.Linear(width, factor * local_dim) if local_dim else None
        self.pre_pool = dense_stack(self.local_dim, pre_pool)
        pooled = pre_pool[-1] if pre_pool else self.local_dim
        self.n_components = n_components
        self.post_pool = dense_stack(pooled, post_pool, factor * n_components)

    # ---- sites <- surroundings ----

    def site_terms(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Terms of the lifted sites in the first block's bond layer, (C, hidden) each.

        A row is a site's own: of other species on the same places, it is another row of the same terms.
        """
        inputs = batch.site_inputs
        if self.element is not None:
            inputs = torch.cat([inputs, self.element(batch.numbers)], dim=1)
        return self.blocks[0].site_terms(self.lift_site(inputs))

    def pair_term(self, batch: Batch) -> PairTerm:
        """Term of the lifted pairs in the first block's bond layer.

        It is made of the distances alone, so that passes over them with other species share it, unless the encoder has
        log-Coulomb inputs.
        """
        if not self.log_coulomb:
            distances, which = batch.distinct_distances
            lift, pair = self.lift_pair.linear, self.blocks[0].bond.pair
            return PairTerm(operations.distance_term(distances, lift.weight, lift.bias, pair.weight), which)
        z_i, z_j = (batch.numbers[index].to(batch.distance.dtype) for index in (batch.row, batch.neighbour))
        own = batch.distance == 0
        ratio = torch.where(own, 0.5 * z_i**2.4, z_i * z_j / torch.where(own, 1.0, batch.distance))
        inputs = torch.stack([batch.distance, torch.log(ratio)], dim=1)
        return self._own_term(self.blocks[0], self.lift_pair(inputs))

    @staticmethod
    def _own_term(block, pairs):
        """Term of pairs that are all different."""
        return PairTerm(block.bond.pair(pairs), torch.arange(len(pairs), device=pairs.device))

    def local(self, batch: Batch, site_terms: tuple, pair_term: PairTerm, attention: list | None = None) -> Gaussian:
        """Local vectors (C, local_dim) from the terms of sites and pairs in the first block.

        A list given as ``attention`` is filled with each block's weights (P, H).
        """
        outputs: list[Tensor] = []
        for k, block in enumerate(self.blocks):
            if k:
                site_terms = block.site_terms(outputs[-1])
            sites, pairs, weights = block(site_terms, pair_term, batch)
            outputs.append(sites)
            if attention is not None:
                attention.append(weights)
            if pairs is not None:
                pair_term = self._own_term(self.blocks[k + 1], pairs)
        joined = torch.cat(outputs, dim=1) if len(outputs) > 1 else outputs[0]
        if self.bottleneck is None:
            return Gaussian(joined, None)
        return self._gaussian(self.bottleneck(joined))

    def local_mean(self, batch: Batch) -> Tensor:
        """Means of the local vectors (C, local_dim) of a batch."""
        return self.local(batch, self.site_terms(batch), self.pair_term(batch)).mean

    def attention(self, batch: Batch) -> Tensor:
        """Attention weights of each block and head side by side, (P, n_blocks * n_heads)."""
        weights: list[Tensor] = []
        self.local(batch, self.site_terms(batch), self.pair_term(batch), weights)
        return torch.cat(weights, dim=1)

    def local_modules(self) -> list[nn.Module]:
        """The modules that local vectors come from; the others make the crystal's vector of them."""
        parts = [self.lift_site, self.lift_pair, self.blocks, self.element, self.bottleneck]
        return [part for part in parts if part is not None]

    # ---- crystal <- sites ----

    def pool(self, batch: Batch, local: Tensor) -> Gaussian:
        """Crystal vectors (K, n_components) from local vectors."""
        sites = self.pre_pool(local)
        if self.pooling == "max":
            pooled = segment_max(sites, batch.crystal, len(batch))
        else:
            pooled = segment_sum(sites, batch.site_share, batch.class_offsets, batch.crystal)
        return self._gaussian(self.post_pool(pooled))

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Means of the local vectors (C, local_dim) and of the crystals' vectors (K, n_components)."""
        local = self.local_mean(batch)
        return local, self.pool(batch, local).mean

    def _gaussian(self, output: Tensor) -> Gaussian:
        if not self.spread:
            return Gaussian(output, None)
        return Gaussian(*output.chunk(2, dim=-1))


def pooled_moments(batch: Batch, local: Tensor) -> Tensor:
    """Mean and standard deviation of the local vectors over each crystal's sites, (K, 2 * local_dim)."""
    share = batch.site_share
    mean = segment_sum(local, share, batch.class_offsets, batch.crystal)
    deviation = local - mean.index_select(0, batch.crystal)
    variance = segment_sum(deviation * deviation, share, batch.class_offsets, batch.crystal)
    # The square root has no slope at 0: a crystal whose sites are all alike would give an infinite gradient.
    return torch.cat([mean, torch.sqrt(variance + 1e-12) - 1e-6], dim=1)
