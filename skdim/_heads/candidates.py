"""The candidates that FewLabelsRegressor compares."""

from __future__ import annotations

import numpy as np
from sklearn.base import clone
from sklearn.ensemble import ExtraTreesRegressor

from .block_gaussian_process import BlockGaussianProcessRegressor
from .label_transformation import available_transformations
from .transformed_target import AutoTransformedTargetRegressor
from .two_part import TwoPartRegressor

#: What the parts of names stand for.
_WORDS = {"gp": "Gaussian process", "trees": "trees", "two_part": "two-part model"}
_TRANSFORMATIONS = {"log": " on log labels", "yeo-johnson": " on Yeo-Johnson-transformed labels"}
#: Fraction of zeros, and number of zeros and of other labels, from which on there is a two-part model.
_ZERO_FRACTION, _ZEROS = 0.1, 8


def default_candidates(y):
    """Candidates for labels.

    Parameters
    ----------
    y : ndarray of shape (n_samples,)

    Returns
    -------
    dict of str to regressor
        "gp" and "trees", with "_log" and "_yeo-johnson" where the labels are transformed; or "two_part".
    """
    candidates = {}
    for transformation in available_transformations(y):
        suffix = "" if transformation == "identity" else f"_{transformation}"
        for name, regressor in {"gp": BlockGaussianProcessRegressor(), "trees": _trees()}.items():
            if suffix:
                regressor = AutoTransformedTargetRegressor(regressor, transformation=transformation)
            candidates[name + suffix] = regressor
    n_zeros = int((y == 0).sum())
    if n_zeros >= _ZERO_FRACTION * len(y) and min(n_zeros, len(y) - n_zeros) >= _ZEROS:
        candidates["two_part"] = TwoPartRegressor()
    return candidates


def _trees():
    # A third of the columns at each split: faster than all, and no worse.
    return ExtraTreesRegressor(100, max_features=1 / 3)


def seeded(candidate, random):
    """Clone of a candidate in which every ``random_state`` is drawn, as in scikit-learn's ensembles."""
    candidate = clone(candidate)
    names = sorted(name for name in candidate.get_params() if name.rpartition("__")[2] == "random_state")
    return candidate.set_params(**{name: random.randint(np.iinfo(np.int32).max) for name in names})


def describe(names):
    """Names of candidates in words: "average of Gaussian process and trees, on log labels"."""
    bases, suffixes = zip(*map(_split, names), strict=True)
    if len(names) > 1 and len(set(suffixes)) == 1 and suffixes[0]:
        return f"{_average(bases)},{suffixes[0]}"
    return _average([base + suffix for base, suffix in zip(bases, suffixes, strict=True)])


def _split(name):
    """Words for the model and for the transformation of labels in the name of a candidate."""
    base, _, transformation = name.rpartition("_")
    if base in _WORDS and transformation in _TRANSFORMATIONS:
        return _WORDS[base], _TRANSFORMATIONS[transformation]
    return _WORDS.get(name, name), ""


def _average(words):
    return words[0] if len(words) == 1 else f"average of {', '.join(words[:-1])} and {words[-1]}"


def average_candidates():
    """Gaussian process and trees on labels whose transformation is chosen by likelihood, a list of (str, regressor)."""
    return [
        ("gp", AutoTransformedTargetRegressor(BlockGaussianProcessRegressor())),
        ("trees", AutoTransformedTargetRegressor(_trees())),
    ]
