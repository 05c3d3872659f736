"""An index for approximate nearest neighbours among millions of vectors, by usearch."""

from __future__ import annotations

from typing import Any

import numpy as np

#: Links of each vector, and candidates compared when a vector is added.
_CONNECTIVITY, _EXPANSION_ADD = 16, 128
#: Candidates compared in a search, at least.
_EXPANSION_SEARCH = 128
#: Rows that are read at once.
_BLOCK_ROWS = 2**16


class ApproximateIndex:
    """Hierarchical navigable small world graph of vectors, stored in half precision.

    Distances are computed again from the vectors themselves, so that only the choice of neighbours is approximate.

    Parameters
    ----------
    vectors : ndarray of float32 of shape (n_vectors, n_columns)
        Can be memory-mapped; read in blocks.
    n_threads : int
        With one thread, results are reproducible.

    Raises
    ------
    ImportError
        If usearch is not installed.
    """

    def __init__(self, vectors, n_threads):
        try:
            from usearch.index import Index
        except ImportError as error:
            raise ImportError(
                'algorithm="approximate" needs usearch: pip install "skdim-crystals[search]"; or use algorithm="exact"'
            ) from error
        self.vectors = vectors
        self.index: Any = Index(
            ndim=vectors.shape[1],
            metric="l2sq",
            dtype="f16",
            connectivity=_CONNECTIVITY,
            expansion_add=_EXPANSION_ADD,
            expansion_search=_EXPANSION_SEARCH,
        )
        for start in range(0, len(vectors), _BLOCK_ROWS):
            block = np.ascontiguousarray(vectors[start : start + _BLOCK_ROWS])
            self.index.add(np.arange(start, start + len(block)), block, threads=n_threads)

    def kneighbors(self, queries, n_neighbors, n_threads):
        """Find neighbours.

        Parameters
        ----------
        queries : ndarray of float32 of shape (n_queries, n_columns)
        n_neighbors : int
        n_threads : int

        Returns
        -------
        distances : ndarray of float64 of shape (n_queries, n_neighbors)
            In ascending order.
        indices : ndarray of int64 of shape (n_queries, n_neighbors)
        """
        matches = self.index.search(np.ascontiguousarray(queries), n_neighbors, threads=n_threads)
        indices = np.asarray(matches.keys, dtype=np.int64).reshape(len(queries), n_neighbors)
        distances = np.empty(indices.shape)
        for row, (query, neighbours) in enumerate(zip(queries, indices, strict=True)):
            distances[row] = np.linalg.norm(self.vectors[neighbours].astype(np.float64) - query, axis=1)
        order = np.argsort(distances, axis=1, kind="stable")
        return np.take_along_axis(distances, order, 1), np.take_along_axis(indices, order, 1)

    def __getstate__(self):
        return {"vectors": self.vectors, "index": bytes(self.index.save() or b"")}

    def __setstate__(self, state):
        from usearch.index import Index

        self.vectors = state["vectors"]
        self.index = Index.restore(state["index"])
