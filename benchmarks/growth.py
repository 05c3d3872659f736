"""Embedding of larger supercells and of more crystals: time per distinct pair, and memory of a pass."""

import threading
import time
from statistics import median

from skdim import Crystals, DeepInfoMaxEmbedder, SiteNetFeaturizer
from skdim.datasets import load_formation_energy

from ._results import Result
from .memory import resident_bytes
from .speed import sample, seconds_of


def run(quick=False):
    """Time and memory per crystal for larger ``max_sites``, and for more crystals.

    Requirements: the time per distinct pair must not grow by more than a quarter with the supercell or with the
    number of crystals, and the memory of a pass, without crystals and vectors, must not grow by more than 50 MB with
    the number of crystals.
    """
    sizes, counts = ((50, 100), (100, 1000)) if quick else ((50, 100, 200, 500), (1000, 10_000, 100_000))
    n_distinct, rounds = (20, 1) if quick else (200, 3)
    structures = sample(load_formation_energy().structures, n_distinct)
    return _by_sites(structures, sizes, rounds) + _by_crystals(structures, counts)


def _by_sites(structures, sizes, rounds):
    results, by_pair = [], []
    for max_sites in sizes:
        crystals = SiteNetFeaturizer(max_sites=max_sites).fit_transform(structures)
        embedder = DeepInfoMaxEmbedder(max_epochs=0, random_state=0, device="cpu").fit(crystals)
        embedder.transform(crystals)
        embedding = median(seconds_of(lambda e=embedder, X=crystals: e.transform(X)) for _ in range(rounds))
        embedder.set_params(max_epochs=1)
        training = median(seconds_of(lambda e=embedder, X=crystals: e.fit(X)) for _ in range(rounds))
        pairs = len(crystals.distance)
        by_pair.append(embedding / pairs)
        name = f"max_sites {max_sites}"
        results += [
            Result(f"{name}: distinct pairs", pairs / len(crystals), "a crystal"),
            Result(f"{name}: stored", crystals.nbytes / len(crystals) / 1e3, "kB a crystal"),
            Result(f"{name}: embedding", embedding / len(crystals) * 1e3, "ms a crystal"),
            Result(f"{name}: embedding", by_pair[-1] * 1e9, "ns a pair"),
            Result(f"{name}: pre-training, one pass", training / len(crystals) * 1e3, "ms a crystal"),
        ]
    growth = by_pair[-1] / by_pair[0]
    return [*results, Result("time of a pair, largest to smallest supercell", growth, "times", ("<=", 1.25))]


def _by_crystals(structures, counts):
    few = SiteNetFeaturizer().fit_transform(structures)
    embedder = DeepInfoMaxEmbedder(max_epochs=0, random_state=0, device="cpu").fit(few)
    embedder.transform(few)
    results, seconds, memory = [], [], []
    for n in counts:
        crystals = Crystals.concatenate([few] * (n // len(few)))
        start = time.perf_counter()
        with peak_memory() as peak:
            vectors = embedder.transform(crystals)
        seconds.append((time.perf_counter() - start) / len(crystals))
        memory.append(peak.bytes - vectors.nbytes)
        results += [
            Result(f"{len(crystals):,} crystals: embedding", 1 / seconds[-1], "crystals/s"),
            Result(f"{len(crystals):,} crystals: memory of the pass", memory[-1] / 1e6, "MB"),
        ]
    return [
        *results,
        Result("time of a crystal, most to fewest", seconds[-1] / seconds[0], "times", ("<=", 1.25)),
        Result("memory of the pass, most less fewest", (memory[-1] - memory[0]) / 1e6, "MB", ("<=", 50)),
    ]


class peak_memory:
    """Increase of the resident memory in ``bytes``, sampled every few milliseconds."""

    def __enter__(self):
        self.bytes, self._done = 0, threading.Event()
        before = resident_bytes()

        def watch():
            while not self._done.wait(0.003):
                self.bytes = max(self.bytes, resident_bytes() - before)

        self._thread = threading.Thread(target=watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exc):
        self._done.set()
        self._thread.join()
