"""Sources of many rows: tables, folders, archives, databases and iterators."""

import contextlib
import json
import os
import sqlite3
import sys
import zipfile

import numpy as np
import pandas as pd
import pytest

from skdim import SiteNetFeaturizer
from skdim._structures.source_rows import Text
from skdim._structures.sources import ase_databases
from skdim._structures.sources import parquet_tables as _parquet
from skdim._structures.sources.open_source import open_source, open_sources
from tests.helpers.assertions import assert_same_crystals
from tests.helpers.small_structures import flat, table_of

pytest.importorskip("ase", reason="needs the extra 'ase'")
pytest.importorskip("pyarrow", reason="needs the extra 'parquet'")

import pyarrow as pa
import pyarrow.parquet as pq
from ase import Atoms
from ase.db import connect


def read(source, **options):
    source = open_source(source, **options)
    rows = list(source.read())
    assert source.n_rows in (None, len(rows))
    assert source.has_names == (rows[0][0] is not None)
    return source, [row_id for row_id, _ in rows], [raw for _, raw in rows]


def assert_rows(raws, expected):
    assert_same_crystals(SiteNetFeaturizer().transform(raws), expected)


def reason(raw):
    """The reason why a row fails."""
    X = SiteNetFeaturizer(on_error="warn")._parts([raw])[0]
    return X[1][0].reason


# ---- tables ----


def test_a_table_of_flat_numbers(structures, X, tmp_path):
    path = tmp_path / "some.parquet"
    table_of(structures, id=[f"mp-{k}" for k in range(40)], split=["train", "test"] * 20).to_parquet(path)
    source, ids, raws = read(path)
    assert (source.name, source.n_test, source.has_ids) == ("some.parquet", 0, True)
    assert ids == [f"mp-{k}" for k in range(40)]
    assert_rows(raws, X)
    source, ids, raws = read(str(path), without_test=True)
    assert (source.n_test, ids) == (20, [f"mp-{k}" for k in range(0, 40, 2)])
    assert_rows(raws, X[::2])
    table_of(structures[:3]).to_parquet(path)
    assert read(path, without_test=True)[1] == [None] * 3


def test_tables_of_whole_structures(structures, X, tmp_path):
    path = tmp_path / "some.parquet"
    pd.DataFrame({"cif": [s.to(fmt="cif") for s in structures[:5]], "material_id": range(5)}).to_parquet(path)
    _, ids, raws = read(path)
    assert ids == list("01234")
    assert SiteNetFeaturizer().transform(raws).formulas == X[:5].formulas
    pd.DataFrame({"structure": [json.dumps(s.as_dict()) for s in structures[:5]]}).to_parquet(path)
    assert_rows(read(path)[2], X[:5])
    # Dicts may be a struct column, into which pyarrow converts them.
    dicts = [{key: value for key, value in s.as_dict().items() if key != "properties"} for s in structures[:5]]
    for content in dicts:
        for site in content["sites"]:
            del site["properties"]
    pd.DataFrame({"structure": [*dicts, None]}).to_parquet(path)
    raws = read(path)[2]
    assert_rows(raws[:5], X[:5])
    assert "the structure is missing" in reason(raws[5])


def test_duplicate_columns_are_an_error(structures, tmp_path):
    path = tmp_path / "a.parquet"
    cif = structures[0].to(fmt="cif")
    for name, cells in (("cif", cif), ("id", "x")):
        pq.write_table(pa.table([[cif], ["x"], [cells]], names=["cif", "id", name]), path)
        with pytest.raises(ValueError, match=rf"a\.parquet has 2 columns '{name}': rename all but one"):
            read(path)


def test_a_table_is_read_in_batches(structures, X, tmp_path, monkeypatch):
    monkeypatch.setattr(_parquet, "_AT_ONCE", 7)
    table_of(structures).to_parquet(tmp_path / "a.parquet")
    assert_rows(read(tmp_path / "a.parquet")[2], X)


@pytest.mark.parametrize("kind", [pa.large_list(pa.float32()), pa.list_(pa.float64(), 9)])
def test_all_types_of_lists_are_read(kind, structures, X, tmp_path):
    table = pa.Table.from_pandas(table_of(structures[:5]))
    table = table.set_column(0, "lattice", table["lattice"].cast(kind))
    pq.write_table(table, tmp_path / "a.parquet")
    assert SiteNetFeaturizer().transform(read(tmp_path / "a.parquet")[2]).formulas == X[:5].formulas


