"""Transfer learning: start a supervised Site-Net from a pre-trained encoder."""

from __future__ import annotations

import torch
from sklearn.frozen import FrozenEstimator

from .._crystals.checks import check_crystals
from .._training.train import encoder_settings
from ..nn.sitenet import embed


def pretrained_source(regressor, crystals, kinds):
    """The fitted estimator, of one of these kinds, whose encoder a regressor starts from, or None.

    Raises
    ------
    TypeError
        If ``pretrained`` is another kind of estimator.
    ValueError
        If it is not fitted (as after ``clone``), or was fitted on other site features.
    """
    source = regressor.pretrained
    while isinstance(source, FrozenEstimator):
        source = source.estimator
    if source is None:
        return None
    name = type(source).__name__
    if not isinstance(source, kinds):
        names = " or ".join(kind.__name__ for kind in kinds)
        raise TypeError(f"pretrained must be a fitted {names}, or a FrozenEstimator of one, not {name}")
    if not hasattr(source, "net_"):
        raise ValueError(
            f"the {name} passed as pretrained is not fitted. If it was fitted, scikit-learn's clone (in "
            "cross-validation and searches) has reset it: pass it as pretrained=FrozenEstimator(...), with "
            "FrozenEstimator from sklearn.frozen"
        )
    check_crystals(crystals, f"the pretrained {name}", like=source)
    return source


def transferred_settings(regressor, source, site_features):
    """Keyword arguments of the encoder, which are those of ``source`` if there is one.

    Raises
    ------
    ValueError
        If a parameter of the regressor is neither at its default nor equal to the setting of ``source``.
    """
    settings = encoder_settings(regressor, site_features)
    if source is None:
        return settings
    defaults = encoder_settings(type(regressor)(), site_features)
    # The settings that it was trained with, which set_params does not change.
    trained = source.net_.get_params_for("module")["encoder"]
    different = [name for name in settings if settings[name] not in (trained[name], defaults[name])]
    if different:
        differences = ", ".join(f"{name}={trained[name]!r} (here {settings[name]!r})" for name in different)
        raise ValueError(
            f"the pretrained encoder has other settings: {differences}. Omit them: with pretrained, SiteNetRegressor "
            "takes the settings of its encoder"
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
        vectors = torch.cat([embed(encoder, batch, module.representation) for batch in batches])
        module.standardise_features(vectors, torch.as_tensor(weight, dtype=vectors.dtype, device=vectors.device))
    freeze(encoder, frozen)


def freeze(encoder, frozen):
    """Freeze the part of an encoder that the parameter ``freeze`` names, and unfreeze the others."""
    encoder.requires_grad_(True)
    for part in {"local": encoder.local_modules(), "encoder": [encoder], None: []}[frozen]:
        part.requires_grad_(False)
