"""tools/train_weights.py from tables and CIFs to weights, also after kills."""

import json
import os
import runpy
import signal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from skdim import Crystals, DeepInfoMaxEmbedder
from skdim.model_selection import formula_split
from skdim.nn.infomax import DeepInfoMax
from tests.helpers.processes import run_killed
from tests.helpers.small_estimators import NARROW
from tests.helpers.small_structures import table_of, write_cifs

pytest.importorskip("ase", reason="needs the extra 'ase'")
pytest.importorskip("pyarrow", reason="needs the extra 'parquet'")

TOOL = Path(__file__).parents[2] / "tools" / "train_weights.py"
PARAMS = json.dumps({"n_components": 4, "local_dim": 4, "encoder_params": NARROW, "batch_sites": 60})


def run_and_die(what, n, arguments):
    """Runs the tool, and kills its process at the n-th store or the n-th checkpoint."""
    calls = []

    def counted(function):
        def call(source, target):
            calls.append(target)
            if len(calls) == n:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(source, target)

        return call

    if what == "store":
        Path.rename = counted(Path.rename)
    else:
        os.replace = counted(os.replace)
    runpy.run_path(str(TOOL))["main"](arguments)


@pytest.fixture
def sources(structures, tmp_path):
    """A table with ids and test rows, a table with duplicates, and a folder of CIFs, one of which fails."""
    split = ["test" if k in (3, 4) else "train" for k in range(30)]
    table_of(structures[:30], id=[f"mp-{k}" for k in range(30)], split=split).to_parquet(tmp_path / "a.parquet")
    table_of(structures[20:35], id=[f"mp-{k}" for k in range(20, 35)]).to_parquet(tmp_path / "b.parquet")
    write_cifs(structures[35:], tmp_path / "cifs", first=35)
    (tmp_path / "cifs" / "invalid.cif").write_text("data_x\n_cell_length_a 3\n")
    return [tmp_path / name for name in ("a.parquet", "b.parquet", "cifs")]


def arguments(sources, folder, **changes):
    options = {
        "epochs": 3,
        "params": PARAMS,
        "held-out": 0.3,
        "jobs": 1,
        "chunk-size": 8,
        "device": "cpu",
        "work": folder / "work",
        "output": folder / "weights",
        "licence": "CC0",
        **changes,
    }
    return [*map(str, sources), *(str(word) for name, value in options.items() for word in (f"--{name}", value))]


def run(*args, **kwargs):
    return runpy.run_path(str(TOOL))["main"](arguments(*args, **kwargs))


def test_from_data_to_weights(sources, tmp_path, X, capsys):
    run(sources, tmp_path)
    out = capsys.readouterr().out
    assert "a.parquet: 28 crystals, 2 test rows left out" in out
    assert "failed: invalid.cif" in out
    assert "10 duplicates left out" in out
    embedder = DeepInfoMaxEmbedder.from_pretrained(tmp_path / "weights", device="cpu")
    info = embedder.pretrained_info_["metadata"]
    assert f"held-out loss: {info['held_out_loss']:.4f} pre-trained, {info['untrained_held_out_loss']:.4f} un" in out
    assert embedder.n_iter_ == 3
    assert embedder.n_crystals_ + info["n_held_out"] == 38
    assert [(source["name"], source["n_used"]) for source in info["sources"]] == [
        ("a.parquet", 28),
        ("b.parquet", 5),
        ("cifs", 5),
    ]
    assert info["licence"] == "CC0"
    assert str(tmp_path) not in json.dumps(embedder.pretrained_info_), "metadata must not contain folders"
    used = X[[k for k in range(35) if k not in (3, 4)]]
    held_out = formula_split(used, test_size=0.3)
    assert 0 < held_out.sum() <= info["n_held_out"]


def test_formulas_to_leave_out_are_not_used(sources, tmp_path, X, capsys):
    left_out = sorted({X.formulas[0], X.formulas[22], X.formulas[36]})
    (tmp_path / "keep_out.txt").write_text("\n".join(left_out))
    run(sources, tmp_path, **{"leave-out": tmp_path / "keep_out.txt"})
    assert "of formulas in keep_out.txt left out" in capsys.readouterr().out
    stores = [Crystals.load(path) for kind in ("train", "held-out") for path in (tmp_path / "work").glob(f"{kind}-*")]
    used = {formula for store in stores for formula in store.formulas}
    assert used
    assert not used & set(left_out)
    info = json.loads((tmp_path / "weights" / "config.json").read_text())["metadata"]
    assert "--leave-out keep_out.txt" in info["command"]
    assert sum(source["n_formula_left_out"] for source in info["sources"]) >= 3


