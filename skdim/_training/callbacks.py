"""Callbacks that the estimators train with: learning-rate schedule and progress bar."""

from __future__ import annotations

import copy
import math

from skorch.callbacks import Callback, EarlyStopping, PassthroughScoring

from .._shared.progress import progress

#: Learning rate at the first and the last step of a one-cycle schedule, as a share of the peak.
_FIRST, _LAST = 0.04, 1e-4
#: Name of the callback that ``early_stopping`` stands for.
STOP = "early_stopping"


class OneCycle(Callback):
    """Learning rate up to its peak over the first part of the run, then down to almost nothing, both as a cosine.

    The schedule follows the share of the planned epochs that is done, counted in batches, so that it fits a run of any
    length. (Smith and Topin 2018, arXiv:1708.07120.)

    Parameters
    ----------
    warm_up : float
        Share of the run over which the rate rises.
    """

    def __init__(self, warm_up=0.2):
        self.warm_up = warm_up

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        dataset = X[0] if isinstance(X, tuple) else X
        self.n_batches_ = max(1, math.ceil(dataset.n_sites.sum() / net.batch_sites))
        self.first_epoch_ = len(net.history)
        self.peaks_ = [group["lr"] for group in net.optimizer_.param_groups]

    def on_epoch_begin(self, net, **kwargs):
        self.batch_ = 0

    def on_batch_begin(self, net, batch=None, training=False, **kwargs):
        if not training:
            return
        epoch = len(net.history) - 1 - self.first_epoch_
        done = (epoch + min(1.0, self.batch_ / self.n_batches_)) / net.max_epochs
        self.batch_ += 1
        rising = done < self.warm_up
        share = done / self.warm_up if rising else (1 - done) / (1 - self.warm_up)
        low = _FIRST if rising else _LAST
        factor = low + (1 - low) * 0.5 * (1 - math.cos(math.pi * share))
        for group, peak in zip(net.optimizer_.param_groups, self.peaks_, strict=True):
            group["lr"] = peak * factor


class EpochBar(Callback):
    """A progress bar over the epochs, with the latest losses beside it."""

    def __init__(self, description, done=0):
        self.description = description
        self.done = done  # epochs that an earlier, broken run has trained

    def on_train_begin(self, net, **kwargs):
        options = {"total": net.max_epochs, "initial": self.done, "unit": "epoch"}
        self.bar_ = progress(desc=self.description, pause=0, **options)

    def on_epoch_end(self, net, **kwargs):
        last = net.history[-1]
        shown = {k: f"{last[k]:.4f}" for k in ("train_loss", "valid_loss") if last.get(k) is not None}
        self.bar_.set_postfix(shown, refresh=False)
        self.bar_.update()

    def close(self):
        """Take the bar off the screen; a bar left open could not be pickled with the net."""
        if hasattr(self, "bar_"):
            self.bar_.close()
            del self.bar_


def close_bars(net):
    """Close the progress bar of a net, if it has one. skorch calls no callback when training raises."""
    for _, callback in net.callbacks_:
        if isinstance(callback, EpochBar):
            callback.close()


def make_callbacks(estimator, description, verbose, loss_parts=(), has_validation=False, checkpoint=None):
    """skorch callbacks of an estimator: recording, schedule, early stopping, progress, and copies of the user's own."""
    callbacks = []
    for part in loss_parts:
        for prefix in ("train", "valid") if has_validation else ("train",):
            name = f"{prefix}_{part}"
            callbacks.append((name, PassthroughScoring(name, on_train=prefix == "train")))
    if estimator.learning_rate == "one_cycle":
        callbacks.append(("schedule", OneCycle()))
    if has_validation:
        stop = EarlyStopping(
            patience=estimator.n_iter_no_change, load_best=True, sink=_silent if verbose < 2 else print
        )
        callbacks.append((STOP, stop))
    if verbose == 1:
        callbacks.append(("bar", EpochBar(description, checkpoint.n_done if checkpoint else 0)))
    if checkpoint is not None:
        # After those whose state it keeps.
        callbacks.append(("checkpoint", checkpoint))
    own = estimator.callbacks
    if own is not None:
        # Copies: training changes a callback, and a parameter must stay as it was given.
        named = isinstance(own, tuple) and len(own) == 2 and isinstance(own[0], str)
        callbacks += copy.deepcopy(list(own) if isinstance(own, (list, tuple)) and not named else [own])
    return callbacks


def _silent(*args, **kwargs):
    """A sink for messages of a callback."""
