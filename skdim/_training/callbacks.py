"""Callbacks that the estimators train with: learning rate schedule, early stopping, progress bar."""

from __future__ import annotations

import copy
import math

from skorch.callbacks import Callback, EarlyStopping, PassthroughScoring

from .._shared.progress import progress

#: Learning rate at the first and the last step of a one-cycle schedule, as a fraction of the maximum.
_FIRST, _LAST = 0.04, 1e-4
#: Name of the callback made for ``early_stopping=True``.
STOP = "early_stopping"


class OneCycle(Callback):
    """One-cycle learning rate: up to the maximum, then down to nearly zero, both along a cosine.

    The rate depends on the completed fraction of the planned epochs, counted in batches. (Smith and Topin 2018,
    arXiv:1708.07120.)

    Parameters
    ----------
    warm_up : float
        Fraction of the run in which the rate increases.
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
        increasing = done < self.warm_up
        fraction = done / self.warm_up if increasing else (1 - done) / (1 - self.warm_up)
        low = _FIRST if increasing else _LAST
        factor = low + (1 - low) * 0.5 * (1 - math.cos(math.pi * fraction))
        for group, peak in zip(net.optimizer_.param_groups, self.peaks_, strict=True):
            group["lr"] = peak * factor


class EpochBar(Callback):
    """Progress bar over the epochs, with the latest losses.

    Parameters
    ----------
    description : str
    done : int
        Number of epochs that the resumed run has completed.
    """

    def __init__(self, description, done=0):
        self.description = description
        self.done = done

    def on_train_begin(self, net, **kwargs):
        options = {"total": net.max_epochs, "initial": self.done, "unit": "epoch"}
        self.bar_ = progress(desc=self.description, pause=0, **options)

    def on_epoch_end(self, net, **kwargs):
        last = net.history[-1]
        shown = {k: f"{last[k]:.4f}" for k in ("train_loss", "valid_loss") if last.get(k) is not None}
        self.bar_.set_postfix(shown, refresh=False)
        self.bar_.update()

    def close(self):
        """Close the bar, which could not be pickled with the net."""
        if hasattr(self, "bar_"):
            self.bar_.close()
            del self.bar_


def close_bars(net):
    """Close the progress bar of a net, if any. skorch calls no callback when training raises."""
    for _, callback in net.callbacks_:
        if isinstance(callback, EpochBar):
            callback.close()


def stopped_early(net):
    """Whether early stopping, of the estimator or among the user's callbacks, ended the run."""
    stops = [callback for _, callback in net.callbacks_ if isinstance(callback, EarlyStopping)]
    return any(stop.misses_ >= stop.patience for stop in stops)


def make_callbacks(estimator, description, verbose, loss_parts=(), has_validation=False, checkpoint=None):
    """skorch callbacks: recording, schedule, early stopping, progress, checkpoint, and copies of the user's."""
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
        # After the callbacks whose state it saves.
        callbacks.append(("checkpoint", checkpoint))
    return callbacks + _copies(estimator.callbacks)


def _copies(callbacks):
    """Copies of the user's callbacks: training changes a callback, and fit must not change parameters."""
    if callbacks is None:
        return []
    is_named = isinstance(callbacks, tuple) and len(callbacks) == 2 and isinstance(callbacks[0], str)
    return copy.deepcopy(list(callbacks) if isinstance(callbacks, (list, tuple)) and not is_named else [callbacks])


def _silent(*args, **kwargs):
    """Sink that discards the messages of a callback."""
