"""A conventional implementation of Deep InfoMax on Site-Net: padded tensors, full bond vectors, torch modules.

A compact model (one block, one head) as in the paper, pre-trained with Jensen-Shannon losses, Kullback-Leibler
terms, and three sets of engineered negative samples, each an encoder pass without gradient. The speed of skdim is
compared with it, so it is written to be fast, and the weights of skdim can be copied into it to test that both compute
the same. The activation is Mish, as in the paper and in skdim; in torch, ReLU instead would be a quarter to a third
faster.

Shapes: B crystals, R primitive sites of all of them, N supercell sites of the largest, F features. Sites are
concatenated, as "1200 sites per batch" counts them, so only the columns are padded.
"""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from skdim._chemistry.elements import site_inputs
from skdim._training.batches import split_by_sites

#: Parameters of the DeepInfoMaxEmbedder that computes the same. (``DeepInfoMaxEmbedder.paper()`` has other dense layers
#: and other negative samples.)
SETTINGS = {
    "local_dim": 32,
    "representation": "global",
    "objective": "jsd",
    "kl_weight": 0.1,
    "kl_form": "reference",
    "descriptor_weight": 0.0,
    "learning_rate_init": 1e-4,
    "learning_rate": "constant",
}


class PaddedBatch(NamedTuple):
    """Crystals with their columns padded to the largest supercell.

    ``features`` (R, F); ``columns`` (R, N) primitive site of each column, counted in the batch; ``distances`` (R, N);
    ``mask`` (R, N) where there is a column; ``crystal`` (R,); ``starts`` (B,) and ``sizes`` (B,) of the crystals.
    """

    features: torch.Tensor
    columns: torch.Tensor
    distances: torch.Tensor
    mask: torch.Tensor
    crystal: torch.Tensor
    starts: torch.Tensor
    sizes: torch.Tensor


def collate(rows):
    """Put crystals, each (features (m, F), columns (n,), distances (m, n)), in one batch."""
    sizes = np.array([len(r[0]) for r in rows])
    starts = np.cumsum(sizes) - sizes
    shape = (sizes.sum(), max(len(r[1]) for r in rows))
    columns, distances = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.float32)
    mask = np.zeros(shape, dtype=bool)
    for start, (_, local_columns, local_distances) in zip(starts, rows, strict=True):
        place = slice(start, start + len(local_distances)), slice(len(local_columns))
        columns[place], distances[place], mask[place] = start + local_columns, local_distances, True
    crystal = np.repeat(np.arange(len(rows)), sizes)
    features = np.concatenate([r[0] for r in rows])
    return PaddedBatch(*map(torch.from_numpy, (features, columns, distances, mask, crystal, starts, sizes)))


class PaddedLoader:
    """Batches of at most ``batch_sites`` primitive sites from Crystals that were featurized with ``compress=False``."""

    def __init__(self, crystals, batch_sites=1200):
        inputs = site_inputs(crystals).astype(np.float32)
        self.rows = []
        for k in range(len(crystals)):
            classes = slice(int(crystals.class_offsets[k]), int(crystals.class_offsets[k + 1]))
            m = classes.stop - classes.start
            pairs = slice(int(crystals.pair_offsets[classes.start]), int(crystals.pair_offsets[classes.stop]))
            columns = crystals.neighbour[pairs].reshape(m, -1)[0].astype(np.int64)
            self.rows.append((inputs[classes], columns, crystals.distance[pairs].reshape(m, -1)))
        self.sizes = np.array([len(features) for features, _, _ in self.rows])
        self.batch_sites = batch_sites

    def __call__(self, order=None):
        order = np.arange(len(self.rows)) if order is None else order
        for part in split_by_sites(self.sizes[order], self.batch_sites, 2):
            yield collate([self.rows[k] for k in order[part]])


def layers(*widths):
    """Linear, Mish and layer normalisation for each width but the first."""
    stack = []
    for n_in, n_out in pairwise(widths):
        stack += [nn.Linear(n_in, n_out), nn.Mish(), nn.LayerNorm(n_out, elementwise_affine=False)]
    return stack


