"""Everything random in one step of Deep InfoMax."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch

from ..batch import Batch
from . import negatives


class Draws(NamedTuple):
    """Everything random in one step. Entries that the settings do not need are None.

    Attributes
    ----------
    partner : Tensor of int64 of shape (C,)
        For each class one of another crystal.
    chimera : Chimera
    turn : Tensor of int64 of shape (P,)
        For each pair the pair that lends its distance to the permuted crystal.
    pair : Tensor of int64 of shape (C,)
        For each class one of its pairs.
    noise, crystal_noise, chimera_noise, permuted_noise : Tensor of float
        Standard normal, of the shapes of the local and crystal vectors.
    uniform, crystal_uniform : Tensor of float
        Uniform on (0, 1), likewise.
    """

    partner: Any = None
    chimera: Any = None
    turn: Any = None
    pair: Any = None
    noise: Any = None
    crystal_noise: Any = None
    chimera_noise: Any = None
    permuted_noise: Any = None
    uniform: Any = None
    crystal_uniform: Any = None


def draw_all(model, batch: Batch, generator: torch.Generator | None) -> Draws:
    """Draws of one step of a DeepInfoMax model; they are equal in all processes that share the batch."""
    of_sites = len(batch.numbers), model.encoder.local_dim
    of_crystals = len(batch), model.encoder.n_components
    options: dict[str, Any] = {"dtype": batch.distance.dtype, "device": batch.distance.device}

    def normal(shape):
        return torch.randn(shape, generator=generator, **options) if model.encoder.spread else None

    noisy = model.encoder.bottleneck is not None
    noise, crystal_noise = normal(of_sites) if noisy else None, normal(of_crystals)
    drawn: dict[str, Any] = {"noise": noise, "crystal_noise": crystal_noise}
    if model.objective is not None:
        noisy = noisy and model.global_input == "samples"
        drawn |= _of_negatives(model, batch, generator, (lambda: normal(of_sites)) if noisy else lambda: None)
    if model.local_prior is not None:
        drawn["uniform"] = torch.rand(of_sites, generator=generator, **options)
        drawn["crystal_uniform"] = torch.rand(of_crystals, generator=generator, **options)
    return Draws(**drawn)


def _of_negatives(model, batch, generator, draw_noise):
    """Draws of the negatives of both blocks."""
    drawn: dict[str, Any] = {}
    mixed = {"composition", "structure"} & set(model.negatives)
    if mixed and model.pairing == "crystals":
        drawn["chimera"] = negatives.draw_chimera(batch, generator)
        drawn["chimera_noise"] = draw_noise()
    if "permuted" in model.negatives + model.local_negatives:
        drawn["turn"] = negatives.permute_pairs(batch, generator)
        drawn["permuted_noise"] = draw_noise()
    if model.pairing == "sites" or model.objective == "jsd" or set(model.local_negatives) - {"batch", "permuted"}:
        drawn["partner"] = negatives.draw_partner(batch, generator)
    if model.objective == "infonce":
        drawn["pair"] = negatives.draw_pair(batch, model.neighbour_weights(batch), generator)
    return drawn
