"""Constraints on the parameters that both trained estimators have."""

from __future__ import annotations

from numbers import Integral, Real

from sklearn.utils._param_validation import HasMethods, Interval, StrOptions, validate_parameter_constraints

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
_WIDTH = [Interval(Integral, 1, None, closed="left")]
_WIDTHS = [list, tuple]
_ENCODER_PARAMS = {
    **dict.fromkeys(("site_width", "pair_width", "attention_hidden", "value_hidden"), _WIDTH),
    **dict.fromkeys(("pre_pool", "post_pool"), _WIDTHS),
    "element_embedding": [Interval(Integral, 0, None, closed="left")],
    "log_coulomb": ["boolean"],
    "pooling": [StrOptions({"mean", "max"})],
}


def check_encoder_params(params):
    """Raise ValueError if a value in ``encoder_params`` is invalid."""
    validate_parameter_constraints(_ENCODER_PARAMS, params, "encoder_params")
    for name, value in params.items():
        if _ENCODER_PARAMS[name] is _WIDTHS:
            check_widths(f"{name} in encoder_params", value)


def check_widths(name, widths):
    """Raise ValueError if widths of layers are not positive integers."""
    if not all(isinstance(width, Integral) and int(width) > 0 for width in widths):
        raise ValueError(f"{name} must contain positive integers; got {widths!r}")
