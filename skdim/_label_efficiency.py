"""The protocol of the label-efficiency comparison: paired label draws, fixed test rows, one table of errors."""

from __future__ import annotations

import time
from collections.abc import Mapping
from numbers import Integral

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import mean_absolute_error
from sklearn.model_selection import GroupShuffleSplit, ShuffleSplit
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.utils import check_array, check_consistent_length, get_tags

from ._crystals import Crystals
from ._formula_groups import formula_groups
from ._label_draws import checked_sizes, entropy_of, make_draws

#: Columns of the table that :func:`label_efficiency` returns.
COLUMNS = ("arm", "n_labels", "repeat", "mae", "fit_time", "predict_time")


def label_efficiency(
    estimators,
    X,
    y,
    *,
    train_sizes=(50, 100, 250),
    n_repeats=12,
    X_test=None,
    y_test=None,
    test_size=0.2,
    groups=None,
    random_state=0,
    n_jobs=None,
    verbose=0,
):
    """Compare estimators by their error on fixed test rows as labels are revealed, over paired draws of the labels.

    The comparison of the paper's figure S1. In each repeat every arm is trained on the very same rows (see
    :func:`label_draws`), whichever other arms there are; all arms are tested on the same rows. Differences between two
    arms can therefore be taken repeat by repeat, with :func:`paired_difference`.

    Estimators are cloned for each fit. Every ``random_state`` parameter that is None, also a nested one, is set to a
    number that depends on the repeat and the size alone; one that was given is kept.

    Where an arm is a Pipeline, leading steps that learn nothing from the labelled rows (a ``FrozenEstimator``, a
    stateless transformer such as :class:`skdim.CompositionStatistics`, and unions or pipelines of these) are applied
    once to all rows and not once a draw. The errors are the same; ``fit_time`` and ``predict_time`` leave them out.

    Parameters
    ----------
    estimators : dict of str to estimator
        The arms, in the order of the table and the plot.
    X : Crystals, array-like, DataFrame or list, of n_rows rows
        Rows that labels are drawn from, and test rows unless ``X_test`` is given.
    y : array-like of shape (n_rows,) or (n_rows, n_targets)
    train_sizes : sequence of int, default=(50, 100, 250)
        Labels to reveal.
    n_repeats : int or dict of str to int, default=12
        Label draws of each size. A dict gives each arm its own number; an arm with fewer takes the first ones.
    X_test, y_test : as X and y, default=None
        Fixed test rows. If None, ``test_size`` of X is held out.
    test_size : float or int, default=0.2
        How much of X to hold out. With groups it is a share or number of groups.
    groups : array-like of shape (n_rows,), default=None
        Rows of one group are held out together. None takes the reduced formula where X is Crystals, so that no
        polymorph of a training crystal is tested, and no groups otherwise. Only used if ``X_test`` is None.
    random_state : int, RandomState instance or None, default=0
        Seed of the draws, of the held-out rows and of the estimators.
    n_jobs : int, default=None
        Processes (joblib), each with one fit at a time. None means 1 unless in a ``joblib.parallel_config`` context.
    verbose : int, default=0
        1 shows a progress bar over the fits.

    Returns
    -------
    DataFrame
        One row a fit: "arm", "n_labels", "repeat", "mae" (in the units of y; the mean over targets), "fit_time" and
        "predict_time" (in seconds).

    Raises
    ------
    ValueError
        If there is no arm, a size exceeds the rows to draw from, labels are missing, or rows of X failed to featurize.
    RuntimeError
        If an arm fails; the message names the arm, the number of labels and the repeat.

    See Also
    --------
    summarize : Median and quartiles of each arm and size.
    paired_difference : One arm against another, with an interval.
    skdim.plotting.LabelEfficiencyDisplay : Box plots.

    Examples
    --------
    >>> from sklearn.datasets import make_regression
    >>> from sklearn.dummy import DummyRegressor
    >>> from sklearn.linear_model import Ridge
    >>> from skdim.model_selection import label_efficiency, summarize
    >>> X, y = make_regression(200, 5, noise=1.0, random_state=0)
    >>> arms = {"mean": DummyRegressor(), "ridge": Ridge()}
    >>> draws = label_efficiency(arms, X, y, train_sizes=[20, 80], n_repeats=4)
    >>> draws.shape
    (16, 6)
    >>> summarize(draws)[["arm", "n_labels", "n_repeats", "median"]].round(1)
         arm  n_labels  n_repeats  median
    0   mean        20          4   152.6
    1   mean        80          4   153.1
    2  ridge        20          4     9.1
    3  ridge        80          4     2.1
    """
    repeats = _checked_arms(estimators, n_repeats)
    entropy = entropy_of(random_state)
    X, y, X_test, y_test = _test_rows(X, y, X_test, y_test, test_size, groups, entropy)
    sizes = checked_sizes(train_sizes, len(y))
    draws = make_draws(len(y), sizes, max(repeats.values()), entropy)
    # Only rows that some draw takes are embedded and sent to the workers.
    used = np.unique(np.concatenate([draw.rows for draw in draws]))
    X, y = _take(X, used), y[used]
    prepared = _apply_fixed_steps(estimators, X, X_test)
    jobs = (
        delayed(_fit_one)(arm, rest, _take(X_arm, rows), y[rows], X_test_arm, y_test, draw, entropy)
        for draw in draws
        for rows in [np.searchsorted(used, draw.rows)]
        for arm, (rest, X_arm, X_test_arm) in prepared.items()
        if draw.repeat < repeats[arm]
    )
    results = Parallel(n_jobs=n_jobs, return_as="generator_unordered")(jobs)
    if verbose:
        from tqdm import tqdm

        results = tqdm(results, total=len(sizes) * sum(repeats.values()), desc="label draws", unit="fit")
    frame = pd.DataFrame(list(results), columns=list(COLUMNS))
    order = {arm: k for k, arm in enumerate(estimators)}
    return frame.sort_values(
        ["arm", "n_labels", "repeat"], key=lambda c: c.map(order) if c.name == "arm" else c, ignore_index=True
    )


