"""Whether a regressor has standard deviations, and how to get them."""

from __future__ import annotations

from inspect import signature


def has_std(regressor):
    """Whether ``predict`` of a regressor has the parameter ``return_std`` and can provide standard deviations.

    For a pipeline its last step decides, and for a regressor around another one, the parameter ``regressor``, the inner
    one as well.
    """
    if hasattr(regressor, "steps"):
        return has_std(regressor.steps[-1][1])
    if getattr(regressor, "n_estimators", None) == 1:  # an ensemble of one
        return False
    inner = getattr(regressor, "regressor", None)
    return "return_std" in signature(regressor.predict).parameters and (inner is None or has_std(inner))


def predict_with_std(regressor, X):
    """Predictions and standard deviations.

    Raises
    ------
    TypeError
        If the regressor has no standard deviations.
    """
    if not has_std(regressor):
        raise TypeError(
            f"{type(regressor).__name__} has no standard deviations: its predict has no parameter return_std"
        )
    return regressor.predict(X, return_std=True)
