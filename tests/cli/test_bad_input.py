"""What goes wrong on the command line, and how it ends then."""

import os
import subprocess
import sys

import pytest

from skdim import SiteNetFeaturizer
from skdim.cli import _parser, main
from skdim.cli._crystals import featurizer_of
from tests.cli.running import PATIENCE, left

pytest.importorskip("pyarrow", reason="needs the extra 'parquet'")
pytest.importorskip("skops", reason="needs the extra 'skops'")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["embed", "nowhere.cif", "-o", "a.csv"], "no such file or folder: nowhere.cif"),
        (["embed", "{cifs}", "-o", "a.txt"], "a.txt must end in .csv, .parquet or .npy"),
        (["embed", "{cifs}", "-o", "{table}"], "table.csv exists: remove it first"),
        (["embed", "{cifs}", "-o", "a.npy", "--sites"], "--sites needs a table"),
        (["embed", "{cifs}", "-o", "a.csv", "--sites", "--representation", "local"], "give one of them"),
        (["embed", "{cifs}", "{store}", "-o", "a.csv"], "store is a store of featurized crystals: give it alone"),
        (["embed", "{store}", "-o", "a.csv", "--max-sites", "9"], "--max-sites is for reading structures, and"),
        (["embed", "{cifs}", "-o", "a.csv", "--device", "toaster"], "there is no such device; it may be cpu"),
        (["embed", "{cifs}", "-o", "a.csv", "--device", "meta"], "there is no such device; it may be cpu"),
        (["embed", "{cifs}", "-o", "a.csv", "--device", "cuda"], "there is no GPU that torch can use; leave the"),
        (["embed", "{cifs}", "-o", "a.csv", "--device", "cpu:1"], "torch finds 1 of them, counted from 0"),
        (["embed", "{cifs}", "-o", "a.csv", "--weights", "{cifs}"], "is not a folder of pre-trained weights"),
        (["featurize", "{table}/x", "-o", "a"], "no such file or folder"),
        (["featurize", "{store}", "-o", "a"], "store is a store of featurized crystals already"),
        (["fit", "{table}", "--target", "energi", "-o", "a.skops"], "did you mean 'energy'?"),
        (["fit", "{table}", "--target", "cif", "-o", "a.skops"], "which is no finite number"),
        (["fit", "{table}", "--target", "energy", "-o", "a.pkl"], "must end in .skops (loading it runs no code)"),
        (["fit", "{table}", "--target", "energy", "-o", "a.skops", "--id", "id"], "--id goes with --structures"),
        (["fit", "{cifs}", "--target", "energy", "-o", "a.skops"], "must be a table, .csv or .parquet"),
        (
            ["fit", "{table}", "--target", "energy", "-o", "a.skops", "--arm", "structure", "--epochs", "3"],
            "--epochs is for the arms supervised and transfer",
        ),
        (
            ["fit", "{table}", "--target", "energy", "-o", "a.skops", "--arm", "supervised", "--weights", "{cifs}"],
            "--weights is for the arms representation and transfer; supervised has none",
        ),
        (["predict", "{table}", "{cifs}", "-o", "a.csv"], "not a model that skdim fit wrote"),
        (["predict", "no.skops", "{cifs}", "-o", "a.csv"], "no such file: no.skops"),
        (["evaluate", "{table}", "--target", "energy", "-o", "a.png"], "must end in .csv or .parquet"),
        (["info", "{table}", "--verify"], "--verify is for a store"),
    ],
)
def test_bad_input(words, message, run, table, cifs, store, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    code, out, err = run(*(word.format(table=table, cifs=cifs, store=store) for word in words))
    assert (code, out) == (2, "")
    assert err.startswith(f"skdim {words[0]}: error: ")
    assert message in err
    assert left(tmp_path) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["embed", "a.cif"], "the following arguments are required: -o/--output"),
        (["embed", "a.cif", "-o", "a.csv", "--jobs", "0"], "argument --jobs: it must be an integer of at least 1"),
        (["pretrain", "a", "-o", "b", "--epochs", "x"], "it must be an integer of at least 1, not 'x'"),
    ],
)
def test_wrong_usage(words, message, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(words)
    assert message in capsys.readouterr().err


def test_all_cores():
    args = _parser().parse_args(["embed", "a.cif", "-o", "a.csv", "--jobs", "-1"])
    assert featurizer_of(args).n_jobs == -1
    with pytest.raises(SystemExit, match="2"):
        main(["embed", "a.cif", "-o", "a.csv", "--jobs", "-2"])


def test_without_pyarrow(run, cifs, table, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    for words in (["embed", cifs], ["predict", "m.skops", cifs], ["evaluate", table, "--target", "energy"]):
        code, _, err = run(*words, "-o", tmp_path / "a.parquet")
        assert code == 2
        assert 'pip install "skdim-crystals[parquet]"; or give a path that ends in .csv' in err
        assert left(tmp_path) == []


def test_nobody_reads():
    """As in `skdim info | head -1`: that is no error, though it shows only when the buffer is written."""
    end, start = os.pipe()
    os.close(end)
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    command = [sys.executable, "-m", "skdim", "info"]
    done = subprocess.run(command, stdout=start, stderr=subprocess.PIPE, text=True, timeout=PATIENCE, env=buffered)
    os.close(start)
    assert (done.returncode, done.stderr) == (0, "")


def test_debug_shows_where(run, tmp_path):
    assert "Traceback" not in run("embed", tmp_path / "no.cif", "-o", "a.csv")[2]
    assert "Traceback" in run("embed", tmp_path / "no.cif", "-o", "a.csv", "--debug")[2]


def test_a_fault_of_skdim_is_not_taken_for_success(run, cifs, tmp_path, monkeypatch):
    """Python's own exit code would be 1: done, but for some structures."""
    monkeypatch.setattr(SiteNetFeaturizer, "transform_to_disk", lambda *_, **__: {}["no such key"])
    code, _, err = run("embed", cifs, "-o", tmp_path / "v.csv")
    assert code == 2
    assert "KeyError: 'no such key'" in err
    assert err.endswith("skdim embed: error: not done, by a fault of skdim: please report the lines above\n")
