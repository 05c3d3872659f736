"""What transformers that learn nothing have in common."""

from __future__ import annotations

from sklearn.base import TransformerMixin


class StatelessTransformer(TransformerMixin):
    """A transformer that need not be fitted, of rows that are no table: structures or Crystals."""

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.input_tags.two_d_array = False
        tags.transformer_tags.preserves_dtype = []  # rows that are no table have none
        return tags

    def __sklearn_is_fitted__(self):
        return True
