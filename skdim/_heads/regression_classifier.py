"""RegressionClassifier: probabilities of two classes from a regressor."""

from __future__ import annotations

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.utils.validation import check_is_fitted


class RegressionClassifier(ClassifierMixin, BaseEstimator):
    """Classifier of two classes by a regressor of 0 and 1, whose predictions are clipped to probabilities.

    Parameters
    ----------
    regressor : regressor

    Attributes
    ----------
    classes_ : ndarray of shape (2,)
    regressor_ : regressor
    """

    def __init__(self, regressor):
        self.regressor = regressor

    def fit(self, X, y):
        """Fit the regressor to 0 for the first and 1 for the second class."""
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(self.classes_) != 2:
            raise ValueError(f"RegressionClassifier needs two classes; got {len(self.classes_)}")
        self.regressor_ = clone(self.regressor).fit(X, codes.astype(np.float64))
        return self

    def predict_proba(self, X):
        """Probabilities, ndarray of shape (n_samples, 2)."""
        check_is_fitted(self)
        second = np.clip(self.regressor_.predict(X), 0, 1)
        return np.column_stack([1 - second, second])

    def predict(self, X):
        """The more probable class."""
        return self.classes_[(self.predict_proba(X)[:, 1] > 0.5).astype(int)]
