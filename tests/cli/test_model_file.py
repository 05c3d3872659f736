"""Fitted models as files: what is loaded equals what was saved, and other files are refused without running them."""

import io
import json
import sys
import zipfile

import joblib
import numpy as np
import pytest
from sklearn.dummy import DummyRegressor
from sklearn.pipeline import make_pipeline

from skdim.cli._model_file import FORMAT, check_model_path, describe_model, load_model, save_model

pytest.importorskip("pyarrow", reason="needs the extra 'parquet'")
pytest.importorskip("skops", reason="needs the extra 'skops'")

import skops.io

ABOUT = {"target": "a", "mean": np.float64(1.5), "features": ("x", "y")}


def fitted():
    return make_pipeline(DummyRegressor()).fit([[0.0], [1.0]], [1.0, 2.0])


def rewrite(path, member, content):
    """The same zip file with another content of a member; None leaves it out."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()} | {member: content}
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in members.items():
            if text is not None:
                archive.writestr(name, text)


@pytest.fixture
def saved(tmp_path):
    save_model(fitted(), tmp_path / "m.skops", ABOUT)
    return tmp_path / "m.skops"


@pytest.mark.parametrize("suffix", [".skops", ".joblib"])
def test_what_comes_back(suffix, tmp_path):
    path = tmp_path / f"m{suffix}"
    save_model(fitted(), path, ABOUT)
    model = load_model(path, trust=True)
    assert model.predict([[3.0]]).tolist() == [1.5]
    assert model.skdim_info_ == {"target": "a", "mean": 1.5, "features": ["x", "y"]}
    if suffix == ".skops":
        assert describe_model(path) == {**FORMAT.header(), **load_model(path).skdim_info_}
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(FileExistsError, match="exists: remove it first"):
        save_model(fitted(), path, ABOUT)


def test_what_json_cannot_hold(tmp_path):
    with pytest.raises(TypeError, match="a set cannot be written as JSON"):
        save_model(fitted(), tmp_path / "m.skops", {"target": {1}})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["no.skops", "no.joblib"])
def test_no_file(name, tmp_path):
    with pytest.raises(FileNotFoundError, match=f"no such file: .*{name}"):
        load_model(tmp_path / name, trust=True)


def test_a_pickle_is_not_loaded_untrusted(tmp_path):
    save_model(fitted(), tmp_path / "m.joblib", ABOUT)
    with pytest.raises(ValueError, match="was not loaded: it is a pickle"):
        load_model(tmp_path / "m.joblib")


def test_a_damaged_pickle(tmp_path):
    path = tmp_path / "m.joblib"
    save_model(fitted(), path, ABOUT)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ValueError, match=r"m\.joblib is damaged, or was written by other versions \("):
        load_model(path, trust=True)


@pytest.mark.parametrize(
    ("about", "message"),
    [
        (None, "skdim.json"),
        ("{", "its header is not JSON"),
        ("[1]", "its header does not name a format"),
        ("[" * 100_000, "its header is not JSON"),
        ('{"format": "other"}', "its format is 'other'"),
        ('{"a": "' + 10_000_000 * "x" + '"}', "its skdim.json is too large"),
    ],
    ids=["none", "broken", "a list", "deep", "other", "large"],
)
def test_what_a_file_says_of_itself(about, message, saved):
    rewrite(saved, "skdim.json", about)
    for read in (describe_model, load_model):
        with pytest.raises(ValueError, match=r"m\.skops is not a model that skdim fit wrote") as error:
            read(saved)
        assert message in str(error.value)


@pytest.mark.parametrize("schema", ["no JSON", "{}", None])
def test_a_damaged_model(schema, saved):
    """The zip file is whole, and says what it is; what skops reads in it is not."""
    rewrite(saved, "schema.json", schema)
    assert describe_model(saved)["target"] == "a"
    with pytest.raises(ValueError, match=r"m\.skops is damaged"):
        load_model(saved)


def test_a_model_that_cannot_be_built(saved):
    """Its types are known, its state is none of theirs."""
    with zipfile.ZipFile(saved) as archive:
        schema = json.loads(archive.read("schema.json"))
    schema["content"]["content"] = 3
    rewrite(saved, "schema.json", json.dumps(schema))
    with pytest.raises(ValueError, match=r"m\.skops is damaged"):
        load_model(saved)


def test_models_of_others(saved, tmp_path):
    """Whole files, which skdim has not written, though they may say so."""
    with zipfile.ZipFile(saved) as archive:
        about = archive.read("skdim.json")
    other = io.BytesIO(skops.io.dumps(DummyRegressor()))
    with zipfile.ZipFile(other, "a") as archive:
        archive.writestr("skdim.json", about)
    (tmp_path / "other.skops").write_bytes(other.getvalue())
    joblib.dump(DummyRegressor(), tmp_path / "other.joblib")
    for name in ("other.skops", "other.joblib"):
        with pytest.raises(ValueError, match=f"{name} holds a DummyRegressor that skdim fit did not write"):
            load_model(tmp_path / name, trust=True)
    joblib.dump(fitted(), tmp_path / "plain.skops")
    with pytest.raises(ValueError, match=r"plain\.skops is not a model that skdim fit wrote, or damaged"):
        load_model(tmp_path / "plain.skops")


def test_without_skops(saved, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "skops.io", None)
    for action in (lambda: check_model_path(tmp_path / "new.skops"), lambda: load_model(saved)):
        with pytest.raises(ImportError, match=r'need skops: pip install "skdim-crystals\[skops\]"'):
            action()
    check_model_path(tmp_path / "new.joblib")
    assert describe_model(saved)["target"] == "a", "what it says of itself needs no skops"
