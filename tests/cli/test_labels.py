"""Labels of the command line: tables that can be read, and how rows are matched with structures."""

import sys
from argparse import Namespace
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from skdim import SiteNetFeaturizer
from skdim.cli import main
from skdim.cli._inputs.labels import check_labels, labelled_crystals
from tests.cli.running import BAD
from tests.helpers.small_structures import write_cifs

pytest.importorskip("skops", reason="needs the extra 'skops'")
pytest.importorskip("pyarrow", reason="needs the extra 'parquet'")

import pyarrow as pa
import pyarrow.parquet as pq


@pytest.fixture(scope="module")
def cifs(structures, tmp_path_factory):  # fewer than in conftest: some labels have no structure
    """A folder of four CIFs, s0 to s3; not to be changed."""
    return write_cifs(structures[:4], tmp_path_factory.mktemp("data") / "cifs")


@pytest.fixture
def refused(capsys, tmp_path):
    """Runs `skdim fit`, which must fail, and returns the message."""

    def fit(table, *words):
        model = tmp_path / "m.joblib"
        command = ["fit", table, "--target", "energy", "--arm", "composition", "-o", model, *words]
        assert main([str(word) for word in command]) == 2
        assert not model.exists()
        return capsys.readouterr().err

    return fit


def arguments(table, *structures, key=None):
    """The parsed options of labels."""
    output = table.with_name("model.skops")
    return Namespace(
        table=table, target="energy", task="regression", structures=list(structures), id=key, output=output
    )


def labels(table, *structures, **options):
    frame = check_labels(arguments(table, *structures, **options))
    return (frame["y"].tolist(), *([frame["key"].tolist()] if "key" in frame else []))


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
def test_csv_and_parquet_tables_give_the_same_labels(cifs, suffix, tmp_path):
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
    assert keys == ["7", "", str(2**53 + 1)], "a numeric name is not converted to float"


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.parametrize("value", ["low", "1_000", "inf", "1,5", "0x10"])
def test_labels_that_are_not_numbers_are_named(value, suffix, cifs, refused, tmp_path):
    table = write(tmp_path / f"t{suffix}", id=["s0", "s1"], energy=["1", value])
    assert f"row 1 (s1) has energy {value!r}, which is not a finite number" in refused(table, "--structures", cifs)


def test_lists_and_times_are_not_numbers(cifs, refused, tmp_path):
    for value in ([1.0], pd.Timestamp(0)):
        table = write(tmp_path / "t.parquet", id=["s0"], energy=[value])
        assert "row 0 (s0) has energy" in refused(table, "--structures", cifs)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_missing_empty_and_repeated_columns_are_named(suffix, cifs, refused, tmp_path):
    table = write(tmp_path / f"t{suffix}", label=["s0", "s1"], energy=pa.array([None, None], pa.float64()))
    assert (
        f"{table} has no column id, material_id, file, filename, name: name the column of structure names with "
        "--id. Available: label, energy"
    ) in refused(table, "--structures", cifs)
    message = refused(table, "--structures", cifs, "--id", "labe")
    assert f"--id labe: column not found in {table}. Available: label, energy; did you mean 'label'?" in message
    assert f"{table}: the column 'energy' is empty" in refused(table, "--structures", cifs, "--id", "label")
    if suffix == ".csv":
        table.write_text("id,energy,energy\ns0,1,2\n")
    else:
        pq.write_table(pa.table([["s0"], [1.0], [2.0]], names=["id", "energy", "energy"]), table)
    assert f"{table} has 2 columns 'energy': rename all but one" in refused(table, "--structures", cifs)


