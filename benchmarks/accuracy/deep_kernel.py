"""Deep kernel learning: an encoder fine-tuned by the leave-one-out error of a Gaussian process on its vectors."""

import math
from copy import deepcopy

import numpy as np
import torch

from skdim import BlockGaussianProcessRegressor
from skdim._heads.label_transformation import choose_transformation
from skdim.nn.sitenet import embed

#: Fraction of the steps in which the learning rate increases.
_WARM_UP = 0.2


def deep_kernel(learning_rate, n_steps=40):
    """Recipe: the encoder takes steps of Adam, with the hyperparameters that fit its frozen vectors.

    Then a Gaussian process is fitted to statistics and new vectors.
    """

    def recipe(task, rows, seed):
        net = deepcopy(task.embedder.net_)
        encoder = net.module_.encoder.requires_grad_(True).train()
        transformation = choose_transformation(task.y[rows])[0]
        z = transformation.transform(task.y[rows])
        process = BlockGaussianProcessRegressor(task.blocks).fit(task.matrix[rows], z)
        _train(encoder, list(net.batches(task.X[rows])), process, task.matrix[rows], z, learning_rate, n_steps)
        encoder.eval()
        statistics, _ = task.blocks.values()

        def features(rows):
            with torch.no_grad():
                vectors = torch.cat([embed(encoder, batch, "both") for batch in net.batches(task.X[rows])])
            return np.hstack([task.matrix[rows][:, statistics], vectors.numpy()])

        process = BlockGaussianProcessRegressor(task.blocks).fit(features(rows), z)
        return transformation.inverse_transform(process.predict(features(task.held_out)))

    return recipe


def _train(encoder, batches, process, matrix, z, learning_rate, n_steps):
    (statistics, of_statistics), (vectors, columns) = process.blocks_.items()
    z = torch.tensor((z - z.mean()) / z.std())
    fixed = process.variances_[statistics] * _matern(
        torch.tensor(process._standardise(matrix)[:, of_statistics]), process.lengths_[statistics]
    ) + process.noise_ * torch.eye(len(z), dtype=torch.float64)
    mean, scale = torch.tensor(process._mean[columns]), torch.tensor(process._scale[columns])
    optimizer = torch.optim.Adam(encoder.parameters(), lr=learning_rate)
    for step in range(n_steps):
        done = step / n_steps
        cosine = 0.5 * (1 + math.cos(math.pi * max(0.0, (done - _WARM_UP) / (1 - _WARM_UP))))
        optimizer.param_groups[0]["lr"] = learning_rate * cosine * min(1.0, (step + 1) / (_WARM_UP * n_steps))
        current = torch.cat([embed(encoder, batch, "both") for batch in batches]).double()
        current = ((current - mean) / scale).clamp(-process.clip, process.clip)
        kernel = fixed + process.variances_[vectors] * _matern(current, process.lengths_[vectors])
        inverse = torch.linalg.inv(kernel)
        optimizer.zero_grad()
        ((inverse @ z) / torch.diagonal(inverse)).abs().mean().backward()  # leave-one-out errors
        optimizer.step()


def _matern(X, length):
    """Matern 3/2 kernel of rows with themselves."""
    squares = X.square().sum(dim=1)
    distance = (squares[:, None] + squares - 2 * X @ X.T).clamp(min=1e-10).sqrt() * math.sqrt(3) / length
    return (1 + distance) * torch.exp(-distance)
