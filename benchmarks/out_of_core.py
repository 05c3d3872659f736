"""Embedding of a million crystals from a memory-mapped store, and pre-training on them, each in a separate process."""

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from skdim import Crystals, DeepInfoMaxEmbedder, SiteNetFeaturizer
from skdim._crystals.columns import COLUMNS
from skdim._crystals.store import write_header
from skdim._crystals.store_writer import StoreWriter
from skdim._shared.files import new_folder
from skdim.datasets import load_formation_energy

from ._results import Result

#: Largest peak of the resident memory, including mapped pages, in MB.
_BOUND = ("<=", 2000)
#: Relative standard deviation of the noise of distances.
_JITTER = 0.02


def run(quick=False):
    """Crystals per second and peak memory of embedding a store into a .npy file, and of one epoch on a part of it.

    The store contains a few hundred real crystals many times, with noise on the distances.
    """
    n_distinct, n_crystals, n_train = (20, 200, 100) if quick else (500, 1_000_000, 200_000)
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "crystals"
        make_store(store, n_distinct, n_crystals // n_distinct)
        size = sum(file.stat().st_size for file in store.iterdir())
        embedded = _in_process("embed", store, n_crystals)
        trained = _in_process("train", store, n_train)
    return [
        Result("crystals in the store", n_crystals, ""),
        Result("size of the store", size / 1e6, "MB"),
        Result("embedding", n_crystals / embedded["seconds"], "crystals/s"),
        Result("embedding, memory at its highest", embedded["peak"] / 1e6, "MB", _BOUND),
        Result("crystals trained on", n_train, ""),
        Result("one epoch of pre-training", n_train / trained["seconds"], "crystals/s"),
        Result("pre-training, memory at its highest", trained["peak"] / 1e6, "MB", _BOUND),
    ]


def make_store(path, n_distinct, n_times):
    """Write ``n_distinct`` real crystals ``n_times``, with noise on the distances."""
    structures = load_formation_energy().structures
    chosen = [structures[k] for k in np.linspace(0, len(structures) - 1, n_distinct).astype(int)]
    X = SiteNetFeaturizer().fit_transform(chosen)
    rng = np.random.default_rng(0)
    columns = {name: getattr(X, name) for name in COLUMNS}
    with new_folder(path) as folder:
        with StoreWriter(folder) as writer:
            for _ in range(n_times):
                jitter = 1 + _JITTER * rng.standard_normal(len(X.distance), dtype=np.float32)
                writer.append(Crystals({**columns, "distance": X.distance * jitter}, X.site_features, X.settings))
            writer.finish()
        write_header(folder, writer.lengths, X.site_features, X.settings, {})


def _in_process(what, store, n_crystals):
    """Seconds and peak memory in bytes, measured in a separate process."""
    command = [sys.executable, "-m", "benchmarks.out_of_core", what, str(store), str(n_crystals)]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def _measure(what, store, n_crystals):
    X = Crystals.load(store, mmap_mode="r")[:n_crystals]
    embedder = DeepInfoMaxEmbedder(max_epochs=0, random_state=0, device="cpu").fit(X[:100])
    start = time.perf_counter()
    if what == "embed":
        embedder.transform_to_disk(X, store.parent / "vectors.npy")
    else:
        embedder.set_params(max_epochs=1).fit(X)
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "peak": peak_bytes()}


def peak_bytes():
    """Peak of the resident memory of this process, in bytes."""
    status = Path("/proc/self/status")
    if status.exists():
        # The value of getrusage starts with the memory of the parent process.
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


if __name__ == "__main__":
    json.dump(_measure(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])), sys.stdout)