def _fit_one(arm, estimator, X, y, X_test, y_test, draw, entropy):
    try:
        estimator = _seeded(clone(estimator), draw, entropy)
        start = time.perf_counter()
        estimator.fit(X, y)
        fitted = time.perf_counter()
        predicted = estimator.predict(X_test)
        done = time.perf_counter()
        mae = mean_absolute_error(y_test, predicted)
    except Exception as error:
        raise RuntimeError(
            f"arm {arm!r} failed at {draw.n_labels} labels, repeat {draw.repeat}: {type(error).__name__}: {error}"
        ) from error
    return arm, draw.n_labels, draw.repeat, mae, fitted - start, done - fitted


def _seeded(estimator, draw, entropy):
    """The estimator with a seed of the draw in each random_state that is unset."""
    rng = np.random.default_rng([entropy, draw.repeat, draw.n_labels])
    unset = {}
    for name, value in sorted(estimator.get_params().items()):
        if value is None and (name == "random_state" or name.endswith("__random_state")):
            unset[name] = int(rng.integers(np.iinfo(np.int32).max))
    return estimator.set_params(**unset)


def _apply_fixed_steps(estimators, X, X_test):
    """For each arm: what is left to fit, and its rows with the leading steps that learn nothing applied."""
    prepared, done = {}, {}
    for arm, estimator in estimators.items():
        steps, rest = _fixed_steps(estimator)
        # Arms on one frozen estimator share its output, also if each has wrapped it by itself.
        key = tuple(id(s.estimator if isinstance(s, FrozenEstimator) else s) for s in steps)
        if key not in done:
            rows, test = X, X_test
            for step in steps:
                step = clone(step).fit(rows, None)  # a FrozenEstimator wants a y, and ignores it
                rows, test = step.transform(rows), step.transform(test)
            done[key] = rows, test
        prepared[arm] = rest, *done[key]
    return prepared


