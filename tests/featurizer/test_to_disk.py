"""Featurizing to disk gives the same result as in memory, also if the run is killed and resumed."""

import filecmp
import json
import os
import subprocess
import sys

import joblib
import numpy as np
import pandas as pd
import pytest

from skdim import Crystals, SiteNetFeaturizer
from skdim._featurizer import to_disk as _to_disk
from skdim._shared.locks import lock_file
from skdim._structures.errors import StructureError
from tests.helpers.assertions import assert_same_crystals
from tests.helpers.small_structures import write_cifs


@pytest.fixture
def path(tmp_path):
    return tmp_path / "out" / "store"


@pytest.fixture
def cifs(structures, tmp_path):
    """A folder of eleven CIFs, of which one is broken."""
    folder = write_cifs(structures[:10], tmp_path / "cifs")
    (folder / "spoilt, or not.cif").write_text("data_x\n_cell_length_a 3\n_atom_site_label\n")
    return folder


@pytest.mark.parametrize(("n_jobs", "chunk_size"), [(1, 15), (2, 15), (1, 1000)])
def test_the_store_equals_the_result_of_transform(n_jobs, chunk_size, structures, X, path, capsys):
    made = SiteNetFeaturizer(n_jobs=n_jobs).transform_to_disk(iter(structures), path, chunk_size=chunk_size)
    assert isinstance(made.distance, np.memmap)
    assert_same_crystals(made, X)
    assert_same_crystals(Crystals.load(path, verify=True), X)
    assert [file.name for file in path.parent.iterdir()] == ["store"]
    assert not (path / "ids.csv").exists()
    assert capsys.readouterr() == ("", "")
    X.save(path.parent / "saved")
    headers = [json.loads((path.parent / name / "header.json").read_text()) for name in ("store", "saved")]
    assert headers[0] == headers[1], "checksums differ"


def test_ids_and_failures_are_saved(cifs, path, capsys):
    with pytest.warns(
        UserWarning, match=r"1 of 11 .*see .*store/failures\.csv\. The first: row 10, spoilt, or not\.cif: "
    ):
        X = SiteNetFeaturizer(on_error="warn", verbose=1).transform_to_disk(cifs, path, chunk_size=4)
    assert "featurize: 11 structures" in capsys.readouterr().err
    ids = pd.read_csv(path / "ids.csv", dtype=str, keep_default_na=False)["id"]
    assert ids.tolist() == [*(f"s{k}.cif" for k in range(10)), "spoilt, or not.cif"]
    failures = pd.read_csv(path / "failures.csv", keep_default_na=False)
    assert failures.columns.tolist() == ["row", "id", "formula", "reason"]
    assert failures[["row", "id", "formula"]].to_numpy().tolist() == [[10, "spoilt, or not.cif", ""]]
    assert X.errors_ == {10: f"row 10, spoilt, or not.cif: {failures['reason'][0]}"}


def test_failures_have_formulas(structures, path):
    large = structures[0] * (4, 4, 4)
    with pytest.warns(UserWarning, match="1 of 2"):
        SiteNetFeaturizer(on_error="warn", supercell="none").transform_to_disk([structures[1], large], path)
    failure = pd.read_csv(path / "failures.csv").iloc[0]
    assert failure["formula"] == large.composition.reduced_formula
    assert "more than max_sites" in failure["reason"]


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_warnings_are_saved(n_jobs, structures, tmp_path, path):
    """Warnings of files with several crystals, also in a resumed run."""
    texts = [structure.to(fmt="cif") for structure in structures[:4]]
    for k in (0, 3):  # a row for each text, and the first of its structures
        texts[k] += "\n" + structures[9].to(fmt="cif")
    table = pd.DataFrame({"id": list("abcd"), "cif": texts})
    bad = table.copy()
    bad.loc[2, "cif"] = "none"
    bad.to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(StructureError, match="row 2, c: "):
        SiteNetFeaturizer(n_jobs=n_jobs).transform_to_disk(tmp_path / "t.csv", path, chunk_size=2)
    table.to_csv(tmp_path / "t.csv", index=False)
    formula = structures[0].reduced_formula
    message = rf"2 of 4 structures were .* see {path}/warnings.csv. The first: row 0, a \({formula}\): reading"
    with pytest.warns(UserWarning, match=message) as caught:
        SiteNetFeaturizer(n_jobs=n_jobs).transform_to_disk(tmp_path / "t.csv", path, chunk_size=2)
    assert len(caught) == 1
    table = pd.read_csv(path / "warnings.csv")
    assert table["row"].tolist() == [0, 3]
    assert table["id"].tolist() == ["a", "d"]
    assert table["formula"].tolist() == [structures[k].reduced_formula for k in (0, 3)]
    assert table["warning"].str.endswith("it holds 2 structures, of which the first is used").all()


