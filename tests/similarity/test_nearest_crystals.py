"""NearestCrystals against distances computed one by one, and its approximate index against the exact search."""

import pickle

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.frozen import FrozenEstimator

from skdim import Crystals, DeepInfoMaxEmbedder, NearestCrystals, SiteNetFeaturizer, StructureStatistics


@pytest.fixture(scope="module")
def nearest(X, embedder):
    return NearestCrystals(embedder=FrozenEstimator(embedder), n_neighbors=4).fit(X)


@pytest.fixture(scope="module")
def vectors(X, embedder):
    return embedder.transform(X)


@pytest.fixture(scope="module")
def table():
    """3000 vectors in 20 clusters."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(20, 24))
    return (centres[rng.integers(20, size=3000)] + 0.3 * rng.normal(size=(3000, 24))).astype(np.float32)


def all_distances(queries, vectors):
    return np.linalg.norm(queries[:, None].astype(float) - vectors.astype(float), axis=2)


# ---- neighbours ----


def test_neighbours_are_those_of_the_vectors(nearest, X, vectors):
    distances, rows = nearest.kneighbors(X[10:15])
    expected = np.sort(all_distances(vectors[10:15], vectors), axis=1)[:, :4]
    assert_allclose(distances, expected, atol=1e-5)
    assert_allclose(all_distances(vectors[10:15], vectors)[np.arange(5)[:, None], rows], expected, atol=1e-5)
    assert rows[:, 0].tolist() == [10, 11, 12, 13, 14]


def test_a_fitted_crystal_is_not_its_own_neighbour(nearest, vectors):
    distances, rows = nearest.kneighbors(n_neighbors=1)
    away = all_distances(vectors, vectors)
    np.fill_diagonal(away, np.inf)
    assert_array_equal(rows[:, 0], away.argmin(axis=1))
    assert_allclose(distances[:, 0], away.min(axis=1), atol=1e-5)
    assert_array_equal(nearest.kneighbors(n_neighbors=1, return_distance=False), rows)


def test_radius(nearest, X, vectors):
    away = all_distances(vectors[:6], vectors)
    radius = float(np.median(away))
    distances, rows = nearest.radius_neighbors(X[:6], radius)
    for query in range(6):
        assert set(rows[query]) == set(np.flatnonzero(away[query] <= radius))
        assert (np.diff(distances[query]) >= 0).all()
    assert [len(r) for r in nearest.radius_neighbors(X[:6], radius, return_distance=False)] == [len(r) for r in rows]


def test_the_default_is_the_included_weights(X):
    nearest = NearestCrystals(n_neighbors=2).fit(X)
    expected = NearestCrystals(n_neighbors=2).fit(DeepInfoMaxEmbedder.from_pretrained().transform(X))
    for one, other in zip(nearest.kneighbors(X[:5]), expected.kneighbors(X[:5]), strict=True):
        assert_allclose(one, other)


def test_an_embedder_is_fitted_as_in_a_pipeline(X):
    nearest = NearestCrystals(embedder=StructureStatistics()).fit(X)
    vectors = StructureStatistics().fit_transform(X)
    assert_array_equal(nearest.kneighbors(X[:3])[1], NearestCrystals().fit(vectors).kneighbors(vectors[:3])[1])


# ---- tables ----


def test_search_returns_names_and_formulas(X, embedder):
    X = X[:]
    X.index = pd.Index([f"mp-{k}" for k in range(len(X))], name="id")
    nearest = NearestCrystals(embedder=FrozenEstimator(embedder), n_neighbors=3).fit(X)
    found = nearest.search(X[[7, 2]])
    assert found.columns.to_list() == ["query", "rank", "row", "name", "formula", "distance"]
    assert found["query"].tolist() == ["mp-7"] * 3 + ["mp-2"] * 3
    assert found["rank"].tolist() == [1, 2, 3] * 2
    distances, rows = nearest.kneighbors(X[[7, 2]])
    assert found["row"].tolist() == rows.ravel().tolist()
    assert found["name"].tolist() == [f"mp-{row}" for row in rows.ravel()]
    assert found["formula"].tolist() == [X.formulas[row] for row in rows.ravel()]
    assert_array_equal(found["distance"], distances.ravel())
    assert nearest.search(n_neighbors=1)["query"].tolist() == X.index.tolist()


def test_vectors_without_names(table):
    found = NearestCrystals(n_neighbors=2).fit(table).search(table[:2])
    assert found.columns.to_list() == ["query", "rank", "row", "distance"]
    assert found["query"].tolist() == [0, 0, 1, 1]


def test_dataframes_of_vectors_have_names(table):
    frame = pd.DataFrame(table[:50], index=[f"c{k}" for k in range(50)], columns=[f"v{k}" for k in range(24)])
    nearest = NearestCrystals(n_neighbors=1).fit(frame)
    assert nearest.search(frame.iloc[[3]])["name"].tolist() == ["c3"]
    assert nearest.n_features_in_ == 24
    with pytest.raises(ValueError, match="feature names"):
        nearest.kneighbors(frame.rename(columns={"v0": "other"}))


# ---- rows that failed ----


@pytest.fixture(scope="module")
def with_failures(structures):
    with pytest.warns(UserWarning, match="could not be featurized"):
        return SiteNetFeaturizer(on_error="warn").fit_transform([structures[0], "no cif", *structures[1:9]])


def test_failed_rows_are_no_neighbours(with_failures, embedder):
    nearest = NearestCrystals(embedder=FrozenEstimator(embedder)).fit(with_failures)
    assert nearest.n_samples_fit_ == 10
    rows = nearest.kneighbors(with_failures[[0, 4]], 9, return_distance=False)
    assert [sorted(row) for row in rows] == [[0, 2, 3, 4, 5, 6, 7, 8, 9]] * 2
    assert rows[:, 0].tolist() == [0, 4]
    assert nearest.radius_neighbors(with_failures[[4]], 1e-4, return_distance=False)[0].tolist() == [4]
    with pytest.raises(ValueError, match=r"1 of the fitted crystals have failed.*X\[~X.failed\]"):
        nearest.kneighbors()


def test_queries_that_failed_are_errors(with_failures, nearest):
    with pytest.raises(ValueError, match=r"a query has failed to featurize: row 1.*Leave such rows out"):
        nearest.kneighbors(with_failures)


def test_only_failed_rows(with_failures, embedder):
    with pytest.raises(ValueError, match="all rows have failed"):
        NearestCrystals(embedder=FrozenEstimator(embedder)).fit(with_failures[[1]])


# ---- memory-mapped vectors ----


def test_memory_mapped_vectors(X, embedder, vectors, tmp_path):
    path = embedder.transform_to_disk(X, tmp_path / "vectors.npy")
    mapped = np.load(path, mmap_mode="r")
    nearest = NearestCrystals(embedder=FrozenEstimator(embedder)).fit(mapped)
    assert np.shares_memory(nearest.neighbors_._fit_X, mapped), "the vectors are not copied"
    expected = NearestCrystals().fit(vectors).kneighbors(vectors[:4])
    for one, other in zip(nearest.kneighbors(X[:4]), expected, strict=True):
        assert_allclose(one, other, atol=1e-6)


# ---- approximate ----


@pytest.fixture(scope="module")
def approximate(table):
    pytest.importorskip("usearch", reason="needs the extra 'search'")
    return NearestCrystals(algorithm="approximate", n_neighbors=10).fit(table)


@pytest.mark.parametrize("n_queries", [200, None])
def test_the_index_finds_nearly_all_neighbours(table, approximate, n_queries):
    queries = None if n_queries is None else table[:n_queries]
    distances, rows = approximate.kneighbors(queries)
    exact_distances, exact_rows = NearestCrystals(n_neighbors=10).fit(table).kneighbors(queries)
    recall = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(rows, exact_rows, strict=True)])
    assert recall > 0.98
    same = rows == exact_rows
    assert_allclose(distances[same], exact_distances[same], atol=1e-4)
    assert (np.diff(distances, axis=1) >= 0).all()


def test_no_vector_is_its_own_neighbour_among_copies():
    pytest.importorskip("usearch", reason="needs the extra 'search'")
    copies = np.ones((40, 8), dtype=np.float32)
    distances, rows = NearestCrystals(algorithm="approximate", n_neighbors=3).fit(copies).kneighbors()
    assert rows.shape == (40, 3)
    assert (distances == 0).all()
    assert not (rows == np.arange(40)[:, None]).any()


def test_the_index_is_pickled(table, approximate):
    loaded = pickle.loads(pickle.dumps(approximate))
    for one, other in zip(loaded.kneighbors(table[:20]), approximate.kneighbors(table[:20]), strict=True):
        assert_array_equal(one, other)


def test_the_index_is_the_same_twice(table, approximate):
    again = NearestCrystals(algorithm="approximate", n_neighbors=10).fit(table)
    assert_array_equal(again.kneighbors(table[:300])[1], approximate.kneighbors(table[:300])[1])


def test_too_many_neighbours(table, approximate):
    for nearest in (approximate, NearestCrystals().fit(table)):
        with pytest.raises(ValueError, match="n_neighbors"):
            nearest.kneighbors(table[:1], 3001)
        with pytest.raises(ValueError, match="n_neighbors"):
            nearest.kneighbors(n_neighbors=3000)


def test_without_usearch(table, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "usearch.index", None)
    with pytest.raises(ImportError, match=r"skdim-crystals\[search\]"):
        NearestCrystals(algorithm="approximate").fit(table)


def test_crystals_of_other_site_features(nearest, X):
    assert isinstance(X, Crystals)
    with pytest.raises(ValueError, match="was fitted on the site features"):
        nearest.kneighbors(X.with_site_features(["row"]))
