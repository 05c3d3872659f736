"""The net described by the parameters of a DeepInfoMaxEmbedder, for training and for loading weights."""

from __future__ import annotations

import warnings
from functools import partial

import torch
from torch import nn

from .._crystals.blocks import copied_rows
from .._training.parameters import check_loss_params
from .._training.train import encoder_settings, make_crystal_net
from ..nn.choices import NEGATIVES
from ..nn.infomax import DeepInfoMax
from ..nn.sitenet import embed

#: Number of crystals that the scales of descriptors and vectors are computed from; more would not change them.
_N_FOR_SCALE = 5000
#: Site features whose radial correlations are predicted: bonds are between sites that differ in them.
_RADIAL_FEATURES = ("electronegativity", "atomic_radius")


class InfoMaxCriterion(nn.Module):
    """Return the total loss, which the module computes together with its parts."""

    def forward(self, losses, targets=None):
        return losses["loss"]


def module_settings(embedder, site_features, known_properties=None):
    """Keyword arguments of :class:`DeepInfoMax` for an embedder of crystals with these site features.

    ``known_properties`` are the names of the properties to learn; None takes those that the embedder has learned.

    Raises
    ------
    ValueError
        If ``negatives``, ``local_negatives``, ``loss_params`` or ``encoder_params`` are invalid.
    """
    if known_properties is None:
        known_properties = getattr(embedder, "known_properties_", ())
    loss_params = dict(embedder.loss_params or {})
    check_loss_params(loss_params)
    if embedder.objective is None and not (
        embedder.descriptor_weight or embedder.radial_weight or embedder.property_weight
    ):
        raise ValueError("objective=None leaves no task: set descriptor_weight, radial_weight or property_weight")
    return {
        "encoder": encoder_settings(embedder, site_features),
        "negatives": _checked_negatives(embedder, "negatives"),
        "local_negatives": _checked_negatives(embedder, "local_negatives"),
        **loss_params,
        "n_properties": len(known_properties),
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
                "property_weight",
                "radial_weight",
            )
        },
        "radial_features": tuple(k for k, name in enumerate(site_features) if name in _RADIAL_FEATURES),
    }


def loss_parts(embedder):
    """Names of the parts of the loss that are recorded in the history."""
    optional = {
        "kl": embedder.kl_weight,
        "descriptors": embedder.descriptor_weight,
        "prior": embedder.prior_weight,
        "composition": embedder.composition_weight,
        "properties": embedder.property_weight,
        "radial": embedder.radial_weight,
    }
    contrastive = () if embedder.objective is None else ("local", "global")
    return (*contrastive, *(name for name, weight in optional.items() if weight))


def warn_of_lacking_negatives(embedder, crystals, rows, stacklevel):
    """Warn of crystals that the chosen negatives leave without one: permuting one element changes nothing."""
    for name in ("negatives", "local_negatives") if embedder.objective is not None else ():
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


def net_maker(embedder, site_features, seed, crystals=None, rows=None, source=None, table=None):
    """Return a function that makes the untrained net.

    Parameters
    ----------
    embedder : DeepInfoMaxEmbedder
    site_features : tuple of str
    seed : int
    crystals : Crystals, default=None
        None if the weights are loaded afterwards.
    rows : ndarray of int, default=None
        Training rows; some of them set the scales of the descriptors and of the vectors that properties are read from.
    source : DeepInfoMaxEmbedder, default=None
        Fitted; its weights are the first ones.
    table : PropertyTable, default=None
    """
    # Without crystals, the embedder has the known properties of the weights that are loaded.
    known_properties = None if crystals is None else getattr(table, "names", ())
    settings = module_settings(embedder, site_features, known_properties)
    prepare = None
    needs_scales = embedder.descriptor_weight or embedder.radial_weight or table is not None
    if crystals is not None and (source is not None or needs_scales):
        sample = copied_rows(crystals, rows[:: max(1, len(rows) // _N_FOR_SCALE)])
        prepare = partial(_prepare, crystals=sample, source=source, table=table)
    return partial(
        make_crystal_net, DeepInfoMax, InfoMaxCriterion, settings, seed=seed, min_crystals=2, prepare=prepare
    )


def _prepare(module, device_batches, crystals, source, table):
    """Before training: load the weights of ``source`` and fix the standardizations."""
    if module.descriptors is not None:
        module.descriptors.standardise(device_batches(crystals))
    if source is not None:
        weights, trained = module.state_dict(), source.net_.module_.state_dict()
        # The layers of its objective and of its properties need not be those of this training.
        same = {name: value for name, value in trained.items() if not name.startswith("properties.")}
        same = {k: v for k, v in same.items() if k in weights and v.shape == weights[k].shape}
        module.load_state_dict(same, strict=False)
    if table is not None or module.radial is not None:
        with torch.no_grad():
            vectors = torch.cat([embed(module.encoder, batch, "both") for batch in device_batches(crystals)])
    if module.radial is not None:
        module.radial.standardise(device_batches(crystals), vectors)
    if table is not None:
        module.properties.standardize(vectors, table.mean, table.scale)


def _checked_negatives(embedder, name):
    value = getattr(embedder, name)
    negatives = (value,) if isinstance(value, str) else tuple(value)
    if not negatives or not set(negatives) <= set(NEGATIVES):
        raise ValueError(f"{name} must be one or more of {NEGATIVES}; got {value!r}")
    return negatives
