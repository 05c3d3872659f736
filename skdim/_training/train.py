"""What the two trained estimators share: parameters of the training run, encoder settings, and the fit itself."""

from __future__ import annotations

import warnings
from contextlib import nullcontext
from inspect import signature

import numpy as np
import torch

from ..nn.encoder import SiteNetEncoder
from .batches import CrystalDataset
from .callbacks import close_bars, make_callbacks
from .devices import device_turn, resolve_device
from .net import CrystalNet
from .parameters import check_encoder_params
from .threads import resolve_threads, torch_threads

_OWN = ("n_site_inputs", "n_components", "local_dim", "n_blocks", "n_heads", "spread")


def encoder_settings(estimator, site_features):
    """Keyword arguments of the encoder that an estimator describes for these site features, but for ``spread``.

    Raises
    ------
    ValueError
        If ``encoder_params`` has a key that is not the encoder's to set there, or a value that it cannot have.
    """
    parameters = signature(SiteNetEncoder).parameters
    defaults = {name: parameter.default for name, parameter in parameters.items() if name not in _OWN}
    extra = estimator.encoder_params or {}
    unknown = sorted(set(extra) - set(defaults))
    if unknown:
        raise ValueError(f"encoder_params has unknown keys {unknown}; it may hold {sorted(defaults)}")
    check_encoder_params(extra)
    return {
        "n_site_inputs": len(site_features),
        **{name: getattr(estimator, name) for name in ("n_components", "local_dim", "n_blocks", "n_heads")},
        **defaults,
        # Lists of widths mean what tuples do; and where they are compared, they must not differ.
        **{name: tuple(value) if isinstance(value, list) else value for name, value in extra.items()},
    }


def hold_out(n, estimator, rng, least):
    """Rows to train on and rows to validate on (none without ``early_stopping``).

    Raises
    ------
    ValueError
        If fewer than ``least`` rows would be left on either side.
    """
    if not estimator.early_stopping:
        return np.arange(n), np.arange(0)
    n_valid = max(least, round(estimator.validation_fraction * n))
    if n - n_valid < least:
        raise ValueError(
            f"early_stopping holds out {n_valid} of {n} crystals for validation (validation_fraction="
            f"{estimator.validation_fraction}, at least {least}), which leaves {n - n_valid} to train on: pass more "
            "crystals, or early_stopping=False for the fixed schedule"
        )
    order = rng.permutation(n)
    return np.sort(order[n_valid:]), np.sort(order[:n_valid])


def train(estimator, description, make_net, train_set, valid_set, loss_parts=(), checkpoint=None, ranks=None):
    """Fit ``estimator.net_``: made by ``make_net(callbacks=..., ...)`` unless a warm start goes on with the old one.

    Sets ``net_``, ``history_`` and ``n_iter_``. A :class:`Checkpoint` keeps the state of the run after every epoch, and
    a run that it holds is taken up where it was. With ``ranks`` several processes train the same net, and the first one
    speaks for all.
    """
    verbose = estimator.verbose if ranks is None or ranks.first else 0
    callbacks = make_callbacks(estimator, description, verbose, loss_parts, valid_set is not None, checkpoint)
    options = {**run_options(estimator), "callbacks": callbacks, "ranks": ranks, "verbose": int(verbose > 1)}
    wanted = estimator.net_.device if starts_warm(estimator) else resolve_device(estimator.device)
    # Processes that train together must not wait for each other's turns.
    turn = device_turn(wanted) if ranks is None else nullcontext(wanted)
    n_before = len(estimator.net_.history) if starts_warm(estimator) else 0
    with torch_threads(options["threads"]), turn as device:
        net = _run(estimator, make_net, options, train_set, valid_set, loss_parts, checkpoint, device)
    net.device = wanted  # which of several GPUs it was does not matter later
    history = net.history
    cut_short = bool(history) and "train_loss" not in history[-1]
    # Between two epochs an interrupt leaves no trace but their number. (One's own callbacks may end a run like that.)
    may_stop = estimator.early_stopping or estimator.callbacks is not None
    if cut_short or (len(history) - n_before < estimator.max_epochs and not may_stop):
        if ranks is not None:
            raise KeyboardInterrupt  # the other processes may be an epoch ahead
        # skorch takes an interrupt as the end of training. The epoch that it cut short is none.
        if cut_short:
            history.pop()
        warnings.warn(
            f"training was interrupted after {len(history)} epochs; the estimator keeps the weights of that moment",
            stacklevel=3,
        )
    if history and not np.isfinite(history[-1, "train_loss"]):
        raise ValueError(
            f"training diverged: the loss is {history[-1, 'train_loss']} after {len(history)} epochs; lower "
            f"learning_rate_init={estimator.learning_rate_init}"
        )
    if ranks is not None:
        # They are the same but for what unlike machines round differently.
        ranks.send_weights(net.module_)
    estimator.net_ = net
    estimator.history_ = history
    estimator.n_iter_ = len(history)
    return estimator