def test_properties_of_tables_are_learned(structures, sources, tmp_path, capsys):
    for name, column, shift in (("a", "energy", -3.0), ("b", "modulus", 0.0)):
        table = pd.read_parquet(tmp_path / f"{name}.parquet")
        table[column] = [np.nan if k == 5 else k % 7 + shift for k in range(len(table))]
        table.to_parquet(tmp_path / f"{name}.parquet")
    params = {**json.loads(PARAMS), "objective": None, "descriptor_weight": 0}
    run(sources[:1], tmp_path, output=tmp_path / "start", work=tmp_path / "first")
    args = arguments(sources[:2], tmp_path, params=json.dumps(params), start=tmp_path / "start")
    runpy.run_path(str(TOOL))["main"]([*args, "--properties", "energy", "log10 modulus=log10:modulus"])
    out = capsys.readouterr().out
    assert "b.parquet: 3 values of modulus are not positive and count as unknown" in out
    embedder = DeepInfoMaxEmbedder.from_pretrained(tmp_path / "weights")
    assert embedder.known_properties_ == ("energy", "log10 modulus")
    about = embedder.pretrained_info_["metadata"]
    assert about["held_out_properties"]["energy"]["n"] > 0
    assert "--properties energy=energy 'log10 modulus=log10:modulus' --start start" in about["command"]
    assert about["start"].keys() == {"name", "tasks", "command"}
    assert about["start"]["name"] == "start"
    assert about["start"]["tasks"] == ["Deep InfoMax", "statistics of the structure"]
    # Of the 28 rows of a without test rows one has no energy; of the 15 of b four have no modulus.
    n_held_out = about["n_held_out"]
    assert embedder.n_crystals_ + n_held_out == 27 + 11


@pytest.mark.slow(reason="four runs, each in a new process")
def test_a_run_killed_three_times_gives_the_same_weights(sources, tmp_path, X):
    run(sources, tmp_path / "whole")
    broken = arguments(sources, tmp_path / "broken")
    for what, n, kept in (("store", 2, 1), ("store", 3, 3), ("checkpoint", 2, 6)):
        run_killed(run_and_die, what, n, broken)
        work = [path.name for path in (tmp_path / "broken" / "work").glob("[!.]*")]
        assert len(work) == kept
        assert ("weights.pt" in work) == (what == "checkpoint")
        assert not (tmp_path / "broken" / "weights").exists()
    made = {path: path.stat().st_mtime_ns for path in (tmp_path / "broken" / "work").glob("[!.]*/header.json")}
    assert len(made) == 5
    run(sources, tmp_path / "broken")
    assert all(path.stat().st_mtime_ns == when for path, when in made.items())
    whole, resumed = (tmp_path / name / "weights" / "weights.safetensors" for name in ("whole", "broken"))
    assert whole.read_bytes() == resumed.read_bytes()


@pytest.fixture
def interruptible():
    """Python's default handler of Ctrl-C, which a process started in the background may lack."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize(("moment", "epoch"), [("training", 2), ("writing", 1)])
def test_ctrl_c_keeps_what_is_done(moment, epoch, sources, tmp_path, monkeypatch):
    calls = []

    def interrupting(function, at):
        def call(*args, **kwargs):
            calls.append(at)
            if len(calls) == at:
                signal.raise_signal(signal.SIGINT)
            return function(*args, **kwargs)

        return call

    with monkeypatch.context() as patch:
        if moment == "training":
            patch.setattr(DeepInfoMax, "losses", interrupting(DeepInfoMax.losses, 6))
        else:
            patch.setattr(os, "replace", interrupting(os.replace, 1))
        with pytest.raises(SystemExit, match=f"interrupted in epoch {epoch}; the same command resumes it"):
            run(sources, tmp_path)
    assert not (tmp_path / "weights").exists()
    run(sources, tmp_path)
    assert DeepInfoMaxEmbedder.from_pretrained(tmp_path / "weights", device="cpu").n_iter_ == 3


def test_bad_arguments_are_refused(sources, tmp_path):
    with pytest.raises(SystemExit, match="at least 2 of each"):
        run(sources[:1], tmp_path, **{"held-out": 1e-9})
    (tmp_path / "weights").mkdir()
    with pytest.raises(SystemExit, match="exists: remove it first"):
        run(sources, tmp_path)
    assert list((tmp_path / "weights").iterdir()) == []


def test_help_describes_the_table(capsys):
    with pytest.raises(SystemExit, match="0"):
        runpy.run_path(str(TOOL))["main"](["--help"])
    assert "split" in capsys.readouterr().out