def _fixed_steps(estimator):
    if not isinstance(estimator, Pipeline):
        return [], estimator
    first = 0
    while first < len(estimator.steps) - 1 and _learns_nothing(estimator.steps[first][1]):
        first += 1
    return [step for _, step in estimator.steps[:first] if step not in (None, "passthrough")], estimator[first:]


def _learns_nothing(step):
    if step in (None, "passthrough", "drop") or isinstance(step, FrozenEstimator):
        return True
    if isinstance(step, FeatureUnion):
        return all(_learns_nothing(part) for _, part in step.transformer_list)
    if isinstance(step, Pipeline):
        return all(_learns_nothing(part) for _, part in step.steps)
    return not get_tags(step).requires_fit


def _checked_arms(estimators, n_repeats):
    """Number of repeats of each arm."""
    if not isinstance(estimators, Mapping) or not all(isinstance(arm, str) for arm in estimators):
        raise TypeError(f"estimators must be a dict of name to estimator, not {estimators!r}")
    if not estimators:
        raise ValueError("estimators is empty: pass at least one arm")
    for arm, estimator in estimators.items():
        if isinstance(estimator, type) or not (hasattr(estimator, "fit") and hasattr(estimator, "predict")):
            raise TypeError(f"arm {arm!r} must be an estimator instance with fit and predict, not {estimator!r}")
    if not isinstance(n_repeats, Mapping):
        n_repeats = dict.fromkeys(estimators, n_repeats)
    if set(n_repeats) != set(estimators):
        raise ValueError(f"n_repeats has the arms {sorted(n_repeats)}, estimators has {sorted(estimators)}")
    for arm, n in n_repeats.items():
        if not isinstance(n, Integral) or n < 1:
            raise ValueError(f"n_repeats must be a positive integer; got {n!r} for arm {arm!r}")
    return n_repeats


def _test_rows(X, y, X_test, y_test, test_size, groups, entropy):
    """Rows to draw from and test rows, checked."""
    if (X_test is None) != (y_test is None):
        given, missing = ("X_test", "y_test") if y_test is None else ("y_test", "X_test")
        raise ValueError(f"{given} was passed without {missing}: pass both, or neither to hold out rows of X")
    y = _checked_rows(X, y, "X", "y")
    if X_test is not None:
        return X, y, X_test, _checked_rows(X_test, y_test, "X_test", "y_test")
    if groups is None and isinstance(X, Crystals):
        groups = formula_groups(X)
    splitter = ShuffleSplit if groups is None else GroupShuffleSplit
    pool, test = next(splitter(1, test_size=test_size, random_state=entropy).split(y, groups=groups))
    return _take(X, pool), y[pool], _take(X, test), y[test]


def _checked_rows(X, y, X_name, y_name):
    y = check_array(y, dtype=np.float64, ensure_2d=False, ensure_all_finite=False, input_name=y_name)
    check_consistent_length(X, y)
    bad = np.flatnonzero(~np.isfinite(y.reshape(len(y), -1)).all(axis=1))
    if len(bad):
        raise ValueError(
            f"{y_name} has {len(bad)} labels that are not finite, the first in row {bad[0]}. Leave these rows out: "
            f"keep = np.isfinite({y_name})"
        )
    if isinstance(X, Crystals) and X.failed.any():
        row = int(np.flatnonzero(X.failed)[0])
        raise ValueError(
            f"{X_name} has {int(X.failed.sum())} rows that could not be featurized (the first: {X.errors_[row]}). "
            f"Leave them out: keep = ~{X_name}.failed"
        )
    return y


def _take(X, rows):
    """Rows of anything that scikit-learn takes rows of."""
    if hasattr(X, "iloc"):
        return X.iloc[rows]
    return [X[row] for row in rows] if isinstance(X, (list, tuple)) else X[rows]
