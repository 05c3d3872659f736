"""suggest: which crystals of a pool to measure next."""

from __future__ import annotations

import numpy as np
from scipy.stats import norm
from sklearn.pipeline import Pipeline

from .._crystals.crystals import Crystals
from .._featurizer.featurizer import SiteNetFeaturizer
from .._statistics.structure import StructureStatistics
from .posterior import posterior_of

STRATEGIES = ("variance", "expected_improvement", "diversity")
#: Candidates whose total variance is watched, at most; limits memory.
_MAX_REFERENCE = 1000


def suggest(model, X_pool, n=10, *, strategy="variance", best=None, maximize=True, X_train=None) -> np.ndarray:
    """Choose the crystals of a pool whose measurement promises most.

    Parameters
    ----------
    model : fitted regressor, or None
        Fitted on the crystals measured so far. "variance" and "expected_improvement" need ``predict(return_std=True)``.
        A Pipeline that ends in a Gaussian process (``make_arm("representation", embedder)``, or with
        ``head="block_gp"``) chooses batches that are not redundant: each choice accounts for the previous ones. Other
        models take the n largest values. None is possible for "diversity".
    X_pool : Crystals of shape (n_pool,), or other input of ``model``
        Candidates. Failed rows are never chosen.
    n : int, default=10
        Number of crystals to choose.
    strategy : {"variance", "expected_improvement", "diversity"}, default="variance"
        "variance" chooses crystals whose labels reduce the variance of the predictions for the whole pool most, for an
        accurate model (other models than Gaussian processes: those of the largest variance).
        "expected_improvement" chooses crystals whose labels are expected to exceed ``best`` by most, to find a maximum.
        "diversity" chooses each crystal as far as possible from those chosen and measured before (farthest point
        sampling), in the features of the Gaussian process or in StructureStatistics; it needs no labels.
    best : float, default=None
        Best label so far; required by "expected_improvement".
    maximize : bool, default=True
        Whether larger labels are better; False searches for a minimum.
    X_train : Crystals of shape (n_train,), or other input of ``model``, default=None
        Crystals measured so far, for "diversity"; those of a Gaussian process need not be passed.

    Returns
    -------
    rows : ndarray of int64 of shape (n,)
        Rows of ``X_pool``, in the order of the choice.

    Raises
    ------
    TypeError
        If the model has no standard deviations.
    ValueError
        If a parameter is out of range, or there are fewer than n candidates.

    See Also
    --------
    BlockGaussianProcessRegressor : A Gaussian process on several sources of features.
    ApplicabilityDomain : Whether crystals are like those of the training set.

    References
    ----------
    Cohn, Ghahramani, Jordan, "Active learning with statistical models", JAIR 1996 (total variance).
    Jones, Schonlau, Welch, "Efficient global optimization of expensive black-box functions", J. Global Optim. 1998.

    Examples
    --------
    >>> from skdim import SiteNetFeaturizer, suggest
    >>> from skdim.datasets import make_crystals
    >>> from skdim.model_selection import make_arm
    >>> structures, y = make_crystals(60, random_state=0)
    >>> X = SiteNetFeaturizer().fit_transform(structures)
    >>> model = make_arm("structure").fit(X[:20], y[:20])
    >>> len(suggest(model, X[20:], n=5))
    5
    >>> len(suggest(model, X[20:], n=3, strategy="expected_improvement", best=y[:20].max()))
    3
    """
    if strategy not in STRATEGIES:
        raise ValueError(f"unknown strategy {strategy!r}; available: {', '.join(STRATEGIES)}")
    if model is None and strategy != "diversity":
        raise ValueError(f"strategy={strategy!r} needs a fitted model")
    if strategy == "expected_improvement" and (best is None or not np.isfinite(best)):
        raise ValueError(f"strategy='expected_improvement' needs best, the best label so far; got {best!r}")
    if isinstance(model, Pipeline) and isinstance(model[0], SiteNetFeaturizer):
        if not isinstance(X_pool, Crystals):
            X_pool = model[0].transform(X_pool)
            X_train = None if X_train is None else model[0].transform(X_train)
        model = model[1:]
    rows = np.flatnonzero(~X_pool.failed) if isinstance(X_pool, Crystals) else np.arange(len(X_pool))
    if not isinstance(n, int | np.integer) or not 1 <= n <= len(rows):
        raise ValueError(f"n must be from 1 to {len(rows)}, the number of candidates; got {n!r}")
    X = X_pool if len(rows) == len(X_pool) else X_pool[rows]
    watched = np.linspace(0, len(rows) - 1, min(len(rows), _MAX_REFERENCE)).astype(int)
    posterior = None if model is None else posterior_of(model, X, watched)
    if strategy == "diversity":
        features, measured = _features(posterior, X, X_train)
        chosen = _farthest_points(features, measured, n)
    elif posterior is None:
        mean, std = _predict(model, X)
        score = std if strategy == "variance" else _expected_improvement(mean, std, best, maximize)
        chosen = np.argsort(-score, kind="stable")[:n]
    else:
        chosen = _batch(posterior, n, strategy, best, maximize)
    return rows[np.asarray(chosen)].astype(np.int64)


def _batch(posterior, n, strategy, best, maximize):
    """Choose one by one; labels that are not known yet are taken to be as predicted."""
    chosen: list[int] = []
    for _ in range(n):
        if strategy == "variance":
            score = posterior.reductions
        else:
            score = _expected_improvement(posterior.mean, posterior.std, best, maximize)
        score[chosen] = -np.inf
        row = int(np.argmax(score))
        chosen.append(row)
        posterior.condition(row)
        if strategy == "expected_improvement":
            best = max(best, posterior.mean[row]) if maximize else min(best, posterior.mean[row])
    return chosen


def _expected_improvement(mean, std, best, maximize):
    gain = mean - best if maximize else best - mean
    with np.errstate(divide="ignore", invalid="ignore"):
        z = gain / std
        return np.where(std > 0, gain * norm.cdf(z) + std * norm.pdf(z), np.maximum(gain, 0.0))


def _predict(model, X):
    try:
        mean, std = model.predict(X, return_std=True)
    except TypeError as error:
        raise TypeError(
            f"{type(model).__name__} has no standard deviations (return_std): use a model that ends in a Gaussian "
            'process, such as make_arm("representation", embedder), or strategy="diversity"'
        ) from error
    return mean, std


def _features(posterior, X, X_train):
    """Features of the candidates and of the measured crystals (None if there are none)."""
    if posterior is not None:
        return posterior.features, posterior.train_features
    if isinstance(X, Crystals):
        statistics = StructureStatistics()
        X = statistics.transform(X)
        X_train = None if X_train is None else statistics.transform(X_train[~X_train.failed])
    X = np.asarray(X, dtype=float)
    scale = X.std(axis=0)
    scale[scale == 0] = np.inf
    return X / scale, None if X_train is None else np.asarray(X_train, dtype=float) / scale


def _farthest_points(features, measured, n):
    if measured is None or not len(measured):
        # Start from the crystal that is closest to the mean.
        chosen = [int(np.argmin(np.linalg.norm(features - features.mean(axis=0), axis=1)))]
        distance = np.linalg.norm(features - features[chosen[0]], axis=1)
    else:
        chosen = []
        distance = np.full(len(features), np.inf)
        for row in measured:
            distance = np.minimum(distance, np.linalg.norm(features - row, axis=1))
    while len(chosen) < n:
        distance[chosen] = -np.inf
        chosen.append(int(np.argmax(distance)))
        distance = np.minimum(distance, np.linalg.norm(features - features[chosen[-1]], axis=1))
    return chosen