@pytest.mark.parametrize(
    ("column", "value", "match"),
    [
        ("lattice", np.eye(3).ravel()[:8], "lattice must have 9 numbers (it has 8)"),
        ("frac_coords", np.zeros(4), "frac_coords 3 for each of the"),
        ("species", np.zeros(0, dtype=int), "frac_coords 3 for each of the 0 species"),
        ("lattice", None, "the structure is missing"),
    ],
)
def test_an_invalid_row_of_a_table_fails_alone(column, value, match, structures, tmp_path):
    table = table_of(structures[:3])
    table.at[1, column] = value
    table.to_parquet(tmp_path / "a.parquet")
    good, wrong, _ = read(tmp_path / "a.parquet")[2]
    assert match in reason(wrong)
    assert good.load() == structures[0]


@pytest.mark.parametrize("number", [0, 119, 8.5])
def test_invalid_atomic_numbers_fail(number, structures):
    wrong = flat(structures[0])._replace(species=np.full(len(structures[0]), number))
    assert "species must be atomic numbers" in reason(wrong)


def test_texts_without_structures_fail(tmp_path):
    secret = tmp_path / "secret.cif"
    secret.write_text("data_x")
    for text in (str(secret), "", "no crystal"):
        assert "in none of the formats" in reason(Text(text)), "a text is never taken for the name of a file"
    assert "the text is not valid JSON" in reason(Text("{"))
    assert "the text is not valid JSON" in reason(Text('{"a":' * 100_000))
    assert "cannot be read as JSON" in reason(Text('{"sites": 3, "lattice": 4}'))


def test_json_creates_no_objects(structures):
    content = structures[0].as_dict()
    content["sites"][0]["properties"] = content["properties"] = {"a": {"@module": "antigravity", "@class": "x"}}
    structure = SiteNetFeaturizer()._parts([Text(json.dumps(content))])
    assert structure[0][1] == {}


def test_csv_tables(structures, X, tmp_path):
    texts = [s.to(fmt="cif") for s in structures[:5]] + [json.dumps(structures[5].as_dict()), ""]
    table = pd.DataFrame({"material_id": [f"{k:03}" for k in range(7)], "structure": texts})
    table["split"] = ["test", *"abcdef"]
    path = tmp_path / "some.csv"
    table.to_csv(path, index=False)
    source, ids, raws = read(path)
    assert (source.has_ids, source.n_test) == (True, 0)
    assert ids == [f"{k:03}" for k in range(7)], "names are texts"
    assert SiteNetFeaturizer().transform(raws[:6]).formulas == X[:6].formulas
    assert "the structure is missing" in reason(raws[6])
    source, ids, _ = read(path, without_test=True)
    assert (source.n_test, ids) == (1, [f"{k:03}" for k in range(1, 7)])
    table[["structure"]].rename(columns={"structure": "cif"}).to_csv(path, index=False)
    assert read(path)[1] == [None] * 7


def test_several_files_and_folders(structures, X, tmp_path):
    (tmp_path / "cifs").mkdir()
    for k, name in enumerate(["a.cif", "cifs/b.cif"]):
        (tmp_path / name).write_text(structures[k].to(fmt="cif"))
    table_of(structures[2:4]).to_parquet(tmp_path / "t.parquet")
    paths = [tmp_path / name for name in ("a.cif", "cifs", "t.parquet")]
    source = open_sources(paths)
    rows = list(source.read())
    base = tmp_path.as_posix()
    names = [name for name, _ in rows]
    assert names == [f"{base}/a.cif", f"{base}/cifs/b.cif", "", ""], "the number of a row is not a name"
    assert SiteNetFeaturizer().transform([raw for _, raw in rows]).formulas == X[:4].formulas
    assert source.n_rows is None, "a folder is not counted"
    assert open_sources([paths[0], paths[2]]).n_rows == 3
    assert [row_id for row_id, _ in open_sources([str(paths[0])]).read()] == [f"{base}/a.cif"]


# ---- CIFs ----


def test_a_folder_of_cifs(structures, X, tmp_path):
    (tmp_path / "cifs" / "more").mkdir(parents=True)
    for k, name in enumerate(["b.cif", "a.CIF", "more/c.cif"]):
        (tmp_path / "cifs" / name).write_text(structures[k].to(fmt="cif"))
    (tmp_path / "cifs" / "notes.txt").write_text("no crystal")
    with pytest.warns(UserWarning, match=r"1 of 4 files in the folder .*cifs were not read: 1 \.txt .*: notes\.txt\)"):
        source, ids, raws = read(tmp_path / "cifs")
    assert ids == ["a.CIF", "b.cif", "more/c.cif"]
    assert not source.has_ids
    assert SiteNetFeaturizer().transform(raws).formulas == X[[1, 0, 2]].formulas