def test_missing_files_are_failed_rows(structures, path, tmp_path):
    """The run continues."""
    with pytest.warns(UserWarning, match="2 of 3 structures could not be featurized"):
        X = SiteNetFeaturizer(on_error="warn").transform_to_disk([structures[0], tmp_path / "no.cif", tmp_path], path)
    assert [X.errors_[row].split("(")[0] for row in (1, 2)] == [
        f"row 1, {tmp_path / 'no.cif'}: cannot open the file ",
        f"row 2, {tmp_path}: cannot open the file ",
    ]


def test_a_run_with_an_error_can_be_resumed(structures, X, path):
    rows = [*structures[:6], None, *structures[6:9]]
    with pytest.raises(StructureError, match="row 6: the structure is missing") as error:
        SiteNetFeaturizer().transform_to_disk(rows, path, chunk_size=3)
    assert "The 6 rows before it are saved" in error.value.__notes__[0]
    with pytest.warns(UserWarning, match="1 of 10"):
        made = SiteNetFeaturizer(on_error="warn").transform_to_disk(rows, path, chunk_size=2)
    assert_same_crystals(made[:6], X[:6])
    assert_same_crystals(made[7:], X[6:9])


def test_a_resumed_run_does_not_repeat_chunks(structures, path, monkeypatch):
    featurizer, done = SiteNetFeaturizer(), []
    parts = SiteNetFeaturizer._parts

    def counting(self, rows, first_row=0, **options):
        done.append(first_row)
        if first_row == 20:
            raise KeyboardInterrupt
        return parts(self, rows, first_row, **options)

    monkeypatch.setattr(SiteNetFeaturizer, "_parts", counting)
    with pytest.raises(KeyboardInterrupt):
        featurizer.transform_to_disk(structures, path, chunk_size=10)
    assert done == [0, 10, 20]
    assert os.listdir(path.parent) == [".store.partial"]
    monkeypatch.setattr(SiteNetFeaturizer, "_parts", parts)
    with pytest.raises(ValueError, match=r"differs from that of the run .*rows 10 to 19 have changed"):
        featurizer.transform_to_disk([*structures[:12], *structures[13:]], path)
    with pytest.raises(ValueError, match="rows 10 to 19 have changed"):
        featurizer.transform_to_disk(structures[:15], path)
    with pytest.raises(ValueError, match=r"belongs to a run with other settings: .*remove that folder"):
        SiteNetFeaturizer(max_sites=40).transform_to_disk(structures, path)
    with pytest.raises(ValueError, match="other settings and site_features"):
        SiteNetFeaturizer(max_sites=40, site_features=["atomic_number"]).transform_to_disk(structures, path)
    with open(path.parent / ".store.partial" / "journal.jsonl", "rb") as journal:
        lock_file(journal, "taken")
        with pytest.raises(RuntimeError, match="in use by another run"):
            featurizer.transform_to_disk(structures, path)
    done.clear()
    monkeypatch.setattr(SiteNetFeaturizer, "_parts", lambda *a, **o: done.append(a[2]) or parts(*a, **o))
    assert len(featurizer.transform_to_disk(structures, path, chunk_size=15)) == 40
    assert done == [20, 35]


def test_a_damaged_journal_or_column_is_refused(structures, path, monkeypatch):
    featurizer = SiteNetFeaturizer()
    with pytest.raises(StructureError):
        featurizer.transform_to_disk([*structures[:4], None], path, chunk_size=2)
    work = path.parent / ".store.partial"
    journal, column = work / "journal.jsonl", work / "store" / "distance.npy"
    for file, content in ((column, column.read_bytes()[:-4]), (journal, journal.read_bytes()[:-5] + b"\n")):
        whole = file.read_bytes()
        file.write_bytes(content)
        with pytest.raises(ValueError, match=r"\.store\.partial is damaged: .*remove the folder"):
            featurizer.transform_to_disk(structures, path)
        file.write_bytes(whole)
    assert len(featurizer.transform_to_disk(structures, path)) == 40


def test_damaged_ids_are_refused(cifs, path):
    featurizer = SiteNetFeaturizer()
    with pytest.raises(StructureError):
        featurizer.transform_to_disk(cifs, path, chunk_size=2)
    ids = path.parent / ".store.partial" / "store" / "ids.csv"
    ids.write_bytes(ids.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"ids\.csv is too short.*remove the folder"):
        featurizer.transform_to_disk(cifs, path)


def test_invalid_arguments_are_refused(structures, path, tmp_path):
    featurizer = SiteNetFeaturizer()
    for chunk_size, error in ((0, ValueError), (1.5, TypeError)):
        with pytest.raises(error, match="chunk_size"):
            featurizer.transform_to_disk(structures, path, chunk_size=chunk_size)
    for source, what in ((iter(()), "contains no structures"), (tmp_path, "contains no structures")):
        with pytest.raises(ValueError, match=what):
            featurizer.transform_to_disk(source, path)
    assert not any(path.parent.iterdir())
    featurizer.transform_to_disk(structures[:2], path)
    with pytest.raises(FileExistsError, match="exists and is complete: open it"):
        featurizer.transform_to_disk(structures, path)
    for other in (tmp_path, "."):
        with pytest.raises(FileExistsError, match=f"{other} exists: remove it first, or save under another name"):
            featurizer.transform_to_disk(structures, other)


