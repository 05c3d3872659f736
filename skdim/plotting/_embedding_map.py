"""From vectors to a map: choice of rows, projection, and targets to colour by."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_array

METHODS = ("tsne", "umap", "pca")
#: Minimum number of rows, also for the neighbours of t-SNE.
_FEWEST = 5


def choose_rows(vectors, max_points, random_state):
    """Choose at most ``max_points`` rows without NaN, in order; returns them and the checked vectors as float64."""
    # Failed rows are NaN.
    vectors = check_array(vectors, dtype=np.float64, ensure_all_finite="allow-nan", input_name="vectors")
    rows = np.flatnonzero(~np.isnan(vectors).any(axis=1))
    missing = len(vectors) - len(rows)
    if len(rows) < _FEWEST or vectors.shape[1] < 2:
        raise ValueError(
            f"a map needs at least {_FEWEST} vectors of 2 components without NaN; got {len(rows)} of {vectors.shape[1]}"
        )
    if (vectors[rows] == vectors[rows[0]]).all():
        raise ValueError(f"all {len(rows)} vectors are equal: there is nothing to map")
    if missing:
        first = np.setdiff1d(np.arange(len(vectors)), rows)[:3].tolist()
        warnings.warn(
            f"{missing} of {len(vectors)} rows have NaN in their vectors (the first: {', '.join(map(str, first))}), "
            "probably crystals that failed to featurize; they are not on the map",
            stacklevel=4,
        )
    if max_points is not None and len(rows) > max_points:
        if max_points < _FEWEST:
            raise ValueError(f"max_points must be at least {_FEWEST}, or None; got {max_points!r}")
        rows = np.sort(np.random.default_rng(random_state).choice(rows, max_points, replace=False))
    return rows, vectors


def make_projection(method, n_rows, random_state):
    """Make an estimator with ``fit_transform`` to two columns, and the names of the columns."""
    if not isinstance(method, str):
        if not hasattr(method, "fit_transform"):
            raise ValueError(f"method must be one of {METHODS} or an estimator with fit_transform; got {method!r}")
        name = type(method).__name__
        return clone(method), (f"{name} 1", f"{name} 2")
    if method == "tsne":
        projection = TSNE(perplexity=min(30.0, (n_rows - 1) / 3), init="pca", random_state=random_state)
        return projection, ("t-SNE 1", "t-SNE 2")
    if method == "pca":
        return PCA(2, random_state=random_state), ("principal component 1", "principal component 2")
    if method == "umap":
        try:
            from umap import UMAP
        except ImportError as error:
            raise ImportError(
                "method='umap' needs umap-learn, which is not installed: pip install 'skdim-crystals[umap]'; "
                "or pass method='tsne'"
            ) from error
        # With a seed UMAP runs in one thread, and warns unless n_jobs=1.
        projection = UMAP(n_components=2, n_neighbors=min(15, n_rows - 1), random_state=random_state, n_jobs=1)
        return projection, ("UMAP 1", "UMAP 2")
    raise ValueError(f"method must be one of {METHODS} or an estimator with fit_transform; got {method!r}")


def project(vectors, projection):
    """Standardise each component and project to a float64 ndarray of shape (n_rows, 2)."""
    positions = np.asarray(projection.fit_transform(StandardScaler().fit_transform(vectors)), dtype=np.float64)
    if positions.shape != (len(vectors), 2) or not np.isfinite(positions).all():
        raise ValueError(
            f"{type(projection).__name__} must return two finite numbers for each of {len(vectors)} rows; it returned "
            f"an array of shape {positions.shape}"
        )
    return positions


def read_targets(y, n_rows):
    """Check targets, and convert them to a dict of Series of length n_rows, of floats or categories.

    Numbers are continuous; strings, booleans, objects and pandas categories are categories.
    """
    if y is None:
        return {}
    if isinstance(y, pd.DataFrame):
        if y.columns.has_duplicates:
            raise ValueError(f"y has duplicate column names: {y.columns[y.columns.duplicated()].tolist()}")
        columns = {str(name): y[name] for name in y.columns}
    elif isinstance(y, Mapping):
        columns = {str(name): values for name, values in y.items()}
    else:
        columns = {str(name) if (name := getattr(y, "name", None)) is not None else "": y}
    targets = {}
    for name, values in columns.items():
        what = f"the target {name!r}" if name else "y"
        values = values.reset_index(drop=True) if isinstance(values, pd.Series) else pd.Series(list(values))
        if len(values) != n_rows:
            raise ValueError(f"{what} has {len(values)} values for {n_rows} rows")
        if values.map(np.ndim).any():
            raise ValueError(f"{what} has more than one column; pass a DataFrame, or a dict of names and values")
        if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
            values = values.astype(np.float64)
            if np.isinf(values).any():
                raise ValueError(f"{what} has infinite values, the first in row {int(np.argmax(np.isinf(values)))}")
        else:
            values = values.astype("category")
        if values.isna().all():
            raise ValueError(f"{what} has only missing values")
        targets[name] = values
    return targets
