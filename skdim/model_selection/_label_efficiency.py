"""The label-efficiency comparison: paired label draws, fixed test rows, one table of errors or scores."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import nullcontext
from typing import TYPE_CHECKING

import numpy as np
from joblib import delayed
from sklearn.base import clone
from sklearn.metrics import get_scorer, log_loss, mean_absolute_error
from sklearn.utils.validation import check_memory

from .._shared.fingerprint import fingerprint
from .._shared.processes import in_processes
from .._shared.progress import progress
from .._shared.scores import score_column
from .._structures.row_fingerprint import row_fingerprint
from ._compared_rows import all_classifiers, compared_rows, take
from ._label_draws import TRAIN_SIZES, checked_repeats, checked_sizes, entropy_of, make_draws
from ._results_file import DRAW, ResultsFile, columns_of, table_of
from ._shared_steps.fixed_rows import FixedRows
from ._shared_steps.split import split_steps

if TYPE_CHECKING:
    import pandas as pd


def label_efficiency(
    estimators,
    X,
    y,
    *,
    scoring=None,
    train_sizes=TRAIN_SIZES,
    n_repeats=12,
    X_test=None,
    y_test=None,
    test_size=0.2,
    groups=None,
    random_state=0,
    memory=None,
    results_file=None,
    n_jobs=None,
    verbose=0,
) -> pd.DataFrame:
    """Compare estimators by their test error or score with few labels, over paired random draws of the labels.

    The comparison of the paper's figure S1. In each repeat every model is fitted on the same rows (see
    :func:`label_draws`), whatever the other models; all models are tested on the same rows. Two models can therefore be
    compared draw by draw, with :func:`paired_difference`.

    Estimators are cloned for each fit. Each ``random_state`` parameter that is None, including nested ones, is set to a
    number that depends only on the repeat and the size; others are kept.

    Models are all regressors, or all classifiers. For classifiers the draws are stratified, as :func:`label_draws` does
    with ``stratify``, and so are held-out test rows without groups.

    Where a model is a Pipeline, leading steps that learn nothing from the labelled rows (a ``FrozenEstimator``, a
    stateless transformer such as :class:`skdim.SiteNetFeaturizer`, and unions or pipelines of these) are applied once
    to all rows instead of once per draw. So are such ``features`` of a :class:`skdim.FewLabelsRegressor`, as in "best"
    and "average" of :func:`make_arm`. Models with equal leading steps, including parts of unions, share
    their output. The errors are the same up to rounding; ``fit_time`` and ``predict_time`` exclude these steps.

    Results can be cached across calls. ``memory`` keeps the output of those steps on disk. ``results_file`` keeps every
    fit on disk as soon as it is finished: calling again resumes an interrupted run, and a later call with more models,
    sizes or repeats adds to the file.

    Parameters
    ----------
    estimators : dict of str to estimator
        The models to compare, by name, in the order of the table and the plot. In results each is an arm of the
        comparison, as in a clinical trial.
    X : Crystals, array-like, DataFrame or list, of n_rows rows
        Rows that labels are drawn from, and also test rows unless ``X_test`` is given.
    y : array-like of shape (n_rows,) or (n_rows, n_targets)
        Labels; for classifiers the classes, of shape (n_rows,).
    scoring : str or callable, default=None
        Scorer of scikit-learn, by name such as "roc_auc", or a callable ``scorer(estimator, X_test, y_test)``; greater
        is better. None measures the mean absolute error of regressors, and "neg_log_loss" of classifiers.
    train_sizes : sequence of int, default=(50, 100, 250, 1000)
        Numbers of labels.
    n_repeats : int or dict, default=12
        Number of label draws. A dict has a number for each size, ``{50: 12, 1000: 6}``, or for each model a number or
        such a dict, ``{"trees": 12, "transfer": {50: 12, 1000: 6}}``. Fewer draws are the first of more draws.
    X_test, y_test : as X and y, default=None
        Fixed test rows. None holds out ``test_size`` of X.
    test_size : float or int, default=0.2
        Fraction or number of rows to hold out; with groups, fraction or number of groups.
    groups : array-like of shape (n_rows,), default=None
        Rows of one group are held out together. None groups Crystals and structures by reduced formula, so that no
        polymorph of a training crystal is tested, and other data not at all. Ignored if ``X_test`` is given.
    random_state : int, RandomState instance or None, default=0
        Seed of the draws, the held-out rows and the estimators. ``results_file`` requires a seed.
    memory : str or joblib.Memory, default=None
        Cache folder for the output of the leading steps, as in scikit-learn's Pipeline. All rows of X are then
        transformed, not only the drawn ones, so that later calls can reuse them. A frozen estimator is identified by
        its fitted values, also after saving and loading. The cache uses pickle: take a folder that only you can write
        to.
    results_file : str or Path, default=None
        File of finished fits (JSON lines), created if missing; :func:`read_results` reads it. A file is for one
        comparison (X, y, test rows, ``scoring`` and ``random_state``), and each model in it for one estimator with its
        parameters (except ``n_jobs``, ``verbose`` and the like); otherwise an error is raised. The returned table has
        what this call asks for, and equals that of an uninterrupted call except for the times. All rows of X are
        transformed, as with ``memory``.
    n_jobs : int, default=None
        Number of fits in parallel processes (joblib). None means 1 unless in a ``joblib.parallel_config`` context.
    verbose : int, default=0
        1 shows a progress bar over the fits; in a log file, occasional lines.

    Returns
    -------
    DataFrame
        One row per fit: "arm", "n_labels", "repeat", "mae" (in the units of y; mean over targets), "fit_time" and
        "predict_time" (in seconds). With a scorer, its score replaces "mae", in a column such as "test_roc_auc";
        "test_score" if it has no name.

    Raises
    ------
    ValueError
        If there is no model, a size exceeds the rows to draw from, labels are not finite, rows of X failed to
        featurize, or ``results_file`` is for another comparison or not such a file.
    RuntimeError
        If a model or its scorer fails; the message has its name, the number of labels and the repeat. Also if another
        process has ``results_file`` open.
    TypeError
        If only some of the models are classifiers.

    See Also
    --------
    summarize : Median and quartiles for each model and size.
    paired_difference : Difference between two models, with an interval.
    read_results : Reads a ``results_file``.
    skdim.plotting.LabelEfficiencyDisplay : Box plots.

    Examples
    --------
    >>> from sklearn.datasets import make_regression
    >>> from sklearn.dummy import DummyRegressor
    >>> from sklearn.linear_model import Ridge
    >>> from skdim.model_selection import label_efficiency, summarize
    >>> X, y = make_regression(200, 5, noise=1.0, random_state=0)
    >>> models = {"mean": DummyRegressor(), "ridge": Ridge()}
    >>> draws = label_efficiency(models, X, y, train_sizes=[20, 80], n_repeats=4)
    >>> draws.shape
    (16, 6)
    >>> summarize(draws)[["arm", "n_labels", "n_repeats", "median"]].round(1)
         arm  n_labels  n_repeats  median
    0   mean        20          4   152.6
    1   mean        80          4   153.1
    2  ridge        20          4     9.1
    3  ridge        80          4     2.1
    """
    check_arms(estimators)
    if results_file is not None and random_state is None:
        raise ValueError("results_file needs a seed, as random_state=None draws other rows at each call: pass an int")
    entropy = entropy_of(random_state)
    are_classes = all_classifiers(estimators)
    if scoring is None and are_classes:
        scoring = "neg_log_loss"
    scorer = None if scoring is None else _scorer(scoring)  # before hours of fitting
    score = score_column(scoring)
    rows = compared_rows(X, y, X_test, y_test, test_size, groups, entropy, are_classes)
    sizes = checked_sizes(train_sizes, len(rows.pool))
    repeats = checked_repeats(n_repeats, estimators, sizes)
    most = {size: max(by_size[size] for by_size in repeats.values()) for size in sizes}
    classes = np.unique(rows.y[rows.pool], return_inverse=True)[1] if are_classes else None
    if classes is not None and not classes.any():
        raise ValueError(
            f"all labels to draw from are one class, {rows.y[rows.pool[:1]].tolist()[0]!r}: pass rows of other classes"
        )
    draws = make_draws(len(rows.pool), sizes, max(most.values()), entropy, classes)
    draws = [draw for draw in draws if draw.repeat < most[draw.n_labels]]
    fits = {
        (arm, draw.n_labels, draw.repeat): draw
        for draw in draws
        for arm in estimators
        if draw.repeat < repeats[arm][draw.n_labels]
    }
    with nullcontext() if results_file is None else _open(results_file, rows, entropy, estimators, scoring) as file:
        done = {} if file is None else {key: file.fits[key] for key in fits if key in file.fits}
        waiting = {key: draw for key, draw in fits.items() if key not in done}
        if memory is None and file is None:
            # Only drawn rows need be transformed. With a cache the rows must not depend on the draws, as a network's
            # vectors differ in the last digits between batches.
            used = np.unique(np.concatenate([draw.rows for draw in draws]))
            rows = rows.only(used)
            waiting = {k: draw._replace(rows=np.searchsorted(used, draw.rows)) for k, draw in waiting.items()}
        calls = _jobs(waiting, _apply_fixed_steps(estimators, waiting, rows, memory), rows, entropy, scorer, score)
        results = in_processes(calls, n_jobs, ordered=False)
        counts = {"total": len(fits), "initial": len(done)}
        for fit in progress(results, verbose=verbose, desc="label draws", unit="fit", **counts):
            if file is not None:
                file.append(fit)
            done[tuple(fit[name] for name in DRAW)] = fit
    return table_of(done.values(), estimators, score)


def _open(results_file, rows, entropy, estimators, scoring):
    arms = {}
    for arm, estimator in estimators.items():
        try:
            arms[arm] = fingerprint(estimator), " ".join(repr(estimator).split())
        except TypeError as error:
            raise TypeError(f"model {arm!r} cannot be identified in a results_file: {error}") from error
    sizes = {"n_rows": len(rows.pool), "n_test": len(rows.test)}
    comparison = {**sizes, "random_state": entropy, **rows.fingerprints()}
    if scoring is not None:
        comparison["scoring"] = [score_column(scoring), fingerprint(scoring)]
    return ResultsFile(results_file, comparison, arms)


def _apply_fixed_steps(estimators, waiting, rows, memory):
    """For each model with fits left: the steps to fit, and its rows and test rows after the fixed steps."""
    memory = None if memory is None else check_memory(memory)

    def start(X):
        return FixedRows(lambda: X, memory, None if memory is None else row_fingerprint(X))

    train = start(rows.X)
    test = train if rows.held_out else start(rows.X_test)
    prepared, tested = {}, {}
    for arm in dict.fromkeys(arm for arm, *_ in waiting):
        steps, rest = split_steps(estimators[arm])
        X, X_test = train.after(*steps).value, test.after(*steps).value
        if id(X_test) not in tested:  # one object for all models that share it; prepared keeps X_test alive
            tested[id(X_test)] = X_test, take(X_test, rows.test)
        prepared[arm] = rest, X, tested[id(X_test)][1]
    return prepared


def _jobs(waiting, prepared, rows, entropy, *how):
    y_test = rows.y_test[rows.test]
    for (arm, *_), draw in waiting.items():
        rest, X, X_test = prepared[arm]
        picked = rows.pool[draw.rows]
        yield delayed(_fit_one)(arm, rest, take(X, picked), rows.y[picked], X_test, y_test, draw, entropy, *how)


def _fit_one(arm, estimator, X, y, X_test, y_test, draw, entropy, scorer, score):
    try:
        estimator = _seeded(clone(estimator), draw, entropy)
        start = time.perf_counter()
        estimator.fit(X, y)
        fitted = time.perf_counter()
        if scorer is None:
            predicted = estimator.predict(X_test)
            done = time.perf_counter()
            value = mean_absolute_error(y_test, predicted)
        else:
            value = scorer(estimator, X_test, y_test)
            done = time.perf_counter()
            if not np.isfinite(value):
                raise ValueError(f"the scorer gave {value}")
    except Exception as error:
        raise RuntimeError(
            f"model {arm!r} failed at {draw.n_labels} labels, repeat {draw.repeat}: {type(error).__name__}: {error}"
        ) from error
    values = arm, draw.n_labels, draw.repeat, float(value), fitted - start, done - fitted
    return dict(zip(columns_of(score), values, strict=True))


def _scorer(scoring):
    return _neg_log_loss if isinstance(scoring, str) and scoring == "neg_log_loss" else get_scorer(scoring)


def _neg_log_loss(estimator, X, y):
    """As scikit-learn's scorer; also if a class is missing among the test rows."""
    return -log_loss(y, estimator.predict_proba(X), labels=estimator.classes_)


def _seeded(estimator, draw, entropy):
    """Set each random_state that is None to a seed that depends on the draw."""
    rng = np.random.default_rng([entropy, draw.repeat, draw.n_labels])
    unset = {}
    for name, value in sorted(estimator.get_params().items()):
        if value is None and (name == "random_state" or name.endswith("__random_state")):
            unset[name] = int(rng.integers(np.iinfo(np.int32).max))
    return estimator.set_params(**unset)


def check_arms(estimators):
    if not isinstance(estimators, Mapping) or not all(isinstance(arm, str) for arm in estimators):
        raise TypeError(f"estimators must be a dict of str to estimator; got {estimators!r}")
    if not estimators:
        raise ValueError("estimators is empty: pass at least one model")
    for arm, estimator in estimators.items():
        if isinstance(estimator, type) or not (hasattr(estimator, "fit") and hasattr(estimator, "predict")):
            raise TypeError(f"model {arm!r} must be an estimator instance with fit and predict; got {estimator!r}")
