"""Constraints on the parameters that both trained estimators have."""

from __future__ import annotations

from numbers import Integral, Real

from sklearn.frozen import FrozenEstimator
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions, validate_parameter_constraints

from .._crystals.checks import check_crystals

TRAINING_CONSTRAINTS = {
    "max_epochs": [Interval(Integral, 0, None, closed="left")],
    "batch_sites": [Interval(Integral, 1, None, closed="left")],
    "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
    "learning_rate": [StrOptions({"constant", "one_cycle"})],
    "weight_decay": [Interval(Real, 0, None, closed="left")],
    "early_stopping": ["boolean"],
    "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
    "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
    "callbacks": [list, tuple, HasMethods(["on_train_begin", "on_epoch_end"]), None],
    "device": [str],
    "n_jobs": [Interval(Integral, None, -1, closed="right"), Interval(Integral, 1, None, closed="left"), None],
    "random_state": ["random_state"],
    "warm_start": ["boolean"],
    "verbose": ["verbose"],
}
ENCODER_CONSTRAINTS = {
    "n_components": [Interval(Integral, 1, None, closed="left")],
    "local_dim": [Interval(Integral, 1, None, closed="left"), None],
    "n_blocks": [Interval(Integral, 1, None, closed="left")],
    "n_heads": [Interval(Integral, 1, None, closed="left")],
    "encoder_params": [dict, None],
}
#: ``encoder_params`` of the networks of the two papers.
PUBLISHED_ENCODERS = {
    "2025": {"value_network": "dense", "site_network": False, "input_scaling": "2025"},
    "2023": {
        "site_width": 30,
        "pair_width": 16,
        "attention_hidden": 225,
        "value_network": "single",
        "shared_values": True,
        "pre_pool": (94,),
        "post_pool": (200, 200),
        "output_layer": "dense",
        "gains": True,
        "element_embedding": 92,
        "element_rows": 200,
        "element_norm_limit": 1.0,
        "log_coulomb": True,
        "input_scaling": "2023",
        "idle_weights": True,
    },
}
_WIDTH = [Interval(Integral, 1, None, closed="left")]
_WIDTHS = [list, tuple]
_BOOLEAN = ["boolean"]
_ENCODER_PARAMS = {
    **dict.fromkeys(("site_width", "pair_width", "attention_hidden", "value_hidden"), _WIDTH),
    **dict.fromkeys(("pre_pool", "post_pool"), _WIDTHS),
    "value_network": [StrOptions({"linear", "dense", "single"})],
    "local_activation": [StrOptions({"mish", "relu"})],
    "output_layer": [StrOptions({"linear", "dense"})],
    "cutoff": [Interval(Real, 0, None, closed="neither"), None],
    "element_embedding": [Interval(Integral, 0, None, closed="left")],
    "element_rows": [Interval(Integral, 104, None, closed="left")],
    "element_norm_limit": [Interval(Real, 0, None, closed="neither"), None],
    "input_scaling": [StrOptions({"standardized", "2025", "2023"})],
    "pooling": [StrOptions({"mean", "max"})],
    **dict.fromkeys(("shared_values", "site_network", "gains", "log_coulomb", "idle_weights"), _BOOLEAN),
}


def check_encoder_params(params):
    """Raise ValueError if a value in ``encoder_params`` is invalid."""
    validate_parameter_constraints(_ENCODER_PARAMS, params, "encoder_params")
    for name, value in params.items():
        if _ENCODER_PARAMS[name] is _WIDTHS:
            check_widths(f"{name} in encoder_params", value)


_LOSS_PARAMS = {
    "pairing": [StrOptions({"crystals", "sites"})],
    "global_input": [StrOptions({"samples", "means"})],
    "score_norm": ["boolean"],
}


def check_loss_params(params):
    """Raise ValueError if ``loss_params`` has an unknown key or an invalid value."""
    unknown = sorted(set(params) - set(_LOSS_PARAMS))
    if unknown:
        raise ValueError(f"loss_params has unknown keys {unknown}; it may hold {sorted(_LOSS_PARAMS)}")
    validate_parameter_constraints(_LOSS_PARAMS, params, "loss_params")


def check_widths(name, widths):
    """Raise ValueError if widths of layers are not positive integers."""
    if not all(isinstance(width, Integral) and int(width) > 0 for width in widths):
        raise ValueError(f"{name} must contain positive integers; got {widths!r}")


def pretrained_source(estimator, crystals, kinds):
    """The fitted estimator whose encoder an estimator starts from, or None.

    ``kinds`` are the classes that it can have, by the names for messages.

    Raises
    ------
    TypeError
        If ``pretrained`` is another kind of estimator.
    ValueError
        If it is not fitted (as after ``clone``), or was fitted on other site features.
    """
    source = estimator.pretrained
    while isinstance(source, FrozenEstimator):
        source = source.estimator
    if source is None:
        return None
    name = type(source).__name__
    if not isinstance(source, tuple(kinds.values())):
        raise TypeError(f"pretrained must be a fitted {', '.join(kinds)}, or a FrozenEstimator of one, not {name}")
    if not hasattr(source, "net_"):
        raise ValueError(
            f"the {name} passed as pretrained is not fitted. If it was fitted, scikit-learn's clone (in "
            "cross-validation and searches) has reset it: pass it as pretrained=FrozenEstimator(...), with "
            "FrozenEstimator from sklearn.frozen"
        )
    check_crystals(crystals, f"the pretrained {name}", like=source)
    return source
