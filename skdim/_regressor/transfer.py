"""Transfer: how a supervised Site-Net starts from a pre-trained encoder."""

from __future__ import annotations

import torch
from sklearn.frozen import FrozenEstimator

from .._crystals.checks import check_crystals
from .._training.train import encoder_settings
from ..nn.sitenet import embed


def pretrained_source(regressor, crystals, kinds):
    """The fitted estimator, of one of these kinds, whose encoder a regressor is to start from, or None.

    Raises
    ------
    ValueError
        If it is not fitted (as after ``clone``), or its encoder has another shape than this estimator asks for.
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
            f"the {name} given as pretrained is not fitted. If you fitted it, scikit-learn's clone (in "
            "cross-validation and searches) has emptied it: pass it as pretrained=FrozenEstimator(...), with "
            "FrozenEstimator from sklearn.frozen"
        )
    check_crystals(crystals, f"the pretrained {name}", like=source)
    # What it was trained with, whatever set_params has made of its parameters since.
    theirs, ours = source.net_.get_params_for("module")["encoder"], encoder_settings(regressor, crystals.site_features)
    different = [name for name in ours if theirs[name] != ours[name]]
    if different:
        wanted = ", ".join(f"{name}={theirs[name]!r} (here {ours[name]!r})" for name in different)
        raise ValueError(
            f"the pretrained encoder has another shape: {wanted}. Give SiteNetRegressor the same settings, "
            "so that a start from it and a start from random weights train the same model"
        )
    return source


def start_from(module, device_batches, source, frozen, crystals, rows, weight):
    """Before the first step: load the encoder, freeze what is to stay, standardise what the head sees."""
    encoder = module.encoder
    if source is not None:
        encoder.load_state_dict(source.net_.module_.encoder.state_dict())
    with torch.no_grad():
        batches = device_batches(crystals, rows)
        vectors = torch.cat([embed(encoder, batch, module.representation) for batch in batches])
        module.standardise_features(vectors, torch.as_tensor(weight, dtype=vectors.dtype, device=vectors.device))
    freeze(encoder, frozen)


def freeze(encoder, frozen):
    """Freeze what the parameter ``freeze`` names, and nothing else."""
    encoder.requires_grad_(True)
    for part in {"local": encoder.local_modules(), "encoder": [encoder], None: []}[frozen]:
        part.requires_grad_(False)
