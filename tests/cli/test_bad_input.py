"""Errors of the command line: messages, exit codes, and no output left behind."""

import os
import subprocess
import sys

import pytest

from skdim import SiteNetFeaturizer
from skdim.cli import _parser, main
from skdim.cli._inputs.crystals import featurizer_of
from tests.cli.running import PATIENCE, left

pytest.importorskip("skops", reason="needs the extra 'skops'")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["embed", "nowhere.cif", "-o", "a.csv"], "no such file or folder: nowhere.cif"),
        (["embed", "{cifs}", "-o", "a.txt"], "a.txt must end in .csv, .parquet or .npy"),
        (["embed", "{cifs}", "-o", "{table}"], "table.csv exists: remove it first"),
        (["embed", "{cifs}", "-o", "a.npy", "--sites"], "--sites needs a table"),
        (["embed", "{cifs}", "-o", "a.csv", "--sites", "--representation", "local"], "use only one of them"),
        (
            ["embed", "{cifs}", "{store}", "-o", "a.csv"],
            "store is a store of featurized crystals: it cannot be combined",
        ),
        (["embed", "{store}", "-o", "a.csv", "--max-sites", "9"], "--max-sites has no effect on the featurized"),
        (["embed", "{cifs}", "-o", "a.csv", "--device", "toaster"], "unknown device; use cpu"),
        (["embed", "{cifs}", "-o", "a.csv", "--device", "meta"], "unknown device; use cpu"),
        (["embed", "{cifs}", "-o", "a.csv", "--device", "cuda"], "torch finds no such device; use --device cpu"),
        (["embed", "{cifs}", "-o", "a.csv", "--device", "cpu:1"], "torch finds 1 of them, numbered from 0"),
        (["embed", "{cifs}", "-o", "a.csv", "--weights", "{cifs}"], "is not a folder of pre-trained weights"),
        (["featurize", "{table}/x", "-o", "a"], "no such file or folder"),
        (["featurize", "{store}", "-o", "a"], "store is already a store of featurized crystals"),
        (["fit", "{table}", "--target", "energi", "-o", "a.skops"], "did you mean 'energy'?"),
        (["fit", "{table}", "--target", "cif", "-o", "a.skops"], "which is not a finite number"),
        (["fit", "{table}", "--target", "energy", "-o", "a.pkl"], "must end in .skops (never runs code when loaded)"),
        (
            ["fit", "{table}", "--target", "energy", "-o", "a.skops", "--id", "id"],
            "--id can be used only with --structures",
        ),
        (["fit", "{cifs}", "--target", "energy", "-o", "a.skops"], "must be a table (.csv or .parquet)"),
        (
            ["fit", "{table}", "--target", "energy", "-o", "a.skops", "--arm", "structure", "--epochs", "3"],
            "--epochs can be used only with supervised and transfer",
        ),
        (
            ["fit", "{table}", "--target", "energy", "-o", "a.skops", "--arm", "supervised", "--weights", "{cifs}"],
            "--weights can be used only with best, average, representation and transfer, not with supervised",
        ),
        (["predict", "{table}", "{cifs}", "-o", "a.csv"], "not a model written by skdim fit"),
        (["predict", "no.skops", "{cifs}", "-o", "a.csv"], "no such file: no.skops"),
        (["evaluate", "{table}", "--target", "energy", "-o", "a.png"], "must end in .csv or .parquet"),
        (["info", "{table}", "--verify"], "--verify is for a store"),
    ],
)
def test_errors_name_the_problem_and_leave_no_files(words, message, run, table, cifs, store, tmp_path, monkeypatch):
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
        (["embed", "a.cif", "-o", "a.csv", "--jobs", "0"], "argument --jobs: must be an integer >= 1"),
        (["pretrain", "a", "-o", "b", "--epochs", "x"], "must be an integer >= 1, got 'x'"),
    ],
)
def test_wrong_options_are_named(words, message, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(words)
    assert message in capsys.readouterr().err


def test_jobs_minus_one_uses_all_cores():
    args = _parser().parse_args(["embed", "a.cif", "-o", "a.csv", "--jobs", "-1"])
    assert featurizer_of(args).n_jobs == -1
    with pytest.raises(SystemExit, match="2"):
        main(["embed", "a.cif", "-o", "a.csv", "--jobs", "-2"])


def test_without_pyarrow(run, cifs, table, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    for words in (["embed", cifs], ["predict", "m.skops", cifs], ["evaluate", table, "--target", "energy"]):
        code, _, err = run(*words, "-o", tmp_path / "a.parquet")
        assert code == 2
        assert 'pip install "skdim-crystals[parquet]"; or use a path that ends in .csv' in err
        assert left(tmp_path) == []


def test_a_closed_standard_output_is_not_an_error():
    """As in `skdim info | head -1`; it shows only when the buffer is flushed."""
    end, start = os.pipe()
    os.close(end)
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    command = [sys.executable, "-m", "skdim", "info"]
    done = subprocess.run(command, stdout=start, stderr=subprocess.PIPE, text=True, timeout=PATIENCE, env=buffered)
    os.close(start)
    assert (done.returncode, done.stderr) == (0, "")


def test_debug_shows_the_traceback(run, tmp_path):
    assert "Traceback" not in run("embed", tmp_path / "no.cif", "-o", "a.csv")[2]
    assert "Traceback" in run("embed", tmp_path / "no.cif", "-o", "a.csv", "--debug")[2]


def test_internal_errors_have_exit_code_2(run, cifs, tmp_path, monkeypatch):
    """Python's exit code would be 1, which means that the command is done."""
    monkeypatch.setattr(SiteNetFeaturizer, "transform_to_disk", lambda *_, **__: {}["no such key"])
    code, _, err = run("embed", cifs, "-o", tmp_path / "v.csv")
    assert code == 2
    assert "KeyError: 'no such key'" in err
    assert err.endswith("skdim embed: internal error: please report the traceback above\n")
