"""Folders on the command line: every format is read, and what is not is counted and named."""

import os
import re

import pandas as pd
import pytest

from skdim import SiteNetFeaturizer

pytest.importorskip("ase", reason="needs the extra 'ase'")

from tests.helpers.structure_files import files, sample


@pytest.mark.filterwarnings("default:.* files in the folder")
def test_a_folder_of_many_formats(run, tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    contents = files(sample(), tmp_path)
    for name in ("a.cif", "POSCAR", "a.extxyz", "pymatgen.json"):
        (folder / name).write_bytes(contents[name])
    (folder / "notes.txt").write_text("no crystal")
    (folder / ".ipynb_checkpoints").mkdir()
    (folder / ".ipynb_checkpoints" / "a-checkpoint.cif").write_bytes(contents["a.cif"])
    code, _, err = run("embed", folder, "-o", tmp_path / "v.csv")
    assert code == 0
    assert f"skdim embed: warning: 2 of 6 files in the folder {folder} were not read: " in err
    assert "1 .txt (unknown format: notes.txt)" in err
    assert "1 hidden folder (hidden: .ipynb_checkpoints)" in err
    ids = pd.read_csv(tmp_path / "v.csv")["id"].tolist()
    assert ids == ["POSCAR", "a.cif", "a.extxyz", "pymatgen.json"]


@pytest.mark.skipif(os.name == "nt", reason="names of files are bytes on POSIX only")
def test_tables_with_names_in_latin_1_can_be_read(run, tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    with open(os.fsencode(folder) + b"/caf\xe9.cif", "w") as file:
        file.write(sample().to(fmt="cif"))
    code, _, _ = run("embed", folder, "-o", tmp_path / "v.csv")
    assert code == 0
    assert pd.read_csv(tmp_path / "v.csv")["id"].tolist() == ["caf\u00e9.cif"]


def test_an_error_is_the_same_sentence_as_in_python(run, tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    structure = sample()
    structure.append("Na", [0.01, 0, 0])
    (folder / "a.cif").write_text(structure.to(fmt="cif"))
    code, _, err = run("embed", folder, "-o", tmp_path / "v.csv")
    assert code == 1
    with pytest.warns(UserWarning, match="1 of 1 structures"):
        X = SiteNetFeaturizer(on_error="warn").transform_to_disk(folder, tmp_path / "store")
    assert re.match(r"row 0, a\.cif \(Na2ClO2\): sites .* angstrom apart", X.errors_[0])
    assert f"\n  {X.errors_[0]}\n" in err


def test_a_changed_file_is_noticed_when_a_run_is_resumed(run, tmp_path, monkeypatch):
    """Files of any format, not only CIFs."""
    from skdim.cli import embed

    folder = tmp_path / "data"
    folder.mkdir()
    contents = files(sample(), tmp_path)
    (folder / "POSCAR").write_bytes(contents["POSCAR"])

    def fail(*args):
        raise RuntimeError("stopped")

    with monkeypatch.context() as patch:
        patch.setattr(embed, "report", fail)
        assert run("embed", folder, "-o", tmp_path / "v.csv")[0] == 2
    (folder / "POSCAR").write_bytes(contents["POSCAR"].replace(b"0.5", b"0.6"))
    code, _, err = run("embed", folder, "-o", tmp_path / "v.csv")
    assert code == 2
    assert "belongs to an interrupted run with other structures or options" in err
