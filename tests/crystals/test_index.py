"""Crystals carry the pandas index of the structures, and DataFrames that transformers return have it."""

import json

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_index_equal
from sklearn import config_context
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.model_selection import train_test_split
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import StandardScaler

from skdim import (
    CompositionStatistics,
    Crystals,
    DeepInfoMaxEmbedder,
    DensityStatistics,
    OxidationStatistics,
    SiteNetFeaturizer,
    StructureStatistics,
)
from skdim._crystals.index import index_from_json, index_to_json
from skdim.baselines import XRDPattern

#: Without a frequency, which an index loses where it is saved.
HOURS = [pd.Timestamp("2024-02-28") + pd.Timedelta(hours=7 * k) for k in range(40)]
INDEXES = {
    "range": pd.RangeIndex(3, 43),
    "shuffled integers": pd.Index(np.random.default_rng(0).permutation(40), name="row"),
    "text": pd.Index([f"mp-{k}" for k in range(40)], name="material_id"),
    "duplicates": pd.Index([k // 2 for k in range(40)]),
    "unicode": pd.Index([f"é{chr(0x4E00 + k)}" for k in range(40)]),
    "floats": pd.Index(np.linspace(0.1, 0.7, 40)),
    "mixed": pd.Index([1, "1", 2.5, True, *range(36)], dtype=object),
    "dates": pd.DatetimeIndex(HOURS, name="measured"),
    "dates with time zone": pd.DatetimeIndex(HOURS, tz="Europe/London"),
    "two levels": pd.MultiIndex.from_product([["a", "b"], range(20)], names=["batch", "number"]),
}


@pytest.fixture(params=INDEXES)
def series(request, structures):
    return pd.Series(structures, index=INDEXES[request.param])


# ---- Crystals ----


def test_crystals_have_the_index_of_a_series_or_data_frame(series):
    for X in (series, series.to_frame("structure")):
        assert_index_equal(SiteNetFeaturizer().fit_transform(X).index, series.index)


def test_crystals_of_other_containers_have_no_index(structures):
    array = np.empty(2, dtype=object)
    array[:] = structures[:2]
    for X in (structures[:2], tuple(structures[:2]), array):
        assert SiteNetFeaturizer().transform(X).index is None


def test_parallel_featurization_keeps_the_index(structures):
    series = pd.Series(structures[:6], index=list("fedcba"))
    assert SiteNetFeaturizer(n_jobs=2).transform(series).index.tolist() == list("fedcba")


def test_indexing_keeps_the_index(series):
    X = SiteNetFeaturizer().transform(series)
    mask = np.arange(40) % 3 == 1
    for key in (slice(5, 9), [7, 3, 3], mask, np.array([-1]), slice(None, None, -1), slice(0, 0)):
        assert_index_equal(X[key].index, series.index[key], exact="equiv")
    assert X[4].index.tolist() == [series.index[4]]
    assert [row.index[0] for row in X] == series.index.tolist()
    assert_index_equal(X.with_site_features(["row"]).index, series.index)


def test_splitting_keeps_the_index(series):
    X = SiteNetFeaturizer().transform(series)
    train, test, s_train, s_test = train_test_split(X, series, random_state=0)
    assert_index_equal(train.index, s_train.index, exact="equiv")
    assert_index_equal(test.index, s_test.index, exact="equiv")
    assert train.formulas == [s.composition.element_composition.reduced_formula for s in s_train]


def test_concatenation_joins_the_indexes(series):
    X = SiteNetFeaturizer().transform(series)
    assert_index_equal(Crystals.concatenate([X[:7], X[7:7], X[7:]]).index, series.index, exact="equiv")


def test_concatenation_of_crystals_with_and_without_index_is_refused(X, structures):
    with_index = SiteNetFeaturizer().transform(pd.Series(structures[:3], index=list("abc")))
    with pytest.raises(ValueError, match="part 0 has an index and part 1 does not: set the index of all"):
        Crystals.concatenate([with_index, X])
    with pytest.raises(ValueError, match="part 1 has an index and part 0 does not"):
        Crystals.concatenate([X, with_index])
    with_index.index = None
    assert Crystals.concatenate([X, with_index]).index is None


def test_the_index_can_be_set(structures):
    X = SiteNetFeaturizer().transform(structures[:2])
    X.index = ["a", "b"]
    assert_index_equal(X[::-1].index, pd.Index(["b", "a"]))
    with pytest.raises(ValueError, match="an index of length 3 does not match 2 crystals"):
        X.index = [1, 2, 3]


@pytest.mark.parametrize("mmap_mode", [None, "r"])
def test_saving_keeps_the_index(mmap_mode, series, tmp_path):
    SiteNetFeaturizer().transform(series).save(tmp_path / "store")
    loaded = Crystals.load(tmp_path / "store", mmap_mode, verify=True)
    assert_index_equal(loaded.index, series.index, exact="equiv")
    assert loaded.index.map(type).tolist() == series.index.map(type).tolist()
    assert_index_equal(loaded[3:5].index, series.index[3:5], exact="equiv")


def test_transform_to_disk_keeps_the_index(series, tmp_path):
    X = SiteNetFeaturizer().transform_to_disk(series, tmp_path / "store", chunk_size=7)
    assert_index_equal(X.index, series.index, exact="equiv")
    assert_index_equal(Crystals.load(tmp_path / "store", verify=True).index, series.index, exact="equiv")


def test_a_damaged_index_is_refused(structures, tmp_path):
    X = SiteNetFeaturizer().transform(pd.Series(structures[:3], index=list("abc")))
    X.save(tmp_path / "store")
    file = tmp_path / "store" / "index.json"
    content = json.loads(file.read_text())
    for damaged in ("", "[]", json.dumps({**content, "dtypes": ["nonsense"]}), json.dumps({**content, "values": 3})):
        file.write_text(damaged)
        with pytest.raises(ValueError, match=r"index\.json is damaged or missing"):
            Crystals.load(tmp_path / "store", mmap_mode="r")
    file.write_text(json.dumps({**content, "values": [["a", "b"]]}))
    with pytest.raises(ValueError, match="its index has 2 entries for 3 crystals"):
        Crystals.load(tmp_path / "store")
    file.write_text(json.dumps({**content, "values": [["a", "b", "d"]]}))
    with pytest.raises(ValueError, match=r"index\.json is damaged: its checksum differs from the header"):
        Crystals.load(tmp_path / "store", verify=True)
    file.unlink()
    with pytest.raises(ValueError, match=r"index\.json is damaged or missing"):
        Crystals.load(tmp_path / "store")


@pytest.mark.parametrize(
    "index",
    [
        pd.Index([object(), object()]),
        pd.interval_range(0, 2),
        pd.Index([(1, 2), (3, 4)], tupleize_cols=False),
        pd.Index([1, 2], name=("a", "b")),
    ],
    ids=["objects", "intervals", "tuples", "a name that is a tuple"],
)
def test_an_index_that_json_cannot_hold_is_an_error(index, structures, tmp_path):
    X = SiteNetFeaturizer().transform(structures[:2])
    X.index = index
    with pytest.raises(TypeError, match=r"the index of the Crystals .* cannot be saved: convert it first"):
        X.save(tmp_path / "store")
    with pytest.raises(TypeError, match="cannot be saved"):
        SiteNetFeaturizer().transform_to_disk(pd.Series(structures[:2], index=index), tmp_path / "store")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", INDEXES)
def test_an_index_is_restored_from_json(name):
    index = INDEXES[name]
    assert_index_equal(index_from_json(json.loads(json.dumps(index_to_json(index)))), index, exact="equiv")


# ---- output of transformers ----

TRANSFORMERS = {
    "composition": CompositionStatistics(),
    "density": DensityStatistics(),
    "oxidation": OxidationStatistics(),
    "structure": StructureStatistics(),
    "embedder": DeepInfoMaxEmbedder(max_epochs=0, random_state=0, device="cpu"),
}


@pytest.fixture(params=TRANSFORMERS)
def transformer(request):
    return clone(TRANSFORMERS[request.param])


def test_data_frames_have_the_index_of_the_crystals(transformer, series):
    X = SiteNetFeaturizer().transform(series)
    values = transformer.fit(X).transform(X)
    assert isinstance(values, np.ndarray)
    with config_context(transform_output="pandas"):
        frames = [transformer.transform(X)]
    transformer.set_output(transform="pandas")
    frames += [transformer.transform(X), transformer.fit_transform(X)]
    frames += [make_pipeline(SiteNetFeaturizer(), transformer).fit_transform(series)]
    for frame in frames:
        assert_index_equal(frame.index, series.index)
        np.testing.assert_allclose(frame.to_numpy(), values, atol=1e-6)
        assert frame.columns.tolist() == transformer.get_feature_names_out().tolist()
    _, test = train_test_split(X, random_state=0)
    assert_index_equal(transformer.transform(test).index, test.index)


def test_data_frames_of_baselines_have_the_index_of_the_structures(series):
    frame = XRDPattern().set_output(transform="pandas").fit_transform(series.iloc[:3])
    assert_index_equal(frame.index, series.index[:3], exact="equiv")


def test_data_frames_of_crystals_without_index_have_a_range(transformer, X):
    frame = transformer.set_output(transform="pandas").fit_transform(X)
    assert_index_equal(frame.index, pd.RangeIndex(len(X)))


@pytest.mark.parametrize("name", ["shuffled integers", "text", "duplicates", "two levels"])
def test_a_column_transformer_joins_the_rows_of_each_structure(name, transformer, structures):
    """A shuffled frame, and its rows after train_test_split."""
    frame = pd.DataFrame({"s": structures, "t": np.arange(40.0)}, index=INDEXES[name]).sample(frac=1, random_state=0)
    vectors = make_pipeline(SiteNetFeaturizer(), clone(transformer)).fit_transform(structures)
    model = ColumnTransformer(
        [("v", make_pipeline(SiteNetFeaturizer(), transformer), "s"), ("t", "passthrough", ["t"])]
    ).set_output(transform="pandas")
    train, test = train_test_split(frame, random_state=0)
    model.fit(frame)
    for rows in (frame, train, test):
        table = model.transform(rows)
        assert_index_equal(table.index, rows.index)
        assert table["t__t"].tolist() == rows["t"].tolist()
        np.testing.assert_allclose(table.iloc[:, :-1], vectors[rows["t"].astype(int).to_numpy()], atol=1e-5)
    if frame.index.is_unique:
        joined = frame.join(model.transform(train), how="inner")
        assert len(joined) == len(train)
        assert (joined["t"] == joined["t__t"]).all()


def test_a_feature_union_keeps_the_index(series):
    union = FeatureUnion([("a", CompositionStatistics()), ("b", StructureStatistics())])
    model = make_pipeline(SiteNetFeaturizer(), union, StandardScaler()).set_output(transform="pandas")
    table = model.fit_transform(series)
    assert_index_equal(table.index, series.index)
    assert table.shape[1] == len(union.get_feature_names_out())


def test_polars_output_has_the_order_of_the_rows(transformer, structures):
    polars = pytest.importorskip("polars", reason="needs the extra 'test'")
    frame = polars.DataFrame({"s": polars.Series(structures, dtype=polars.Object), "t": np.arange(40.0)})
    frame = frame[np.random.default_rng(0).permutation(40).tolist()]
    union = ColumnTransformer(
        [("v", make_pipeline(SiteNetFeaturizer(), transformer), "s"), ("t", "passthrough", ["t"])]
    ).set_output(transform="polars")
    table = union.fit_transform(frame)
    assert isinstance(table, polars.DataFrame)
    rows = [structures[int(t)] for t in frame["t"]]
    vectors = transformer.fit(SiteNetFeaturizer().transform(rows)).transform(SiteNetFeaturizer().transform(rows))
    np.testing.assert_allclose(table.drop("t__t").to_numpy(), vectors, atol=1e-6)
    assert table["t__t"].to_list() == frame["t"].to_list()
