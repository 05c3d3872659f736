"""The estimator whose weights training starts from."""

from __future__ import annotations

from sklearn.frozen import FrozenEstimator

from .._crystals.checks import check_crystals


def pretrained_source(estimator, crystals, kinds):
    """The fitted estimator, of one of these kinds, whose encoder an estimator starts from, or None.

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
    if not isinstance(source, kinds):
        names = " or ".join(kind.__name__ for kind in kinds)
        raise TypeError(f"pretrained must be a fitted {names}, or a FrozenEstimator of one, not {name}")
    if not hasattr(source, "net_"):
        raise ValueError(
            f"the {name} passed as pretrained is not fitted. If it was fitted, scikit-learn's clone (in "
            "cross-validation and searches) has reset it: pass it as pretrained=FrozenEstimator(...), with "
            "FrozenEstimator from sklearn.frozen"
        )
    check_crystals(crystals, f"the pretrained {name}", like=source)
    return source