def sample(mean_and_log_var):
    mean, log_var = mean_and_log_var
    return mean + torch.exp(log_var / 2) * torch.randn_like(mean)


class DenseEncoder(nn.Module):
    """The compact encoder: widths 64, local vector 32, crystal vector 64, both with a log-variance."""

    def __init__(self, n_features=8, width=64, local_dim=32, n_components=64):
        super().__init__()
        self.lift_site = nn.Sequential(*layers(n_features, width))
        self.lift_pair = nn.Sequential(*layers(1, width))
        self.attention = nn.Sequential(*layers(3 * width, width), nn.Linear(width, 1, bias=False))
        self.value = nn.Sequential(*layers(3 * width, width), nn.Linear(width, width))
        self.site = nn.Sequential(*layers(width, width))
        self.bottleneck = nn.Linear(width, 2 * local_dim)
        self.pre_pool = nn.Sequential(*layers(local_dim, 64, 128))
        self.post_pool = nn.Sequential(*layers(128, 64), nn.Linear(64, 2 * n_components))

    def local(self, batch):
        """Mean and log-variance of the local vectors, (R, local_dim) each."""
        sites = self.lift_site(batch.features)
        pairs = self.lift_pair(batch.distances[..., None])
        bonds = torch.cat([sites[:, None].expand(pairs.shape), sites[batch.columns], pairs], dim=2)
        logits = self.attention(bonds)[..., 0].masked_fill(~batch.mask, -torch.inf)
        summed = torch.einsum("rn,rnw->rw", torch.softmax(logits, dim=1), self.value(bonds))
        return self.bottleneck(self.site(summed)).chunk(2, dim=-1)

    def pool(self, batch, local):
        """Mean and log-variance of the crystals' vectors, (B, n_components) each."""
        return self.post_pool(site_mean(self.pre_pool(local), batch)).chunk(2, dim=-1)


def site_mean(values, batch):
    """Mean (B, ...) of ``values`` (R, ...) over the sites of each crystal."""
    total = values.new_zeros((len(batch.sizes), *values.shape[1:])).index_add(0, batch.crystal, values)
    return total / batch.sizes.view(-1, *[1] * (values.ndim - 1))


def random_sites(batch, crystals):
    """A random site of each of these crystals."""
    return batch.starts[crystals] + (torch.rand(len(crystals)) * batch.sizes[crystals]).long()


def engineered(batch, other):
    """Batches of negatives, and the crystal (R,) for which each of their sites is a negative.

    The batch with the species of other crystals, the geometries of others with its species, and shuffled columns.
    """
    composition = batch._replace(features=batch.features[random_sites(batch, other[batch.crystal])])
    # Read from the geometry's side: the species are those of the crystal whose other it is.
    owner = torch.argsort(other)[batch.crystal]
    structure = batch._replace(features=batch.features[random_sites(batch, owner)])
    # Padded columns keep their places behind the others.
    order = torch.rand(batch.columns.shape).masked_fill(~batch.mask, 2.0).argsort(dim=1)
    permuted = batch._replace(distances=batch.distances.gather(1, order))
    return (composition, batch.crystal), (structure, owner), (permuted, batch.crystal)


def kl(mean, log_var):
    return (0.5 * mean.square() + torch.exp(log_var) - log_var).mean(dim=-1)


