"""Rows together with a table of their features, for models that read both."""

from __future__ import annotations

from sklearn.base import BaseEstimator, TransformerMixin

from .._compared_rows import take


class RowsWithFeatures:
    """Rows, and the table that some features make of them; both are selected together.

    Parameters
    ----------
    rows : Crystals, array-like, DataFrame or list, of n_rows rows
    features : DataFrame or ndarray of shape (n_rows, n_features)
    """

    def __init__(self, rows, features):
        self.rows, self.features = rows, features

    def __len__(self):
        return self.features.shape[0]

    def __getitem__(self, rows):
        return RowsWithFeatures(take(self.rows, rows), take(self.features, rows))


class AddFeatures(BaseEstimator):
    """Step that makes :class:`RowsWithFeatures` of rows; ``FixedRows`` applies the features, shared with other models.

    Parameters
    ----------
    features : transformer
        Learns nothing.
    """

    def __init__(self, features):
        self.features = features


class Part(TransformerMixin, BaseEstimator):
    """Transformer of :class:`RowsWithFeatures` to one of its parts.

    Parameters
    ----------
    name : {"rows", "features"}
    """

    def __init__(self, name):
        self.name = name

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        return tags

    def fit(self, X, y=None):
        """Do nothing."""
        return self

    def transform(self, X):
        """Return the part."""
        return getattr(X, self.name)