def _run(estimator, make_net, options, train_set, valid_set, loss_parts, checkpoint, device):
    if starts_warm(estimator):
        net = estimator.net_.on_device(device)
        vars(net).update(options)
        net.initialize_callbacks()  # set_params would keep the old ones
    else:
        net = untrained_net(estimator, make_net, loss_parts, **options, device=device)
    set_optimizer(net, estimator)
    epochs = estimator.max_epochs
    if checkpoint is not None:
        epochs -= checkpoint.restore(net)
    if estimator.max_epochs:
        try:
            net.partial_fit((train_set, valid_set), epochs=epochs)
        finally:
            close_bars(net)
    return net


def untrained_net(estimator, make_net, loss_parts, device=None, **options):
    """An initialised net with the optimiser that an estimator describes, on its device or on another one."""
    return make_net(
        device=device or resolve_device(estimator.device),
        lr=estimator.learning_rate_init,
        optimizer=torch.optim.AdamW,
        optimizer__weight_decay=estimator.weight_decay,
        # The reference's AdamW: the largest second moment so far, and a small floor under it.
        optimizer__amsgrad=True,
        optimizer__eps=1e-7,
        optimizer__fused=True,
        train_split=None,
        loss_parts=loss_parts,
        **options,
    ).initialize()


def run_options(estimator):
    """Settings of a net that another run may change."""
    return {
        "max_epochs": estimator.max_epochs,
        "batch_sites": estimator.batch_sites,
        "threads": resolve_threads(estimator.n_jobs),
        "verbose": int(estimator.verbose > 1),
        "callbacks": [],
        "ranks": None,
    }


def starts_warm(estimator):
    """Whether ``fit`` goes on with the net of the last one."""
    return bool(estimator.warm_start) and hasattr(estimator, "net_")


def refuse_changes(estimator, settings, to_do, **criterion):
    """Raise ValueError if an estimator's parameters describe another network than its trained one.

    Parameters
    ----------
    estimator : fitted estimator
    settings : dict
        Arguments of the module that the parameters stand for now.
    to_do : str
        Ends the message.
    **criterion
        Arguments of the criterion likewise.
    """
    net = estimator.net_
    trained = {**net.get_params_for("module"), **net.get_params_for("criterion")}
    trained, now = ({**each, **each["encoder"], "encoder": None} for each in (trained, {**settings, **criterion}))
    changed = [f"{name}={trained.get(name)!r}, not {now[name]!r}" for name in now if trained.get(name) != now[name]]
    if changed:
        raise ValueError(f"the trained network has {'; '.join(changed)}: {to_do}")


def set_optimizer(net, estimator):
    """Set rates and weight decay to the estimator's: a schedule of an earlier run has left the rates at its end.

    As Python's numbers: a search may try NumPy's, which no file of tensors and numbers holds.
    """
    rate, weight_decay = float(estimator.learning_rate_init), float(estimator.weight_decay)
    *of_encoder, last = net.optimizer_.param_groups  # one alone, but for a regressor
    for group in of_encoder:
        group.update(lr=rate * float(estimator.encoder_rate), weight_decay=weight_decay)
    last.update(lr=rate, weight_decay=weight_decay)


def dataset(crystals, rows, targets=None):
    """Rows of crystals and targets as skorch is given them; None where there are no rows."""
    return CrystalDataset(crystals, rows, targets) if len(rows) else None


def make_crystal_net(module, criterion, module_params, **options):
    """A CrystalNet with these parameters of the module."""
    return CrystalNet(module, criterion, **{f"module__{k}": v for k, v in module_params.items()}, **options)
