"""Pre-training and embedding against the dense implementation, in the same run, one after the other in turns."""

import time
from statistics import median

import numpy as np
import torch

from skdim import PAPER_SITE_FEATURES, DeepInfoMaxEmbedder, SiteNetFeaturizer
from skdim.datasets import load_formation_energy

from ._results import Result
from .dense import DenseDeepInfoMax, PaddedLoader, copy_weights, make_optimizer


def run(quick=False):
    """Crystals per second of both, and their ratios.

    skdim goes through the estimator's own ``fit`` and ``transform``, so that making the batches, the training loop and
    the set-up count.
    """
    n_crystals, epochs, rounds = (60, 1, 1) if quick else (412, 3, 5)
    structures = _sample(load_formation_energy().structures, n_crystals)
    featurizer = SiteNetFeaturizer(max_sites=50, site_features=PAPER_SITE_FEATURES)
    crystals = featurizer.fit_transform(structures)
    loader = PaddedLoader(featurizer.set_params(compress=False).fit_transform(structures))
    # Both on as many threads as torch is set to.
    threads = torch.get_num_threads()
    embedder = DeepInfoMaxEmbedder.paper(
        max_epochs=epochs, batch_sites=1200, device="cpu", n_jobs=threads, random_state=0
    )
    dense = DenseDeepInfoMax(len(crystals.site_features))
    optimizer = make_optimizer(dense)
    warm_up = crystals[: len(crystals) // 4]
    embedder.fit(warm_up).transform(warm_up)
    copy_weights(dense, embedder.net_.module_.state_dict())

    times = {"skdim fit": [], "dense fit": [], "skdim transform": [], "dense transform": []}
    for _ in range(rounds):
        times["skdim fit"].append(_seconds(lambda: embedder.fit(crystals)) / epochs)
        times["dense fit"].append(_seconds(lambda: _dense_epoch(dense, optimizer, loader)))
        times["skdim transform"].append(_seconds(lambda: embedder.transform(crystals)))
        times["dense transform"].append(_seconds(lambda: dense_transform(dense, loader)))
    rate = {name: n_crystals / median(seconds) for name, seconds in times.items()}

    def ratio(step):
        return median(d / s for d, s in zip(times[f"dense {step}"], times[f"skdim {step}"], strict=True))

    return [
        Result("torch's float32 matrix product", matrix_rate(), "GFLOP/s"),
        Result("pre-training, skdim", rate["skdim fit"], "crystals/s"),
        Result("pre-training, dense", rate["dense fit"], "crystals/s"),
        Result("pre-training, skdim to dense", ratio("fit"), "times", (">=", 5)),
        Result("embedding, skdim", rate["skdim transform"], "crystals/s"),
        Result("embedding, dense", rate["dense transform"], "crystals/s"),
        Result("embedding, skdim to dense", ratio("transform"), "times", (">=", 4)),
    ]


def dense_transform(model, loader):
    """Vectors of the crystals in order."""
    with torch.no_grad():
        return torch.cat([model.encoder.pool(batch, model.encoder.local(batch)[0])[0] for batch in loader()])


def matrix_rate(size=1024, repeats=10):
    """Billions of floating-point operations a second in a product of two square float32 matrices."""
    a, b = torch.randn(size, size), torch.randn(size, size)
    seconds = [_seconds(lambda: a @ b) for _ in range(repeats)]
    return 2 * size**3 / min(seconds) / 1e9


def _dense_epoch(model, optimizer, loader):
    for batch in loader(np.random.default_rng().permutation(len(loader.rows))):
        optimizer.zero_grad()
        model(batch).backward()
        optimizer.step()


def _sample(structures, n):
    """Structures evenly spaced over the data set."""
    return [structures[k] for k in np.linspace(0, len(structures) - 1, n).astype(int)]


def _seconds(function):
    start = time.perf_counter()
    function()
    return time.perf_counter() - start
