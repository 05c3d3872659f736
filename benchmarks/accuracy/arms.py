"""The models (arms) of the comparison: baselines, frozen vectors under small models, and whole networks."""

from sklearn.ensemble import RandomForestRegressor, VotingRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline, make_union

from skdim import (
    PAPER_SITE_FEATURES,
    BlockGaussianProcessRegressor,
    CompositionStatistics,
    SiteNetRegressor,
    StructureStatistics,
)
from skdim.baselines import MagpieFeatures, OrbitalFieldMatrix, XRDPattern
from skdim.model_selection import make_arm
from skdim.model_selection._arm_heads import head_steps
from skdim.model_selection._arms import like_encoder

#: Labels of the heads in the tables.
HEADS = {"ridge": "ridge", "MLP": "mlp", "trees": "trees", "GP": "gp", "block GP": "block_gp"}
#: Baselines whose features are computed from structures and are slow.
FEATURES = {
    "Magpie": MagpieFeatures(),
    "orbital field matrix": OrbitalFieldMatrix(),
    "X-ray pattern": XRDPattern(),
}
#: Models that learn nothing from other data: what is available without pre-training.
SIMPLE = (
    "composition, ridge",
    "composition, trees",
    "composition (8 properties), trees",
    *(f"{name}, forest" for name in FEATURES),
)


def forest():
    return RandomForestRegressor(300, max_features=1 / 3)


def on_features(transformer, head):
    """A small model on the columns of a transformer that is fitted or stateless."""
    return make_pipeline(transformer, *head_steps(HEADS[head], len(transformer.get_feature_names_out())))


def on_vectors(name, encoder):
    """A small model with each head on the frozen vectors of an encoder."""
    return {f"{name}, {label}": make_arm("representation", encoder, head=head) for label, head in HEADS.items()}


def baselines():
    """Models that need no pre-training, on Crystals."""
    paper = CompositionStatistics(site_features=PAPER_SITE_FEATURES)
    return {
        "mean": make_arm("mean"),
        "composition, ridge": make_arm("composition", head="ridge"),
        "composition, trees": make_arm("composition"),
        "composition (8 properties), trees": on_features(paper, "trees"),
        "structure statistics, GP": make_arm("structure"),
        "structure statistics, block GP": make_arm("structure", head="block_gp"),
        "structure statistics, trees": make_arm("structure", head="trees"),
    }


def ours(pretrained, untrained, other, average_from, activation):
    """Models from an encoder: its vectors, its weights, and weights of a network supervised on another property.

    ``average_from``, "transfer" or "other", chooses the network in the average of models.
    """
    both = make_union(FrozenEstimator(pretrained), StructureStatistics())
    vectors = {head: on_features(both, head) for head in ("GP", "trees")}
    width = len(pretrained.get_feature_names_out())
    blocks = {"vectors": slice(0, width), "statistics": slice(width, None)}

    def network(source):
        source = FrozenEstimator(source) if source is not None else None
        return SiteNetRegressor(pretrained=source, output_activation=activation)

    arms = {
        **on_vectors("representation", pretrained),
        **on_vectors("untrained", untrained),
        "representation + statistics, GP": vectors["GP"],
        "representation + statistics, block GP": make_pipeline(both, BlockGaussianProcessRegressor(blocks)),
        "representation + statistics, trees": vectors["trees"],
        "supervised": network(None),
        "transfer": network(pretrained),
    }
    if other is not None:
        arms["transfer from the other property"] = network(other)
    name = {"transfer": "transfer", "other": "transfer from the other property"}[average_from]
    arms[f"average of GP, trees and {name}"] = VotingRegressor(
        [*vectors.items(), ("network", arms[name])], weights=[1, 1, 2]
    )
    return arms


def paper(pretrained, untrained, activation):
    """The paper's settings, with a fixed schedule where the authors stopped by eye."""
    encoders = {"paper: representation, MLP": pretrained, "paper: untrained, MLP": untrained}
    vectors = {name: make_arm("representation", encoder, head="mlp") for name, encoder in encoders.items()}
    network = SiteNetRegressor.paper(output_activation=activation)
    return {**vectors, "paper: transfer": like_encoder(network, pretrained, pretrained=True)}
