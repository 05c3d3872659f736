"""Training, as all estimators do it: settings of the encoder, the validation set, and the training run."""

from __future__ import annotations

from contextlib import nullcontext
from inspect import signature

import numpy as np
import torch

from ..nn.encoder import SiteNetEncoder
from .batches import CrystalDataset
from .callbacks import close_bars, make_callbacks
from .devices import device_turn, resolve_device
from .history import drop_incomplete_epoch
from .input_scaling import input_scale
from .net import CrystalNet
from .parameters import check_encoder_params
from .threads import resolve_threads, torch_threads

#: Arguments of the encoder that are parameters of the estimators, or follow from the data or the objective.
_NOT_ENCODER_PARAMS = ("n_site_inputs", "n_components", "local_dim", "n_blocks", "n_heads", "spread", "input_scale")


def encoder_settings(estimator, site_features):
    """Keyword arguments of the encoder, except ``spread``, for an estimator's parameters and these site features.

    Raises
    ------
    ValueError
        If ``encoder_params`` has an unknown key or an invalid value.
    """
    parameters = signature(SiteNetEncoder).parameters
    defaults = {name: parameter.default for name, parameter in parameters.items() if name not in _NOT_ENCODER_PARAMS}
    encoder_params = dict(estimator.encoder_params or {})
    known = {*defaults, "input_scaling"}
    unknown = sorted(set(encoder_params) - known)
    if unknown:
        raise ValueError(f"encoder_params has unknown keys {unknown}; valid keys are {sorted(known)}")
    check_encoder_params(encoder_params)
    return {
        "n_site_inputs": len(site_features),
        "input_scale": input_scale(encoder_params.pop("input_scaling", "standardized"), site_features),
        **{name: getattr(estimator, name) for name in ("n_components", "local_dim", "n_blocks", "n_heads")},
        **defaults,
        # Settings are compared: a list of widths is equal to the same tuple.
        **{name: tuple(value) if isinstance(value, list) else value for name, value in encoder_params.items()},
    }


