"""FewLabelsRegressor: the regressor on tables of features that cross-validation on the labels chooses."""

from __future__ import annotations

from itertools import combinations, product
from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
from joblib import Parallel, delayed
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.model_selection import GroupKFold
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data

from .blocks import find_blocks, validate_table
from .candidates import default_candidates, describe, seeded
from .rows import check_labels, group_equal_rows
from .standard_deviation import has_std

#: Fraction of the out-of-fold residuals that intervals of 1.645 standard deviations shall cover.
_COVERED = 0.9
_DEVIATIONS = 1.6448536269514722


class FewLabelsRegressor(RegressorMixin, BaseEstimator):
    """Regression on tables of features with 50 to 1000 labels: cross-validation chooses the model.

    The candidates are a :class:`BlockGaussianProcessRegressor` and extremely randomised trees, each on the labels, on
    their logarithms (if all are positive) and on labels transformed by Yeo-Johnson; for labels with many zeros a
    :class:`TwoPartRegressor` instead of transformations. Every candidate is fitted to the training part of each fold;
    the single candidate or the average of two with the smallest mean absolute error on the held-out parts is fitted to
    all labels.

    Parameters
    ----------
    estimators : list of (str, regressor), default=None
        The candidates by name. At least one must have ``return_std``. None takes those described above.
    features : transformer, default=None
        Makes the table of features from X, such as Crystals. None takes X itself as the table.
    networks : list of (str, regressor), default=()
        Further candidates, which are fitted to X itself instead of the table, such as a
        :class:`SiteNetRegressor`. They count only in averages with one candidate that has standard deviations.
    n_networks : int, default=3
        How often the chosen network is fitted to all labels, with other random states; the mean of these predicts. In
        cross-validation it is fitted once for each fold.
    selection : {"best", "all"}, default="best"
        "best" chooses one candidate or the average of two; "all" averages all candidates.
    group_by : str, default=None
        Name of a block of columns (see :class:`BlockGaussianProcessRegressor`), such as statistics of the composition:
        samples with equal rows in it are kept in one fold. None keeps only samples together that are equal in all
        columns.
    cv : int, default=5
        Number of folds; fewer if there are fewer groups.
    n_jobs : int, default=None
        Number of fits that run in parallel, as in joblib.
    random_state : int, RandomState instance or None, default=None
        Seed of the folds, and of every ``random_state`` of the candidates.

    Attributes
    ----------
    estimators_ : dict of str to regressor
        The chosen candidates, fitted to all labels.
    networks_ : dict of str to list of regressor
        The chosen network, if any, fitted ``n_networks`` times to all labels. Predictions are the average of those of
        ``estimators_`` and of the mean of these.
    features_ : transformer
        The fitted transformer; only with ``features``.
    choice_ : str
        The chosen candidates in words.
    cv_errors_ : dict of str to float
        Mean absolute error of each candidate and of each average of two on the held-out parts, best first. Empty if
        there are fewer than two groups; then the first candidate is used.
    std_factor_ : float
        Factor on the standard deviations, chosen so that intervals of 90 % cover 90 % of the labels in the held-out
        parts.
    n_features_in_ : int
        Number of columns of the table.
    feature_names_in_ : ndarray of str of shape (n_features,)
        Names of its columns, if it is a DataFrame.

    See Also
    --------
    skdim.model_selection.make_arm : "best" is this regressor on statistics and vectors of crystals.

    Examples
    --------
    >>> import numpy as np
    >>> from skdim import FewLabelsRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(60, 3))
    >>> y = np.exp(2 * X[:, 0] + 0.1 * rng.normal(size=60))
    >>> model = FewLabelsRegressor(random_state=0).fit(X, y)
    >>> model.choice_
    'Gaussian process on log labels'
    >>> y, std = model.predict(X, return_std=True)
    """

    _parameter_constraints: ClassVar[dict] = {
        "estimators": [list, tuple, None],
        "features": [HasMethods(["fit_transform", "transform"]), None],
        "networks": [list, tuple],
        "n_networks": [Interval(Integral, 1, None, closed="left")],
        "selection": [StrOptions({"best", "all"})],
        "group_by": [str, None],
        "cv": [Interval(Integral, 2, None, closed="left")],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimators=None,
        *,
        features=None,
        networks=(),
        n_networks=3,
        selection="best",
        group_by=None,
        cv=5,
        n_jobs=None,
        random_state=None,
    ) -> None:
        self.estimators = estimators
        self.features = features
        self.networks = networks
        self.n_networks = n_networks
        self.selection = selection
        self.group_by = group_by
        self.cv = cv
        self.n_jobs = n_jobs
        self.random_state = random_state

    def fit(self, X, y) -> Self:
        """Compare the candidates and fit the best.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            Features, finite; or what ``features`` takes, such as Crystals of shape (n_samples,).
        y : array-like of shape (n_samples,)
            Labels.

        Returns
        -------
        self : FewLabelsRegressor

        Raises
        ------
        ValueError
            If a label is not a finite number, or a row of X failed to featurize.
        """
        self._validate_params()
        table = X
        if self.features is not None:
            y = check_labels(y, X)
            self.features_ = clone(self.features)
            table = self.features_.fit_transform(X)
        table, values, y = validate_table(self, table, y)
        if self.features is None:
            X = table
        random = check_random_state(self.random_state)
        candidates, networks = self._seeded_candidates(y, random)
        with_std = [name for name, candidate in candidates.items() if has_std(candidate)]
        if not with_std:
            raise ValueError(f"at least one of the estimators must have return_std; got {', '.join(candidates)}")
        self.cv_errors_: dict[str, float] = {}
        self.std_factor_ = 1.0
        if folds := self._folds(values, random):
            held_out = self._predict_held_out(candidates, table, y, folds)
            held_out |= self._predict_held_out(networks, X, y, folds)
            chosen = self._choose(_choices(candidates, networks, with_std, self.selection), held_out, y)
        else:
            chosen = _choices(candidates, {}, with_std, self.selection)[0]
        self.choice_ = describe(chosen)
        self.networks_ = {name: self._fit_network(networks[name], X, y, random) for name in chosen if name in networks}
        self.estimators_ = {name: _fit(candidates[name], table, y) for name in chosen if name in candidates}
        return self

    def predict(self, X, return_std=False) -> Any:
        """Predict the labels of new samples.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features), or what ``features`` takes
        return_std : bool, default=False
            Whether to return standard deviations as well.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            In the units of the labels.
        std : ndarray of shape (n_samples,)
            Root mean square of the standard deviations of the chosen candidates that have them and of the deviations of
            their predictions from the average, times ``std_factor_``. Only with ``return_std``.
        """
        check_is_fitted(self)
        table = X if self.features is None else self.features_.transform(X)
        validate_data(self, table, reset=False, dtype=np.float64)
        predictions = [_predict(estimator, table, return_std) for estimator in self.estimators_.values()]
        for members in self.networks_.values():
            means = [member.predict(X) for member in members]
            predictions.append((np.mean(means, axis=0), np.full(len(table), np.nan)))
        mean, std = _average(predictions)
        return (mean, std * self.std_factor_) if return_std else mean

    def _seeded_candidates(self, y, random):
        """Candidates on the table, and networks, by name."""
        candidates = default_candidates(y) if self.estimators is None else dict(self.estimators)
        networks = dict(self.networks)
        if both := candidates.keys() & networks.keys():
            raise ValueError(f"estimators and networks have the same name: {', '.join(sorted(both))}")
        return [{name: seeded(each, random) for name, each in group.items()} for group in (candidates, networks)]

    def _folds(self, X, random):
        """Training and test rows of each fold; empty if there are fewer than two groups."""
        blocks = find_blocks(None, X.shape[1], getattr(self, "feature_names_in_", None))
        if self.group_by is not None and self.group_by not in blocks:
            raise ValueError(f"group_by={self.group_by!r} is not a block of X; available: {', '.join(blocks)}")
        groups = group_equal_rows(X if self.group_by is None else X[:, blocks[self.group_by]])
        n_splits = min(self.cv, len(np.unique(groups)))
        if n_splits < 2:
            return []
        splitter = GroupKFold(n_splits, shuffle=True, random_state=random.randint(np.iinfo(np.int32).max))
        return list(splitter.split(X, groups=groups))

    def _predict_held_out(self, candidates, X, y, folds):
        """Predictions and standard deviations of each candidate for each row, from the fold that holds it out."""
        calls = [
            delayed(_fit_and_predict)(candidate, X, y, train, test)
            for candidate in candidates.values()
            for train, test in folds
        ]
        results = iter(Parallel(n_jobs=self.n_jobs)(calls))
        held_out = {name: (np.empty(len(y)), np.empty(len(y))) for name in candidates}
        for mean, std in held_out.values():
            for _, test in folds:
                mean[test], std[test] = next(results)
        return held_out

    def _choose(self, choices, held_out, y):
        """Names of the choice with the smallest error, whose standard deviations are scaled to the residuals."""
        averages = {choice: _average([held_out[name] for name in choice]) for choice in choices}
        errors = {choice: float(np.abs(mean - y).mean()) for choice, (mean, _) in averages.items()}
        best_first = sorted(errors, key=lambda choice: errors[choice])
        self.cv_errors_ = {describe(choice): errors[choice] for choice in best_first}
        mean, std = averages[best_first[0]]
        usable = std > 0
        if usable.any():
            self.std_factor_ = float(np.quantile(np.abs(mean - y)[usable] / std[usable], _COVERED)) / _DEVIATIONS
        return best_first[0]

    def _fit_network(self, network, X, y, random):
        """The network fitted several times, with other random states."""
        members = [network, *(seeded(network, random) for _ in range(self.n_networks - 1))]
        return Parallel(n_jobs=self.n_jobs)(delayed(_fit)(member, X, y) for member in members)


