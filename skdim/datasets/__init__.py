"""Crystals to learn from: two bundled data sets, a generator, and more from the network.

Every function but :func:`fetch_file` returns crystals as a list of :class:`pymatgen.core.Structure` with one number
each. The bundled sets and the generator need no network.

- :func:`load_formation_energy`: 3938 crystals of the Materials Project with their formation energy, from 1 to 25 sites
  and across 86 elements. Formation energy is a property of the bonds: the mean of many local environments.
- :func:`load_band_gap`: 1056 insulators and semiconductors with their band gap, which is a property of the whole
  crystal, and harder to learn from few labels.
- :func:`make_crystals`: as many synthetic crystals as wanted, with a target that is a known formula of the structure.
  For tests and for trying things out; a model's error on it says nothing about real crystals.
- :func:`fetch_matbench`: the nine tasks of Matbench that are about structures, 636 to 132 752 crystals, with its folds.
- :func:`fetch_url_dataset`: a table of crystals from any URL, in the form that matminer writes.
- :func:`fetch_file`: any file, checked by its sha256, resumed after a break, kept in :func:`get_data_home`.

Self-supervised learning uses more structures than labels, and its results are easily flattered by a structure that was
seen in pre-training and is met again in the test. Polymorphs make this worse: two crystals of one formula have nearly
the same formation energy. The bundled sets therefore carry a split by reduced formula. They share 232 crystals, so the
split is the same for both: an encoder pre-trained on the training part of either has met no formula of the test part
of the other.

>>> from skdim.datasets import load_band_gap
>>> gaps = load_band_gap()
>>> train, test = gaps.split == "train", gaps.split == "test"
>>> int(train.sum()), int(test.sum())
(828, 228)

The bundled files are flat columns of numbers in NumPy's ``.npz`` format; those from the network are JSON. Loading one
compares its checksum and executes nothing from it.
"""

from ._bundled import load_band_gap, load_formation_energy
from ._fetch import fetch_file, get_data_home
from ._matbench import fetch_matbench
from ._synthetic import make_crystals
from ._url_dataset import fetch_url_dataset

__all__ = [
    "fetch_file",
    "fetch_matbench",
    "fetch_url_dataset",
    "get_data_home",
    "load_band_gap",
    "load_formation_energy",
    "make_crystals",
]
