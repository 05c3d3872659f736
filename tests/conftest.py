"""Fixtures that several test files share."""

import os
import sys

# Parallel test processes with one thread per core each would be ten times slower. OpenBLAS reads this variable when
# NumPy is imported, here and in the processes that tests start.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import pytest
import torch

from skdim import DeepInfoMaxEmbedder, SiteNetFeaturizer
from skdim.datasets import load_formation_energy, make_crystals
from tests.helpers.small_estimators import SMALL

torch.set_num_threads(1)
#: No examples in docstrings there, and some need optional packages.
collect_ignore_glob = ["helpers/*"]
# No test opens a window.
os.environ["MPLBACKEND"] = "Agg"

#: Rows of the formation energy data set by space group: all crystal systems, all centrings, 1 to 24 sites.
ROWS = {
    1: 2207, 2: 82, 4: 2450, 5: 2579, 8: 3266, 9: 3273, 12: 461, 14: 1232, 15: 637, 18: 1500, 36: 2834, 40: 2936,
    44: 2095, 61: 1380, 62: 1210, 63: 1793, 65: 1325, 71: 3758, 74: 1205, 82: 2329, 87: 2442, 92: 2553, 98: 2142,
    109: 1677, 121: 3278, 122: 2170, 129: 1050, 131: 11, 136: 83, 139: 860, 141: 28, 148: 3463, 150: 517, 152: 558,
    156: 30, 160: 1740, 161: 2575, 164: 2151, 166: 1455, 167: 1694, 173: 853, 186: 3478, 189: 2061, 191: 2005, 194: 622,
    198: 557, 216: 21, 217: 686, 220: 2925, 221: 190, 223: 1474, 225: 953, 227: 816, 229: 627,
}  # fmt: skip


def pytest_collection_modifyitems(items):
    for item in items:
        for mark in item.iter_markers("slow"):
            if not mark.kwargs.get("reason"):
                raise pytest.UsageError(f"{item.nodeid}: say why it is slow, @pytest.mark.slow(reason=...)")


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


@pytest.fixture(scope="session")
def formation_data():
    """The whole data set: not to be changed."""
    return load_formation_energy()


@pytest.fixture(scope="session")
def formation_crystals(formation_data):
    """54 real structures, each of another space group; a list, not to be changed."""
    return [formation_data.structures[row] for row in ROWS.values()]


@pytest.fixture(scope="session")
def crystals(formation_crystals):
    """The same, featurized."""
    return SiteNetFeaturizer().transform(formation_crystals)


@pytest.fixture(scope="session")
def untrained(crystals):
    """An embedder with the weights it starts from."""
    return DeepInfoMaxEmbedder(max_epochs=0, random_state=0, device="cpu").fit(crystals)


@pytest.fixture(scope="session")
def synthetic():
    """40 synthetic structures and their targets; not to be changed."""
    return make_crystals(40, random_state=0)


@pytest.fixture(scope="session")
def structures(synthetic):
    return synthetic[0]


@pytest.fixture(scope="session")
def y(synthetic):
    return synthetic[1]


@pytest.fixture(scope="session")
def X(structures):
    return SiteNetFeaturizer().fit_transform(structures)


@pytest.fixture(scope="session")
def embedder(X):
    """A small embedder, pre-trained on X for two epochs; must not be changed."""
    return DeepInfoMaxEmbedder(**SMALL, max_epochs=2).fit(X)
