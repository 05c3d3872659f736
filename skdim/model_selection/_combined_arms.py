"""The recommended models: several blocks of features, and a regressor that the labels choose."""

from __future__ import annotations

from copy import copy

from sklearn.ensemble import VotingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline

from .._embedder.embedder import DeepInfoMaxEmbedder
from .._embedder.predicted_properties import PredictedProperties
from .._heads.candidates import average_candidates
from .._heads.feature_blocks import FeatureBlocks
from .._heads.few_labels import FewLabelsRegressor
from .._heads.transformed_target import AutoTransformedTargetRegressor
from .._regressor.regressor import SiteNetRegressor
from .._statistics.composition import CompositionStatistics
from .._statistics.density import DensityStatistics
from .._statistics.oxidation import OxidationStatistics
from .._statistics.structure import StructureStatistics
from ._arm_heads import classifier_steps


def make_combined(name, embedder, features, options, is_class=False):
    """Make "best" or "average".

    Parameters
    ----------
    name : {"best", "average"}
    embedder : fitted DeepInfoMaxEmbedder, list of these, or None
        None stands for all included weights.
    features : sequence of (str, transformer)
        Further blocks.
    options : dict
        Parameters of the network. Its ``random_state`` is that of all models, its ``device`` that of included weights.
    is_class : bool, default=False
        Whether to make a classifier. Both names then give the average of logistic regression and trees, whose log loss
        was the lowest on training rows.

    Returns
    -------
    FewLabelsRegressor or Pipeline
        Its features are a FeatureUnion that makes a DataFrame with a block of columns for each source. "best" also has
        a network that starts from the last embedder. For classes, a Pipeline with a VotingClassifier.
    """
    if embedder is None:
        from .._embedder.weights_folder import INCLUDED  # imports torch, which takes seconds

        vectors = {each: DeepInfoMaxEmbedder.from_pretrained(each, device=options["device"]) for each in INCLUDED}
    else:
        embedders = list(embedder) if isinstance(embedder, list | tuple) else [embedder]
        vectors = {f"vectors{number}" if len(embedders) > 1 else "vectors": e for number, e in enumerate(embedders, 1)}
    blocks = [
        ("structure", StructureStatistics()),
        ("composition", CompositionStatistics()),
        ("density", DensityStatistics()),
        ("oxidation", OxidationStatistics()),
    ]
    frozen = {block: _frozen(each) for block, each in vectors.items()}
    known = [(f"{block}_known", PredictedProperties(e)) for block, e in frozen.items() if e.known_properties_]
    blocks = FeatureBlocks([*blocks, *frozen.items(), *known, *features]).set_output(transform="pandas")
    if is_class:
        heads = [
            (head, make_pipeline(*classifier_steps(head, options["random_state"]))) for head in ("logistic", "trees")
        ]
        return make_pipeline(blocks, VotingClassifier(heads, voting="soft"))
    # All crystals of a reduced formula have the same statistics of the composition.
    regressor = FewLabelsRegressor(features=blocks, group_by="composition", random_state=options["random_state"])
    if name == "average":
        return regressor.set_params(estimators=average_candidates(), selection="all")
    # Quiet: it is fitted for every fold.
    options = {**options, "verbose": 0}
    network = SiteNetRegressor(**options, pretrained=list(frozen.values())[-1])
    return regressor.set_params(networks=[("network", AutoTransformedTargetRegressor(network))])


def _frozen(embedder):
    """A frozen copy of an embedder, so that its output container can be set without changing the embedder itself."""
    while isinstance(embedder, FrozenEstimator):
        embedder = embedder.estimator
    embedder = copy(embedder)
    vars(embedder).pop("_sklearn_output_config", None)
    return FrozenEstimator(embedder)
