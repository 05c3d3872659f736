"""The pandas index of data, and transformers that keep it."""

from __future__ import annotations

import functools
import sys


def index_of(X):
    """Return the index of Crystals, a Series or a DataFrame of pandas; None if X has none."""
    pandas = sys.modules.get("pandas")
    index = getattr(X, "index", None)  # that of a list is a method
    return index if pandas is not None and isinstance(index, pandas.Index) else None


class KeepIndexMixin:
    """Mixin for transformers: DataFrames that ``transform`` returns have the index of X.

    scikit-learn copies the index from DataFrames and Series only, not from Crystals. With another index, a
    ColumnTransformer would join the wrong rows. The mixin must come before TransformerMixin.
    """

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        # After TransformerMixin has wrapped the method; with auto_wrap_output_keys=None, it never returns DataFrames.
        if "transform" in vars(cls) and kwargs.get("auto_wrap_output_keys", True):
            setattr(cls, "transform", _keep_index(vars(cls)["transform"]))  # noqa: B010


def _keep_index(method):
    @functools.wraps(method)
    def transform(self, X, *args, **kwargs):
        output, index = method(self, X, *args, **kwargs), index_of(X)
        if index is not None and isinstance(output, sys.modules["pandas"].DataFrame):
            output.index = index
        return output

    return transform
