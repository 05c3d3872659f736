"""Pre-training and embedding compared with the dense implementation, in alternating runs."""

import time
from contextlib import contextmanager
from statistics import median

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from skdim import PAPER_SITE_FEATURES, DeepInfoMaxEmbedder, SiteNetFeaturizer
from skdim.datasets import load_formation_energy

from ._results import Result
from .dense import SETTINGS, DenseDeepInfoMax, PaddedLoader, copy_weights, make_optimizer

#: Operations of the compiled loops for a hidden unit of a pair: sums of the terms (2), activation (29, of which 24 for
#: the exponential, a polynomial; with its slope 37), moments (3), and products with what comes before and after.
ATTEND, ATTEND_GRADIENT = 36, 57
SCORES, SCORES_GRADIENT = 38, 63


def run(quick=False):
    """Crystals per second of both, their ratios, and the fraction of the matrix rate of the machine.

    skdim is measured by ``fit`` and ``transform`` of the estimator, including batches, training loop and set-up; on one
    thread, and on as many as torch is set to.
    """
    threads = sorted({1, torch.get_num_threads()})
    return [result for n in threads for result in _run(quick, n)]


def _run(quick, n_threads):
    n_crystals, epochs, rounds = (60, 1, 1) if quick else (412, 3, 5)
    structures = sample(load_formation_energy().structures, n_crystals)
    featurizer = SiteNetFeaturizer(max_sites=50, site_features=PAPER_SITE_FEATURES)
    crystals = featurizer.fit_transform(structures)
    loader = PaddedLoader(featurizer.set_params(compress=False).fit_transform(structures))
    embedder = DeepInfoMaxEmbedder(
        **SETTINGS, max_epochs=epochs, batch_sites=1200, device="cpu", n_jobs=n_threads, random_state=0
    )
    dense = DenseDeepInfoMax(len(crystals.site_features))
    optimizer = make_optimizer(dense)
    warm_up = crystals[: len(crystals) // 4]
    embedder.fit(warm_up).transform(warm_up)
    copy_weights(dense, embedder.net_.module_.state_dict())

    times = {"skdim fit": [], "dense fit": [], "skdim transform": [], "dense transform": []}
    with _torch_threads(n_threads):
        for _ in range(rounds):
            times["skdim fit"].append(seconds_of(lambda: embedder.fit(crystals)) / epochs)
            times["dense fit"].append(seconds_of(lambda: _dense_epoch(dense, optimizer, loader)))
            times["skdim transform"].append(seconds_of(lambda: embedder.transform(crystals)))
            times["dense transform"].append(seconds_of(lambda: dense_transform(dense, loader)))
        peak = matrix_rate()
    seconds = {name: median(each) for name, each in times.items()}

    def ratio(step):
        return median(d / s for d, s in zip(times[f"dense {step}"], times[f"skdim {step}"], strict=True))

    def share(step, operations):
        return 100 * operations / seconds[f"skdim {step}"] / peak / 1e9

    training, embedding = count_operations(embedder, crystals)
    on = f"{n_threads} thread{'s' if n_threads > 1 else ''}"
    return [
        Result(f"{on}: torch's float32 matrix product", peak, "GFLOP/s"),
        Result(f"{on}: pre-training, skdim", n_crystals / seconds["skdim fit"], "crystals/s"),
        Result(f"{on}: pre-training, dense", n_crystals / seconds["dense fit"], "crystals/s"),
        Result(f"{on}: pre-training, skdim to dense", ratio("fit"), "times", (">=", 15)),
        Result(f"{on}: pre-training, share of the matrix rate", share("fit", training), "%", (">=", 30)),
        Result(f"{on}: embedding, skdim", n_crystals / seconds["skdim transform"], "crystals/s"),
        Result(f"{on}: embedding, dense", n_crystals / seconds["dense transform"], "crystals/s"),
        Result(f"{on}: embedding, skdim to dense", ratio("transform"), "times", (">=", 10)),
        Result(f"{on}: embedding, share of the matrix rate", share("transform", embedding), "%", (">=", 30)),
    ]


def count_operations(embedder, crystals):
    """Floating-point operations of skdim in an epoch of pre-training, and in embedding.

    Matrix products as torch counts them, and the loops over pairs; everything else, such as activations of sites, is
    not counted. A dense implementation needs more operations for the same result.
    """
    net = embedder.net_
    module, encoder = net.module_, net.module_.encoder
    hidden = sum(encoder.blocks[0].widths)
    pairs = len(crystals.distance)
    scored = module.neighbour_score.key.in_features
    counter = _CountProducts()
    generator = torch.Generator().manual_seed(0)
    with counter:
        for batch in net.batches(crystals, min_crystals=2):
            module(batch, generator)["loss"].backward()
    module.zero_grad()
    # The pass over the crystals with its gradient, and two with engineered negative samples.
    in_training = hidden * (3 * ATTEND + ATTEND_GRADIENT) + scored * (SCORES + SCORES_GRADIENT)
    training = counter.total + pairs * in_training
    counter = _CountProducts()
    with counter, torch.no_grad():
        for batch in net.batches(crystals):
            encoder(batch)
    return training, counter.total + pairs * hidden * ATTEND


def dense_transform(model, loader):
    """Vectors of the crystals in order."""
    with torch.no_grad():
        return torch.cat([model.encoder.pool(batch, model.encoder.local(batch)[0])[0] for batch in loader()])


def matrix_rate(size=1024, repeats=10, device="cpu", dtype=torch.float32):
    """Billions of floating-point operations a second in a product of two square matrices."""
    a, b = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))

    def product():
        a @ b
        wait_for(device)

    wait_for(device)
    return 2 * size**3 / min(seconds_of(product) for _ in range(repeats)) / 1e9


def wait_for(device):
    """Wait for what was started on a device: on a GPU, operations return before they are done."""
    if device == "cuda":
        torch.cuda.synchronize()


class _CountProducts(TorchDispatchMode):
    """Counts the operations of matrix products. (The counter of torch fails for modules under ``no_grad``.)"""

    total = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        count = flop_registry.get(function._overloadpacket)
        if count is not None:
            self.total += count(*args, **(kwargs or {}), out_val=out)
        return out


@contextmanager
def _torch_threads(n):
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _dense_epoch(model, optimizer, loader):
    for batch in loader(np.random.default_rng().permutation(len(loader.rows))):
        optimizer.zero_grad()
        model(batch).backward()
        optimizer.step()


def sample(structures, n):
    """Structures evenly spaced over the data set."""
    return [structures[k] for k in np.linspace(0, len(structures) - 1, n).astype(int)]


def seconds_of(function):
    start = time.perf_counter()
    function()
    return time.perf_counter() - start