def test_missing_and_damaged_tables_are_named(cifs, refused, tmp_path, monkeypatch):
    for name in ("no.csv", "no.parquet"):
        assert f"no such file: {tmp_path / name}" in refused(tmp_path / name)
    for name, message in (("a.csv", "is empty"), ("a.parquet", "is not a Parquet table, or damaged")):
        (tmp_path / name).write_text("")
        assert f"{tmp_path / name} {message}" in refused(tmp_path / name)
    table = write(tmp_path / "t.parquet", id=["s0", "s1"], energy=[1.0, 2.0])
    content = table.read_bytes()
    table.write_bytes(content[:4] + bytes(60) + content[64:])  # the end, which holds the columns, is intact
    assert f"{table} is damaged: its rows cannot be read" in refused(table, "--structures", cifs)
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "pyarrow.parquet", None)
        assert 'Parquet tables need pyarrow: pip install "skdim-crystals[parquet]"' in refused(table)


# ---- their structures ----


def test_rows_are_matched_with_structures_by_name(structures, tmp_path, capsys):
    """By the full name first, in any order; rows without a structure are reported."""
    (tmp_path / "cifs" / "a").mkdir(parents=True)
    for name, k in (("s.cif", 0), ("a/s.cif", 1), ("a/u.CIF", 2)):
        structures[k].to(filename=str(tmp_path / "x.cif"))
        (tmp_path / "x.cif").rename(tmp_path / "cifs" / name)
    table = write(tmp_path / "t.parquet", id=["u", "a/s.cif", None, "s.cif", "v"], energy=[1.0, 2, 3, 4, None])
    args = arguments(table, tmp_path / "cifs")
    data = crystals(args, check_labels(args))
    assert data.X.formulas == [structures[k].composition.reduced_formula for k in (2, 1, 0)]
    assert (data.y.tolist(), data.n_failed) == ([1, 2, 4], 0)
    err = capsys.readouterr().err
    assert "1 of 5 rows have no energy and are left out" in err
    assert "1 labelled rows have no structure (no name) and are left out" in err


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".CSV"])
def test_a_name_that_matches_two_structures_is_an_error(suffix, cifs, refused, tmp_path):
    """An error, unless no label has that name; rows without a name match nothing."""
    texts = [(cifs / f"s{k}.cif").read_text() for k in range(4)]
    both = write(tmp_path / "s.parquet", id=["s0", "s0", "s1", None], cif=texts)
    table = write(tmp_path / f"t{suffix}", id=["s1", "s0", None], energy=[1.0, 2.0, 3.0])
    message = f"'s0' in {table} matches 2 structures of that name, which are not the same crystal (rows 0 and 1)"
    assert message in refused(table, "--structures", both)
    write(table, id=["s1", None], energy=[1.0, 3.0])
    args = arguments(table, both)
    assert crystals(args, check_labels(args)).y.tolist() == [1]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            [("t0", 1), ("t1", 2)],
            "no name in {table} is that of a structure: names there are 't0', 't1'; those of the structures are "
            "'s0.cif', 's1.cif', 's2.cif', ...",
        ),
        ([("s0", None), ("t1", 2)], "no row of {table} has both a label and a structure"),
    ],
)
def test_no_labelled_structure_is_an_error(rows, message, cifs, refused, tmp_path):
    table = tmp_path / "t.csv"
    pd.DataFrame(rows, columns=["id", "energy"]).to_csv(table, index=False)
    assert message.format(table=table) in refused(table, "--structures", cifs)


def test_row_numbers_are_not_names(cifs, refused, tmp_path):
    """Labels with ids 1 to n, and structures without ids: each would go to the next crystal."""
    texts = [(cifs / f"s{k}.cif").read_text() for k in range(4)]
    structures = write(tmp_path / "structures.csv", cif=texts)
    table = write(tmp_path / "t.csv", id=[1, 2, 3, 4], energy=[1.0, 2, 3, 4])
    message = f"the structures have no names, so the labels in {table} cannot be joined to them: add a column 'id'"
    assert message in refused(table, "--structures", structures)
    SiteNetFeaturizer().transform_to_disk(structures, tmp_path / "store")
    assert message in refused(table, "--structures", tmp_path / "store")
    both = [structures, write(tmp_path / "more.csv", cif=texts)]
    assert f"no name in {table} is that of a structure" in refused(table, "--structures", *both)


