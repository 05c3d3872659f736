"""Fitting a DeepInfoMaxEmbedder."""

from __future__ import annotations

from sklearn.utils import check_random_state

from .._crystals.checks import check_crystals
from .._training.checkpoint import checkpoint_of
from .._training.input_scaling import warn_of_other_features
from .._training.net import draw_seed
from .._training.ranks import ranks_of
from .._training.train import dataset, hold_out, refuse_changes, starts_warm, train
from .infomax_net import loss_parts, module_settings, net_maker, warn_of_lacking_negatives


def pretrain(embedder, crystals, rows):
    """Fit an embedder with valid parameters to the given rows of crystals, none of which failed; return it."""
    if starts_warm(embedder):
        check_crystals(crystals, "DeepInfoMaxEmbedder (warm_start)", like=embedder)
        settings = module_settings(embedder, crystals.site_features)
        refuse_changes(embedder, settings, "reset the parameters, or fit a new network with warm_start=False")
    warn_of_other_features(embedder, crystals.site_features, stacklevel=3)
    warn_of_lacking_negatives(embedder, crystals, rows, stacklevel=3)
    ranks = ranks_of(embedder.device)
    rng = check_random_state(embedder.random_state)
    if ranks is not None:
        rng = ranks.call_on_first(lambda: rng)
    seed = draw_seed(rng)
    training, validation = (rows[part] for part in hold_out(len(rows), embedder, rng, least=2))
    make_net = net_maker(embedder, crystals.site_features, seed, crystals, training)
    sets = dataset(crystals, training), dataset(crystals, validation)
    checkpoint = checkpoint_of(embedder, seed, *sets, ranks=ranks)
    train(embedder, "pre-train", make_net, *sets, loss_parts(embedder), checkpoint, ranks)
    embedder.site_features_ = crystals.site_features
    embedder.featurizer_settings_ = crystals.settings
    embedder.n_crystals_ = len(rows)
    vars(embedder).pop("pretrained_info_", None)  # it described the previous weights
    return embedder
