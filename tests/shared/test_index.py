"""The index of data, and the mixin for transformers that keep it."""

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_index_equal
from sklearn.base import BaseEstimator, TransformerMixin

from skdim._shared.index import KeepIndexMixin, index_of


class Rows:
    """Like Crystals: not a pandas object, but with an index."""

    def __init__(self, n, index):
        self.n, self.index = n, index

    def __len__(self):
        return self.n


class Plain(TransformerMixin, BaseEstimator):
    def __sklearn_is_fitted__(self):
        return True

    def fit(self, X, y=None):
        return self

    def transform(self, X, *, scale=1):
        """Return row numbers."""
        return scale * np.arange(float(len(X)))[:, None]

    def get_feature_names_out(self, input_features=None):
        return np.array(["row"], dtype=object)


class Keeping(KeepIndexMixin, Plain):
    def transform(self, X, *, scale=1):
        """Return row numbers."""
        return super().transform(X, scale=scale)


class Child(Keeping):
    pass


INDEX = pd.Index(["b", "a", "c"])


@pytest.mark.parametrize("X", [[1, 2], (1, 2), "ab", np.arange(2), Rows(2, None), {"index": 1}])
def test_other_objects_have_no_index(X):
    assert index_of(X) is None


def test_pandas_objects_and_crystals_have_an_index():
    for X in (pd.Series([1, 2, 3], index=INDEX), pd.DataFrame({"a": [1, 2, 3]}, index=INDEX), Rows(3, INDEX)):
        assert index_of(X) is INDEX


@pytest.mark.parametrize("kind", [Keeping, Child])
def test_data_frames_have_the_index(kind):
    transformer = kind().set_output(transform="pandas")
    for frame in (transformer.transform(Rows(3, INDEX), scale=2), transformer.fit_transform(Rows(3, INDEX))):
        assert_index_equal(frame.index, INDEX)
    assert transformer.transform(Rows(3, INDEX), scale=2)["row"].tolist() == [0, 2, 4]
    assert_index_equal(transformer.transform(Rows(3, None)).index, pd.RangeIndex(3))
    assert transformer.transform.__doc__ == "Return row numbers."


def test_scikit_learn_alone_does_not_keep_the_index_of_crystals():
    """If it does, the mixin can be removed."""
    frame = Plain().set_output(transform="pandas").transform(Rows(3, INDEX))
    assert_index_equal(frame.index, pd.RangeIndex(3))


def test_arrays_are_returned_unchanged():
    assert isinstance(Keeping().transform(Rows(3, INDEX)), np.ndarray)
