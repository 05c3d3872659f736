"""Fitting a SiteNetRegressor."""

from __future__ import annotations

from functools import partial

import numpy as np
from sklearn.utils import check_random_state

from .._crystals.checks import check_crystals
from .._training.input_scaling import warn_of_other_features
from .._training.net import draw_seed
from .._training.parameters import check_widths, pretrained_source
from .._training.train import dataset, hold_out, make_crystal_net, refuse_changes, starts_warm, train
from ..nn.sitenet import SiteNet
from .targets import TargetScaling
from .transfer import freeze, start_from, transferred_settings
from .weighted_loss import WeightedLoss

#: Minimum number of validation crystals for early stopping: with fewer, the best epoch depends on the random split.
_MIN_VALIDATION = 10


def supervise(regressor, crystals, y, weight, kinds):
    """Fit a regressor with valid parameters to crystals with checked targets and weights; return it.

    ``kinds`` are the classes that ``pretrained`` may have.
    """
    warn_of_other_features(regressor, crystals.site_features, stacklevel=3)
    source = pretrained_source(regressor, crystals, kinds)
    rng = check_random_state(regressor.random_state)
    seed = draw_seed(rng)
    weighted = np.flatnonzero(weight > 0)
    training, validation = (weighted[part] for part in hold_out(len(weighted), regressor, rng, least=_MIN_VALIDATION))
    settings = network_settings(regressor, source, crystals.site_features)
    if starts_warm(regressor):
        check_warm_start(regressor, crystals, y, settings)
        freeze(regressor.net_.module_.encoder, regressor.freeze)
        scaling = regressor._target_scaling
    else:
        keeps_zero = regressor.output_activation != "identity"
        scaling = TargetScaling(keeps_zero, regressor.standardize).fit(y[training], weight[training])
    targets = scaling.pack(y, weight)
    prepare = partial(
        start_from,
        source=source,
        frozen=regressor.freeze,
        crystals=crystals,
        rows=training,
        weight=weight[training] if regressor.standardize else None,
    )
    make_net = net_maker(regressor, settings, scaling, source, prepare=prepare, seed=seed)
    train(regressor, "train", make_net, dataset(crystals, training, targets), dataset(crystals, validation, targets))
    regressor.site_features_ = crystals.site_features
    regressor.featurizer_settings_ = crystals.settings
    regressor.n_outputs_ = scaling.n_targets
    regressor._target_scaling = scaling
    return regressor


def network_settings(regressor, source, site_features):
    """Keyword arguments of :class:`SiteNet` that follow from the parameters of a regressor and its pretrained encoder.

    Raises
    ------
    ValueError
        If ``encoder_params`` or ``hidden_layer_sizes`` are invalid, or the pretrained encoder has other settings.
    """
    settings = {
        "encoder": transferred_settings(regressor, source, site_features),
        "hidden_layer_sizes": tuple(np.atleast_1d(regressor.hidden_layer_sizes).tolist()),
        "output_activation": regressor.output_activation,
        "representation": regressor.representation,
        "head_norm": regressor.head_norm,
    }
    check_widths("hidden_layer_sizes", settings["hidden_layer_sizes"])
    return settings


def check_warm_start(regressor, crystals, y, settings):
    """Raise ValueError if a warm start has other site features, other targets or another network."""
    check_crystals(crystals, "SiteNetRegressor (warm_start)", like=regressor)
    n_targets = 1 if y.ndim == 1 else y.shape[1]
    if n_targets != regressor.n_outputs_:
        raise ValueError(f"warm_start continues with {regressor.n_outputs_} targets, but y has {n_targets}")
    to_do = "reset the parameters, or fit a new network with warm_start=False"
    refuse_changes(regressor, settings, to_do, loss=regressor.loss)


def net_maker(regressor, settings, scaling, source, **options):
    """Return a function that makes the untrained net of a regressor."""
    spread = source is not None and source.net_.module_.encoder.spread
    module_params = {
        **settings,
        "encoder": {**settings["encoder"], "spread": spread},
        "target_mean": scaling.mean,
        "target_scale": scaling.scale,
    }
    return partial(
        make_crystal_net,
        SiteNet,
        WeightedLoss,
        module_params,
        criterion__loss=regressor.loss,
        criterion__scale=scaling.scale,
        optimizer__param_groups=[("encoder.*", {"lr": regressor.learning_rate_init * regressor.encoder_rate})],
        **options,
    )
