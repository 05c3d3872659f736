"""Files of earlier releases are read with the same content. tools/build_golden.py writes them.

A release that cannot read older files must have a new schema version, and an error that says what to do.
"""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.dummy import DummyRegressor
from skorch.callbacks import Callback

from skdim import Crystals, DeepInfoMaxEmbedder, SiteNetFeaturizer
from skdim._crystals.store import FORMAT
from skdim._version import __version__
from skdim.datasets._tables import read_table
from skdim.model_selection import label_efficiency, read_results
from tests.helpers.assertions import assert_same_crystals
from tests.helpers.small_estimators import SMALL

RELEASES = sorted(path for path in Path(__file__).with_name("golden").iterdir() if path.is_dir())
IDS = [f"mp-{k}" for k in range(7)]


@pytest.fixture(params=RELEASES, ids=lambda path: path.name)
def golden(request):
    return request.param


@pytest.fixture
def expected(golden):
    return json.loads((golden / "expected.json").read_text())


@pytest.fixture
def texts(golden):
    return json.loads((golden / "structures.json").read_text())["cif"]


def test_this_release_has_golden_files():
    assert __version__ in [path.name for path in RELEASES], "python tools/build_golden.py tests/house/golden/VERSION"


# ---- crystals ----


@pytest.mark.parametrize("options", [{}, {"mmap_mode": "r"}, {"verify": True}], ids=str)
def test_crystals_are_loaded(options, golden, expected):
    X = Crystals.load(golden / "crystals", **options)
    assert X.formulas == expected["formulas"]
    assert X.n_sites.tolist() == expected["n_sites"]
    assert_array_equal(X.distance, np.array(expected["distance"], dtype=np.float32))
    assert list(X.errors_) == [6]
    assert X.index.tolist() == IDS
    assert json.loads((golden / "crystals" / "header.json").read_text())["schema_version"] <= FORMAT.version


def test_stores_of_tables_are_loaded_with_their_ids_and_failures(golden, expected):
    X = Crystals.load(golden / "from_table", verify=True)
    assert X.formulas == expected["formulas"]
    assert pd.read_csv(golden / "from_table" / "ids.csv")["id"].tolist() == IDS
    failures = pd.read_csv(golden / "from_table" / "failures.csv")
    assert failures[["row", "id"]].to_numpy().tolist() == [[6, "mp-6"]]


def test_featurizing_gives_the_same_crystals(golden, texts):
    X = Crystals.load(golden / "crystals")
    again = SiteNetFeaturizer().transform(texts)
    assert again.formulas == X[:6].formulas
    assert_allclose(again.distance, X[:6].distance, atol=1e-5)
    assert_array_equal(again.count, X[:6].count)


def test_unfinished_stores_are_resumed(golden, texts, tmp_path, monkeypatch):
    """By the release that started the run; other releases raise an error that names it."""
    shutil.copytree(golden / "unfinished", tmp_path / ".store.partial")
    featurized, parts = [], SiteNetFeaturizer._parts

    def counting(self, rows, *args, **options):
        featurized.append(len(rows))
        return parts(self, rows, *args, **options)

    monkeypatch.setattr(SiteNetFeaturizer, "_parts", counting)
    if golden.name != __version__:
        with pytest.raises(ValueError, match="skdim_version"):
            SiteNetFeaturizer().transform_to_disk(iter(texts), tmp_path / "store", chunk_size=2)
        return
    made = SiteNetFeaturizer().transform_to_disk(iter(texts), tmp_path / "store", chunk_size=2)
    assert featurized == [2], "the last chunk only"
    assert_same_crystals(made, SiteNetFeaturizer().transform(texts), atol=1e-5)


# ---- networks ----


def test_weights_are_loaded(golden, expected):
    embedder = DeepInfoMaxEmbedder.from_pretrained(golden / "weights", device="cpu")
    vectors = embedder.transform(Crystals.load(golden / "crystals"))
    rows = [None if np.isnan(row).any() else row for row in vectors]
    assert [row is None for row in rows] == [row is None for row in expected["vectors"]]
    assert_allclose(rows[:6], expected["vectors"][:6], rtol=1e-4, atol=1e-5)
    assert embedder.pretrained_info_["metadata"] == {"licence": "none needed"}


def test_vectors_files_have_the_same_columns(golden, expected):
    vectors = np.array([[np.nan] * 12 if row is None else row for row in expected["vectors"]])
    assert_allclose(np.load(golden / "vectors.npy", allow_pickle=False), vectors, rtol=1e-6)
    table = pd.read_csv(golden / "vectors.csv", index_col="id")
    assert table.index.tolist() == IDS
    embedder = DeepInfoMaxEmbedder.from_pretrained(golden / "weights", device="cpu")
    assert table.columns.tolist() == embedder.get_feature_names_out().tolist()
    assert_allclose(table, vectors, rtol=1e-6)


class Epochs(Callback):
    """Appends each epoch trained to a list, which copies of the callback share."""

    def __init__(self):
        self.trained = []

    def __deepcopy__(self, memo):
        return self

    def on_epoch_begin(self, net, **kwargs):
        self.trained.append(len(net.history))


def test_checkpoints_are_resumed(golden, expected, tmp_path):
    shutil.copy(golden / "run.pt", tmp_path / "run.pt")
    X, epochs = Crystals.load(golden / "crystals")[:6], Epochs()
    settings = {**SMALL, "max_epochs": 2, "learning_rate": "constant"}
    model = DeepInfoMaxEmbedder(**settings, checkpoint=tmp_path / "run.pt", callbacks=epochs).fit(X)
    assert epochs.trained == [2], "the first epoch is in the file"
    assert model.n_iter_ == 2
    assert_allclose(model.transform(X), expected["resumed"], rtol=1e-3, atol=1e-4)


# Of another scikit-learn than the one that wrote the file: the network does not depend on it.
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.InconsistentVersionWarning")
def test_models_are_loaded(golden, expected):
    pytest.importorskip("skops", reason="needs the extra 'skops'")
    from skdim.cli._model_file import load_model

    model = load_model(golden / "model.skops")
    assert model.skdim_info_ == {"target": "y"}
    X = Crystals.load(golden / "crystals")[:6]
    assert_allclose(model.predict(X), expected["predictions"], rtol=1e-4, atol=1e-5)


# ---- tables ----


def test_results_are_read_and_added_to(golden, expected, tmp_path):
    assert read_results(golden / "results.jsonl")["mae"].tolist() == expected["mae"]
    shutil.copy(golden / "results.jsonl", tmp_path / "results.jsonl")
    table = label_efficiency(
        {"mean": DummyRegressor()},
        np.arange(40.0)[:, None],
        np.arange(40.0),
        train_sizes=[10],
        n_repeats=4,
        random_state=0,
        results_file=tmp_path / "results.jsonl",
    )
    assert table["mae"].tolist()[:3] == expected["mae"]
    before, after = (path.joinpath("results.jsonl").read_bytes() for path in (golden, tmp_path))
    assert after.startswith(before)
    assert after[len(before) :].count(b"\n") == 1, "one fit was missing"


def test_tables_of_downloads_are_read(golden, expected):
    table = read_table(golden / "table.json")
    assert table["y"] == expected["y"]
    again = SiteNetFeaturizer().transform(table["structure"])
    assert again.formulas == expected["formulas"][:2]
