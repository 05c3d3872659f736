"""The recommended models: several blocks of features, and a regressor that the labels choose."""

from __future__ import annotations

from copy import copy

from sklearn.ensemble import VotingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import FeatureUnion, make_pipeline

from .._heads.candidates import average_candidates
from .._heads.few_labels import FewLabelsRegressor
from .._statistics.composition import CompositionStatistics
from .._statistics.structure import StructureStatistics
from ._arm_heads import classifier_steps


def make_combined(name, embedder, features, random_state, is_class=False):
    """Make "best" or "average".

    Parameters
    ----------
    name : {"best", "average"}
    embedder : fitted DeepInfoMaxEmbedder, or list of these
    features : sequence of (str, transformer)
        Further blocks.
    random_state : int, RandomState instance or None
    is_class : bool, default=False
        Whether to make a classifier. Both names then give the average of logistic regression and trees, whose log loss
        was the lowest on training rows.

    Returns
    -------
    Pipeline
        A FeatureUnion that makes a DataFrame with a block of columns for each source, and a FewLabelsRegressor or a
        VotingClassifier.
    """
    embedders = list(embedder) if isinstance(embedder, list | tuple) else [embedder]
    blocks = [("structure", StructureStatistics()), ("composition", CompositionStatistics())]
    for number, each in enumerate(embedders, 1):
        blocks.append((f"vectors{number}" if len(embedders) > 1 else "vectors", _frozen(each)))
    blocks = FeatureUnion([*blocks, *features]).set_output(transform="pandas")
    if is_class:
        heads = [(head, make_pipeline(*classifier_steps(head, random_state))) for head in ("logistic", "trees")]
        return make_pipeline(blocks, VotingClassifier(heads, voting="soft"))
    # All crystals of a reduced formula have the same statistics of the composition.
    options = {"group_by": "composition", "random_state": random_state}
    if name == "average":
        options |= {"estimators": average_candidates(), "selection": "all"}
    return make_pipeline(blocks, FewLabelsRegressor(**options))


def _frozen(embedder):
    """A frozen copy of an embedder, so that its output container can be set without changing the embedder itself."""
    while isinstance(embedder, FrozenEstimator):
        embedder = embedder.estimator
    embedder = copy(embedder)
    vars(embedder).pop("_sklearn_output_config", None)
    return FrozenEstimator(embedder)
