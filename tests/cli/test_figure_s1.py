"""`skdim figure-s1`: the paper's comparison on the bundled data sets."""

import argparse

import pandas as pd
import pytest
from sklearn.utils import Bunch

from skdim import DeepInfoMaxEmbedder, SiteNetRegressor
from skdim.cli import figure_s1 as command
from skdim.datasets import load_band_gap, load_formation_energy
from skdim.model_selection import summarize
from tests.cli.running import left

WORDS = ["figure-s1", "--labels", 8, "--draws", 2, "--network-draws", 1, "--epochs", 1]


@pytest.fixture(autouse=True)
def _small_data(monkeypatch):
    """Some 40 crystals of each bundled data set."""
    for load in (load_formation_energy, load_band_gap):
        data = load()
        every = len(data.target) // 40
        small = Bunch(structures=data.structures[::every], target=data.target[::every], split=data.split[::every])
        monkeypatch.setattr(f"skdim.datasets.{load.__name__}", lambda small=small: small)


def test_one_command_makes_figure_and_table(run, tmp_path):
    code, out, err = run(*WORDS, "-o", tmp_path / "s1.png")
    assert (code, left(tmp_path)) == (0, ["s1.csv", "s1.png"])
    assert (tmp_path / "s1.png").read_bytes().startswith(b"\x89PNG")
    table = pd.read_csv(tmp_path / "s1.csv")
    assert table.groupby(["task", "arm"]).size().unstack().to_dict("index") == {
        task: {"representation": 2, "untrained": 2, "transfer": 1, "supervised": 1} for task in command.TASKS
    }
    for _, part in table.groupby("task"):
        for row in summarize(part).itertuples():
            assert f"  {row.arm:16s}{row.median:9.4f} (" in out
    assert "12 fits" in err


def test_an_interrupted_run_is_resumed(run, tmp_path, monkeypatch):
    import skdim.model_selection._label_efficiency as module

    fits, real = [], module._fit_one

    def fit(*args):
        if len(fits) == 3:
            raise KeyboardInterrupt
        fits.append(args[0])
        return real(*args)

    words = [*WORDS, "--tasks", "band_gap", "-o", tmp_path / "s1.svg"]
    with monkeypatch.context() as patch:
        patch.setattr(module, "_fit_one", fit)
        assert run(*words)[0] == 130
        assert left(tmp_path) == [".s1.svg.work"]
        patch.setattr(module, "_fit_one", lambda *args: fits.append(args[0]) or real(*args))
        assert run(*words)[0] == 0
    assert len(fits) == 6, "finished fits are not repeated"
    assert left(tmp_path) == ["s1.csv", "s1.svg"]


@pytest.mark.parametrize(("name", "message"), [("s1.jpg", "must end in .png, .pdf or .svg"), ("there.png", "exists")])
def test_bad_paths_are_refused_before_any_work(run, tmp_path, name, message):
    (tmp_path / "there.csv").touch()
    code, _, err = run(*WORDS, "-o", tmp_path / name)
    assert code == 2
    assert message in err
    assert left(tmp_path) == ["there.csv"]


def test_too_many_labels_are_refused_by_the_name_of_the_option(run, tmp_path):
    code, _, err = run(*WORDS, "--labels", 1000, "-o", tmp_path / "s1.png")
    assert code == 2
    assert "train_sizes has 1000 labels, but there are only" in err
    assert "train_sizes is the option --labels" in err


def test_paper_takes_the_network_settings_of_the_paper(monkeypatch, tmp_path):
    networks = []
    monkeypatch.setattr("skdim.model_selection.figure_s1", lambda *_, network, **__: networks.append(network) or {})
    parser = command.add(argparse.ArgumentParser().add_subparsers())
    for words in (["--paper"], ["--paper", "--epochs", "3"], []):
        args = parser.parse_args(["-o", str(tmp_path / "s1.png"), *words])
        command._compare("band_gap", DeepInfoMaxEmbedder.from_pretrained(), args, tmp_path)
    expected = (SiteNetRegressor.paper(), SiteNetRegressor.paper(max_epochs=3), SiteNetRegressor())
    assert [network.get_params() for network in networks] == [network.get_params() for network in expected]
