"""The fit of a SiteNetRegressor."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from sklearn.utils import check_random_state

from .._crystals.checks import check_crystals
from .._training.net import WeightedLoss, seed_of
from .._training.parameters import check_widths
from .._training.train import dataset, encoder_settings, hold_out, make_crystal_net, refuse_changes, starts_warm, train
from ..nn.sitenet import SiteNet
from .transfer import freeze, pretrained_source, start_from

#: Fewest labels that early stopping may choose a checkpoint by: fewer say more about the draw than about the model.
_LEAST_VALIDATION = 10
#: Deviations of labels, and labels, between which single precision has room for what is made of them.
_SMALLEST, _LARGEST = 1e-30, 1e30


def supervise(regressor, crystals, y, weight, kinds):
    """Fit a regressor of valid parameters to crystals with checked labels and weights; returns it.

    ``kinds`` are the classes of estimators that it may start from.
    """
    used, targets = np.flatnonzero(weight > 0), y.reshape(len(crystals), -1)
    source = pretrained_source(regressor, crystals, kinds)
    rng = check_random_state(regressor.random_state)
    seed = seed_of(rng)
    rows, held_out = (used[part] for part in hold_out(len(used), regressor, rng, least=_LEAST_VALIDATION))

    warm = starts_warm(regressor)
    if warm:
        check_crystals(crystals, "SiteNetRegressor (warm_start)", like=regressor)
        if targets.shape[1] != regressor.n_outputs_:
            raise ValueError(f"warm_start goes on with {regressor.n_outputs_} targets, but y has {targets.shape[1]}")
    with np.errstate(over="ignore", invalid="ignore"):
        mean = np.average(targets[rows], axis=0, weights=weight[rows])
        scale = np.sqrt(np.average((targets[rows] - mean) ** 2, axis=0, weights=weight[rows]))
    scale[scale <= 1e-12 * np.abs(mean)] = 1.0  # equal labels, but for rounding
    # Single precision is for what the labels differ by, not for what they have in common. An activation has to see
    # the labels' own zero.
    offset = mean if regressor.output_activation == "identity" else np.zeros_like(mean)
    offset = regressor._offset if warm else offset
    _check_size(targets[used] - offset, scale)
    settings = {
        "encoder": encoder_settings(regressor, crystals.site_features),
        "hidden_layer_sizes": tuple(np.atleast_1d(regressor.hidden_layer_sizes).tolist()),
        "output_activation": regressor.output_activation,
        "representation": regressor.representation,
    }
    check_widths("hidden_layer_sizes", settings["hidden_layer_sizes"])
    if warm:
        to_do = "set it back, or fit with warm_start=False to train another one"
        refuse_changes(regressor, settings, to_do, loss=regressor.loss)
        freeze(regressor.net_.module_.encoder, regressor.freeze)
    spread = source is not None and source.net_.module_.encoder.spread
    module_params = {
        **settings,
        "encoder": {**settings["encoder"], "spread": spread},
        "target_mean": mean - offset,
        "target_scale": scale,
    }
    make_net = partial(
        make_crystal_net,
        SiteNet,
        WeightedLoss,
        module_params,
        prepare=partial(
            start_from, source=source, frozen=regressor.freeze, crystals=crystals, rows=rows, weight=weight[rows]
        ),
        criterion__loss=regressor.loss,
        criterion__scale=scale,
        optimizer__param_groups=[("encoder.*", {"lr": regressor.learning_rate_init * regressor.encoder_rate})],
        seed=seed,
    )
    packed = torch.from_numpy(np.column_stack([targets - offset, weight]).astype(np.float32))
    sets = (dataset(crystals, part, packed) for part in (rows, held_out))
    train(regressor, "train", make_net, *sets)
    regressor.site_features_ = crystals.site_features
    regressor.featurizer_settings_ = crystals.settings
    regressor.n_outputs_ = targets.shape[1]
    regressor._one_dimensional = y.ndim == 1
    regressor._offset = offset
    return regressor


def _check_size(targets, scale):
    """Raise ValueError if labels are too large or too small for single precision."""
    if not (np.abs(targets).max() < _LARGEST and (scale > _SMALLEST).all()):
        raise ValueError(
            f"y has values up to {np.abs(targets).max():.3g} and deviates by {scale.min():.3g}; networks compute in "
            f"single precision and need values below {_LARGEST:g} and deviations above {_SMALLEST:g}: pass y in other "
            "units"
        )