def test_names_with_and_without_folders(structures, refused, tmp_path):
    for name, k in (("oxides/MgO", 0), ("oxides/CaO", 1), ("sulfides/CaO", 2)):
        (tmp_path / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / f"{name}.cif").write_text(structures[k].to(fmt="cif"))
    folder = tmp_path / "data"

    def read(*keys):
        table = write(tmp_path / "t.csv", id=list(keys), energy=[float(k) for k in range(len(keys))])
        args = arguments(table, folder)
        return crystals(args, check_labels(args)).X.formulas

    formulas = [structure.composition.reduced_formula for structure in structures]
    assert read("MgO", "oxides/CaO.cif", "sulfides/CaO") == formulas[:3]
    assert read("data/oxides/MgO.cif", "data\\sulfides\\CaO.cif") == [formulas[0], formulas[2]]
    table = tmp_path / "t.csv"
    for keys, message in (
        (["CaO"], f"'CaO' in {table} matches 2 structures ('oxides/CaO.cif', 'sulfides/CaO.cif'): give the whole name"),
        (["sulfides/MgO"], f"no name in {table} is that of a structure: names there are 'sulfides/MgO'"),
        (["MgO", "a/oxides/MgO", "b/oxides/MgO"], f"in {table} both match the structure 'oxides/MgO.cif': give whole"),
    ):
        write(table, id=keys, energy=[1.0] * len(keys))
        assert message in refused(table, "--structures", folder)


def test_a_crystal_that_is_named_twice(cifs, tmp_path):
    """Of two equal crystals it does not matter which is used."""
    texts = [(cifs / f"s{k}.cif").read_text() for k in (0, 1, 0)]
    both = write(tmp_path / "s.csv", id=["a", "b", "a"], cif=texts)
    args = arguments(write(tmp_path / "t.csv", id=["a", "b"], energy=[1.0, 2.0]), both)
    assert crystals(args, check_labels(args)).y.tolist() == [1, 2]


def test_a_file_with_several_crystals_has_no_label(cifs, refused, tmp_path):
    text = "".join((cifs / f"s{k}.cif").read_text() for k in range(2))
    (tmp_path / "run.cif").write_text(text)
    table = write(tmp_path / "t.csv", id=["run"], energy=[1.0])
    message = f"'run' in {table} is a file with 2 structures: name one of them, such as"
    assert message in refused(table, "--structures", tmp_path / "run.cif")
    args = arguments(write(table, id=["run#2"], energy=[1.0]), tmp_path / "run.cif")
    assert crystals(args, check_labels(args)).y.tolist() == [1]


def test_rows_that_fail_are_left_out(cifs, refused, tmp_path, capsys):
    texts = [BAD, (cifs / "s1.cif").read_text(), (cifs / "s2.cif").read_text()]
    table = write(tmp_path / "t.csv", id=list("abc"), cif=texts, energy=[1.0, 2.0, 3.0])
    args = arguments(table)
    data = crystals(args, check_labels(args))
    assert (data.y.tolist(), data.n_failed, len(data.X)) == ([2, 3], 1, 2)
    assert "1 of 3 structures failed:\n  row 0, a: " in capsys.readouterr().err
    write(table, id=["a", "b"], cif=[BAD, BAD], energy=[1.0, 2.0])
    assert "all structures with a label failed" in refused(table)


def test_a_table_that_changes_during_the_run_is_an_error(cifs, tmp_path):
    """Between reading the labels and the structures: no label may be assigned to another structure."""
    text = (cifs / "s0.cif").read_text()
    table = write(tmp_path / "t.csv", cif=[text] * 3, energy=[1.0, 2.0, 3.0])
    args = arguments(table)
    frame = check_labels(args)
    write(table, cif=[text] * 2, energy=[2.0, 3.0])
    with pytest.raises(
        ValueError, match=r"t\.csv was changed during the run: it had 3 labels, and now has 2 structures"
    ):
        crystals(args, frame)
