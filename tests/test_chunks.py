"""Structures in bulk: what tables and folders hold, and featurizing that goes on after a kill."""

import json
import os
import subprocess
import sys

import joblib
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from skdim import Crystals, SiteNetFeaturizer
from skdim._chunks import featurize_in_chunks, first_of_each
from skdim._crystals import COLUMNS
from skdim._sources import FlatStructure, read_source


def flat(structure):
    return FlatStructure(
        structure.lattice.matrix.ravel(), np.array(structure.atomic_numbers), structure.frac_coords.ravel()
    )


def table_of(structures, **columns):
    rows = [flat(structure) for structure in structures]
    return pd.DataFrame({**{name: [row[k] for row in rows] for k, name in enumerate(FlatStructure._fields)}, **columns})


def assert_equal(a, b):
    for name in COLUMNS:
        assert_array_equal(getattr(a, name), getattr(b, name))
    assert (a.site_features, a.settings) == (b.site_features, b.settings)


# ---- sources ----


def test_a_table_of_flat_numbers(structures, X, tmp_path):
    path = tmp_path / "some.parquet"
    split = ["train", "test"] * 20
    table_of(structures, id=[f"mp-{k}" for k in range(40)], split=split).to_parquet(path)
    source = read_source(path)
    assert (source.name, source.n_test, source.has_ids) == ("some.parquet", 20, True)
    assert source.ids == [f"mp-{k}" for k in range(0, 40, 2)]
    assert_equal(SiteNetFeaturizer().transform([row.to_structure() for row in source.rows]), X[::2])
    table_of(structures[:3]).to_parquet(path)
    source = read_source(str(path))
    assert (source.n_test, source.has_ids, source.ids[2]) == (0, False, "some.parquet row 2")


def test_tables_of_whole_structures(structures, X, tmp_path):
    path = tmp_path / "some.parquet"
    pd.DataFrame({"cif": [s.to(fmt="cif") for s in structures[:5]], "material_id": range(5)}).to_parquet(path)
    source = read_source(path)
    assert source.ids == list("01234")
    assert SiteNetFeaturizer().transform(source.rows).formulas == X[:5].formulas
    pd.DataFrame({"structure": [json.dumps(s.as_dict()) for s in structures[:5]]}).to_parquet(path)
    assert_equal(SiteNetFeaturizer().transform(read_source(path).rows), X[:5])


def test_a_folder_of_cifs(structures, X, tmp_path):
    (tmp_path / "cifs" / "more").mkdir(parents=True)
    for k, name in enumerate(["b.cif", "a.cif", "more/c.cif"]):
        (tmp_path / "cifs" / name).write_text(structures[k].to(fmt="cif"))
    (tmp_path / "cifs" / "notes.txt").write_text("no crystal")
    source = read_source(tmp_path / "cifs")
    assert source.ids == ["a.cif", "b.cif", os.path.join("more", "c.cif")]
    assert not source.has_ids
    assert SiteNetFeaturizer().transform(source.rows).formulas == X[[1, 0, 2]].formulas


