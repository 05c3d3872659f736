"""Labels of the command line: which tables it takes, and how their rows find their structures."""

import sys
from argparse import Namespace
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from skdim import SiteNetFeaturizer
from skdim.cli import main
from skdim.cli._labels import check_labels, labelled_crystals
from tests.cli.running import BAD
from tests.helpers.small_structures import write_cifs

pytest.importorskip("skops", reason="needs the extra 'skops'")
pytest.importorskip("pyarrow", reason="needs the extra 'parquet'")

import pyarrow as pa
import pyarrow.parquet as pq


@pytest.fixture(scope="module")
def cifs(structures, tmp_path_factory):  # fewer than elsewhere: some labels are without one
    """A folder of four CIFs, s0 to s3; not to be changed."""
    return write_cifs(structures[:4], tmp_path_factory.mktemp("data") / "cifs")


@pytest.fixture
def refused(capsys, tmp_path):
    """Runs `skdim fit`, which must refuse, and returns what it says."""

    def fit(table, *words):
        model = tmp_path / "m.joblib"
        command = ["fit", table, "--target", "energy", "--arm", "composition", "-o", model, *words]
        assert main([str(word) for word in command]) == 2
        assert not model.exists()
        return capsys.readouterr().err

    return fit


def arguments(table, *structures, key=None):
    """What the parser makes of the options of labels."""
    output = table.with_name("model.skops")
    return Namespace(table=table, target="energy", structures=list(structures), id=key, output=output)


def labels(table, *structures, **options):
    found = check_labels(arguments(table, *structures, **options))
    return (found["y"].tolist(), *([found["key"].tolist()] if "key" in found else []))


def crystals(args, labels):
    """The labelled crystals."""
    return labelled_crystals(args, labels, args.output.with_name("work"), SiteNetFeaturizer(on_error="warn"))


def write(path, **columns):
    if path.suffix.lower() == ".csv":
        pd.DataFrame(columns).to_csv(path, index=False)
    else:
        pq.write_table(pa.table(columns), path)
    return path


# ---- tables ----


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_both_kinds_of_tables(cifs, suffix, tmp_path):
    values = [0.1 + 0.2, None, -3.0, 1e-300]
    table = write(tmp_path / f"t{suffix}", file=["s2.cif", "s1", "s0", "s3"], energy=values)
    y, keys = labels(table, cifs)
    np.testing.assert_array_equal(y, [np.nan if v is None else v for v in values])
    assert keys == ["s2.cif", "s1", "s0", "s3"]
    texts = [(cifs / f"s{k}.cif").read_text() for k in (2, 1, 0, 3)]
    write(table, cif=texts, energy=values)
    np.testing.assert_array_equal(labels(table)[0], y)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pa.array([1, None, 3]), [1, np.nan, 3]),
        (pa.array([0.1, float("nan"), 3], pa.float32()), [float(np.float32(0.1)), np.nan, 3]),
        (pa.array(["1.5", None, " -2e3 "]), [1.5, np.nan, -2000]),
        (pa.array([Decimal("1.10"), None, Decimal("2.20")]), [1.1, np.nan, 2.2]),
        (pa.array(["1", None, "1"]).dictionary_encode(), [1, np.nan, 1]),
    ],
    ids=["integers", "singles", "texts", "decimals", "dictionary"],
)
def test_labels_of_a_parquet_table(values, expected, cifs, tmp_path):
    table = write(tmp_path / "t.parquet", id=[7, None, 2**53 + 1], energy=values)
    y, keys = labels(table, cifs)
    np.testing.assert_array_equal(y, expected)
    assert keys == ["7", "", str(2**53 + 1)], "a number among names is no float"


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.parametrize("value", ["low", "1_000", "inf", "1,5", "0x10"])
def test_what_is_no_number(value, suffix, cifs, refused, tmp_path):
    table = write(tmp_path / f"t{suffix}", id=["s0", "s1"], energy=["1", value])
    assert f"row 1 (s1) has the energy {value!r}, which is no finite number" in refused(table, "--structures", cifs)


def test_lists_and_times_are_no_numbers(cifs, refused, tmp_path):
    for value in ([1.0], pd.Timestamp(0)):
        table = write(tmp_path / "t.parquet", id=["s0"], energy=[value])
        assert "row 0 (s0) has the energy" in refused(table, "--structures", cifs)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_columns(suffix, cifs, refused, tmp_path):
    table = write(tmp_path / f"t{suffix}", mine=["s0", "s1"], energy=pa.array([None, None], pa.float64()))
    assert (
        f"{table} has no column id, material_id, file, filename, name: say with --id COLUMN which one names "
        "the structures. It has mine, energy"
    ) in refused(table, "--structures", cifs)
    message = refused(table, "--structures", cifs, "--id", "min")
    assert f"--id min: {table} has no such column. It has mine, energy; did you mean 'mine'?" in message
    assert f"{table}: the column 'energy' is empty" in refused(table, "--structures", cifs, "--id", "mine")
    if suffix == ".csv":
        table.write_text("id,energy,energy\ns0,1,2\n")
    else:
        pq.write_table(pa.table([["s0"], [1.0], [2.0]], names=["id", "energy", "energy"]), table)
    assert f"{table} has 2 columns 'energy': rename all but one" in refused(table, "--structures", cifs)


