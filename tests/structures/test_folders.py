"""Folders and archives: which files are read, their names, and the summary of skipped files."""

import bz2
import gzip
import io
import lzma
import os
import shutil
import tarfile
import warnings
import zipfile

import numpy as np
import pandas as pd
import pytest

from skdim import SiteNetFeaturizer
from skdim._structures.source_rows import Unreadable
from skdim._structures.sources import archives
from skdim._structures.sources.open_source import open_source, open_sources

pytest.importorskip("ase", reason="needs the extra 'ase'")

from tests.helpers.structure_files import files, sample, trajectories


@pytest.fixture(scope="module")
def contents(tmp_path_factory):
    return files(sample(), tmp_path_factory.mktemp("written"))


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


def read(path):
    """Names and rows of a source, and its warning."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        rows = list(open_source(path).read())
    assert len(caught) <= 1
    return [name for name, _ in rows], [raw for _, raw in rows], str(caught[0].message) if caught else ""


def formulas(raws):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return SiteNetFeaturizer(on_error="warn").transform(raws).formulas


def put(folder, **contents):
    """Write files; the names are given with two underscores for the dot."""
    for name, content in contents.items():
        (folder / name.replace("__", ".")).write_bytes(content)


def tar_of(members, mode="w"):
    with io.BytesIO() as file:
        with tarfile.open(fileobj=file, mode=mode) as archive:
            for name, content in members.items():
                member = tarfile.TarInfo(name)
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
        return file.getvalue()


def zip_of(members):
    with io.BytesIO() as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in members.items():
                archive.writestr(name, content)
        return file.getvalue()


def test_every_format_in_a_folder(contents, folder):
    """By content: also files without a suffix, and compressed ones."""
    for k, (name, content) in enumerate(contents.items()):
        (folder / f"{k:02}").mkdir()
        compress = (bytes, gzip.compress, bz2.compress, lzma.compress)[k % 4]
        (folder / f"{k:02}" / (name if k % 2 else "unnamed")).write_bytes(compress(content))
    names, raws, warned = read(folder)
    assert [name[:2] for name in names] == [f"{k:02}" for k in range(len(contents))]
    assert warned == ""
    assert formulas(raws) == [sample().reduced_formula] * len(contents)


@pytest.mark.parametrize("name", ["a.cif", "XDATCAR", "a.extxyz", "a.axsf", "a.res", "a.traj", "ase.json", "list.json"])
def test_every_crystal_of_a_file_is_a_row(name, folder, tmp_path):
    other = sample()
    other.translate_sites([1], [0.02, -0.03, 0.05])
    (folder / name).write_bytes(trajectories(sample(), other, tmp_path)[name])
    for path in (folder, folder / name):
        names, raws, warned = read(path)
        assert [one.rpartition("/")[2] for one in names] == [f"{name}#1", f"{name}#2"]
        X = SiteNetFeaturizer().transform(raws)
        expected = SiteNetFeaturizer().transform([sample(), other])
        np.testing.assert_allclose(X.distance, expected.distance, atol=3e-3)
        assert warned == ""
    assert open_source(folder / name).n_rows == 2


def test_a_trajectory_that_is_cut_off(folder, tmp_path):
    """Complete frames are read; the rest is a row that fails."""
    whole = trajectories(sample(), sample(), tmp_path)["a.extxyz"]
    (folder / "a.extxyz").write_bytes(whole[:-90])
    X = SiteNetFeaturizer(on_error="warn")
    with pytest.warns(UserWarning, match=r"row 1, a\.extxyz#2: the XYZ text says 4 atoms and has"):
        X = X.transform_to_disk(folder, tmp_path / "store")
    assert X.failed.tolist() == [False, True]


def test_what_is_skipped_is_counted_and_named(contents, folder):
    """Every readable file is a row; the others are named in one warning."""
    put(folder, a__cif=contents["a.cif"], d__vasp=contents["a.vasp"], e__json=contents["pymatgen.json"])
    put(folder, b__cif__gz=gzip.compress(contents["a.cif"]), c__mcif=contents["a.mcif"], notes__txt=b"no crystal\n")
    put(folder, more__txt=b"\x00\x01", labels__csv=b"id,y\n", config__json=b'{"a": 1}', damaged__cif=b"nothing")
    (folder / ".ipynb_checkpoints").mkdir()
    put(folder / ".ipynb_checkpoints", x__cif=contents["a.cif"])
    put(folder, _hidden=b"")
    (folder / ".hidden.cif").write_bytes(contents["a.cif"])
    (folder / ".DS_Store").write_bytes(b"x")
    names, raws, warned = read(folder)
    assert names == ["a.cif", "b.cif.gz", "c.mcif", "d.vasp", "damaged.cif", "e.json"]
    assert isinstance(raws[4], Unreadable)
    assert warned.startswith(f"7 of 13 files in the folder {folder} were not read: ")
    for part in (
        "1 hidden (hidden: .hidden.cif)",
        "1 hidden folder (hidden: .ipynb_checkpoints)",
        "2 .txt (unknown format: more.txt, notes.txt)",
        "1 .csv (a table or database: pass it separately: labels.csv)",
        "1 .json (the JSON has no structure of pymatgen, OPTIMADE, JARVIS or ASE: config.json)",
        "1 without a suffix (unknown format: _hidden)",
    ):
        assert part in warned


def test_files_of_unfinished_runs_are_ignored(contents, folder):
    put(folder, a__cif=contents["a.cif"])
    for name in (".store.partial", ".vectors.csv.work"):
        (folder / name).mkdir()
        put(folder / name, x__cif=contents["a.cif"])
    assert read(folder)[0] == ["a.cif"]
    assert read(folder)[2] == ""


def test_links_are_followed_once(contents, folder, tmp_path):
    outside = tmp_path / "outside"
    (outside / "deep").mkdir(parents=True)
    put(outside, o__cif=contents["a.cif"])
    put(outside / "deep", p__cif=contents["a.cif"])
    put(folder, a__cif=contents["a.cif"])
    (folder / "sub").mkdir()
    put(folder / "sub", b__cif=contents["a.cif"])
    (folder / "linked").symlink_to(outside)
    (folder / "again").symlink_to(outside / "deep")
    (folder / "file.cif").symlink_to(outside / "o.cif")
    (folder / "round").symlink_to(folder)
    (folder / "inside").symlink_to(folder / "sub")
    (outside / "back").symlink_to(tmp_path)
    names, _, warned = read(folder)
    assert names == ["a.cif", "file.cif", "again/p.cif", "linked/o.cif", "sub/b.cif"]
    assert "2 link (a link to a file or folder that is read already: inside, round)" in warned
    assert "linked/deep" in warned


def test_a_loop_of_links_ends(folder):
    (folder / "a").mkdir()
    (folder / "a" / "b").symlink_to(folder / "a")
    (folder / "c").symlink_to(folder / "c")
    assert read(folder)[0] == []


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_tar_archives(mode, contents, folder):
    """Alone and in a folder; nothing is extracted."""
    members = {
        "more/a.cif": contents["a.cif"],
        "POSCAR": contents["POSCAR"],
        "b.json.gz": gzip.compress(contents["pymatgen.json"]),
        "../../c.cif": contents["a.cif"],
        ".hidden/d.cif": contents["a.cif"],
        "notes.txt": b"no crystal",
        "inner.zip": zip_of({"a.cif": contents["a.cif"]}),
        "__MACOSX/._a.cif": b"x",
    }
    path = folder / "all.tar"
    path.write_bytes(tar_of(members, mode))
    names, raws, warned = read(path)
    assert names == ["more/a.cif", "POSCAR", "b.json.gz", "../../c.cif"]
    assert formulas(raws) == [sample().reduced_formula] * 4
    assert warned.startswith("3 of 7 files in the archive all.tar were not read: ")
    assert "1 archive (a nested archive: extract it: inner.zip)" in warned
    assert read(folder)[0] == [f"all.tar/{name}" for name in names]
    assert sorted(file.name for file in folder.iterdir()) == ["all.tar"]


def test_zip_archives_in_folders(contents, folder):
    put(folder, b__zip=zip_of({"x.cif": contents["a.cif"], "y.vasp": contents["a.vasp"]}), c__cif=contents["a.cif"])
    assert read(folder)[0] == ["b.zip/x.cif", "b.zip/y.vasp", "c.cif"]


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_a_damaged_tar_archive(mode, contents, folder):
    whole = tar_of({f"{k}.cif": contents["a.cif"] * (k + 1) for k in range(20)}, mode)
    for n in (len(whole) // 2, len(whole) - 12_000):
        (folder / "a.tar").write_bytes(whole[: max(n, 300)])
        with pytest.raises(ValueError, match=r"a\.tar is (not a tar file, or|neither a file)"):
            read(folder / "a.tar")


def test_what_a_tar_archive_inflates_to_is_bounded(folder, monkeypatch, contents):
    monkeypatch.setattr(archives, "_FREE", 2**16)
    monkeypatch.setattr(archives, "_MOST_INFLATED", 100)
    (folder / "a.tar.xz").write_bytes(tar_of({"a.cif": contents["a.cif"], "big": bytes(2**22)}, "w:xz"))
    with pytest.raises(ValueError, match=r"a\.tar\.xz .* inflates to more than 100 times its size"):
        read(folder / "a.tar.xz")


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
def test_what_a_file_inflates_to_is_bounded(compress, contents, folder):
    (folder / "bomb.cif").write_bytes(compress(contents["a.cif"] + b" " * (65 * 2**20)))
    assert (folder / "bomb.cif").stat().st_size < 2**18
    names, raws, _ = read(folder)
    assert names == ["bomb.cif"]
    assert "more than 64 million characters" in raws[0].reason


def test_large_files_of_unknown_formats_are_not_read(folder, monkeypatch):
    """Only their beginning."""
    with (folder / "WAVECAR").open("wb") as file:
        file.truncate(2**40)  # sparse: takes no space on the disk
    assert "1 without a suffix (unknown format: WAVECAR)" in read(folder)[2]


def test_members_of_tar_archives_are_read_forward_only(contents, folder, monkeypatch):
    """A compressed archive that is read back and forth is decompressed again and again."""
    members = {f"{k}.cif": contents["a.cif"] + b"\n" * k for k in range(600)}
    (folder / "a.tar.gz").write_bytes(tar_of(members, "w:gz"))
    rewinds = []
    monkeypatch.setattr(gzip._GzipReader, "_rewind", lambda self: rewinds.append(self))
    assert len(read(folder / "a.tar.gz")[0]) == 600
    assert len(rewinds) <= 2  # to detect the format


@pytest.mark.skipif(os.name == "nt", reason="names of files are bytes on POSIX only")
def test_names_in_latin_1(contents, folder, tmp_path):
    """They are decoded, so that tables with them are UTF-8."""
    with open(os.fsencode(folder) + b"/caf\xe9.cif", "wb") as file:
        file.write(contents["a.cif"])
    with open(os.fsencode(folder) + b"/d\xe9f.cif", "wb") as file:
        file.write(b"nothing")
    with pytest.warns(UserWarning, match=r"row 1, d\u00e9f\.cif: it is in none of the formats"):
        SiteNetFeaturizer(on_error="warn").transform_to_disk(folder, tmp_path / "store")
    assert pd.read_csv(tmp_path / "store" / "ids.csv")["id"].tolist() == ["caf\u00e9.cif", "d\u00e9f.cif"]
    assert pd.read_csv(tmp_path / "store" / "failures.csv")["id"].tolist() == ["d\u00e9f.cif"]
    (path,) = (os.path.join(folder, name) for name in os.listdir(folder) if name.startswith("caf"))
    assert SiteNetFeaturizer().transform([path]).formulas == [sample().reduced_formula]
    os.remove(path)
    with pytest.warns(UserWarning, match="row 0, .*caf\u00e9.cif: cannot open the file"):
        SiteNetFeaturizer(on_error="warn").transform([path])


def test_several_sources_of_many_kinds(contents, folder, tmp_path):
    put(tmp_path, one__xyz=contents["a.xyz"], all__zip=zip_of({"x.cif": contents["a.cif"]}))
    put(folder, b__cif=contents["a.cif"])
    paths = [tmp_path / "one.xyz", tmp_path / "all.zip", folder]
    base = tmp_path.as_posix()
    names = [name for name, _ in open_sources(paths).read()]
    assert names == [f"{base}/one.xyz", f"{base}/all.zip/x.cif", f"{base}/data/b.cif"]


def test_tables_are_recognised_by_their_content(contents, tmp_path):
    pd.DataFrame({"id": ["a"], "cif": [contents["a.cif"].decode()]}).to_parquet(tmp_path / "table")
    assert read(tmp_path / "table")[0] == ["a"]
    put(tmp_path, notes__md=b"# no crystal\n")
    with pytest.raises(ValueError, match=r"notes\.md is neither a file of structures \(CIF, POSCAR"):
        open_source(tmp_path / "notes.md")
    shutil.copy(tmp_path / "table", tmp_path / "t.zip")
    assert read(tmp_path / "t.zip")[0] == ["a"]
