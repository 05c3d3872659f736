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
        If it is not fitted (as after ``clone``), or its encoder has other settings than the regressor.
    """
    source = regressor.pretrained
    while isinstance(source, FrozenEstimator):
        source = source.estimator
    if source is None:
        if regressor.freeze is not None:
            raise ValueError(f"freeze={regressor.freeze!r} needs pretrained: random weights would stay random")
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
    # The settings that it was trained with, which set_params does not change.
    trained = source.net_.get_params_for("module")["encoder"]
    current = encoder_settings(regressor, crystals.site_features)
    different = [name for name in current if trained[name] != current[name]]
    if different:
        differences = ", ".join(f"{name}={trained[name]!r} (here {current[name]!r})" for name in different)
        raise ValueError(
            f"the pretrained encoder has other settings: {differences}. Pass SiteNetRegressor the same settings, "
            "so that transfer learning and training from random weights use the same model"
        )
    return source


def start_from(module, device_batches, source, frozen, crystals, rows, weight):
    """Before training: load the encoder of ``source``, standardise the inputs of the head, freeze weights."""
    encoder = module.encoder
    if source is not None:
        encoder.load_state_dict(source.net_.module_.encoder.state_dict())
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
