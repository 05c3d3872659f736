"""Comparison of models by repeated cross-validation over reduced formulas."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from .._crystals.checks import check_crystals
from ._compared_rows import all_classifiers, checked_labels
from ._formula_split import FormulaKFold
from ._label_draws import checked_sizes
from ._label_efficiency import check_arms, label_efficiency


def cross_validate_arms(
    estimators,
    X,
    y,
    *,
    scoring=None,
    n_splits=5,
    n_draws=3,
    train_sizes=None,
    random_state=0,
    folder=None,
    n_jobs=None,
    verbose=0,
    on_fold=None,
) -> pd.DataFrame:
    """Compare models by repeated cross-validation: each fold is tested on formulas that are not in the training rows.

    Parameters
    ----------
    estimators : dict of str to estimator
        The models, by name.
    X : Crystals of shape (n_crystals,)
        Without failed rows.
    y : array-like of shape (n_crystals,)
        Labels, finite; for classifiers the classes.
    scoring : str or callable, default=None
        As in :func:`label_efficiency`.
    n_splits : int, default=5
        Number of folds of :class:`FormulaKFold`.
    n_draws : int, default=3
        Number of assignments of formulas to folds, each with another salt.
    train_sizes : sequence of int, default=None
        Numbers of labels to draw from the training rows of each fold; None takes all.
    random_state : int, default=0
        Seed of the models and the label draws.
    folder : str or Path, default=None
        Folder of finished fits: the same call resumes an interrupted run.
    n_jobs, verbose
        As in :func:`label_efficiency`, which is called for each fold.
    on_fold : callable, default=None
        Called after each fold with the number of finished folds, the number of folds, and the table so far.

    Returns
    -------
    DataFrame
        Columns of :func:`label_efficiency`, and "draw", "fold" and "n_train". "repeat" numbers the folds of all draws.
        Where all labels are taken, "n_labels" is the median size of the training folds.

    Raises
    ------
    ValueError
        If a fold would be empty, ``train_sizes`` exceeds the training rows of a fold, a label is not finite, or a row
        of X failed to featurize.

    See Also
    --------
    make_arm : Makes the models that ``skdim evaluate`` compares.
    label_efficiency : Many draws of few labels, one fixed test set.
    summarize : Median and quartiles of the errors.

    Examples
    --------
    >>> from skdim import SiteNetFeaturizer
    >>> from skdim.datasets import make_crystals
    >>> from skdim.model_selection import cross_validate_arms, make_arm, summarize
    >>> structures, y = make_crystals(40, random_state=0)
    >>> X = SiteNetFeaturizer().fit_transform(structures)
    >>> models = {name: make_arm(name, random_state=0) for name in ("mean", "structure")}
    >>> table = cross_validate_arms(models, X, y, n_splits=4, n_draws=2)
    >>> len(table)  # 2 models, 4 folds, 2 draws
    16
    >>> summarize(table)[["arm", "n_labels", "n_repeats"]]
             arm  n_labels  n_repeats
    0       mean        30          8
    1  structure        30          8
    """
    check_arms(estimators)
    X = check_crystals(X, "cross_validate_arms")
    y, tables = checked_labels(X, y, "X", "y", all_classifiers(estimators)), []
    if n_draws < 1:
        raise ValueError(f"n_draws must be a positive integer; got {n_draws!r}")
    cv = [(draw, FormulaKFold(n_splits, salt=str(draw))) for draw in range(n_draws)]
    folds = [(draw, fold, *rows) for draw, k_fold in cv for fold, rows in enumerate(k_fold.split(X))]
    if train_sizes is not None:
        checked_sizes(train_sizes, min(len(train) for _, _, train, _ in folds))  # before hours of fitting
    for repeat, (draw, fold, train, test) in enumerate(folds):
        table = label_efficiency(
            estimators,
            X[train],
            y[train],
            X_test=X[test],
            y_test=y[test],
            scoring=scoring,
            train_sizes=[len(train)] if train_sizes is None else train_sizes,
            n_repeats=1,
            random_state=random_state,
            results_file=None if folder is None else Path(folder) / f"draw{draw}-fold{fold}.jsonl",
            n_jobs=n_jobs,
            verbose=verbose,
        )
        tables.append(table.assign(repeat=repeat, draw=draw, fold=fold, n_train=table["n_labels"]))
        if on_fold is not None:
            on_fold(repeat + 1, len(folds), pd.concat(tables, ignore_index=True))
    result = pd.concat(tables, ignore_index=True)
    if train_sizes is None:
        result["n_labels"] = int(result["n_labels"].median())
    order = {arm: k for k, arm in enumerate(estimators)}
    by = ["arm", "n_labels", "repeat"]
    return result.sort_values(by, key=lambda c: c.map(order) if c.name == "arm" else c, ignore_index=True)
