"""`skdim embed`: vectors of structures, and rows that fail."""

import re
import zipfile

import numpy as np
import pandas as pd
import pytest

from skdim import SiteNetFeaturizer
from skdim.cli._inputs import crystals as cli_crystals
from tests.cli.running import BAD, in_process, left
from tests.helpers.small_structures import write_cifs


def test_embed_in_a_separate_process(cifs, shipped, tmp_path):
    done = in_process("embed", *sorted(cifs.glob("s[0-4].cif")), "-o", "vectors.csv", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    messages = re.sub(r", \d\d:\d\d$", "", done.stderr, flags=re.MULTILINE)
    assert messages.splitlines() == [
        "featurize: 5 of 5 structures",
        "embed: 5 of 5 crystals",
        "vectors.csv: 5 crystals, 192 numbers each",
    ]
    vectors = pd.read_csv(tmp_path / "vectors.csv", index_col="id")
    files = [str(cifs / f"s{k}.cif") for k in range(5)]
    assert vectors.index.tolist() == files
    assert vectors.columns.tolist() == shipped.get_feature_names_out().tolist()
    expected = shipped.transform(SiteNetFeaturizer().transform(files))
    np.testing.assert_allclose(vectors, expected, rtol=1e-5, atol=1e-6)
    assert left(tmp_path) == ["vectors.csv"]


@pytest.mark.filterwarnings("ignore:X was featurized with max_sites")
def test_failed_rows_keep_their_place(run, cifs, structures, tmp_path):
    folder = tmp_path / "cifs"
    folder.mkdir()
    (folder / "a.cif").write_text(BAD)
    (folder / "b.cif").write_text(structures[0].to(fmt="cif"))
    code, out, err = run("embed", folder, "-o", tmp_path / "v.csv")
    assert (code, out) == (1, "")
    assert "1 of 2 structures failed:\n  row 0, a.cif: " in err
    vectors = pd.read_csv(tmp_path / "v.csv", index_col="id")
    assert vectors.index.tolist() == ["a.cif", "b.cif"]
    assert vectors.isna().all(axis=1).tolist() == [True, False]
    failures = pd.read_csv(tmp_path / "v.csv.failures.csv")
    assert failures["id"].tolist() == ["a.cif"]
    assert failures["reason"][0] in err
    code, _, err = run("embed", cifs, "-o", tmp_path / "w.csv", "--max-sites", 1)
    assert code == 1
    assert "(max_sites is the option --max-sites N" in err


def test_warnings_of_cif_files_are_listed(run, structures, tmp_path, monkeypatch):
    """A text with several structures is not shortened silently."""
    monkeypatch.setattr(cli_crystals, "_MOST_LISTED", 2)
    text = "\n".join(structure.to(fmt="cif") for structure in structures[:2])
    pd.DataFrame({"id": list("abc"), "cif": text}).to_csv(tmp_path / "t.csv", index=False)
    code, _, err = run("embed", tmp_path / "t.csv", "-o", tmp_path / "v.csv")
    assert code == 0
    warning = (
        f"({structures[0].reduced_formula}): reading the CIF text: it holds 2 structures, of which the first is used"
    )
    assert (
        f"\n3 structures were read with a warning:\n  row 0, a {warning}\n  row 1, b {warning}\n  ... and 1 more"
    ) in err
    assert "skdim embed: warning" not in err


def test_cifs_that_contradict_themselves_fail_with_strict_cif(run, structures, tmp_path):
    folder = write_cifs(structures[:2], tmp_path / "cifs")
    file = sorted(folder.glob("*.cif"))[1]
    file.write_text(re.sub(r"_cell_formula_units_Z .*", "_cell_formula_units_Z 77", file.read_text()))
    code, _, err = run("embed", folder, "-o", tmp_path / "v.csv")
    assert code == 0
    assert re.search(rf"read with a warning:\n  row 1, {file.name} .*the file gives .*Z = 77.* was read", err)
    code, _, err = run("embed", folder, "-o", tmp_path / "w.csv", "--strict-cif")
    assert code == 1
    assert re.search(rf"row 1, {file.name}.*: it contradicts itself: the file gives .*Z = 77.* was read", err)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_failures_without_a_name_have_a_row_number(suffix, run, structures, tmp_path):
    if suffix == ".parquet":
        pytest.importorskip("pyarrow", reason="needs the extra 'parquet'")
    table = pd.DataFrame({"id": ["a", None, None], "cif": [structures[0].to(fmt="cif"), BAD, None]})
    getattr(table, f"to_{suffix[1:]}")(tmp_path / f"t{suffix}", index=False)
    code, _, err = run("embed", tmp_path / f"t{suffix}", "-o", tmp_path / "v.csv")
    assert code == 1
    assert "\n  row 1: " in err
    assert "\n  row 2: the structure is missing" in err
    assert pd.read_csv(tmp_path / "v.csv.failures.csv")["id"].tolist() == ["row 1", "row 2"]
    assert pd.read_csv(tmp_path / "v.csv", keep_default_na=False)["id"].tolist() == ["a", "", ""]


def test_parquet_npy_and_site_tables(run, cifs, structures, shipped, tmp_path):
    pytest.importorskip("pyarrow", reason="needs the extra 'parquet'")
    with zipfile.ZipFile(tmp_path / "more.zip", "w") as archive:
        archive.writestr("z.cif", structures[20].to(fmt="cif"))
    assert (
        run(
            "embed", cifs / "s3.cif", tmp_path / "more.zip", "-o", tmp_path / "v.parquet", "--representation", "global"
        )[0]
        == 0
    )
    vectors = pd.read_parquet(tmp_path / "v.parquet")
    assert vectors["id"].tolist() == [str(cifs / "s3.cif"), f"{tmp_path}/more.zip/z.cif"]
    assert vectors.shape == (2, 65)
    assert run("embed", cifs, "-o", tmp_path / "v.npy")[0] == 0
    X = SiteNetFeaturizer().transform(sorted(cifs.glob("*.cif")))
    np.testing.assert_array_equal(np.load(tmp_path / "v.npy"), shipped.transform(X))
    assert run("embed", cifs / "s0.cif", "-o", tmp_path / "sites.csv", "--sites")[0] == 0
    sites = pd.read_csv(tmp_path / "sites.csv")
    np.testing.assert_allclose(sites.iloc[:, 3:], shipped.transform_sites(X[[0]])[0], rtol=1e-5, atol=1e-6)
    assert sites["site"].tolist() == list(range(len(structures[0])))
    assert sorted(sites["element"]) == sorted(site.specie.symbol for site in structures[0])