def test_no_table(cifs, refused, tmp_path, monkeypatch):
    for name in ("no.csv", "no.parquet"):
        assert f"no such file: {tmp_path / name}" in refused(tmp_path / name)
    for name, message in (("a.csv", "is empty"), ("a.parquet", "is not a Parquet table, or damaged")):
        (tmp_path / name).write_text("")
        assert f"{tmp_path / name} {message}" in refused(tmp_path / name)
    table = write(tmp_path / "t.parquet", id=["s0", "s1"], energy=[1.0, 2.0])
    content = table.read_bytes()
    table.write_bytes(content[:4] + bytes(60) + content[64:])  # its end, which has the columns, is as it was
    assert f"{table} is damaged: its rows cannot be read" in refused(table, "--structures", cifs)
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "pyarrow.parquet", None)
        assert 'Parquet tables need pyarrow: pip install "skdim-crystals[parquet]"' in refused(table)


# ---- their structures ----


def test_rows_find_their_structures(structures, tmp_path, capsys):
    """By the whole name first, in whatever order; and those without one are said."""
    (tmp_path / "cifs" / "a").mkdir(parents=True)
    for name, k in (("s.cif", 0), ("a/s.cif", 1), ("a/u.CIF", 2)):
        structures[k].to(filename=str(tmp_path / "x.cif"))
        (tmp_path / "x.cif").rename(tmp_path / "cifs" / name)
    table = write(tmp_path / "t.parquet", id=["u", "a/s.cif", None, "s.cif", "v"], energy=[1.0, 2, 3, 4, None])
    args = arguments(table, tmp_path / "cifs")
    data = crystals(args, check_labels(args))
    assert data.X.formulas == [structures[k].composition.reduced_formula for k in (2, 1, 0)]
    assert (data.y.tolist(), data.n_failed) == ([1, 2, 4], 0)
    said = capsys.readouterr().err
    assert "1 of 5 rows have no energy and are left out" in said
    assert "1 labelled rows have no structure (no name) and are left out" in said


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".CSV"])
def test_two_structures_of_one_name(suffix, cifs, refused, tmp_path):
    """Neither is taken, unless no label asks for them; what has no name is nobody's."""
    texts = [(cifs / f"s{k}.cif").read_text() for k in range(4)]
    both = write(tmp_path / "s.parquet", id=["s0", "s0", "s1", None], cif=texts)
    table = write(tmp_path / f"t{suffix}", id=["s1", "s0", None], energy=[1.0, 2.0, 3.0])
    message = f"'s0' of {table} may be any of 2 structures of that name: rename them"
    assert message in refused(table, "--structures", both)
    write(table, id=["s1", None], energy=[1.0, 3.0])
    args = arguments(table, both)
    assert crystals(args, check_labels(args)).y.tolist() == [1]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            [("t0", 1), ("t1", 2)],
            "no row of {table} has a structure: its names are like 't0', those of the structures like 's0.cif'",
        ),
        ([("s0", None), ("t1", 2)], "no row of {table} has both a label and a structure"),
    ],
)
def test_no_row_has_both(rows, message, cifs, refused, tmp_path):
    table = tmp_path / "t.csv"
    pd.DataFrame(rows, columns=["id", "energy"]).to_csv(table, index=False)
    assert message.format(table=table) in refused(table, "--structures", cifs)


def test_rows_that_fail_are_left_out(cifs, refused, tmp_path, capsys):
    texts = [BAD, (cifs / "s1.cif").read_text(), (cifs / "s2.cif").read_text()]
    table = write(tmp_path / "t.csv", id=list("abc"), cif=texts, energy=[1.0, 2.0, 3.0])
    args = arguments(table)
    data = crystals(args, check_labels(args))
    assert (data.y.tolist(), data.n_failed, len(data.X)) == ([2, 3], 1, 2)
    assert "1 of 3 structures could not be used:\n  row 0, a: " in capsys.readouterr().err
    write(table, id=["a", "b"], cif=[BAD, BAD], energy=[1.0, 2.0])
    assert "none of the labelled structures can be used" in refused(table)


def test_a_table_that_changes_meanwhile(cifs, tmp_path):
    """Between the reading of the labels and that of the structures: no label may go to another's structure."""
    text = (cifs / "s0.cif").read_text()
    table = write(tmp_path / "t.csv", cif=[text] * 3, energy=[1.0, 2.0, 3.0])
    args = arguments(table)
    found = check_labels(args)
    write(table, cif=[text] * 2, energy=[2.0, 3.0])
    with pytest.raises(ValueError, match=r"t\.csv was changed: it had 3 labels, and has 2 structures now"):
        crystals(args, found)
