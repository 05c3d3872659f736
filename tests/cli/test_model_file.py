"""Model files: loading restores what was saved, and other files are refused without running code."""

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
    """Replace the content of a member of a zip file; None removes it."""
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
def test_loading_restores_the_model(suffix, tmp_path):
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


def test_descriptions_must_be_json(tmp_path):
    with pytest.raises(TypeError, match="a set cannot be written as JSON"):
        save_model(fitted(), tmp_path / "m.skops", {"target": {1}})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["no.skops", "no.joblib"])
def test_a_missing_file_is_named(name, tmp_path):
    with pytest.raises(FileNotFoundError, match=f"no such file: .*{name}"):
        load_model(tmp_path / name, trust=True)


def test_a_pickle_is_not_loaded_without_trust(tmp_path):
    save_model(fitted(), tmp_path / "m.joblib", ABOUT)
    with pytest.raises(ValueError, match="was not loaded: it is a pickle"):
        load_model(tmp_path / "m.joblib")


def test_a_damaged_pickle_is_named(tmp_path):
    path = tmp_path / "m.joblib"
    save_model(fitted(), path, ABOUT)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ValueError, match=r"m\.joblib is damaged, or was written with other versions \("):
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
def test_damaged_descriptions_are_refused(about, message, saved):
    rewrite(saved, "skdim.json", about)
    for read in (describe_model, load_model):
        with pytest.raises(ValueError, match=r"m\.skops is not a model written by skdim fit") as error:
            read(saved)
        assert message in str(error.value)


@pytest.mark.parametrize("schema", ["no JSON", "{}", None])
def test_a_damaged_model_is_named(schema, saved):
    """The zip file and its description are valid; the part that skops reads is not."""
    rewrite(saved, "schema.json", schema)
    assert describe_model(saved)["target"] == "a"
    with pytest.raises(ValueError, match=r"m\.skops is damaged"):
        load_model(saved)


def test_a_state_that_does_not_fit_is_refused(saved):
    """All types are trusted, but the state does not fit the type."""
    with zipfile.ZipFile(saved) as archive:
        schema = json.loads(archive.read("schema.json"))
    schema["content"]["content"] = 3
    rewrite(saved, "schema.json", json.dumps(schema))
    with pytest.raises(ValueError, match=r"m\.skops is damaged"):
        load_model(saved)


def test_files_of_other_packages_are_refused(saved, tmp_path):
    """Valid files that skdim has not written, even if their description claims so."""
    with zipfile.ZipFile(saved) as archive:
        about = archive.read("skdim.json")
    other = io.BytesIO(skops.io.dumps(DummyRegressor()))
    with zipfile.ZipFile(other, "a") as archive:
        archive.writestr("skdim.json", about)
    (tmp_path / "other.skops").write_bytes(other.getvalue())
    joblib.dump(DummyRegressor(), tmp_path / "other.joblib")
    for name in ("other.skops", "other.joblib"):
        with pytest.raises(ValueError, match=f"{name} holds a DummyRegressor that was not written by skdim fit"):
            load_model(tmp_path / name, trust=True)
    joblib.dump(fitted(), tmp_path / "plain.skops")
    with pytest.raises(ValueError, match=r"plain\.skops is not a model written by skdim fit, or damaged"):
        load_model(tmp_path / "plain.skops")


def test_a_missing_skops_is_named(saved, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "skops.io", None)
    for action in (lambda: check_model_path(tmp_path / "new.skops"), lambda: load_model(saved)):
        with pytest.raises(ImportError, match=r'files need skops: pip install "skdim-crystals\[skops\]"'):
            action()
    check_model_path(tmp_path / "new.joblib")
    assert describe_model(saved)["target"] == "a", "the description can be read without skops"
