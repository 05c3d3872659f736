"""`skdim search` and `skdim duplicates`."""

import numpy as np
import pandas as pd
import pytest

from skdim import Crystals, SiteNetFeaturizer
from tests.cli.conftest import *  # noqa: F403
from tests.cli.running import BAD


@pytest.fixture(scope="module")
def expected(cifs, shipped):
    """Names, formulas, and distances from the first of the ten CIFs."""
    files = sorted(cifs.glob("*.cif"))
    X = SiteNetFeaturizer().transform(files)
    vectors = shipped.transform(X)
    distance = np.linalg.norm(vectors - vectors[0], axis=1)
    return pd.DataFrame({"name": [file.name for file in files], "formula": X.formulas, "distance": distance})


def lines(out):
    return [line.split("\t") for line in out.splitlines()]


# ---- search ----


def test_search_prints_a_line_per_neighbour(run, cifs, expected):
    code, out, _ = run("search", cifs / "s0.cif", cifs, "-n", 4)
    assert code == 0
    nearest = expected.sort_values("distance", kind="stable").head(4)
    assert [line[0].rpartition("/")[2] for line in lines(out)] == nearest["name"].tolist()
    assert [line[1] for line in lines(out)] == nearest["formula"].tolist()
    assert [float(line[2]) for line in lines(out)] == pytest.approx(nearest["distance"].tolist(), abs=2e-4)
    assert lines(out)[0][0].endswith("s0.cif")


def test_vectors_are_computed_once(run, cifs, store, shipped, tmp_path):
    assert run("embed", store, "-o", tmp_path / "vectors.npy")[0] == 0
    words = ("search", cifs / "s2.cif", store, "-n", 3)
    assert run(*words, "--vectors", tmp_path / "vectors.npy")[:2] == run(*words)[:2]
    np.save(tmp_path / "other.npy", np.zeros((3, 192), dtype=np.float32))
    code, _, err = run(*words, "--vectors", tmp_path / "other.npy")
    assert code == 2
    assert "has the shape (3, 192), and the sources need (10, 192)" in err


def test_a_table_of_several_queries(run, cifs, store, tmp_path):
    output = tmp_path / "neighbours.csv"
    code, out, err = run("search", cifs, store, "-n", 20, "-o", output)
    assert (code, out) == (0, "")
    assert "the sources have only 10 crystals" in err
    table = pd.read_csv(output)
    assert table.columns.tolist() == ["query", "id", "formula", "distance"]
    assert len(table) == 100
    first = table.groupby("query").head(1)
    assert (first["query"].str.rpartition("/")[2] == first["id"].str.rpartition("/")[2]).all()
    assert first["distance"].max() < 1e-3
    several = run("search", cifs, store, "-n", 1)[1]
    assert [len(line) for line in lines(several)] == [4] * 10


def test_queries_that_fail(run, cifs, tmp_path):
    (tmp_path / "bad.cif").write_text(BAD)
    code, out, err = run("search", tmp_path / "bad.cif", cifs)
    assert (code, out) == (2, "")
    assert "no query could be featurized" in err


# ---- duplicates ----


@pytest.fixture
def repeated(cifs, structures, tmp_path):
    folder = tmp_path / "cifs"
    folder.mkdir()
    for k in range(3):
        (folder / f"a{k}.cif").write_text(structures[k].to(fmt="cif"))
    copy = structures[1].copy()
    copy.apply_strain(0.02)
    (folder / "b.cif").write_text((copy * (1, 1, 2)).to(fmt="cif"))
    return folder


def test_duplicates_are_listed(run, repeated, structures):
    code, out, err = run("duplicates", repeated)
    assert code == 0
    assert [(line[0], line[1].rpartition("/")[2]) for line in lines(out)] == [("1", "a1.cif"), ("1", "b.cif")]
    assert "2 of 4 crystals are near-duplicates, in 1 groups" in err


def test_duplicates_of_a_store_as_a_table(run, repeated, tmp_path):
    assert run("featurize", repeated, "-o", tmp_path / "store")[0] == 0
    output = tmp_path / "groups.csv"
    assert run("duplicates", tmp_path / "store", "-o", output)[:2] == (0, "")
    table = pd.read_csv(output)
    assert table["group"].tolist() == [0, 1, 2, 1]
    assert table["formula"].tolist() == Crystals.load(tmp_path / "store").formulas
    assert [name.rpartition("/")[2] for name in table["id"]] == ["a0.cif", "a1.cif", "a2.cif", "b.cif"]


def test_rows_that_fail_are_separate_groups(run, repeated):
    (repeated / "c.cif").write_text(BAD)
    code, out, err = run("duplicates", repeated)
    assert code == 1
    assert len(lines(out)) == 2
    assert "1 of 5 structures failed" in err
