"""Memory of many crystals, in arrays and memory-mapped."""

import tempfile
import time
from pathlib import Path

import numpy as np

from skdim import Crystals, SiteNetFeaturizer
from skdim.datasets import load_formation_energy

from ._results import Result


def run(quick=False):
    """Bytes of 100 000 crystals like the bundled ones, and time and memory to open them memory-mapped.

    They are a few hundred crystals, evenly spaced over the data set, repeated many times.
    """
    n_distinct, n_crystals = (50, 2000) if quick else (500, 100_000)
    structures = load_formation_energy().structures
    chosen = [structures[k] for k in np.linspace(0, len(structures) - 1, n_distinct).astype(int)]
    crystals = Crystals.concatenate([SiteNetFeaturizer().fit_transform(chosen)] * (n_crystals // n_distinct))
    n_bytes = crystals.nbytes
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "crystals"
        crystals.save(path)
        on_disk = sum(file.stat().st_size for file in path.iterdir())
        del crystals
        before = resident_bytes()
        start = time.perf_counter()
        mapped = Crystals.load(path, mmap_mode="r")
        opening = time.perf_counter() - start
        opened = resident_bytes() - before
        _ = mapped[len(mapped) // 2 : len(mapped) // 2 + 100].n_sites
        read = resident_bytes() - before
        del mapped
    return [
        Result("crystals", n_crystals, ""),
        Result("in memory", n_bytes / 1e6, "MB", ("<=", 400 * n_crystals / 100_000)),
        Result("on disk", on_disk / 1e6, "MB"),
        Result("opening, memory-mapped", opening * 1e3, "ms"),
        Result("resident after opening", opened / 1e6, "MB more"),
        Result("resident after reading 100 rows", read / 1e6, "MB more"),
    ]


def resident_bytes():
    """Resident memory of this process in bytes; its peak if the system does not report it."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        import resource

        return int(statm.read_text().split()[1]) * resource.getpagesize()
    import resource
    import sys

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