def _choices(candidates, networks, with_std, selection):
    """Names of what is compared: candidates with standard deviations, and pairs of which one has them."""
    if selection == "all":
        return [(*candidates, *networks)]
    pairs = [pair for pair in combinations(candidates, 2) if set(with_std) & set(pair)]
    return [*((name,) for name in with_std), *pairs, *product(with_std, networks)]


def _fit(candidate, X, y):
    return clone(candidate).fit(X, y)


def _fit_and_predict(candidate, X, y, train, test):
    rows = X.iloc if hasattr(X, "iloc") else X
    return _predict(_fit(candidate, rows[train], y[train]), rows[test], True)


def _predict(estimator, X, return_std):
    """Predictions and standard deviations, NaN where there are none."""
    if return_std and has_std(estimator):
        return estimator.predict(X, return_std=True)
    mean = estimator.predict(X)
    return mean, np.full(len(mean), np.nan)


def _average(predictions):
    """Average of predictions, and its standard deviation."""
    means, stds = np.array([mean for mean, _ in predictions]), np.array([std for _, std in predictions])
    mean = means.mean(axis=0)
    known = stds[~np.isnan(stds).any(axis=1)]
    within = (known**2).mean(axis=0) if len(known) else np.nan
    return mean, np.sqrt(within + ((means - mean) ** 2).mean(axis=0))