#: Kill a run at the n-th write, for many n, and resume it.
KILLED = """
import os, shutil, signal, sys, warnings
from pathlib import Path
from skdim import SiteNetFeaturizer
from skdim._featurizer import chunk_journal as _chunk_journal
from skdim._featurizer import to_disk as _to_disk
from skdim._crystals import store as _store
from skdim._crystals import store_writer as _store_writer

warnings.simplefilter("ignore")
source, out = sys.argv[1], Path(sys.argv[2])

def run(path):
    SiteNetFeaturizer(on_error="warn").transform_to_disk(source, path, chunk_size=4)

def in_another_process(n, path):
    pid = os.fork()
    if pid == 0:
        count = 0
        def counted(function, before=None):
            def call(*args, **kwargs):
                nonlocal count
                count += 1
                if count == n:
                    if before:
                        before(*args)
                    os.kill(os.getpid(), signal.SIGKILL)
                return function(*args, **kwargs)
            return call
        def half_a_line(journal, entry):
            journal._journal.write(b'{"rows": 4, "sou')
            journal._journal.flush()
        def half_a_column(writer, name, column):
            writer._files[name].write(b"abc")
            writer._files[name].flush()
        os.fsync = counted(os.fsync)
        Path.rename = counted(Path.rename)
        shutil.rmtree = counted(shutil.rmtree)
        _chunk_journal.ChunkJournal._write = counted(_chunk_journal.ChunkJournal._write, half_a_line)
        _store_writer.StoreWriter._write = counted(_store_writer.StoreWriter._write, half_a_column)
        run(path)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

run(out / "whole")
n = 1
while True:
    path = out / f"killed{n}"
    status = in_another_process(n, path)
    if status == 0:
        break
    assert status == -9, status
    # Kill the resumed run too.
    if not path.exists() and n % 3 == 0:
        in_another_process(5, path)
    if not path.exists():
        run(path)
    n += 7 if n > 3 else 1
print(n)
"""


@pytest.mark.slow(reason="kills and resumes a run at some twenty of its writes")
def test_killed_runs_resume_to_identical_stores(cifs, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    command = [sys.executable, "-c", KILLED, str(cifs), str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    stores = sorted(out.glob("killed*"))
    assert len(stores) >= 15
    assert int(done.stdout) > 80, "the run has too few writes"
    names = [file.name for file in (out / "whole").iterdir()]
    assert {"ids.csv", "failures.csv", "header.json"} < set(names)
    for store in stores:
        assert sorted(names) == sorted(file.name for file in store.iterdir())
        assert filecmp.cmpfiles(out / "whole", store, names, shallow=False)[0] == names, store.name


def test_a_run_killed_after_renaming_the_store_is_cleaned_up(structures, path):
    """The store is complete, but the work folder still exists."""
    SiteNetFeaturizer().transform_to_disk(structures[:2], path)
    work = path.parent / ".store.partial"
    work.mkdir()
    with pytest.raises(FileExistsError, match="exists and is complete"):
        SiteNetFeaturizer().transform_to_disk(structures[:2], path)
    assert not work.exists()


def test_at_most_two_chunks_are_in_memory(structures, X, tmp_path):
    """Counts the rows of an iterator that are alive."""
    alive = peak = 0

    class Row(str):
        def __del__(self):
            nonlocal alive
            alive -= 1

    def rows():
        nonlocal alive, peak
        text = structures[0].to(fmt="cif")
        for _ in range(60):
            alive += 1
            peak = max(peak, alive)
            yield Row(text)

    made = SiteNetFeaturizer().transform_to_disk(rows(), tmp_path / "store", chunk_size=10)
    assert len(made) == 60
    assert peak <= 21


def test_equal_structures_are_the_same_source(structures, tmp_path):
    """A run is resumed with structures that were pickled."""
    again = joblib.load(joblib.dump(structures, tmp_path / "rows")[0])
    with pytest.raises(StructureError):
        SiteNetFeaturizer().transform_to_disk([*structures[:4], None], tmp_path / "store", chunk_size=2)
    assert len(SiteNetFeaturizer().transform_to_disk(again, tmp_path / "store")) == 40


def test_chunks_overlap_in_order():
    """Other processes begin a chunk while this one reads the next and writes the last; errors come in their turn."""
    events = []

    def featurize(raws, first):
        for raw in raws:
            events.append(f"done {raw}")
            if raw == 5:
                raise StructureError(5, None, "bad")
            yield raw

    def chunks(n):
        for start in range(0, n, 2):
            events.append(f"read {start}")
            yield [None, None], [start, start + 1]

    overlapping = _to_disk._overlapping(chunks(6), featurize, 0)
    for _, raws, results in overlapping:
        if raws[0] < 4:
            assert list(results) == raws
            events.append(f"written {raws[0]}")
        else:
            with pytest.raises(StructureError, match="row 5: bad"):
                list(results)
    assert events == [
        *("read 0", "done 0", "read 2", "done 1", "done 2", "written 0"),
        *("read 4", "done 3", "done 4", "written 2", "done 5"),
    ]
