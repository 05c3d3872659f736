"""Fitting a DeepInfoMaxEmbedder."""

from __future__ import annotations

from sklearn.utils import check_random_state

from .._crystals.checks import check_crystals
from .._training.checkpoint import checkpoint_of
from .._training.input_scaling import warn_of_other_features
from .._training.net import draw_seed
from .._training.parameters import pretrained_source
from .._training.ranks import ranks_of
from .._training.train import dataset, hold_out, refuse_changes, starts_warm, train
from .infomax_net import loss_parts, module_settings, net_maker, warn_of_lacking_negatives
from .known_properties import property_table


def pretrain(embedder, crystals, rows, Y):
    """Fit an embedder with valid parameters to the given rows of crystals, none of which failed; return it.

    ``Y`` are the known properties of all crystals, used if ``property_weight`` is positive.
    """
    warn_of_other_features(embedder, crystals.site_features, stacklevel=3)
    warn_of_lacking_negatives(embedder, crystals, rows, stacklevel=3)
    ranks = ranks_of(embedder.device)
    rng = check_random_state(embedder.random_state)
    if ranks is not None:
        rng = ranks.call_on_first(lambda: rng)
    seed = draw_seed(rng)
    training, validation = (rows[part] for part in hold_out(len(rows), embedder, rng, least=2))
    source = pretrained_source(embedder, crystals, {type(embedder).__name__: type(embedder)})
    table = property_table(Y, crystals, training) if embedder.property_weight else None
    if starts_warm(embedder):
        table = check_warm_start(embedder, crystals, table)
    else:
        check_source(embedder, source, crystals.site_features)
    make_net = net_maker(embedder, crystals.site_features, seed, crystals, training, source, table)
    properties = None if table is None else table.values
    train_set, valid_set = (dataset(crystals, part, properties=properties) for part in (training, validation))
    checkpoint = checkpoint_of(embedder, seed, train_set, valid_set, source=source, ranks=ranks)
    train(embedder, "pre-train", make_net, train_set, valid_set, loss_parts(embedder), checkpoint, ranks)
    embedder.known_properties_ = () if table is None else table.names
    embedder.site_features_ = crystals.site_features
    embedder.featurizer_settings_ = crystals.settings
    embedder.n_crystals_ = len(rows)
    vars(embedder).pop("pretrained_info_", None)  # it described the previous weights
    return embedder


def check_warm_start(embedder, crystals, table):
    """Check that a warm start continues with the same network; return its properties as the network has them.

    Raises
    ------
    ValueError
        If the site features, the properties or the parameters of the network differ from those of the previous fit.
    """
    check_crystals(crystals, "DeepInfoMaxEmbedder (warm_start)", like=embedder)
    names = () if table is None else table.names
    if names != embedder.known_properties_:
        raise ValueError(
            f"warm_start continues with the properties {list(embedder.known_properties_)}, but Y has {list(names)}: "
            "fit a new network with pretrained=FrozenEstimator(this one)"
        )
    settings = module_settings(embedder, crystals.site_features)
    refuse_changes(embedder, settings, "reset the parameters, or fit a new network with warm_start=False")
    properties = embedder.net_.module_.properties
    return None if table is None else table.standardized_by(properties.mean, properties.scale)


def check_source(embedder, source, site_features):
    """Raise ValueError if the encoder of ``source``, a fitted embedder or None, has other settings."""
    if source is None:
        return
    settings = module_settings(embedder, site_features)["encoder"]
    trained = source.net_.get_params_for("module")["encoder"]
    different = [
        f"{name}={trained[name]!r} (here {settings[name]!r})" for name in settings if trained[name] != settings[name]
    ]
    if different:
        raise ValueError(f"the pretrained encoder has other settings: {', '.join(different)}. Pass the same parameters")
