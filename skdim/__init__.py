"""Self-supervised learning on crystal structures, as scikit-learn estimators.

Structures are plentiful and labels are scarce. So an encoder learns from structures alone, and a few labels go further:

1. :class:`SiteNetFeaturizer` turns structures into :class:`Crystals`: sites, and their distances in a supercell.
2. :class:`DeepInfoMaxEmbedder` pre-trains a Site-Net encoder on them without labels, by Deep InfoMax, and returns a
   vector for each crystal: the **representation** that a small regressor needs few labels for.
3. :class:`SiteNetRegressor` is the supervised Site-Net; started from a pre-trained encoder it is **transfer**.
4. :class:`CompositionStatistics` is the baseline that reads no structure.

:mod:`skdim.datasets` has crystals to begin with, :mod:`skdim.model_selection` the protocol that compares arms by the
labels they need, :mod:`skdim.plotting` its figure.
"""

from ._composition import CompositionStatistics
from ._crystals import Crystals
from ._elements import ALL_FEATURES as ALL_SITE_FEATURES
from ._embedder import DeepInfoMaxEmbedder
from ._featurizer import SiteNetFeaturizer
from ._regressor import SiteNetRegressor
from ._version import __version__

__all__ = [
    "ALL_SITE_FEATURES",
    "CompositionStatistics",
    "Crystals",
    "DeepInfoMaxEmbedder",
    "SiteNetFeaturizer",
    "SiteNetRegressor",
    "__version__",
]
