"""PredictedProperties: the properties that an embedder knows, as a block of features."""

from __future__ import annotations

from typing import Self

import numpy as np
from sklearn.base import BaseEstimator

from .._shared.stateless import StatelessTransformer


class PredictedProperties(StatelessTransformer, BaseEstimator):
    """Transformer whose output is ``embedder.predict_properties(X)``.

    A few columns that may be related to the labels, or be the same property computed, which a Gaussian process weights
    more easily than many columns of vectors.

    Parameters
    ----------
    embedder : fitted DeepInfoMaxEmbedder with known properties
        Frozen, so that clones keep its weights.
    """

    def __init__(self, embedder):
        self.embedder = embedder

    def fit(self, X, y=None) -> Self:
        """Do nothing: the embedder is fitted."""
        return self

    def transform(self, X) -> np.ndarray:
        """Predicted properties in their units, ndarray of float64 of shape (n_crystals, n_properties)."""
        return self.embedder.predict_properties(X).to_numpy(dtype=np.float64)

    def get_feature_names_out(self, input_features=None) -> np.ndarray:
        """Names of the properties, ndarray of str."""
        return np.array(self.embedder.known_properties_, dtype=object)