class DenseDeepInfoMax(nn.Module):
    """The encoder with its score networks; the forward pass returns the loss."""

    def __init__(self, n_features=8):
        super().__init__()
        self.encoder = DenseEncoder(n_features)
        self.query = nn.Sequential(*layers(32, 64), nn.Linear(64, 128))
        self.key = nn.Sequential(*layers(n_features + 1, 64), nn.Linear(64, 128))
        self.crystal_score = nn.Sequential(*layers(64, 64), nn.Linear(64, 128))
        self.site_score = nn.Sequential(*layers(32, 64), nn.Linear(64, 128))

    def forward(self, batch):
        local = self.encoder.local(batch)
        z = sample(local)
        crystal = self.encoder.pool(batch, z.detach())
        g = sample(crystal)
        n = len(batch.sizes)
        # Another crystal for each: the one so many places on.
        other = (torch.arange(n) + int(torch.randint(1, n, ()))) % n
        wrong = [(z.detach(), other[batch.crystal])]
        with torch.no_grad():
            wrong += [(sample(self.encoder.local(false)), owner) for false, owner in engineered(batch, other)]
        divergence = kl(*crystal).mean() + site_mean(kl(*local), batch).mean()
        return self.local_loss(batch, z, other) + self.global_loss(batch, g, z.detach(), wrong) + 0.1 * divergence

    def local_loss(self, batch, z, other):
        keys = self.key(torch.cat([batch.features[batch.columns], batch.distances[..., None]], dim=2))
        queries = self.query(z)
        strangers = queries[random_sites(batch, other[batch.crystal])]
        true = functional.softplus(-torch.einsum("rk,rnk->rn", queries, keys))
        false = functional.softplus(torch.einsum("rk,rnk->rn", strangers, keys))
        weights = batch.mask * (batch.distances + 1) ** -2
        weights = weights / weights.sum(dim=1, keepdim=True)
        return site_mean((weights * (true + false)).sum(dim=1), batch).mean()

    def global_loss(self, batch, g, z, wrong):
        crystals = self.crystal_score(g)

        def scores(vectors, owner):
            return (self.site_score(vectors) * crystals[owner]).sum(dim=1)

        true = site_mean(functional.softplus(-scores(z, batch.crystal)), batch).mean()
        false = [site_mean(functional.softplus(scores(*pair)), batch).mean() for pair in wrong]
        return true + sum(false) / len(false)


def make_optimizer(model):
    """The paper's optimiser."""
    return torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=1e-4, eps=1e-7, amsgrad=True)


def copy_weights(model, state):
    """Give a DenseDeepInfoMax the weights of a ``skdim.nn.infomax.DeepInfoMax`` of one block and one head."""
    bond = torch.cat([state[f"encoder.blocks.0.bond.{part}.weight"] for part in ("centre", "neighbour", "pair")], dim=1)
    bias = state["encoder.blocks.0.bond.centre.bias"]
    width = len(bond) // 2
    score = "neighbour_score"
    named = {
        "encoder.attention.0.weight": bond[:width],
        "encoder.attention.0.bias": bias[:width],
        "encoder.value.0.weight": bond[width:],
        "encoder.value.0.bias": bias[width:],
        "encoder.attention.3.weight": state["encoder.blocks.0.logit.weight"],
        "key.0.weight": torch.cat([state[f"{score}.site.weight"], state[f"{score}.distance.weight"]], dim=1),
        "key.0.bias": state[f"{score}.site.bias"],
    }
    same = {
        "encoder.lift_site.0": "encoder.lift_site.linear",
        "encoder.lift_pair.0": "encoder.lift_pair.linear",
        "encoder.value.3": "encoder.blocks.0.value",
        "encoder.site.0": "encoder.blocks.0.site.linear",
        "encoder.bottleneck": "encoder.bottleneck",
        "encoder.pre_pool.0": "encoder.pre_pool.0.linear",
        "encoder.pre_pool.3": "encoder.pre_pool.1.linear",
        "encoder.post_pool.0": "encoder.post_pool.0.linear",
        "encoder.post_pool.3": "encoder.post_pool.1",
        "query.0": f"{score}.query.0.linear",
        "query.3": f"{score}.query.1",
        "key.3": f"{score}.key",
        "crystal_score.0": "crystal_score.crystal.0.linear",
        "crystal_score.3": "crystal_score.crystal.1",
        "site_score.0": "crystal_score.site.0.linear",
        "site_score.3": "crystal_score.site.1",
    }
    for ours, theirs in same.items():
        named |= {f"{ours}.{kind}": state[f"{theirs}.{kind}"] for kind in ("weight", "bias")}
    model.load_state_dict(named)
