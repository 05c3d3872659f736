"""Supervised fits: set-up, steps and prediction apart, against a dense implementation; label draws on processes."""

import os
import time
from contextlib import contextmanager
from statistics import median

import numpy as np
import torch
from sklearn.frozen import FrozenEstimator
from torch import nn
from torch.nn import functional

from skdim import PAPER_SITE_FEATURES, DeepInfoMaxEmbedder, SiteNetFeaturizer, SiteNetRegressor
from skdim._training.batches import split_by_sites
from skdim.datasets import load_formation_energy
from skdim.model_selection import label_efficiency

from ._results import Result
from .dense import DenseEncoder, PaddedLoader, collate, layers
from .speed import seconds_of

#: Maximum number of sites in a batch, as in SiteNetRegressor.
_BATCH_SITES = 200


def run(quick=False):
    """Time of fits from the shipped weights, with and without compiled loops, and of a dense implementation.

    All on one thread. The time of the steps is that of a fit without that of one of 0 epochs, which is the set-up. A
    step of the dense implementation has about as many crystals of the same features.
    """
    sizes, epochs, rounds = ((20,), 2, 1) if quick else ((50, 250, 1000), 10, 5)
    data = load_formation_energy()
    rows = np.random.default_rng(0).permutation(len(data.structures))[: 60 if quick else 1500]
    structures, y = [data.structures[row] for row in rows], np.asarray(data.target)[rows]
    X = SiteNetFeaturizer(max_sites=50).fit_transform(structures)
    results = []
    for n in sizes:
        results += _fits(X, y, n, epochs if n < 1000 else epochs // 3, rounds)
    return results + _against_dense(structures, y, *((20, 2, 1) if quick else (250, 5, 5))) + _draws(X, y, quick)


def _fits(X, y, n, epochs, rounds):
    source = FrozenEstimator(DeepInfoMaxEmbedder.from_pretrained())
    model = SiteNetRegressor(pretrained=source, max_epochs=epochs, device="cpu", random_state=0)
    times = {"setup": [], "steps": [], "plain": [], "prediction": []}
    for k in range(rounds + 1):
        setup, steps = _setup_and_steps(model, X[:n], y[:n])
        prediction = seconds_of(lambda: model.predict(X))
        with _plain_torch():
            plain = _setup_and_steps(model, X[:n], y[:n])[1]
        if k:  # the first round is a warm-up
            for name, seconds in zip(times, (setup, steps, plain, prediction), strict=True):
                times[name].append(seconds)
    n_steps = sum(len(epoch["batches"]) for epoch in model.history_)
    ratio = median(plain / steps for plain, steps in zip(times["plain"], times["steps"], strict=True))
    name = f"{n} labels"
    return [
        Result(f"{name}: set-up", median(times["setup"]) * 1e3, "ms"),
        Result(f"{name}: a step of {n * epochs / n_steps:.0f} crystals", median(times["steps"]) / n_steps * 1e3, "ms"),
        Result(f"{name}: steps", n * epochs / median(times["steps"]), "crystals/s"),
        Result(f"{name}: steps, compiled loops to plain torch", ratio, "times", (">=", 1.5)),
        Result(f"{name}: prediction", len(X) / median(times["prediction"]), "crystals/s"),
    ]


def _setup_and_steps(model, X, y):
    """Seconds of the set-up of a fit, and of its steps."""
    epochs = model.max_epochs
    setup = seconds_of(lambda: model.set_params(max_epochs=0).fit(X, y))
    return setup, seconds_of(lambda: model.set_params(max_epochs=epochs).fit(X, y)) - setup


@contextmanager
def _plain_torch():
    os.environ["SKDIM_NO_NUMBA"] = "1"
    try:
        yield
    finally:
        del os.environ["SKDIM_NO_NUMBA"]


class DenseSiteNet(nn.Module):
    """The dense encoder with a head of one hidden layer; predicts from the means."""

    def __init__(self, n_features):
        super().__init__()
        self.encoder = DenseEncoder(n_features)
        self.head = nn.Sequential(*layers(64, 64), nn.Linear(64, 1))

    def forward(self, batch):
        return self.head(self.encoder.pool(batch, self.encoder.local(batch)[0])[0])[:, 0]


def _against_dense(structures, y, n, epochs, rounds):
    """From random weights, the features of the paper."""
    structures, y = structures[:n], torch.as_tensor(y[:n], dtype=torch.float32)
    featurizer = SiteNetFeaturizer(max_sites=50, site_features=PAPER_SITE_FEATURES)
    X = featurizer.fit_transform(structures)
    loader = PaddedLoader(featurizer.set_params(compress=False).fit_transform(structures), _BATCH_SITES)
    model = SiteNetRegressor(local_dim=32, representation="global", max_epochs=epochs, device="cpu", random_state=0)
    dense = DenseSiteNet(len(PAPER_SITE_FEATURES))
    optimizer = torch.optim.AdamW(dense.parameters(), lr=1e-3, amsgrad=True, fused=True)

    def dense_epoch():
        order = np.random.default_rng(0).permutation(n)
        for part in split_by_sites(loader.sizes[order], _BATCH_SITES):
            rows = order[part]
            optimizer.zero_grad()
            functional.l1_loss(dense(collate([loader.rows[row] for row in rows])), y[rows]).backward()
            optimizer.step()

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        ratios = []
        for _ in range(rounds + 1):
            of_dense = seconds_of(dense_epoch)
            ratios.append(of_dense * epochs / _setup_and_steps(model, X, y.numpy())[1])
    finally:
        torch.set_num_threads(threads)
    return [Result(f"{n} labels: steps, skdim to dense", median(ratios[1:]), "times", (">=", 10))]


def _draws(X, y, quick):
    """Draws of labels on one and on two processes, which have been started before."""
    sizes, n_repeats, epochs = ((10,), 2, 1) if quick else ((50, 100, 250, 1000), 12, 3)
    source = FrozenEstimator(DeepInfoMaxEmbedder.from_pretrained())
    models = {"transfer": SiteNetRegressor(pretrained=source, max_epochs=epochs, device="cpu")}
    seconds = {}
    for n_jobs in (1,) if quick else (1, 2):
        label_efficiency(models, X, y, train_sizes=[10], n_repeats=2 * n_jobs, n_jobs=n_jobs)
        start = time.perf_counter()
        label_efficiency(models, X, y, train_sizes=sizes, n_repeats=n_repeats, n_jobs=n_jobs)
        seconds[n_jobs] = time.perf_counter() - start
    name = f"label_efficiency, {n_repeats} draws of {len(sizes)} sizes"
    results = [Result(f"{name}: one process", seconds[1], "s")]
    if 2 in seconds:
        results.append(Result(f"{name}: two processes to one", seconds[1] / seconds[2], "times", (">=", 1.7)))
    return results
