"""Self-supervised learning on crystal structures, as scikit-learn estimators.

Labels are scarce and structures are plentiful. An encoder is pre-trained on structures alone, so that a few labels go
further:

1. :class:`SiteNetFeaturizer` turns structures into :class:`Crystals`: sites, and their distances in a supercell.
2. :class:`DeepInfoMaxEmbedder` pre-trains a Site-Net encoder on them without labels, by Deep InfoMax, and computes a
   vector for each crystal: the **representation** from which a small model learns with few labels.
3. :class:`SiteNetRegressor` and :class:`SiteNetClassifier` are the supervised Site-Net; started from a pre-trained
   encoder they are **transfer**.
4. :class:`CompositionStatistics`, :class:`DensityStatistics`, :class:`OxidationStatistics` and
   :class:`StructureStatistics` learn nothing: they are baselines, and can be combined with the vectors in a
   ``FeatureUnion``.

:mod:`skdim.datasets` provides crystals, :mod:`skdim.model_selection` compares models by the labels that they need, and
:mod:`skdim.plotting` draws the results.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from ._version import __version__

if TYPE_CHECKING:  # for type checkers and editors, which do not see __getattr__
    from ._chemistry.elements import ALL_SITE_FEATURES, PAPER_SITE_FEATURES
    from ._classifier.classifier import SiteNetClassifier
    from ._crystals.crystals import Crystals
    from ._embedder.embedder import DeepInfoMaxEmbedder
    from ._featurizer.featurizer import SiteNetFeaturizer
    from ._heads.block_gaussian_process import BlockGaussianProcessRegressor
    from ._heads.few_labels import FewLabelsRegressor
    from ._heads.transformed_target import AutoTransformedTargetRegressor
    from ._heads.two_part import TwoPartRegressor
    from ._regressor.regressor import SiteNetRegressor
    from ._similarity.applicability_domain import ApplicabilityDomain
    from ._similarity.nearest_crystals import NearestCrystals
    from ._statistics.composition import CompositionStatistics
    from ._statistics.density import DensityStatistics
    from ._statistics.oxidation import OxidationStatistics
    from ._statistics.structure import StructureStatistics
    from ._suggest.suggest import suggest
    from ._trusted_types import trusted_types

#: The module that defines each public name. Imported at first use, as torch and scikit-learn take seconds to import.
_HOMES = {
    "ALL_SITE_FEATURES": "_chemistry.elements",
    "ApplicabilityDomain": "_similarity.applicability_domain",
    "AutoTransformedTargetRegressor": "_heads.transformed_target",
    "BlockGaussianProcessRegressor": "_heads.block_gaussian_process",
    "CompositionStatistics": "_statistics.composition",
    "Crystals": "_crystals.crystals",
    "DeepInfoMaxEmbedder": "_embedder.embedder",
    "DensityStatistics": "_statistics.density",
    "FewLabelsRegressor": "_heads.few_labels",
    "NearestCrystals": "_similarity.nearest_crystals",
    "OxidationStatistics": "_statistics.oxidation",
    "PAPER_SITE_FEATURES": "_chemistry.elements",
    "SiteNetClassifier": "_classifier.classifier",
    "SiteNetFeaturizer": "_featurizer.featurizer",
    "SiteNetRegressor": "_regressor.regressor",
    "StructureStatistics": "_statistics.structure",
    "TwoPartRegressor": "_heads.two_part",
    "suggest": "_suggest.suggest",
    "trusted_types": "_trusted_types",
}

__all__ = [
    "ALL_SITE_FEATURES",
    "PAPER_SITE_FEATURES",
    "ApplicabilityDomain",
    "AutoTransformedTargetRegressor",
    "BlockGaussianProcessRegressor",
    "CompositionStatistics",
    "Crystals",
    "DeepInfoMaxEmbedder",
    "DensityStatistics",
    "FewLabelsRegressor",
    "NearestCrystals",
    "OxidationStatistics",
    "SiteNetClassifier",
    "SiteNetFeaturizer",
    "SiteNetRegressor",
    "StructureStatistics",
    "TwoPartRegressor",
    "__version__",
    "suggest",
    "trusted_types",
]


def __getattr__(name):
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__():
    return sorted({*globals(), *__all__})
