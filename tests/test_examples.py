"""The examples run, at a small size, and leave what they promise."""

import runpy
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"

matplotlib.use("Agg")


@pytest.fixture(autouse=True)
def _figures(monkeypatch):
    import matplotlib.pyplot as plt

    monkeypatch.setattr(plt, "show", lambda: None)
    yield
    plt.close("all")


def run_demo(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["demo.py", *map(str, arguments)])
    return runpy.run_path(str(EXAMPLES / "demo.py"), run_name="__main__")


@pytest.mark.parametrize("task", ["formation_energy", "band_gap"])
def test_demo(monkeypatch, tmp_path, capsys, task):
    folder = tmp_path / "results"
    run_demo(monkeypatch, "--quick", "--task", task, "--jobs", 1, "--output", folder)
    draws, summary = pd.read_csv(folder / "label_efficiency.csv"), pd.read_csv(folder / "summary.csv")
    assert len(draws) == 10 * 2 * 2
    assert draws["arm"].nunique() == 10
    assert np.isfinite(draws["mae"]).all()
    assert len(summary) == 10 * 2
    assert (summary["q25"] <= summary["median"]).all()
    assert (folder / "label_efficiency.png").read_bytes().startswith(b"\x89PNG")
    printed = capsys.readouterr().out
    assert str(folder) in printed.splitlines()[-1]
    for median in summary["median"]:
        assert f"{median:.3f} (" in printed


def test_demo_explains_its_options(monkeypatch, capsys):
    with pytest.raises(SystemExit, match="0"):
        run_demo(monkeypatch, "--help")
    printed = capsys.readouterr().out
    for option in ("--task", "--repeats", "--epochs", "--seed", "--jobs", "--output", "--quick"):
        assert option in printed


def test_every_gallery_example_is_run():
    found = {path.stem for path in EXAMPLES.glob("plot_*.py")}
    assert found == {
        "plot_embed_your_crystals",
        "plot_inside_a_network",
        "plot_label_efficiency_grid",
        "plot_learning_curve",
        "plot_shipped_weights",
    }


def run_gallery(monkeypatch, name):
    monkeypatch.setenv("SKDIM_EXAMPLE_SIZE", "small")
    return runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")


def test_label_efficiency_grid(monkeypatch):
    result = run_gallery(monkeypatch, "plot_label_efficiency_grid")
    assert len(result["results"]) == 5 * 2 * 2
    assert np.isfinite(result["results"]["mae"]).all()
    assert list(result["display"].boxes_) == list(result["arms"])


def test_learning_curve(monkeypatch):
    result = run_gallery(monkeypatch, "plot_learning_curve")
    assert [text.get_text() for text in result["ax"].get_legend().get_texts()] == list(result["arms"])
    assert len(result["ax"].containers) == 3


def test_embed_your_crystals(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("tempfile.mkdtemp", lambda: str(tmp_path))
    result = run_gallery(monkeypatch, "plot_embed_your_crystals")
    assert len(list(tmp_path.glob("*.cif"))) == len(result["vectors"]) == 40
    assert (tmp_path / "embedder.joblib").exists()
    assert np.isfinite(result["vectors"]).all(axis=None)
    assert capsys.readouterr().out.count(" is like ") == 3


def test_shipped_weights(monkeypatch, capsys):
    result = run_gallery(monkeypatch, "plot_shipped_weights")
    assert "Materials Project" in capsys.readouterr().out
    assert len(result["display"].axes_) == 2
    assert np.isfinite(result["draws"]["mae"]).all()


def test_inside_a_network(monkeypatch, capsys):
    result = run_gallery(monkeypatch, "plot_inside_a_network")
    assert list(result["losses"].lines_) == ["loss", "local", "global", "descriptors"]
    assert sum(" → " in name for name in result["one"].artists_[0]) == 9
    assert result["many"].attention["crystal"].nunique() == result["test"].sum()
    assert len(result["parity"].y_pred) == result["test"].sum()
    assert "attention" in capsys.readouterr().out
