"""Vectors on disk: the file contains what transform returns and is written atomically."""

import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError

from skdim import Crystals, DeepInfoMaxEmbedder, SiteNetFeaturizer
from skdim._embedder.vectors_file import write_vectors

pytest.importorskip("pyarrow", reason="needs the extra 'parquet'")


@pytest.fixture
def with_failed(structures):
    """Crystals with failed rows at the start, in the middle and at the end."""
    rows = [None, *structures[:6], None, None, *structures[6:9], None]
    with pytest.warns(UserWarning, match="could not be featurized"):
        return SiteNetFeaturizer(on_error="warn").transform(rows)


def read(path):
    if path.suffix == ".csv":
        return pd.read_csv(path, dtype=np.float32)
    return np.load(path, mmap_mode="r") if path.suffix == ".npy" else pd.read_parquet(path)


@pytest.mark.parametrize("suffix", [".npy", ".parquet", ".csv"])
@pytest.mark.parametrize("block_values", [1, 500, 2**22])
def test_file_contains_what_transform_returns(suffix, block_values, untrained, with_failed, tmp_path, monkeypatch):
    monkeypatch.setattr("skdim._embedder.vectors_file._BLOCK_VALUES", block_values)
    monkeypatch.setattr(untrained.net_, "batch_sites", 40)
    path = untrained.transform_to_disk(with_failed, tmp_path / "new" / f"vectors{suffix}")
    assert path == tmp_path / "new" / f"vectors{suffix}"
    written, expected = read(path), untrained.transform(with_failed)
    np.testing.assert_array_equal(written, expected)
    assert np.isnan(expected[[0, 7, 8, 12]]).all()
    assert np.isfinite(expected[1:7]).all()
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    if suffix != ".npy":
        assert written.columns.tolist() == untrained.get_feature_names_out().tolist()
        assert (written.dtypes == np.float32).all()


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_ids_are_the_first_column(suffix, untrained, with_failed, tmp_path, monkeypatch):
    monkeypatch.setattr("skdim._embedder.vectors_file._BLOCK_VALUES", 1000)
    names = [f"crystal, {k}" for k in range(len(with_failed))]
    path = untrained.transform_to_disk(with_failed, tmp_path / f"a{suffix}", ids=names)
    written = pd.read_csv(path) if suffix == ".csv" else pd.read_parquet(path)
    assert written.columns.tolist() == ["id", *untrained.get_feature_names_out()]
    assert written["id"].tolist() == names
    np.testing.assert_allclose(written.iloc[:, 1:], untrained.transform(with_failed), rtol=1e-6)
    with pytest.raises(ValueError, match="ids has 2 names for 13 rows"):
        untrained.transform_to_disk(with_failed, tmp_path / f"b{suffix}", ids=["a", "b"])


def test_failed_rows_alone_give_nan(untrained, with_failed, tmp_path):
    path = untrained.transform_to_disk(with_failed[[0, 7]], str(tmp_path / "a.npy"))
    assert np.isnan(np.load(path)).all()
    assert np.load(path).shape == (2, 192)


def test_set_output_does_not_change_the_file(untrained, with_failed, tmp_path):
    model = DeepInfoMaxEmbedder(max_epochs=0, random_state=0).set_output(transform="pandas").fit(with_failed[1:4])
    assert np.load(model.transform_to_disk(with_failed, tmp_path / "a.npy")).shape == (13, 192)


def test_invalid_arguments_are_refused_before_writing(untrained, with_failed, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"a\.txt must end in \.npy, \.parquet or \.csv"):
        untrained.transform_to_disk(with_failed, tmp_path / "a.txt")
    (tmp_path / "a.npy").write_text("existing")
    with pytest.raises(FileExistsError, match="exists: remove it first"):
        untrained.transform_to_disk(with_failed, tmp_path / "a.npy")
    with pytest.raises(NotFittedError):
        DeepInfoMaxEmbedder().transform_to_disk(with_failed, tmp_path / "b.npy")
    with pytest.raises(TypeError, match="needs the Crystals"):
        untrained.transform_to_disk([1], tmp_path / "b.npy")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ImportError, match=r"skdim-crystals\[parquet\]"):
        untrained.transform_to_disk(with_failed, tmp_path / "b.parquet")
    assert os.listdir(tmp_path) == ["a.npy"]


def test_an_error_leaves_no_file(tmp_path):
    def parts():
        yield np.arange(2), np.zeros((2, 3), dtype=np.float32)
        raise KeyboardInterrupt

    for name in ("a.npy", "a.parquet"):
        with pytest.raises(KeyboardInterrupt):
            write_vectors(tmp_path / name, parts(), 5, ["a", "b", "c"])
    assert os.listdir(tmp_path) == []


KILLED = """
import os, signal, sys
import numpy as np
from skdim._embedder.vectors_file import write_vectors

def parts():
    for k in range(1000):
        if k == 500:
            os.kill(os.getpid(), signal.SIGKILL)
        yield np.array([k]), np.zeros((1, 2), dtype=np.float32)

write_vectors(sys.argv[1], parts(), 1000, ["a", "b"])
"""


def test_a_killed_process_leaves_no_file_at_the_path(tmp_path):
    path = tmp_path / "a.npy"
    assert subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False).returncode == -9
    assert not path.exists()
    write_vectors(path, [(np.arange(2), np.ones((2, 1), dtype=np.float32))], 2, ["a"])
    assert np.load(path).tolist() == [[1], [1]]


def test_memory_mapped_crystals_give_the_same_file(untrained, crystals, tmp_path):
    crystals.save(tmp_path / "store")
    path = untrained.transform_to_disk(Crystals.load(tmp_path / "store", mmap_mode="r"), tmp_path / "a.npy")
    np.testing.assert_array_equal(np.load(path), untrained.transform(crystals))
