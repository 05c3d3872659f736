"""Crystals on disk: plain arrays, memory-mapped on demand, refused if damaged."""

import json
import pickle
import tracemalloc

import numpy as np
import pytest

from skdim import Crystals, SiteNetFeaturizer
from skdim._crystals.columns import COLUMNS
from skdim._crystals.store import FORMAT
from tests.helpers.assertions import assert_same_crystals


@pytest.fixture
def store(crystals, tmp_path):
    crystals.save(tmp_path / "store")
    return tmp_path / "store"


def edit_header(store, **changes):
    header = json.loads((store / "header.json").read_text())
    for key, value in changes.items():
        header[key] = value
        if value is None:
            del header[key]
    (store / "header.json").write_text(json.dumps(header))


@pytest.mark.parametrize("mmap_mode", [None, "r", "c"])
def test_loaded_crystals_are_the_saved_ones(mmap_mode, store, crystals):
    loaded = Crystals.load(str(store), mmap_mode=mmap_mode)
    assert_same_crystals(loaded, crystals)
    assert loaded.formulas == crystals.formulas
    for name in COLUMNS:
        assert isinstance(getattr(loaded, name), np.memmap) == (mmap_mode is not None)


@pytest.mark.parametrize("mmap_mode", [None, "r"])
def test_failed_rows_and_numpy_settings_are_saved(mmap_mode, formation_crystals, tmp_path):
    featurizer = SiteNetFeaturizer(
        on_error="warn",
        max_sites=np.int64(40),
        distance_tol=np.float64(1e-4),
        compress=np.bool_(True),
        oxidation_states="species",
    )
    with pytest.warns(UserWarning, match="could not be featurized"):
        X = featurizer.transform([None, formation_crystals[0], "x.cif"])
    X.save(tmp_path / "parent" / "store")
    assert_same_crystals(Crystals.load(tmp_path / "parent" / "store", mmap_mode), X)
    X[[0, 2]].save(tmp_path / "nothing")
    assert_same_crystals(Crystals.load(tmp_path / "nothing", mmap_mode), X[[0, 2]])
    X[:0].save(tmp_path / "empty")
    assert len(Crystals.load(tmp_path / "empty", mmap_mode)) == 0


def test_a_store_has_one_npy_file_per_column_and_a_header(store):
    assert {path.name for path in store.iterdir()} == {"header.json", *(f"{name}.npy" for name in COLUMNS)}
    assert [path.name for path in store.parent.iterdir()] == ["store"], "an incomplete folder is left"
    header = json.loads((store / "header.json").read_text())
    assert header["format"] == "skdim.Crystals"
    assert header["schema_version"] == FORMAT.version
    assert header["n_crystals"] == 54
    for path in store.glob("*.npy"):
        assert path.read_bytes()[:6] == b"\x93NUMPY"
        np.load(path, allow_pickle=False)


def test_a_store_is_never_overwritten(store, crystals):
    with pytest.raises(FileExistsError, match="exists: remove it first"):
        crystals[:2].save(store)
    assert len(Crystals.load(store)) == 54


