"""The net described by the parameters of a DeepInfoMaxEmbedder, for training and for loading weights."""

from __future__ import annotations

from functools import partial

from torch import nn

from .._crystals.blocks import copied_rows
from .._training.train import encoder_settings, make_crystal_net
from ..nn.choices import NEGATIVES
from ..nn.infomax import DeepInfoMax

#: Number of crystals that the scale of the descriptors is computed from; more would not change it.
_N_FOR_SCALE = 5000


class InfoMaxCriterion(nn.Module):
    """Return the total loss, which the module computes together with its parts."""

    def forward(self, losses, targets=None):
        return losses["loss"]


def module_settings(embedder, site_features):
    """Keyword arguments of :class:`DeepInfoMax` for an embedder of crystals with these site features.

    Raises
    ------
    ValueError
        If ``negatives`` or ``encoder_params`` are invalid.
    """
    return {
        "encoder": encoder_settings(embedder, site_features),
        "negatives": _checked_negatives(embedder.negatives),
        **{
            name: getattr(embedder, name)
            for name in (
                "objective",
                "kl_weight",
                "kl_form",
                "temperature",
                "distance_power",
                "self_weight",
                "descriptor_weight",
            )
        },
    }


def loss_parts(embedder):
    """Names of the parts of the loss that are recorded in the history."""
    optional = {"kl": embedder.kl_weight, "descriptors": embedder.descriptor_weight}
    return ("local", "global", *(name for name, weight in optional.items() if weight))


def net_maker(embedder, site_features, seed, crystals=None, rows=None):
    """Return a function that makes the untrained net; ``rows`` of ``crystals`` set the scale of the descriptors."""
    settings = module_settings(embedder, site_features)
    prepare = None
    if embedder.descriptor_weight and crystals is not None:
        prepare = partial(_standardise, crystals=copied_rows(crystals, rows[:: max(1, len(rows) // _N_FOR_SCALE)]))
    return partial(
        make_crystal_net, DeepInfoMax, InfoMaxCriterion, settings, seed=seed, min_crystals=2, prepare=prepare
    )


def _standardise(module, device_batches, crystals):
    module.descriptors.standardise(device_batches(crystals))


def _checked_negatives(value):
    negatives = (value,) if isinstance(value, str) else tuple(value)
    if not negatives or not set(negatives) <= set(NEGATIVES):
        raise ValueError(f"negatives must be one or more of {NEGATIVES}; got {value!r}")
    return negatives
