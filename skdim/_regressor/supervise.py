"""Fitting a supervised Site-Net."""

from __future__ import annotations

from functools import partial

import numpy as np
from sklearn.utils import check_random_state

from .._crystals.checks import check_crystals
from .._embedder.embedder import DeepInfoMaxEmbedder
from .._training.input_scaling import warn_of_other_features
from .._training.net import draw_seed
from .._training.parameters import check_widths, pretrained_source
from .._training.train import dataset, hold_out, make_crystal_net, refuse_changes, starts_warm, train
from ..nn.sitenet import SiteNet
from .base import SupervisedSiteNet
from .transfer import freeze, start_from, transferred_settings
from .weighted_loss import WeightedLoss

#: Minimum number of validation crystals for early stopping: with fewer, the best epoch depends on the random split.
_MIN_VALIDATION = 10


def supervise(estimator, crystals, y, weight, scaling, loss, output_activation="identity", classes=None):
    """Fit an estimator with valid parameters to crystals with checked targets and weights; return it.

    Parameters
    ----------
    estimator : SupervisedSiteNet
    crystals : Crystals of shape (n_crystals,)
    y : ndarray of shape (n_crystals,) or (n_crystals, n_targets)
    weight : ndarray of float64 of shape (n_crystals,)
    scaling : object
        Unfitted; converts targets to the network's numbers, as :class:`TargetScaling` does.
    loss : str
        A key of ``LOSSES``.
    output_activation : str, default="identity"
    classes : ndarray of int of shape (n_crystals,), default=None
        Class of each crystal, by which the validation set is stratified.
    """
    warn_of_other_features(estimator, crystals.site_features, stacklevel=3)
    kinds = {"DeepInfoMaxEmbedder": DeepInfoMaxEmbedder, "SiteNetRegressor or SiteNetClassifier": SupervisedSiteNet}
    source = pretrained_source(estimator, crystals, kinds)
    rng = check_random_state(estimator.random_state)
    seed = draw_seed(rng)
    rows = np.flatnonzero(weight > 0)
    strata = None if classes is None else classes[rows]
    formulas = [crystals.formula(row) for row in rows.tolist()] if estimator.early_stopping else None
    parts = hold_out(len(rows), estimator, rng, least=_MIN_VALIDATION, groups=formulas, strata=strata)
    training, validation = (rows[part] for part in parts)
    settings = network_settings(estimator, source, crystals.site_features, output_activation)
    if starts_warm(estimator):
        check_warm_start(estimator, crystals, settings, loss)
        freeze(estimator.net_.module_.encoder, estimator.freeze)
        scaling = estimator._target_scaling
    else:
        scaling.fit(y[training], weight[training])
    targets = scaling.pack(y, weight)
    prepare = partial(
        start_from,
        source=source,
        frozen=estimator.freeze,
        crystals=crystals,
        rows=training,
        weight=weight[training] if estimator.standardize else None,
    )
    make_net = net_maker(estimator, settings, scaling, loss, source, prepare=prepare, seed=seed)
    train(estimator, "train", make_net, dataset(crystals, training, targets), dataset(crystals, validation, targets))
    estimator.site_features_ = crystals.site_features
    estimator.featurizer_settings_ = crystals.settings
    estimator._target_scaling = scaling
    return estimator


def network_settings(estimator, source, site_features, output_activation):
    """Keyword arguments of :class:`SiteNet` that follow from the parameters of an estimator and its pretrained encoder.

    Raises
    ------
    ValueError
        If ``encoder_params`` or ``hidden_layer_sizes`` are invalid, or the pretrained encoder has other settings.
    """
    settings = {
        "encoder": transferred_settings(estimator, source, site_features),
        "hidden_layer_sizes": tuple(np.atleast_1d(estimator.hidden_layer_sizes).tolist()),
        "output_activation": output_activation,
        "representation": estimator.representation,
        "head_norm": estimator.head_norm,
        "statistics": estimator.statistics,
    }
    check_widths("hidden_layer_sizes", settings["hidden_layer_sizes"])
    return settings


def check_warm_start(estimator, crystals, settings, loss):
    """Raise ValueError if a warm start has other site features or another network."""
    check_crystals(crystals, f"{type(estimator).__name__} (warm_start)", like=estimator)
    to_do = "reset the parameters, or fit a new network with warm_start=False"
    refuse_changes(estimator, settings, to_do, loss=loss)


def net_maker(estimator, settings, scaling, loss, source, **options):
    """Return a function that makes the untrained net of an estimator."""
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
        criterion__loss=loss,
        criterion__scale=scaling.scale,
        optimizer__param_groups=[("encoder.*", {"lr": estimator.learning_rate_init * estimator.encoder_rate})],
        **options,
    )
