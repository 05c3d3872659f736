"""Transfer learning: start a supervised Site-Net from a pre-trained encoder."""

from __future__ import annotations

import torch

from .._training.train import encoder_settings


def transferred_settings(estimator, source, site_features):
    """Keyword arguments of the encoder, which are those of ``source`` if there is one.

    Raises
    ------
    ValueError
        If a parameter of the estimator is neither at its default nor equal to the setting of ``source``.
    """
    settings = encoder_settings(estimator, site_features)
    if source is None:
        return settings
    defaults = encoder_settings(type(estimator)(), site_features)
    # The settings that it was trained with, which set_params does not change.
    trained = source.net_.get_params_for("module")["encoder"]
    different = [name for name in settings if settings[name] not in (trained[name], defaults[name])]
    if different:
        differences = ", ".join(f"{name}={trained[name]!r} (here {settings[name]!r})" for name in different)
        raise ValueError(
            f"the pretrained encoder has other settings: {differences}. Omit them: with pretrained, "
            f"{type(estimator).__name__} takes the settings of its encoder"
        )
    return {name: trained[name] for name in settings}


def start_from(module, device_batches, source, frozen, crystals, rows, weight):
    """Before training: load the encoder of ``source``, freeze weights, standardize the head's inputs."""
    encoder = module.encoder
    if source is not None:
        encoder.load_state_dict(source.net_.module_.encoder.state_dict())
    if weight is None:
        freeze(encoder, frozen)
        return
    with torch.no_grad():
        batches = device_batches(crystals, rows)
        features = torch.cat([module.features(batch) for batch in batches])
        module.standardise_features(features, torch.as_tensor(weight, dtype=features.dtype, device=features.device))
    freeze(encoder, frozen)


def freeze(encoder, frozen):
    """Freeze the part of an encoder that the parameter ``freeze`` names, and unfreeze the others."""
    encoder.requires_grad_(True)
    for part in {"local": encoder.local_modules(), "encoder": [encoder], None: []}[frozen]:
        part.requires_grad_(False)
