"""Pre-training and embedding compared with the dense implementation, in alternating runs."""

import json
import os
import subprocess
import sys
import time
from statistics import median

import joblib
import numpy as np
import torch
from sklearn.base import clone
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from skdim import PAPER_SITE_FEATURES, DeepInfoMaxEmbedder, SiteNetFeaturizer
from skdim.datasets import load_formation_energy
from skdim.nn.compiled.availability import loops

from ._results import Result
from .dense import SETTINGS, DenseDeepInfoMax, PaddedLoader, copy_weights, make_optimizer

#: What is measured, and how many times as fast as the dense implementation it must be.
_STEPS = {"pre-training": 15, "embedding": 12}
#: Operations of the compiled loops for a hidden unit of a pair: sums of the terms (2), activation (29, of which 24 for
#: the exponential, a polynomial; with its slope 37), moments (3), and products with what comes before and after.
ATTEND, ATTEND_GRADIENT = 36, 57
SCORES, SCORES_GRADIENT = 38, 63
#: Loops over rows with matrix products, and the multiplications of each for a row, from their arguments.
_PRODUCTS = {
    "dense": lambda x, weight, *_: weight.size,
    "dense_gradient": lambda x, weight, hidden, activated, relu, grad, to_x, to_weight, to_bias: (
        weight.size * ((len(to_x) > 0) + (len(to_weight) > 0))
    ),
    "distance_term": lambda distance, weight, bias, pair_weight, *_: pair_weight.size,
    "distance_term_gradient": lambda distance, weight, bias, pair_weight, *_: 2 * pair_weight.size,
}


def run(quick=False):
    """Crystals per second of both, their ratios, and the fraction of the matrix rate of the machine.

    skdim is measured as its users get it, with default parameters, by ``fit`` and ``transform`` of the estimator:
    batches, training loop and set-up included. On one core, and on all that this process may use, each in a new
    process; with several also with ``n_jobs=1``.
    """
    return [row for n in sorted({1, joblib.cpu_count()}) for row in _in_new_process(n, quick)]


def _in_new_process(n_cores, quick):
    """Results of :func:`measure` in a process that may use so many cores, and was given no other settings."""
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    limit = None
    if hasattr(os, "sched_setaffinity"):
        chosen = sorted(os.sched_getaffinity(0))[:n_cores]

        def limit():
            os.sched_setaffinity(0, chosen)
    else:
        environment["OMP_NUM_THREADS"] = str(n_cores)
    command = [sys.executable, "-m", "benchmarks.speed", *(["--quick"] if quick else [])]
    done = subprocess.run(command, env=environment, preexec_fn=limit, stdout=subprocess.PIPE, check=True, text=True)
    on = f"{n_cores} core{'s' if n_cores > 1 else ''}"
    return [
        Result(f"{on}: {name}", value, unit, bound and tuple(bound))
        for name, value, unit, bound in json.loads(done.stdout.splitlines()[-1])
    ]


def measure(quick=False):
    """Results on the cores that this process may use."""
    n_crystals, epochs, rounds = (60, 1, 1) if quick else (1648, 2, 3)
    structures = sample(load_formation_energy().structures, n_crystals)
    featurizer = SiteNetFeaturizer(max_sites=50, site_features=PAPER_SITE_FEATURES)
    crystals = featurizer.fit_transform(structures)
    n_dense = len(structures[::4])
    loader = PaddedLoader(featurizer.set_params(compress=False).fit_transform(structures[::4]))
    n_cores = joblib.cpu_count()
    embedders = {"skdim": DeepInfoMaxEmbedder(**SETTINGS, max_epochs=epochs, device="cpu", random_state=0)}
    if n_cores > 1:
        embedders["skdim, n_jobs=1"] = clone(embedders["skdim"]).set_params(n_jobs=1)
    dense = DenseDeepInfoMax(len(crystals.site_features))
    optimizer = make_optimizer(dense)
    warm_up = crystals[: len(crystals) // 4]
    for embedder in embedders.values():
        embedder.fit(warm_up).transform(warm_up)
    copy_weights(dense, embedders["skdim"].net_.module_.state_dict())

    names = [*embedders, "dense"]
    rates = {(step, name): [] for step in _STEPS for name in names}
    for _ in range(rounds):
        for name, embedder in embedders.items():
            rates["pre-training", name].append(n_crystals * epochs / seconds_of(lambda e=embedder: e.fit(crystals)))
        rates["pre-training", "dense"].append(n_dense / seconds_of(lambda: _dense_epoch(dense, optimizer, loader)))
        for name, embedder in embedders.items():
            rates["embedding", name].append(n_crystals / seconds_of(lambda e=embedder: e.transform(crystals)))
        rates["embedding", "dense"].append(n_dense / seconds_of(lambda: dense_transform(dense, loader)))
    peak = matrix_rate()
    operations = dict(zip(_STEPS, count_operations(embedders["skdim"], crystals), strict=True))
    results = [Result("torch's float32 matrix product", peak, "GFLOP/s")]
    for step, required in _STEPS.items():

        def ratio(name, to, step=step):
            return median(a / b for a, b in zip(rates[step, name], rates[step, to], strict=True))

        results += [Result(f"{step}, {name}", median(rates[step, name]), "crystals/s") for name in names]
        results += [
            Result(f"{step}, {name} to dense", ratio(name, "dense"), "times", (">=", required)) for name in embedders
        ]
        if n_cores > 1:
            bound = (">=", 1.7) if n_cores == 2 else None
            results.append(Result(f"{step}, default to n_jobs=1", ratio("skdim", "skdim, n_jobs=1"), "times", bound))
        share = 100 * operations[step] / n_crystals * median(rates[step, "skdim"]) / peak / 1e9
        results.append(Result(f"{step}, skdim, share of the matrix rate", share, "%", (">=", 30)))
    return results


def count_operations(embedder, crystals):
    """Floating-point operations of skdim in an epoch of pre-training, and in embedding.

    Matrix products, of torch and compiled, and the loops over pairs; everything else, such as activations of sites, is
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
    """Counts the operations of matrix products. (The counter of torch fails for modules under ``no_grad``.)

    Those of the compiled loops over rows are added up from the sizes that they are called with.
    """

    total = 0

    def __enter__(self):
        compiled = loops()  # None if numba is missing
        self._replaced = {} if compiled is None else {name: getattr(compiled, name) for name in _PRODUCTS}
        for name, loop in self._replaced.items():
            setattr(compiled, name, self._counted(loop, _PRODUCTS[name]))
        return super().__enter__()

    def __exit__(self, *error):
        for name, loop in self._replaced.items():
            setattr(loops(), name, loop)
        return super().__exit__(*error)

    def _counted(self, loop, products):
        def counted(first, last, *arguments):
            self.total += 2 * (last - first) * products(*arguments)
            return loop(first, last, *arguments)

        return counted

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        count = flop_registry.get(function._overloadpacket)
        if count is not None:
            self.total += count(*args, **(kwargs or {}), out_val=out)
        return out


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


if __name__ == "__main__":
    print(json.dumps(measure(quick="--quick" in sys.argv[1:])))
