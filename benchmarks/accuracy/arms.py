"""The models (arms) of the comparison: baselines, Gaussian processes on several sources, and whole networks."""

from sklearn.ensemble import RandomForestRegressor, VotingRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import FunctionTransformer

from skdim import AutoTransformedTargetRegressor, BlockGaussianProcessRegressor, SiteNetRegressor, StructureStatistics
from skdim.baselines import MagpieFeatures, OrbitalFieldMatrix, XRDPattern
from skdim.model_selection import make_arm
from skdim.model_selection._arm_heads import head_steps
from skdim.model_selection._arms import like_encoder

#: Baselines whose features are computed from structures and are slow.
FEATURES = {
    "Magpie": MagpieFeatures(),
    "orbital field matrix": OrbitalFieldMatrix(),
    "X-ray pattern": XRDPattern(),
}
#: Sources of make_arm("best") that learn nothing from data.
UNLEARNT = ("statistics", "composition", "density", "oxidation")
#: Models that learn nothing from other data: what is available without pre-training.
SIMPLE = ("composition, trees", *(f"{name}, forest" for name in FEATURES))


def forest():
    return RandomForestRegressor(300, max_features=1 / 3)


def simple():
    """Models that need no pre-training, on Crystals."""
    return {
        "mean": make_arm("mean"),
        "composition, trees": make_arm("composition"),
        "statistics, fixed GP": make_arm("structure", head="gp"),
    }


def combinations(weights, controls, mlip, alone=True):
    """Sources that a block Gaussian process is fitted on, list of tuple of str.

    ``weights`` are names of sets of weights; ``controls`` those that are measured beside the statistics only. ``alone``
    adds vectors without statistics, of the weights and of the untrained network.
    """
    with_mlip = [("statistics", "MLIP")] if mlip else []
    vectors = [name for name in weights if name not in controls]
    return [
        ("statistics",),
        *with_mlip,
        *((name,) for name in [*(["untrained"] if weights else []), *vectors] if alone),
        *(("statistics", name) for name in weights),
        *((*base, name) for base in with_mlip for name in vectors),
        ("statistics", "density"),
        *(("statistics", "density", *more[1:]) for more in with_mlip),
        *(("statistics", "density", name) for name in vectors),
        ("statistics", "density", "oxidation"),
        *(("statistics", "density", "oxidation", name) for name in vectors),
    ]


def block_gp(blocks):
    """Gaussian process with a block of columns for each source, on labels whose transformation the labels choose.

    MLIP features are NaN where the potential failed, and take the median of the labelled crystals.
    """
    process = AutoTransformedTargetRegressor(BlockGaussianProcessRegressor(blocks))
    return make_pipeline(_imputer(), process)


def best(embedders, crystals):
    """The regressor of make_arm("best"), on a DataFrame with blocks of columns, whose index are the rows of crystals.

    NaN are replaced in the same way.
    """
    model = make_arm("best", embedders)
    crystals_of = FunctionTransformer(_crystals_of, kw_args={"crystals": crystals})
    networks = [(name, make_pipeline(crystals_of, network)) for name, network in model.networks]
    return model.set_params(features=_imputer().set_output(transform="pandas"), networks=networks)


def _crystals_of(frame, crystals):
    return crystals[frame.index.to_numpy()]


def _imputer():
    return SimpleImputer(strategy="median", keep_empty_features=True)


def networks(pretrained, other, activation):
    """Whole networks on Crystals: from random weights, from pre-trained weights, and in an average of models.

    ``other`` is a network supervised on another property, or None; the average takes the transfer from it.
    """

    def network(source):
        source = FrozenEstimator(source) if source is not None else None
        return SiteNetRegressor(pretrained=source, output_activation=activation)

    arms = {"supervised": network(None), "transfer": network(pretrained)}
    if other is not None:
        arms["transfer from the other property"] = network(other)
    best = list(arms)[-1]
    both = make_union(FrozenEstimator(pretrained), StructureStatistics())
    width = len(both.get_feature_names_out())
    heads = [(head, make_pipeline(both, *head_steps(head, width))) for head in ("gp", "trees")]
    arms[f"average of GP, trees and {best}"] = VotingRegressor([*heads, ("network", arms[best])], weights=[1, 1, 2])
    return arms


def paper(pretrained, untrained, activation):
    """The paper's settings, with a fixed schedule where the authors stopped by eye."""
    encoders = {"paper: representation, MLP": pretrained, "paper: untrained, MLP": untrained}
    vectors = {name: make_arm("representation", encoder, head="mlp") for name, encoder in encoders.items()}
    network = SiteNetRegressor.paper(output_activation=activation)
    starts = {"paper: supervised": False, "paper: transfer": True}
    networks = {name: like_encoder(network, pretrained, pretrained=start) for name, start in starts.items()}
    return {**vectors, **networks}
