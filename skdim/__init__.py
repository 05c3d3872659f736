"""Self-supervised learning on crystal structures, as scikit-learn estimators.

Structures are plentiful and labels are scarce. So an encoder learns from structures alone, and a few labels go further:

1. :class:`SiteNetFeaturizer` turns structures into :class:`Crystals`: sites, and their distances in a supercell.
2. :class:`DeepInfoMaxEmbedder` pre-trains a Site-Net encoder on them without labels, by Deep InfoMax, and returns a
   vector for each crystal: the **representation** that a small regressor needs few labels for.
3. :class:`SiteNetRegressor` is the supervised Site-Net; started from a pre-trained encoder it is **transfer**.
4. :class:`CompositionStatistics` and :class:`StructureStatistics` learn nothing: baselines, and companions of the
   vectors in a ``FeatureUnion``.

:mod:`skdim.datasets` has crystals to begin with, :mod:`skdim.model_selection` the protocol that compares arms by the
labels they need, :mod:`skdim.plotting` its figure, and those of what networks have learnt.
"""

from importlib import import_module

from ._version import __version__

#: Where each public name is defined. Imported at first use: torch and scikit-learn take seconds, and nobody who only
#: wants the data sets or the version should wait for them.
_HOMES = {
    "ALL_SITE_FEATURES": "_chemistry.elements",
    "CompositionStatistics": "_statistics.composition",
    "Crystals": "_crystals.crystals",
    "DeepInfoMaxEmbedder": "_embedder.embedder",
    "PAPER_SITE_FEATURES": "_chemistry.elements",
    "SiteNetFeaturizer": "_featurizer.featurizer",
    "SiteNetRegressor": "_regressor.regressor",
    "StructureStatistics": "_statistics.structure",
    "trusted_types": "_trusted_types",
}

__all__ = [*_HOMES, "__version__"]


def __getattr__(name):
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__():
    return sorted({*globals(), *__all__})