def test_files_that_cannot_be_opened(tmp_path):
    (tmp_path / "a.cif").symlink_to(tmp_path / "nowhere")
    assert "cannot open the file (No such file" in reason(read(tmp_path)[2][0])


def test_a_folder_that_cannot_be_listed(structures, tmp_path, monkeypatch):
    """An error, since its files would be missing silently."""
    for name in ("a.cif", "closed/b.cif"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(structures[0].to(fmt="cif"))

    def listdir(folder, really=os.listdir):  # permissions do not stop root
        if os.path.basename(folder) == "closed":
            raise PermissionError(13, "Permission denied", folder)
        return really(folder)

    monkeypatch.setattr(os, "listdir", listdir)
    with pytest.raises(OSError, match=r"cannot list the folder .*closed \(Permission denied\)"):
        read(tmp_path)


def test_suffixes_in_upper_case(structures, tmp_path):
    """Some systems write them in this way."""
    (tmp_path / "A.CSV").write_text("id,cif\n")
    with zipfile.ZipFile(tmp_path / "A.ZIP", "w") as archive:
        archive.writestr("A.CIF", structures[0].to(fmt="cif"))
    table_of(structures[:1]).to_parquet(tmp_path / "A.PARQUET")
    assert open_source(tmp_path / "A.CSV").what == "rows"
    assert read(tmp_path / "A.ZIP")[1] == ["A.CIF"]
    assert read(tmp_path / "A.PARQUET")[0].n_rows == 1


def test_an_archive(structures, X, tmp_path):
    path = tmp_path / "some.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for k, name in enumerate(["b.cif", "../../a.cif", "more/c.cif"]):
            archive.writestr(name, structures[k].to(fmt="cif"))
        archive.writestr("notes.txt", "no crystal")
        archive.writestr("__MACOSX/b.cif", "attributes")
        archive.mkdir("x.cif")
    with pytest.warns(UserWarning, match=r"1 of 4 files in the archive some\.zip were not read: 1 \.txt"):
        _, ids, raws = read(path)
    assert ids == ["b.cif", "../../a.cif", "more/c.cif"]
    assert SiteNetFeaturizer().transform(raws).formulas == X[:3].formulas
    assert list(tmp_path.iterdir()) == [path], "nothing is extracted"


def test_the_size_of_members_is_limited(structures, tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("bomb.cif", "w") as member:
            for _ in range(65):
                member.write(bytes(2**20))
        archive.writestr("good.cif", structures[0].to(fmt="cif"))
    assert (tmp_path / "a.zip").stat().st_size < 2**18
    bomb, good = read(tmp_path / "a.zip")[2]
    assert reason(bomb) == "it has more than 64 million characters, which no file of a crystal has"
    assert SiteNetFeaturizer().transform([good])


def test_a_damaged_member(structures, tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for k in range(2):
            archive.writestr(f"{k}.cif", structures[k].to(fmt="cif"))
    content = bytearray(path.read_bytes())
    content[60] ^= 255
    path.write_bytes(content)
    damaged, good = read(path)[2]
    assert "cannot be read (Bad CRC-32" in reason(damaged)
    assert SiteNetFeaturizer().transform([good])
    path.write_bytes(content[:-30])
    with pytest.raises(ValueError, match=r"a\.zip is not a zip file, or damaged"):
        read(path)


# ---- databases and collections ----


def test_an_ase_database(tmp_path, monkeypatch):
    monkeypatch.setattr(ase_databases, "_AT_ONCE", 2)
    with connect(tmp_path / "a.db") as database:
        for k in range(5):
            atoms = Atoms("CsCl", [(0, 0, 0), (2, 2, 2)], cell=[4, 4, 4 + k / 10], pbc=True)
            database.write(atoms, **({"material_id": "mp-22865"} if k == 3 else {}))
        database.write(Atoms("H"))
        del database[2]
    _, ids, raws = read(tmp_path / "a.db")
    assert ids == ["1", "3", "mp-22865", "5", "6"]
    assert [raw.cell[2, 2] for raw in raws[:4]] == pytest.approx([4, 4.2, 4.3, 4.4])
    assert "periodic" in reason(raws[4])
    (tmp_path / "a.db").write_bytes(b"no database" * 100)
    with pytest.raises(ValueError, match=r"a\.db is not an ASE database, or damaged"):
        read(tmp_path / "a.db")


def test_databases_of_other_programs_are_unchanged(tmp_path):
    """ase would create its tables in them."""
    path = tmp_path / "a.db"
    with contextlib.closing(sqlite3.connect(path)) as tables, tables:
        tables.execute("CREATE TABLE mine (x INT)")
    for content in (path.read_bytes(), b""):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"a\.db is not an ASE database: it has no table 'systems'"):
            open_source(path)
        assert path.read_bytes() == content


def test_a_damaged_database(tmp_path):
    """Rows with invalid values fail alone if ase can read the others."""
    path = tmp_path / "a.db"
    with connect(path) as database:
        for _ in range(3):
            database.write(Atoms("CsCl", [(0, 0, 0), (2, 2, 2)], cell=[4, 4, 4], pbc=True))
    content = np.zeros((3, 3)).tobytes()  # of three atoms, and there are two
    with contextlib.closing(sqlite3.connect(path)) as tables, tables:
        tables.execute("UPDATE systems SET positions = ? WHERE id = 2", [content])
    raws = read(path)[2]
    assert len(raws) == 3
    assert reason(raws[1]).startswith("ase cannot read the row (ValueError: ")
    assert SiteNetFeaturizer().transform([raws[0], raws[2]]).formulas == ["CsCl"] * 2
    with contextlib.closing(sqlite3.connect(path)) as tables, tables:
        tables.execute("UPDATE systems SET positions = ? WHERE id = 2", [content[:-1]])
    with pytest.raises(ValueError, match=r"a\.db is damaged: rows after id 0 cannot be read \("):
        read(path)


@pytest.mark.parametrize(
    ("name", "module", "extra"), [("a.parquet", "pyarrow.lib", "parquet"), ("a.db", "ase.db", "ase")]
)
def test_missing_packages_are_named(name, module, extra, tmp_path, monkeypatch):
    (tmp_path / name).write_text("x")
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=rf'need {module[:3]}.*: pip install "skdim-crystals\[{extra}\]"'):
        open_source(tmp_path / name)


def test_collections_and_iterators(structures, X):
    for given in (structures[:3], tuple(structures[:3]), pd.Series(structures[:3]), iter(structures[:3])):
        source, ids, raws = read(given)
        assert ids == [None] * 3
        assert_rows(raws, X[:3])
    assert open_source(source) is source


def test_members_without_a_name_are_ignored(structures, tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(zipfile.ZipInfo(""), "nothing")
        archive.writestr("folder.cif/", "")
        archive.writestr("a.cif", structures[0].to(fmt="cif"))
    assert read(tmp_path / "a.zip")[1] == ["a.cif"]


def test_other_sources_are_errors(structures, tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file or folder"):
        open_source(tmp_path / "nowhere")
    for name, match in (
        ("data.txt", "is neither a file of structures"),
        ("data.csv", "has no column cif or structure with whole CIFs. It has a, b"),
    ):
        (tmp_path / name).write_text("a,b\n")
        with pytest.raises(ValueError, match=match):
            open_source(tmp_path / name)
    (tmp_path / "wide.csv").write_text(",".join(f"v{k}" for k in range(200)) + "\n")  # such as a table of vectors
    with pytest.raises(ValueError, match=r"It has v0, v1, .*v7, \.\.\. \(200 in all\)"):
        open_source(tmp_path / "wide.csv")
    with pytest.raises(TypeError, match="a text, not a path"):
        open_source(structures[0].to(fmt="cif"))
    with pytest.raises(TypeError, match="a single row; pass a list of one"):
        open_source(structures[0])
    path = tmp_path / "a.parquet"
    path.write_text("x")
    with pytest.raises(ValueError, match=r"a\.parquet is not a Parquet table, or damaged"):
        open_source(path)
    pd.DataFrame({"a": [1]}).to_parquet(path)
    with pytest.raises(ValueError, match="has neither a column cif or structure, nor lattice, species, frac_coords"):
        open_source(path)
    table_of(structures[:3]).assign(lattice="x").to_parquet(path)
    with pytest.raises(ValueError, match="must be lists of numbers; lattice is"):
        open_source(path)
