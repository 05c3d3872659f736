"""The net described by the parameters of a DeepInfoMaxEmbedder, for training and for loading weights."""

from __future__ import annotations

import warnings
from functools import partial

from torch import nn

from .._crystals.blocks import copied_rows
from .._training.parameters import check_loss_params
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
        If ``negatives``, ``local_negatives``, ``loss_params`` or ``encoder_params`` are invalid.
    """
    loss_params = dict(embedder.loss_params or {})
    check_loss_params(loss_params)
    return {
        "encoder": encoder_settings(embedder, site_features),
        "negatives": _checked_negatives(embedder, "negatives"),
        "local_negatives": _checked_negatives(embedder, "local_negatives"),
        **loss_params,
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
                "prior_weight",
                "composition_weight",
            )
        },
    }


def loss_parts(embedder):
    """Names of the parts of the loss that are recorded in the history."""
    optional = {
        "kl": embedder.kl_weight,
        "descriptors": embedder.descriptor_weight,
        "prior": embedder.prior_weight,
        "composition": embedder.composition_weight,
    }
    return ("local", "global", *(name for name, weight in optional.items() if weight))


def warn_of_lacking_negatives(embedder, crystals, rows, stacklevel):
    """Warn of crystals that the chosen negatives leave without one: permuting one element changes nothing."""
    for name in ("negatives", "local_negatives"):
        if set(_checked_negatives(embedder, name)) != {"permuted"}:
            continue
        bare = [row for row in rows.tolist() if _of_one_element(crystals, row)]
        if bare:
            warnings.warn(
                f"{len(bare)} of {len(rows)} crystals have a single element, the first is row {bare[0]} "
                f"({crystals.formula(bare[0])}): permuting it changes nothing, so {name}={getattr(embedder, name)!r} "
                f'leaves it without negatives; add "batch"',
                stacklevel=stacklevel,
            )


def _of_one_element(crystals, row):
    numbers = crystals.numbers[crystals.class_offsets[row] : crystals.class_offsets[row + 1]]
    return bool((numbers == numbers[0]).all())


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


def _checked_negatives(embedder, name):
    value = getattr(embedder, name)
    negatives = (value,) if isinstance(value, str) else tuple(value)
    if not negatives or not set(negatives) <= set(NEGATIVES):
        raise ValueError(f"{name} must be one or more of {NEGATIVES}; got {value!r}")
    return negatives
