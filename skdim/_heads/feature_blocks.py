"""FeatureBlocks: a FeatureUnion of DataFrames that skops can save."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.pipeline import FeatureUnion


class FeatureBlocks(FeatureUnion):
    """FeatureUnion whose state holds names of columns as arrays: skops cannot save the pandas Index that it keeps."""

    def __getstate__(self):
        return {name: _without_index(value) for name, value in super().__getstate__().items()}


def _without_index(value):
    if isinstance(value, list) and any(isinstance(part, pd.Index) for part in value):
        return [np.asarray(part, dtype=object) if isinstance(part, pd.Index) else part for part in value]
    return value