def test_what_is_no_source(structures, tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file or folder"):
        read_source(tmp_path / "nowhere")
    with pytest.raises(ValueError, match=r"holds no files \*\.cif"):
        read_source(tmp_path)
    (tmp_path / "data.csv").write_text("a,b\n")
    with pytest.raises(ValueError, match=r"neither a Parquet table .* nor a folder"):
        read_source(tmp_path / "data.csv")
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(ValueError, match=r"has the columns \['a'\]; it needs lattice, species, frac_coords, or one of"):
        read_source(tmp_path / "a.parquet")


@pytest.mark.parametrize(
    ("column", "value", "match"),
    [
        ("lattice", np.eye(3).ravel()[:8], r"row 1: lattice must have 9 numbers \(it has 8\)"),
        ("frac_coords", np.zeros(4), "3 for each of the .* species"),
        ("species", np.zeros(0, dtype=int), "frac_coords 3 for each of the 0 species"),
        ("lattice", None, "row 1: lattice, species, frac_coords must be lists of numbers"),
    ],
)
def test_a_table_with_a_wrong_row(column, value, match, structures, tmp_path):
    table = table_of(structures[:3])
    table.at[1, column] = value
    table.to_parquet(tmp_path / "a.parquet")
    with pytest.raises(ValueError, match=match):
        read_source(tmp_path / "a.parquet")


@pytest.mark.parametrize("number", [0, 119, 8.5])
def test_a_table_with_a_wrong_element(number, structures, tmp_path):
    table = table_of(structures[:3])
    table.at[2, "species"] = np.full(len(structures[2]), number)
    table["species"] = [np.asarray(species, dtype=float) for species in table["species"]]
    table.to_parquet(tmp_path / "a.parquet")
    with pytest.raises(ValueError, match="row 2: species must be atomic numbers"):
        read_source(tmp_path / "a.parquet")


# ---- chunks ----


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_chunks_are_the_whole(n_jobs, structures, X, tmp_path, capsys):
    rows = [flat(s) if k % 2 else s for k, s in enumerate(structures)]
    featurizer = SiteNetFeaturizer(n_jobs=n_jobs)
    assert_equal(featurize_in_chunks(rows, tmp_path / "work", featurizer, chunk_size=15), X)
    folders = sorted((tmp_path / "work").iterdir())
    assert [len(Crystals.load(folder)) for folder in folders] == [15, 15, 10]
    assert capsys.readouterr() == ("", "")


def test_finished_chunks_are_read(structures, X, tmp_path, capsys):
    rows, featurizer = [flat(s) for s in structures], SiteNetFeaturizer()

    def made():
        return {folder.name: folder.stat().st_mtime_ns for folder in tmp_path.iterdir()}

    featurize_in_chunks(rows[:30], tmp_path, featurizer, chunk_size=10)
    before = made()
    assert_equal(featurize_in_chunks(rows, tmp_path, featurizer, chunk_size=10, verbose=1), X)
    assert before.items() < made().items()
    assert "30/40" in capsys.readouterr().err.split("\r")[1], "the bar begins with what is there"
    featurize_in_chunks(rows, tmp_path, SiteNetFeaturizer(max_sites=30), chunk_size=10)
    assert len(made()) == 8, "other settings make other chunks"
    changed = [rows[0]._replace(lattice=rows[0].lattice * 1.01), *rows[1:]]
    other = featurize_in_chunks(changed, tmp_path, featurizer, chunk_size=10)
    assert len(made()) == 9, "a row that has changed makes its chunk anew"
    assert other.distance[1] != X.distance[1]


def test_files_that_have_changed(structures, tmp_path):
    file = tmp_path / "a.cif"
    formulas = []
    for structure in structures[:2]:
        file.write_text(structure.to(fmt="cif"))
        formulas += featurize_in_chunks([file], tmp_path / "work", SiteNetFeaturizer()).formulas
    assert formulas == SiteNetFeaturizer().transform(structures[:2]).formulas


def test_rows_that_fail_stay(structures, tmp_path):
    rows = [structures[0], None, "no.cif", structures[1]]
    for _ in range(2):
        X = featurize_in_chunks(rows, tmp_path, SiteNetFeaturizer(), chunk_size=2)
        assert X.failed.tolist() == [False, True, True, False]
        assert X.errors_[2].startswith("row 2: cannot open 'no.cif'")


KILLED = """
import os, signal, sys
import joblib
from skdim import Crystals
from skdim._chunks import featurize_in_chunks

def killing_save(crystals, path, save=Crystals.save, calls=[]):
    calls.append(path)
    if len(calls) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    save(crystals, path)

Crystals.save = killing_save
featurize_in_chunks(*joblib.load(sys.argv[1]), chunk_size=10)
"""


def test_a_kill_loses_only_the_chunk_in_work(structures, X, tmp_path):
    job = [flat(s) for s in structures], tmp_path / "work", SiteNetFeaturizer()
    joblib.dump(job, tmp_path / "job")
    result = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "job")], capture_output=True, text=True)
    assert result.returncode == -9, result.stderr
    before = {folder: folder.stat().st_mtime_ns for folder in (tmp_path / "work").iterdir()}
    assert len(before) == 2
    assert_equal(featurize_in_chunks(*job, chunk_size=10), X)
    assert all(folder.stat().st_mtime_ns == when for folder, when in before.items())


# ---- repetitions ----


def test_repetitions(X):
    twice = Crystals.concatenate([X[:10], X[:5], X[10:12]])
    assert first_of_each(twice).tolist() == [True] * 10 + [False] * 5 + [True] * 2
    ids = [*map(str, range(10)), *[None] * 5, "3", "new"]
    assert first_of_each(twice, ids).tolist() == [True] * 10 + [False] * 5 + [False, True]
    assert first_of_each(X[:3], [None] * 3).all()


def test_crystals_that_differ_in_one_thing_are_no_repetitions(X):
    for name in ("numbers", "multiplicity", "distance", "count", "oxidation_states"):
        columns = {column: getattr(X[0], column).copy() for column in COLUMNS}
        columns[name][-1] += 1
        other = Crystals(columns, X.site_features, X.settings)
        assert first_of_each(Crystals.concatenate([X[:1], other])).all(), name
