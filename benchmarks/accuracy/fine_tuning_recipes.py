"""Recipes of fine-tuning: functions of a task, its labelled rows and a seed that predict the held-out rows."""

import numpy as np
import torch
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GroupKFold
from skorch.callbacks import Callback

from skdim import AutoTransformedTargetRegressor, BlockGaussianProcessRegressor, SiteNetRegressor
from skdim._heads.label_transformation import choose_transformation

from .deep_kernel import deep_kernel

#: The Gaussian process on statistics and frozen vectors, by which all errors are divided.
REFERENCE = "Gaussian process"
#: Parameters of all networks.
NETWORK = {"device": "cpu"}


# ---- ingredients that are no parameters of SiteNetRegressor ----


class DecayToStart(Callback):
    """Decay of the encoder's weights to those that it started from; ``rate`` is relative to the learning rate."""

    def __init__(self, rate):
        self.rate = rate

    def on_train_begin(self, net, **kwargs):
        self.start_ = [weight.detach().clone() for weight in net.module_.encoder.parameters()]

    def on_batch_end(self, net, training=False, **kwargs):
        if training:
            share = min(1.0, net.optimizer_.param_groups[0]["lr"] * self.rate)
            with torch.no_grad():
                for weight, start in zip(net.module_.encoder.parameters(), self.start_, strict=True):
                    weight.lerp_(start, share)


class HeadFirst(Callback):
    """Freezes the encoder for a fraction of the epochs."""

    def __init__(self, fraction):
        self.fraction = fraction

    def on_epoch_begin(self, net, **kwargs):
        net.module_.encoder.requires_grad_(len(net.history) - 1 >= self.fraction * net.max_epochs)


class AverageWeights(Callback):
    """Averages the weights after each of the last epochs, ``last`` as a fraction."""

    def __init__(self, last):
        self.last = last

    def on_train_begin(self, net, **kwargs):
        self.n_ = 0

    def on_epoch_end(self, net, **kwargs):
        if len(net.history) < (1 - self.last) * net.max_epochs:
            return
        self.n_ += 1
        weights = dict(net.module_.named_parameters())
        if self.n_ == 1:
            self.mean_ = {name: weight.detach().clone() for name, weight in weights.items()}
        for name, weight in weights.items():
            self.mean_[name] += (weight.detach() - self.mean_[name]) / self.n_

    def on_train_end(self, net, **kwargs):
        with torch.no_grad():
            for name, weight in net.module_.named_parameters():
                weight.copy_(self.mean_[name])


class Dropout(Callback):
    """Dropout of the inputs of the head."""

    def __init__(self, rate):
        self.rate = rate

    def on_train_begin(self, net, **kwargs):
        def drop(head, inputs):
            return (torch.nn.functional.dropout(inputs[0], self.rate, head.training),)

        self.hook_ = net.module_.head.register_forward_pre_hook(drop)

    def on_train_end(self, net, **kwargs):
        self.hook_.remove()


# ---- recipes ----


def gaussian_process(task, rows, seed):
    model = AutoTransformedTargetRegressor(BlockGaussianProcessRegressor(task.blocks))
    return model.fit(task.matrix[rows], task.y[rows]).predict(task.matrix[task.held_out])


def vectors_alone(task, rows, seed):
    """The Gaussian process without statistics."""
    columns = task.blocks[task.weights.name]
    model = AutoTransformedTargetRegressor(BlockGaussianProcessRegressor())
    return model.fit(task.matrix[rows, columns], task.y[rows]).predict(task.matrix[task.held_out, columns])


def make_network(task, seed, **params):
    return SiteNetRegressor(pretrained=FrozenEstimator(task.embedder), random_state=seed, **{**params, **NETWORK})


def network(transform=True, **params):
    """A network on transformed labels."""

    def recipe(task, rows, seed):
        model = make_network(task, seed, **params)
        model = AutoTransformedTargetRegressor(model) if transform else model
        return model.fit(task.X[rows], task.y[rows]).predict(task.X[task.held_out])

    return recipe


