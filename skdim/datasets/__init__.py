"""Data sets of crystals: two bundled, a generator, and others by download.

The functions return a list of :class:`pymatgen.core.Structure` with one number each, except :func:`fetch_file`. The
bundled sets and the generator need no network.

- :func:`load_formation_energy`: formation energies of 3938 crystals of the Materials Project, with 1 to 25 sites and 86
  elements. Formation energy is a property of the bonds: a mean over local environments.
- :func:`load_band_gap`: band gaps of 1056 insulators and semiconductors. The gap is a property of the whole crystal and
  harder to learn from few labels.
- :func:`make_crystals`: synthetic crystals, with a target that is a known function of the structure. For tests and
  examples; errors on them say nothing about real crystals.
- :func:`fetch_matbench`: the nine tasks of Matbench with structures, 636 to 132 752 crystals, with Matbench's folds.
- :func:`fetch_url_dataset`: a table of crystals from any URL, in matminer's format.
- :func:`fetch_file`: any file, verified by its sha256, with resumed downloads, kept in :func:`get_data_home`.

Test errors are too optimistic if test structures were used in pre-training, or if polymorphs of one formula, which have
nearly the same formation energy, are in both training and test set. The bundled sets therefore have a split by reduced
formula. They share 232 crystals, and the split is the same for both: an encoder pre-trained on the training part of one
has seen no test formula of the other.

>>> from skdim.datasets import load_band_gap
>>> gaps = load_band_gap()
>>> train, test = gaps.split == "train", gaps.split == "test"
>>> int(train.sum()), int(test.sum())
(828, 228)

Bundled files are columns of numbers in NumPy's ``.npz`` format; downloaded files are JSON. Loading verifies the
checksum and never executes code from a file.
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
