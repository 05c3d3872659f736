"""Self-supervised learning on crystal structures, as scikit-learn estimators."""

from ._crystals import Crystals
from ._embedder import DeepInfoMaxEmbedder
from ._featurizer import SiteNetFeaturizer
from ._regressor import SiteNetRegressor
from ._version import __version__

__all__ = ["Crystals", "DeepInfoMaxEmbedder", "SiteNetFeaturizer", "SiteNetRegressor", "__version__"]