def test_a_failed_save_leaves_no_files(crystals, tmp_path, monkeypatch):
    monkeypatch.setattr(json, "dumps", lambda *args, **kwargs: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        crystals.save(tmp_path / "store")
    assert list(tmp_path.iterdir()) == []


def test_opening_a_mapped_store_does_not_read_it(crystals, tmp_path):
    X = crystals[np.random.default_rng(0).integers(len(crystals), size=20_000)]
    X.save(tmp_path / "large")
    assert X.nbytes > 20e6
    tracemalloc.start()
    mapped = Crystals.load(tmp_path / "large", mmap_mode="r")
    opened = tracemalloc.get_traced_memory()[1]
    row, part = mapped[15_000], mapped[10_000:10_100]
    used = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert opened < 0.5e6
    assert used < 1e6
    assert isinstance(part.distance, np.memmap), "consecutive rows are not memory-mapped"
    assert row.formulas == X[15_000].formulas
    assert_same_crystals(mapped[[7, 19_999, 7]], X[[7, 19_999, 7]])
    assert not mapped.distance.flags.writeable


# ---- checksums ----


@pytest.mark.parametrize("mmap_mode", [None, "r"])
def test_checksums_are_verified_on_request(mmap_mode, store, crystals):
    assert_same_crystals(Crystals.load(store, mmap_mode, verify=True), crystals)
    for name in COLUMNS:
        file = store / f"{name}.npy"
        whole = file.read_bytes()
        file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        with pytest.raises(ValueError, match=rf"{name}\.npy is damaged: its checksum differs from the header"):
            Crystals.load(store, mmap_mode, verify=True)
        file.write_bytes(whole)
    (store / "count.npy").unlink()
    with pytest.raises(ValueError, match=r"count\.npy is damaged or missing"):
        Crystals.load(store, verify=True)


def test_stores_without_checksums_are_read_but_not_verified(store, crystals):
    columns = json.loads((store / "header.json").read_text())["columns"]
    edit_header(store, columns={name: {**entry, "sha256": None} for name, entry in columns.items()})
    assert_same_crystals(Crystals.load(store), crystals)
    for entry in columns.values():
        del entry["sha256"]
    edit_header(store, columns=columns)
    assert_same_crystals(Crystals.load(store, "r"), crystals)
    with pytest.raises(ValueError, match="has no checksums to verify"):
        Crystals.load(store, verify=True)


def test_a_memory_mapped_store_can_be_saved(store, crystals, tmp_path, monkeypatch):
    monkeypatch.setattr("skdim._crystals.blocks._BLOCK", 10_000)
    Crystals.load(store, "r").save(tmp_path / "again")
    assert_same_crystals(Crystals.load(tmp_path / "again", verify=True), crystals)
    for file in store.iterdir():
        assert file.read_bytes() == (tmp_path / "again" / file.name).read_bytes()


# ---- errors ----


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no such folder: .*nowhere"):
        Crystals.load(tmp_path / "nowhere")


def test_other_folders_and_files_are_refused(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("hello")
    for name in ("folder", "file"):
        with pytest.raises(ValueError, match=f"{name} is not a Crystals store: cannot read its header.json"):
            Crystals.load(tmp_path / name)
    for text in ("{", "[]", "{}", "3"):
        (tmp_path / "folder" / "header.json").write_text(text)
        with pytest.raises(ValueError, match="is not a Crystals store"):
            Crystals.load(tmp_path / "folder")


def test_another_format_is_refused(store):
    edit_header(store, format="other.Table")
    with pytest.raises(ValueError, match=r"not a Crystals store: its format is 'other.Table'"):
        Crystals.load(store)


@pytest.mark.parametrize("version", [0, FORMAT.version + 1, "1", True, None])
def test_another_schema_version_is_refused(version, store):
    edit_header(store, schema_version=version, skdim_version="9.9")
    with pytest.raises(
        ValueError, match=f"has schema version {version!r}.*reads version 1: use skdim 9.9, or featurize again"
    ):
        Crystals.load(store)


@pytest.mark.parametrize("entry", ["columns", "errors", "site_features", "settings"])
def test_a_header_without_an_entry_is_refused(entry, store):
    edit_header(store, **{entry: None})
    with pytest.raises(ValueError, match=r"header.json is damaged: entries are missing"):
        Crystals.load(store)


@pytest.mark.parametrize("mmap_mode", [None, "r"])
@pytest.mark.parametrize("column", ["distance", "class_offsets"])
def test_damaged_columns_are_refused(column, mmap_mode, store):
    file = store / f"{column}.npy"
    whole = file.read_bytes()
    for damage in (whole[:-40], whole[:20], b"", whole[6:]):
        file.write_bytes(damage)
        with pytest.raises(ValueError, match=rf"{column}.npy is damaged"):
            Crystals.load(store, mmap_mode)
    file.unlink()
    with pytest.raises(ValueError, match=rf"{column}.npy is damaged or missing"):
        Crystals.load(store, mmap_mode)


def test_columns_that_do_not_match_the_header_are_refused(store, crystals):
    np.save(store / "distance.npy", crystals.distance.astype(np.float64))
    with pytest.raises(ValueError, match=r"contains float64 .*not float32 .* as in the header"):
        Crystals.load(store)
    np.save(store / "distance.npy", crystals.distance)
    edit_header(store, errors={"99": "row 99"})
    with pytest.raises(ValueError, match="lengths of its columns do not match"):
        Crystals.load(store)
    edit_header(store, errors={})
    offsets = crystals.pair_offsets.copy()
    offsets[-1] += 1
    np.save(store / "pair_offsets.npy", offsets)
    with pytest.raises(ValueError, match="lengths of its columns do not match"):
        Crystals.load(store)


def test_pickles_are_not_loaded(store):
    class Evil:
        def __reduce__(self):
            return (pytest.fail, ("unpickled",))

    (store / "numbers.npy").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(ValueError, match=r"numbers.npy is damaged"):
        Crystals.load(store)
    array = np.empty(len(Crystals.load.__doc__), dtype=object)
    array[:] = [Evil() for _ in array]
    np.save(store / "numbers.npy", array, allow_pickle=True)
    with pytest.raises(ValueError, match=r"numbers.npy is damaged"):
        Crystals.load(store)


def test_writable_memory_maps_are_refused(store):
    with pytest.raises(ValueError, match="mmap_mode must be None, 'r' or 'c', not 'r\\+'"):
        Crystals.load(store, mmap_mode="r+")


def test_a_numpy_with_longer_headers_is_an_error(X, tmp_path, monkeypatch):
    """Space for the header is reserved before the length of the column is known."""
    write = np.lib.format.write_array_header_1_0

    def longer(file, description):
        write(file, description)
        file.write(b" " * 64)

    monkeypatch.setattr(np.lib.format, "write_array_header_1_0", longer)
    with pytest.raises(RuntimeError, match=r"this NumPy writes \.npy headers of 192 bytes, not 128"):
        X.save(tmp_path / "store")
    assert list(tmp_path.iterdir()) == []
