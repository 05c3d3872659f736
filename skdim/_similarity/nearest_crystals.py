"""NearestCrystals: nearest neighbours of crystals in an embedding."""

from __future__ import annotations

from numbers import Integral
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from joblib import effective_n_jobs
from sklearn.base import BaseEstimator, clone
from sklearn.neighbors import NearestNeighbors
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data

from .._crystals.crystals import Crystals
from .._embedder.embedder import DeepInfoMaxEmbedder
from .._shared.index import index_of
from .approximate_index import ApproximateIndex

if TYPE_CHECKING:
    import pandas as pd

_BLOCK_ROWS = 2**16


class NearestCrystals(BaseEstimator):
    """Nearest neighbours of crystals: Euclidean distances between the vectors of an embedder.

    Has the methods of scikit-learn's ``NearestNeighbors``, and :meth:`search`, which returns a table with names and
    formulas. Searches are exact by default; an approximate index is for many searches among millions of crystals.

    Parameters
    ----------
    embedder : transformer on Crystals, default=None
        Makes the vectors. None takes the weights included in skdim. As in a Pipeline, a copy is fitted on the crystals;
        wrap a fitted embedder in scikit-learn's FrozenEstimator to keep it as it is.
    n_neighbors : int, default=5
        Default number of neighbours.
    algorithm : {"exact", "approximate"}, default="exact"
        "exact" compares with every vector (scikit-learn's brute force search). "approximate" builds an index with
        usearch (extra ``[search]``); only :meth:`kneighbors` and :meth:`search` use it.
    n_jobs : int, default=None
        Threads that search; None means 1 and -1 all cores. An approximate index that is built by several threads is not
        exactly reproducible.

    Attributes
    ----------
    embedder_ : transformer or None
        Fitted embedder. If vectors were passed to :meth:`fit`, it is the parameter itself.
    formulas_ : list of str or None
        Reduced formulas of the fitted crystals; None if vectors were passed to :meth:`fit`.
    index_ : pandas.Index or None
        Index of the fitted Crystals or DataFrame.
    rows_ : ndarray of int or None
        Rows that did not fail to featurize; None if there are no others.
    n_samples_fit_ : int
        Number of fitted rows, including those that failed.
    n_features_in_ : int
        Number of columns. Exists only if vectors were passed to :meth:`fit`.
    feature_names_in_ : ndarray of str of shape (``n_features_in_``,)
        Names of the columns. Exists only if a DataFrame was passed to :meth:`fit`.

    See Also
    --------
    skdim.model_selection.duplicate_groups : Crystals that occur more than once.
    ApplicabilityDomain : Distance to the nearest training crystal as a warning.

    Notes
    -----
    Among 42 900 crystals of the Materials Project, a query took 0.4 ms with the exact search and 0.13 ms with the
    approximate index, which returned all ten nearest neighbours of each of 429 queries; building the index took 4.5 s
    (one core). The index is worthwhile for tens of thousands of queries, or for larger collections.

    Examples
    --------
    >>> from skdim import NearestCrystals, SiteNetFeaturizer
    >>> from skdim.datasets import make_crystals
    >>> structures, y = make_crystals(30, random_state=0)
    >>> X = SiteNetFeaturizer().fit_transform(structures)
    >>> nearest = NearestCrystals(n_neighbors=2).fit(X)
    >>> distances, rows = nearest.kneighbors(X[:3])
    >>> distances.shape, rows[:, 0].tolist()
    ((3, 2), [0, 1, 2])
    >>> nearest.search(X[:1]).columns.to_list()
    ['query', 'rank', 'row', 'formula', 'distance']
    """

    _parameter_constraints: ClassVar[dict] = {
        "embedder": [HasMethods(["fit", "transform"]), None],
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        "algorithm": [StrOptions({"exact", "approximate"})],
        "n_jobs": [Integral, None],
    }

    def __init__(self, *, embedder=None, n_neighbors=5, algorithm="exact", n_jobs=None) -> None:
        self.embedder = embedder
        self.n_neighbors = n_neighbors
        self.algorithm = algorithm
        self.n_jobs = n_jobs

    def fit(self, X, y=None) -> Self:
        """Embed the crystals to search in, and build the index.

        Parameters
        ----------
        X : Crystals of shape (n,), or array-like or DataFrame of shape (n, n_features)
            Crystals, or vectors of crystals such as :meth:`DeepInfoMaxEmbedder.transform_to_disk` writes. Vectors can
            be memory-mapped (``np.load(path, mmap_mode="r")``). Rows that are NaN have failed to featurize and are
            never a neighbour.
        y : object, default=None
            Ignored.

        Returns
        -------
        self : NearestCrystals

        Raises
        ------
        ImportError
            If ``algorithm="approximate"`` and usearch is not installed.
        ValueError
            If all rows have failed.
        """
        self._validate_params()
        if isinstance(X, Crystals):
            self.embedder_ = DeepInfoMaxEmbedder.from_pretrained() if self.embedder is None else clone(self.embedder)
            if self.embedder is not None:
                self.embedder_.fit(X, y)
            vectors = np.asarray(self.embedder_.transform(X), dtype=np.float32)
            self.formulas_: list[str] | None = X.formulas
        else:
            self.embedder_, self.formulas_ = self.embedder, None
            vectors = validate_data(self, X, dtype=np.float32, order="C", ensure_all_finite="allow-nan")
        self.index_, self.n_samples_fit_ = index_of(X), len(vectors)
        usable = _complete_rows(vectors)
        self.rows_ = None if usable.all() else np.flatnonzero(usable)
        if self.rows_ is not None:
            if not len(self.rows_):
                raise ValueError("NearestCrystals cannot be fitted: all rows have failed to featurize")
            vectors = vectors[self.rows_]
        self.neighbors_ = NearestNeighbors(algorithm="brute", n_jobs=self.n_jobs).fit(vectors)
        self.approximate_ = None
        if self.algorithm == "approximate":
            self.approximate_ = ApproximateIndex(vectors, effective_n_jobs(self.n_jobs))
        return self

    def kneighbors(self, X=None, n_neighbors=None, return_distance=True) -> Any:
        """Find the nearest crystals.

        Parameters
        ----------
        X : Crystals of shape (n_queries,), or array-like of shape (n_queries, n_features), default=None
            Crystals or vectors whose neighbours to find. None takes the fitted crystals, none of which is its own
            neighbour.
        n_neighbors : int, default=None
            None takes the parameter of the estimator.
        return_distance : bool, default=True
            Whether to return distances as well.

        Returns
        -------
        distances : ndarray of float of shape (n_queries, n_neighbors)
            In ascending order. Only with ``return_distance``.
        rows : ndarray of int64 of shape (n_queries, n_neighbors)
            Rows of the fitted crystals.

        Raises
        ------
        ValueError
            If there are fewer crystals than ``n_neighbors``, or a query has failed to featurize.
        """
        check_is_fitted(self)
        n_neighbors = self.n_neighbors if n_neighbors is None else n_neighbors
        queries = self._queries(X)
        if self.approximate_ is None:
            distances, rows = self.neighbors_.kneighbors(queries, n_neighbors)
        else:
            distances, rows = self._approximate(self.approximate_, queries, n_neighbors)
        rows = self._original(rows)
        return (distances, rows) if return_distance else rows

    def radius_neighbors(self, X=None, radius=1.0, return_distance=True) -> Any:
        """Find all crystals within a distance; always exact.

        Parameters
        ----------
        X : Crystals of shape (n_queries,), or array-like of shape (n_queries, n_features), default=None
            As for :meth:`kneighbors`.
        radius : float, default=1.0
            Largest distance.
        return_distance : bool, default=True
            Whether to return distances as well.

        Returns
        -------
        distances : ndarray of shape (n_queries,) of ndarray of float
            For each query, in ascending order. Only with ``return_distance``.
        rows : ndarray of shape (n_queries,) of ndarray of int64
            Rows of the fitted crystals.
        """
        check_is_fitted(self)
        distances, rows = self.neighbors_.radius_neighbors(self._queries(X), radius, sort_results=True)
        original = np.empty(len(rows), dtype=object)
        for query, neighbours in enumerate(rows):
            original[query] = self._original(neighbours)
        return (distances, original) if return_distance else original

    def search(self, X=None, n_neighbors=None) -> pd.DataFrame:
        """Table of the nearest crystals.

        Parameters
        ----------
        X : Crystals of shape (n_queries,), or array-like of shape (n_queries, n_features), default=None
            As for :meth:`kneighbors`.
        n_neighbors : int, default=None
            None takes the parameter of the estimator.

        Returns
        -------
        DataFrame
            A row per query and neighbour, nearest first: "query" (its label in the index of X, or its row number),
            "rank" (from 1), "row" of the fitted crystals, "name" (its label in their index, if they have one),
            "formula" (if crystals were fitted) and "distance".
        """
        import pandas as pd

        distances, rows = self.kneighbors(X, n_neighbors)
        n_queries, n_neighbors = rows.shape
        labels = self.index_ if X is None else index_of(X)
        labels = pd.RangeIndex(n_queries) if labels is None else labels
        rows = rows.ravel()
        table = {
            "query": labels.repeat(n_neighbors),
            "rank": np.tile(np.arange(1, n_neighbors + 1), n_queries),
            "row": rows,
        }
        if self.index_ is not None:
            table["name"] = self.index_[rows]
        if self.formulas_ is not None:
            table["formula"] = [self.formulas_[row] for row in rows]
        return pd.DataFrame({**table, "distance": distances.ravel()})

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def _queries(self, X):
        """Vectors of the queries, None for the fitted crystals."""
        if X is None:
            if self.rows_ is not None:
                raise ValueError(
                    f"{self.n_samples_fit_ - len(self.rows_)} of the fitted crystals have failed to featurize and have "
                    "no neighbours: fit on X[~X.failed] to search for the neighbours of the fitted crystals"
                )
            return None
        if not isinstance(X, Crystals):
            if hasattr(self, "n_features_in_"):
                return validate_data(self, X, reset=False, dtype=np.float32, order="C")
            return np.asarray(X, dtype=np.float32)
        if X.errors_:
            row = min(X.errors_)
            raise ValueError(f"a query has failed to featurize: {X.errors_[row]}. Leave such rows out: X[~X.failed]")
        embedder = DeepInfoMaxEmbedder.from_pretrained() if self.embedder_ is None else self.embedder_
        return np.asarray(embedder.transform(X), dtype=np.float32)

    def _approximate(self, index, queries, n_neighbors):
        n_fitted = self.neighbors_.n_samples_fit_
        others = n_fitted if queries is not None else n_fitted - 1
        if not 1 <= n_neighbors <= others:
            raise ValueError(f"n_neighbors must be from 1 to {others}, the number of crystals; got {n_neighbors}")
        threads = effective_n_jobs(self.n_jobs)
        if queries is not None:
            return index.kneighbors(queries, n_neighbors, threads)
        distances, rows = index.kneighbors(index.vectors, n_neighbors + 1, threads)
        itself = rows == np.arange(n_fitted)[:, None]
        itself[~itself.any(axis=1), -1] = True  # hidden by copies of it
        shape = (n_fitted, n_neighbors)
        return distances[~itself].reshape(shape), rows[~itself].reshape(shape)

    def _original(self, rows):
        """Rows of X from rows of the vectors."""
        return rows if self.rows_ is None else self.rows_[rows]


def _complete_rows(vectors):
    """Mask of the rows without NaN, read in blocks."""
    starts = range(0, len(vectors), _BLOCK_ROWS)
    return np.concatenate([~np.isnan(vectors[start : start + _BLOCK_ROWS]).any(axis=1) for start in starts])
