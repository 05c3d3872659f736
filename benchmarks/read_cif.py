"""CIFs to crystals: time over that of the same structures, over pymatgen's reader, and over two processes."""

import tempfile
import time
import warnings
from pathlib import Path
from statistics import median

import numpy as np
from joblib import cpu_count
from pymatgen.io.cif import CifParser, CifWriter

from skdim import SiteNetFeaturizer
from skdim._structures.cif import read_cif
from skdim.datasets import load_formation_energy

from ._results import Result

MAX_SITES = 50
#: Of pymatgen's reader, which is slow, only some CIFs are read.
_EVERY = 8


def run(quick=False):
    """Milliseconds a crystal, and ratios of times that are measured in turns.

    The CIFs are bundled crystals as pymatgen writes them, with symmetry. "The same structures" are those that were
    read from the CIFs.
    """
    n_crystals, rounds, n_files = (16, 1, 16) if quick else (400, 5, 10_000)
    everything = load_formation_energy().structures
    structures = [everything[k] for k in np.linspace(0, len(everything) - 1, n_crystals).astype(int)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of spglib, to pymatgen
        texts = [str(CifWriter(structure, symprec=1e-3)) for structure in structures]
    read = [read_cif(text, "the CIF text")[0] for text in texts]
    featurizer = SiteNetFeaturizer(max_sites=MAX_SITES)
    featurizer.transform([*texts[:8], *read[:8]])
    reading, from_texts, from_structures, pymatgen = [], [], [], []
    for _ in range(rounds):
        from_texts.append(_seconds(lambda: featurizer.transform(texts)))
        from_structures.append(_seconds(lambda: featurizer.transform(read)))
        reading.append(_seconds(lambda: [read_cif(text, "the CIF text") for text in texts]))
        pymatgen.append(_seconds(lambda: [_with_pymatgen(text) for text in texts[::_EVERY]]) * _EVERY)
    one, two = _folder_seconds((texts * (n_files // len(texts) + 1))[:n_files])
    return [
        Result("CIF to crystals, over the same structure", _ratio(from_texts, from_structures), "times", ("<=", 1.5)),
        Result("of it: reading the CIF", median(reading) / n_crystals * 1e3, "ms a crystal"),
        Result("pymatgen's reader", median(pymatgen) / n_crystals * 1e3, "ms a crystal"),
        Result(f"folder of {n_files} CIFs on one core", n_files / one, "crystals/s"),
        Result("folder of CIFs, 2 processes to one", one / two, "times", (">=", 1.7) if cpu_count() > 1 else None),
    ]


def _seconds(call):
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _ratio(above, below):
    return median(a / b for a, b in zip(above, below, strict=True))


def _with_pymatgen(text):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return CifParser.from_str(text).parse_structures(primitive=False)


def _folder_seconds(texts):
    """Seconds of one process and of two, with the processes running already."""
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        (folder / "cifs").mkdir()
        for k, text in enumerate(texts):
            (folder / "cifs" / f"{k:06}.cif").write_text(text)
        seconds = []
        for n_jobs in (1, 2):
            featurizer = SiteNetFeaturizer(max_sites=MAX_SITES, n_jobs=n_jobs)
            featurizer.transform(texts[: 8 * n_jobs])
            seconds.append(_seconds(lambda: featurizer.transform_to_disk(folder / "cifs", folder / f"store{n_jobs}")))  # noqa: B023
    return seconds
