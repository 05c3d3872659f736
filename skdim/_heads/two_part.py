"""TwoPartRegressor: a classifier for zero or not, and a regressor on the labels that are not zero."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.ensemble import ExtraTreesClassifier, VotingClassifier
from sklearn.utils._param_validation import HasMethods, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data

from .block_gaussian_process import BlockGaussianProcessRegressor
from .blocks import validate_table
from .regression_classifier import RegressionClassifier
from .standard_deviation import predict_with_std

#: Probability of a label that is not zero up to which the median is zero.
_SURE_ZERO = 0.3


class TwoPartRegressor(RegressorMixin, BaseEstimator):
    """Regression of labels of which many are exactly zero, such as band gaps.

    A classifier predicts the probability that a label is zero, and a regressor that is fitted to the other labels
    predicts how large it is otherwise (a hurdle model). The prediction is the median or the mean of both parts
    together.

    Parameters
    ----------
    classifier : classifier with ``predict_proba``, default=None
        Fitted to whether a label is not zero. None takes the average of a Gaussian process on 0 and 1 and 300 extremely
        randomised trees.
    regressor : regressor, default=None
        Fitted to the labels that are not zero. None takes a :class:`BlockGaussianProcessRegressor`.
    statistic : {"median", "mean"}, default="median"
        What to predict. "mean" is the prediction of the regressor times the probability p of a label that is not zero,
        and minimises the squared error. "median" is for the absolute error: zero for p up to 0.3, the prediction of the
        regressor for p from 0.7 on, and linear in between.
    random_state : int, RandomState instance or None, default=None
        Seed of the trees of the default classifier.

    Attributes
    ----------
    zero_fraction_ : float
        Fraction of the labels that are zero.
    classifier_ : classifier or None
        None if all labels are zero, or none is.
    regressor_ : regressor or None
        None if all labels are zero.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of str of shape (n_features,)
        Names of the columns, if X is a DataFrame.

    See Also
    --------
    AutoTransformedTargetRegressor : For skewed labels without zeros.

    Notes
    -----
    The exact median of both parts together is zero for p up to 0.5, and then the quantile 1 - 0.5 / p of the other
    labels. Its absolute errors were up to 5 % larger for 60 and 200 labels of calculated and measured band gaps
    (training formulas), as it amplifies errors of p.

    Examples
    --------
    >>> import numpy as np
    >>> from skdim import TwoPartRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(200, 3))
    >>> y = np.where(X[:, 0] > 0, np.exp(X[:, 1]), 0.0)
    >>> model = TwoPartRegressor(random_state=0).fit(X[:100], y[:100])
    >>> predicted = model.predict(X[100:])
    >>> bool(((predicted == 0) == (y[100:] == 0)).mean() > 0.9)
    True
    """

    _parameter_constraints: ClassVar[dict] = {
        "classifier": [HasMethods(["fit", "predict_proba"]), None],
        "regressor": [HasMethods(["fit", "predict"]), None],
        "statistic": [StrOptions({"median", "mean"})],
        "random_state": ["random_state"],
    }

    def __init__(self, classifier=None, regressor=None, *, statistic="median", random_state=None) -> None:
        self.classifier = classifier
        self.regressor = regressor
        self.statistic = statistic
        self.random_state = random_state

    def fit(self, X, y) -> Self:
        """Fit the classifier and the regressor.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            Features, finite.
        y : array-like of shape (n_samples,)
            Labels.

        Returns
        -------
        self : TwoPartRegressor
        """
        self._validate_params()
        table, _, y = validate_table(self, X, y)
        nonzero = y != 0
        self.zero_fraction_ = float(1 - nonzero.mean())
        self.classifier_ = self.regressor_ = None
        if 0 < self.zero_fraction_ < 1:
            self.classifier_ = self._make_classifier().fit(table, nonzero.astype(np.int64))
        if nonzero.any():
            regressor = BlockGaussianProcessRegressor() if self.regressor is None else clone(self.regressor)
            rows = np.flatnonzero(nonzero)
            self.regressor_ = regressor.fit(table.iloc[rows] if hasattr(table, "iloc") else table[rows], y[rows])
        return self

    def predict(self, X, return_std=False) -> Any:
        """Predict the labels of new samples.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
        return_std : bool, default=False
            Whether to return standard deviations as well; the regressor must have this parameter.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            The ``statistic``.
        std : ndarray of shape (n_samples,)
            Standard deviation of the two parts together. Only with ``return_std``.
        """
        check_is_fitted(self)
        if return_std and self.regressor_ is not None:
            size, std = predict_with_std(self.regressor_, X)
        elif self.regressor_ is not None:
            size = self.regressor_.predict(X)
        p = self.predict_nonzero_proba(X)
        if self.regressor_ is None:
            return (p, p.copy()) if return_std else p  # zeros
        y = size * (p if self.statistic == "mean" else np.clip((p - _SURE_ZERO) / (1 - 2 * _SURE_ZERO), 0, 1))
        return (y, np.sqrt(p * (std**2 + (1 - p) * size**2))) if return_std else y

    def predict_nonzero_proba(self, X) -> np.ndarray:
        """Probability that a label is not zero.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        check_is_fitted(self)
        n_rows = len(validate_data(self, X, reset=False, dtype=np.float64))
        if self.classifier_ is None:
            return np.full(n_rows, 1 - self.zero_fraction_)
        return self.classifier_.predict_proba(X)[:, 1]

    def _make_classifier(self):
        if self.classifier is not None:
            return clone(self.classifier)
        parts = [
            ("gp", RegressionClassifier(BlockGaussianProcessRegressor())),
            ("trees", ExtraTreesClassifier(300, random_state=self.random_state)),
        ]
        return VotingClassifier(parts, voting="soft")