def hold_out(n, estimator, rng, least, groups=None, strata=None):
    """Rows for training and for validation; the latter are empty without ``early_stopping``.

    Parameters
    ----------
    n : int
        Number of rows.
    estimator : estimator
    rng : RandomState
    least : int
        Minimum number of rows of each part.
    groups : sequence of shape (n,), default=None
        Rows of one group, such as a formula, are held out together.
    strata : ndarray of int of shape (n,), default=None
        Classes of which both parts have about the same shares.

    Raises
    ------
    ValueError
        If either has fewer than ``least`` rows.
    """
    if not estimator.early_stopping:
        return np.arange(n), np.arange(0)
    n_valid = max(least, round(estimator.validation_fraction * n))
    if n - n_valid < least:
        raise ValueError(
            f"early_stopping holds out {n_valid} of {n} crystals for validation (validation_fraction="
            f"{estimator.validation_fraction}, at least {least}), which leaves {n - n_valid} for training: pass more "
            "crystals, or early_stopping=False for a fixed number of epochs"
        )
    order = rng.permutation(n)
    groups = np.arange(n) if groups is None else np.unique(groups, return_inverse=True)[1]
    strata = np.zeros(n, dtype=int) if strata is None else strata
    is_valid = _draw_groups(order, groups, strata, n_valid)
    if is_valid.sum() < max(least, n_valid // 2):
        raise ValueError(
            f"early_stopping holds out {n_valid} of {n} crystals for validation, all crystals of a formula together, "
            f"but these crystals have only {len(np.unique(groups))} formulas: pass early_stopping=False"
        )
    return np.flatnonzero(~is_valid), np.flatnonzero(is_valid)


def _draw_groups(order, groups, strata, n_valid):
    """Mask of about ``n_valid`` rows: the first groups, in an order of rows, that fit into each stratum's number."""
    counts = np.bincount(strata)
    # At least one row of each stratum stays for training.
    room = np.minimum(-(-counts * n_valid // len(order)), np.maximum(counts - 1, 0))
    is_valid = np.zeros(len(order), dtype=bool)
    by_group = np.argsort(groups, kind="stable")
    rows_of = np.split(by_group, np.flatnonzero(np.diff(groups[by_group])) + 1)
    for group in dict.fromkeys(groups[order].tolist()):
        needed = np.bincount(strata[rows_of[group]], minlength=len(room))
        if (needed <= room).all():
            is_valid[rows_of[group]] = True
            room = room - needed
    return is_valid


def train(estimator, description, make_net, train_set, valid_set, loss_parts=(), checkpoint=None, ranks=None):
    """Train the net of an estimator and set its ``net_``, ``history_`` and ``n_iter_``.

    Parameters
    ----------
    estimator : DeepInfoMaxEmbedder or SiteNetRegressor
        With ``warm_start`` its ``net_`` is trained further.
    description : str
        Shown in the progress bar.
    make_net : callable
        Makes a new net from keyword arguments of :class:`CrystalNet`.
    train_set : CrystalDataset
    valid_set : CrystalDataset or None
    loss_parts : tuple of str
        Parts of the loss to record in the history.
    checkpoint : Checkpoint or None
        Saves the run after every epoch, and resumes the saved run.
    ranks : Ranks or None
        The processes that train this net together.

    Raises
    ------
    KeyboardInterrupt
        If training is interrupted: a partly trained net must not pass for a fitted one.
    ValueError
        If training diverges.
    """
    settings = _run_settings(estimator, description, loss_parts, valid_set is not None, checkpoint, ranks)
    device = estimator.net_.device if starts_warm(estimator) else resolve_device(estimator.device)
    # Processes that train together must not wait for each other's turns on a GPU.
    turn = device_turn(device) if ranks is None else nullcontext(device)
    # By default on one thread if supervised: its steps are too small for two.
    one = settings["threads"] is None and train_set.targets is not None
    with torch_threads(1 if one else resolve_threads(settings["threads"])), turn as device_of_turn:
        net = _net_to_train(estimator, make_net, loss_parts, {**settings, "device": device_of_turn})
        try:
            _run_epochs(net, train_set, valid_set, checkpoint)
        finally:
            net.device = device  # the number of the GPU is forgotten with the turn
            net.ranks = None  # nor are the processes saved with the net
    _check_divergence(net.history, estimator.learning_rate_init)
    if ranks is not None:
        # The weights of the processes differ only where their machines round differently.
        ranks.send_weights(net.module_)
    estimator.net_, estimator.history_, estimator.n_iter_ = net, net.history, len(net.history)
    return estimator


def _run_settings(estimator, description, loss_parts, has_validation, checkpoint, ranks):
    """Settings of a net for this training run."""
    verbose = estimator.verbose if ranks is None or ranks.is_first else 0
    return {
        **run_options(estimator),
        "callbacks": make_callbacks(estimator, description, verbose, loss_parts, has_validation, checkpoint),
        "ranks": ranks,
        "verbose": int(verbose > 1),
    }


def _net_to_train(estimator, make_net, loss_parts, settings):
    """The net of the previous fit with ``warm_start``, else a new one, with the estimator's optimiser settings."""
    if starts_warm(estimator):
        net = estimator.net_.on_device(settings["device"])
        vars(net).update(settings)
        net.initialize_callbacks()  # skorch's set_params would keep the previous ones
    else:
        net = untrained_net(estimator, make_net, loss_parts, **settings)
    set_optimizer(net, estimator)
    return net


def _run_epochs(net, train_set, valid_set, checkpoint):
    """Train for ``net.max_epochs`` epochs, less those that the checkpoint has done."""
    n_done = checkpoint.restore(net) if checkpoint is not None else 0
    if not net.max_epochs:
        return
    try:
        net.partial_fit((train_set, valid_set), epochs=net.max_epochs - n_done)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"training was interrupted in epoch {len(net.history)}") from None
    finally:
        close_bars(net)
        drop_incomplete_epoch(net.history)


def _check_divergence(history, learning_rate_init):
    if history and not np.isfinite(history[-1, "train_loss"]):
        raise ValueError(
            f"training diverged: the loss is {history[-1, 'train_loss']} after {len(history)} epochs; lower "
            f"learning_rate_init={learning_rate_init}"
        )


def untrained_net(estimator, make_net, loss_parts, device=None, **options):
    """An initialised net with an estimator's optimiser, on its device unless another is given."""
    return make_net(
        device=device or resolve_device(estimator.device),
        lr=estimator.learning_rate_init,
        optimizer=torch.optim.AdamW,
        optimizer__weight_decay=estimator.weight_decay,
        # As in the authors' code: the maximum of the second moment, and a small epsilon.
        optimizer__amsgrad=True,
        optimizer__eps=1e-7,
        optimizer__fused=True,
        train_split=None,
        loss_parts=loss_parts,
        **options,
    ).initialize()


def run_options(estimator):
    """Settings of a net that can change from one training run to the next."""
    return {
        "max_epochs": estimator.max_epochs,
        "batch_sites": estimator.batch_sites,
        "threads": estimator.n_jobs,
        "verbose": int(estimator.verbose > 1),
        "callbacks": [],
        "ranks": None,
    }


def starts_warm(estimator):
    """Whether ``fit`` continues training the net of the previous fit."""
    return bool(estimator.warm_start) and hasattr(estimator, "net_")


def refuse_changes(estimator, settings, to_do, **criterion):
    """Raise ValueError if an estimator's parameters describe another network than its trained one.

    Parameters
    ----------
    estimator : fitted estimator
    settings : dict
        Arguments of the module for the present parameters.
    to_do : str
        End of the message.
    **criterion
        Arguments of the criterion for the present parameters.
    """
    net = estimator.net_
    trained = {**net.get_params_for("module"), **net.get_params_for("criterion")}
    trained, current = ({**each, **each["encoder"], "encoder": None} for each in (trained, {**settings, **criterion}))
    changed = [
        f"{name}={trained.get(name)!r}, not {current[name]!r}" for name in current if trained.get(name) != current[name]
    ]
    if changed:
        raise ValueError(f"the trained network has {'; '.join(changed)}: {to_do}")


def set_optimizer(net, estimator):
    """Set learning rates and weight decay to the estimator's: the schedule of an earlier run has changed the rates.

    They are converted to Python floats: NumPy's, which a search may pass, cannot be saved in a file of tensors and
    numbers.
    """
    rate, weight_decay = float(estimator.learning_rate_init), float(estimator.weight_decay)
    *encoder_groups, last = net.optimizer_.param_groups  # a regressor has two groups, an embedder one
    for group in encoder_groups:
        group.update(lr=rate * float(estimator.encoder_rate), weight_decay=weight_decay)
    last.update(lr=rate, weight_decay=weight_decay)


def dataset(crystals, rows, targets=None, properties=None):
    """CrystalDataset of some rows, or None without rows."""
    return CrystalDataset(crystals, rows, targets, properties) if len(rows) else None


def make_crystal_net(module, criterion, module_params, **options):
    """CrystalNet with these parameters of the module."""
    return CrystalNet(module, criterion, **{f"module__{k}": v for k, v in module_params.items()}, **options)
