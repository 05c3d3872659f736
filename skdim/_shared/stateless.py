"""Base class of transformers that learn nothing from data."""

from __future__ import annotations

from sklearn.base import TransformerMixin

from .index import KeepIndexMixin


class StatelessTransformer(KeepIndexMixin, TransformerMixin):
    """Transformer that does not need to be fitted; its input is structures or Crystals, not a 2D array."""

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.input_tags.two_d_array = False
        tags.transformer_tags.preserves_dtype = []  # structures have no dtype
        return tags

    def __sklearn_is_fitted__(self):
        return True