def residual(share, **params):
    """The Gaussian process, and a share of what a network learns from its cross-fitted residuals."""

    def recipe(task, rows, seed):
        transformation, z = _transformed(task, rows)
        left = np.empty(len(z))
        for train, test in _folds(task, rows):
            process = BlockGaussianProcessRegressor(task.blocks).fit(task.matrix[rows[train]], z[train])
            left[test] = z[test] - process.predict(task.matrix[rows[test]])
        process = BlockGaussianProcessRegressor(task.blocks).fit(task.matrix[rows], z)
        correction = make_network(task, seed, **params).fit(task.X[rows], left).predict(task.X[task.held_out])
        return transformation.inverse_transform(process.predict(task.matrix[task.held_out]) + share * correction)

    return recipe


def stacked(ensemble, **params):
    """Five networks, each trained without one fold; their held-out predictions are a block of a Gaussian process.

    With ``ensemble``, the mean of the networks instead.
    """

    def recipe(task, rows, seed):
        transformation, z = _transformed(task, rows)
        out, means = np.empty((len(z), 1)), []
        for fold, (train, test) in enumerate(_folds(task, rows)):
            model = make_network(task, seed + fold, **params).fit(task.X[rows[train]], z[train])
            values = model.predict(task.X[np.concatenate([rows[test], task.held_out])])
            out[test, 0] = values[: len(test)]
            means.append(values[len(test) :])
        mean = np.mean(means, axis=0)
        if ensemble:
            return transformation.inverse_transform(mean)
        width = task.matrix.shape[1]
        process = BlockGaussianProcessRegressor({**task.blocks, "network": slice(width, width + 1)})
        process.fit(np.hstack([task.matrix[rows], out]), z)
        return transformation.inverse_transform(process.predict(np.hstack([task.matrix[task.held_out], mean[:, None]])))

    return recipe


def _transformed(task, rows):
    transformation = choose_transformation(task.y[rows])[0]
    return transformation, transformation.transform(task.y[rows])


def _folds(task, rows):
    groups = np.unique(task.formulas[rows], return_inverse=True)[1]
    return GroupKFold(5, shuffle=True, random_state=0).split(rows, groups=groups)


RECIPES = {
    REFERENCE: gaussian_process,
    "Gaussian process on vectors": vectors_alone,
    "labels as they are": network(transform=False),
    "default": network(),
    "encoder rate 0.3": network(encoder_rate=0.3),
    "linear head": network(hidden_layer_sizes=()),
    "rate 0.003": network(learning_rate_init=3e-3),
    "rate 0.01": network(learning_rate_init=1e-2),
    "150 epochs": network(max_epochs=150),
    "statistics": network(statistics=True),
    "statistics, rate 0.002": network(statistics=True, learning_rate_init=2e-3),
    "statistics, rate 0.003": network(statistics=True, learning_rate_init=3e-3),
    "statistics, rate 0.003, encoder 0.001": network(statistics=True, learning_rate_init=3e-3, encoder_rate=0.3),
    "statistics, decay to start": network(statistics=True, callbacks=[DecayToStart(30)]),
    "statistics, head first": network(statistics=True, callbacks=[HeadFirst(0.3)]),
    "statistics, averaged weights": network(statistics=True, callbacks=[AverageWeights(0.3)]),
    "statistics, dropout": network(statistics=True, callbacks=[Dropout(0.2)]),
    "half of the residuals": residual(0.5),
    "a quarter of the residuals": residual(0.25),
    "five networks of folds": stacked(ensemble=True),
    "five networks of folds, stacked": stacked(ensemble=False),
    "deep kernel": deep_kernel(1e-3),
    "deep kernel, rate 0.0001": deep_kernel(1e-4),
}
