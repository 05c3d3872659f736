"""Find the network inside a fitted Pipeline or FrozenEstimator."""

from __future__ import annotations

from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted


def find_step(estimator, attribute):
    """Find the last step of an estimator that has an attribute, and the transformers before it.

    Parameters
    ----------
    estimator : estimator
        May be a Pipeline or a FrozenEstimator, also nested.
    attribute : str

    Returns
    -------
    transformers : list
    step : estimator

    Raises
    ------
    TypeError
        If no step has the attribute.
    sklearn.exceptions.NotFittedError
        If the estimator is not fitted.
    """
    path = _find(estimator, attribute)
    if path is None:
        check_is_fitted(estimator)
        raise TypeError(
            f"neither {type(estimator).__name__} nor its steps have {attribute!r}: pass a fitted DeepInfoMaxEmbedder, "
            "SiteNetRegressor or SiteNetClassifier, or a Pipeline or FrozenEstimator of one"
        )
    return path


def _find(estimator, attribute):
    if isinstance(estimator, FrozenEstimator):
        return _find(estimator.estimator, attribute)
    if not isinstance(estimator, Pipeline):
        return ([], estimator) if hasattr(estimator, attribute) else None
    steps = [step for _, step in estimator.steps if step not in (None, "passthrough")]
    for k in reversed(range(len(steps))):
        path = _find(steps[k], attribute)
        if path is not None:
            return steps[:k] + path[0], path[1]
    return None
