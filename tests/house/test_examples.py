"""The examples run and give the results that they describe."""

import re
import runpy
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("matplotlib", reason="needs the extra 'plot'")

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(autouse=True)
def _show_nothing(monkeypatch):
    monkeypatch.setattr("matplotlib.pyplot.show", lambda: None)


def run_demo(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["demo.py", *map(str, arguments)])
    return runpy.run_path(str(EXAMPLES / "demo.py"), run_name="__main__")


@pytest.mark.slow(reason="the demo with its own models: MLPs that converge, 300 trees, Gaussian processes")
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


def run_gallery(name):
    return runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")


def figures():
    import matplotlib.pyplot as plt

    return [plt.figure(number) for number in plt.get_fignums()]


def test_every_gallery_example_is_run():
    tested = re.findall(r"run_gallery\(\"(plot_\w+)\"\)", Path(__file__).read_text(encoding="utf-8"))
    assert sorted(tested) == sorted(path.stem for path in EXAMPLES.glob("plot_*.py"))


def test_shapes(capsys):
    result = run_gallery("plot_shapes")
    assert (result["M"], result["N"], len(result["merged"].numbers)) == (6, 48, 2)
    written = " ".join(text.get_text() for text in figures()[1].axes[0].texts)
    for shape in ("B, M, 25", "B, M, N, 192", "B, M, 128", "B, 64"):
        assert shape in written
    assert "= 192 numbers per crystal; transform_sites: (6, 64)" in capsys.readouterr().out


def test_cif_folder(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("tempfile.mkdtemp", lambda: str(tmp_path))
    result = run_gallery("plot_cif_folder")
    assert len(list(tmp_path.glob("*.cif"))) == len(result["table"]) == len(result["y"]) + 1
    assert result["error"] < 0.5 * result["spread"]
    assert "007.cif failed: True" in capsys.readouterr().out


def test_shipped_weights(capsys):
    result = run_gallery("plot_shipped_weights")
    assert "Materials Project" in capsys.readouterr().out
    assert len(result["display"].axes_) == 2
    assert np.isfinite(result["draws"]["mae"]).all()


def test_pretraining_set(capsys):
    result = run_gallery("plot_pretraining_set")
    assert result["embedder"].score(result["X"]) > result["untrained"].score(result["X"])
    errors = result["draws"].groupby(["arm", "n_labels"])["mae"].median()
    assert (errors["own set"] < errors["untrained"]).all()
    assert capsys.readouterr().out.count(" is similar to ") == 4


def test_block_gaussian_process(capsys):
    result = run_gallery("plot_block_gaussian_process")
    assert list(result["head"].shares_) == ["composition", "structure", "vectors", "noise"]
    assert result["errors"]["three blocks, fitted kernels"] < result["errors"]["vectors, fixed kernel"]
    assert result["errors_by_std"][0] < 0.7 * result["errors_by_std"][-1]
    assert "% of the test crystals are within the predicted 90 % interval" in capsys.readouterr().out


def test_classification(capsys):
    result = run_gallery("plot_classification")
    scores = result["results"].groupby(["arm", "n_labels"])["test_roc_auc"].median().unstack()
    assert (scores[200] > 0.75).all()
    assert (scores[200] > scores[50] - 0.03).all()
    assert result["model"].classes_.tolist() == ["narrow", "wide"]
    assert figures()[0].axes[0].get_ylabel() == "Test ROC AUC"
    printed = capsys.readouterr().out
    areas = [float(area) for area in re.findall(r"ROC curve:? (0\.\d+)", printed)]
    assert len(areas) == 2
    assert min(areas) > 0.7


def test_site_vectors():
    result = run_gallery("plot_site_vectors")
    assert len(result["vectors"]) == len(result["elements"])
    assert len(result["nearest"]) == result["oxygen"].sum()
    # The last one is electronegativity, which is harder.
    assert result["scores"].mean() > 0.5


def test_attention():
    result = run_gallery("plot_attention")
    assert sum(" → " in name for name in result["one"].artists_[0]) == 9
    sums = result["table"].groupby(["crystal", "site"])["attention"].sum()
    np.testing.assert_allclose(sums, 1, rtol=1e-4)
    assert result["distance"]["pre-trained"] < result["distance"]["untrained"]


def test_why():
    result = run_gallery("plot_why")
    assert result["error_of_sums"] < 1e-4
    assert (result["neighbours"]["label"] < -1).all()
    assert result["by_element"].loc[["F", "O"], "mean"].max() < -0.5
    assert len(figures()[0].axes) == 4


def test_report(capsys):
    result = run_gallery("plot_report")
    assert result["size"] < 1000
    assert result["predictions"]["std"].gt(0).all()
    assert "Worst predictions" in result["text"]
    assert "kB" in capsys.readouterr().out


def test_feature_union(capsys):
    result = run_gallery("plot_feature_union")
    assert result["errors"].shape == (5, 2)
    assert np.isfinite(result["errors"]).all()
    assert "vectors: 192 columns" in capsys.readouterr().out


def test_grid_search():
    result = run_gallery("plot_grid_search")
    assert len(result["results"]) == 5 * 2 * 3
    assert np.isfinite(result["results"]["mae"]).all()
    assert list(result["display"].boxes_) == list(result["arms"])


def test_learning_curve():
    result = run_gallery("plot_learning_curve")
    assert [text.get_text() for text in result["ax"].get_legend().get_texts()] == list(result["arms"])
    assert len(result["ax"].containers) == 3


def test_uncertainty():
    pytest.importorskip("mapie", reason="needs the extra 'docs'")
    result = run_gallery("plot_uncertainty")
    (low, high), y = result["intervals"][:, :, 1].T, result["y"][result["check"]]
    assert 0.8 < np.mean((low <= y) & (y <= high)) < 0.97


def test_optuna():
    pytest.importorskip("optuna", reason="needs the extra 'docs'")
    study = run_gallery("plot_optuna")["study"]
    assert len(study.trials) == 40
    assert study.best_value < study.trials[0].value


def test_save_and_share(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("tempfile.mkdtemp", lambda: str(tmp_path))
    run_gallery("plot_save_and_share")
    printed = capsys.readouterr().out
    assert "vectors are equal to the bit: True" in printed
    assert "predictions are equal: True" in printed
    assert "ValueError: " in printed
    assert {path.name for path in tmp_path.iterdir()} == {"weights", "crystals", "pipeline.joblib"}


def test_dask(capsys):
    pytest.importorskip("distributed", reason="needs the extra 'dask'")
    result = run_gallery("plot_dask")
    np.testing.assert_allclose(result["vectors"], result["alone"], rtol=1e-3, atol=1e-4)
    assert "4 tasks, 400 crystals in the same order: True" in capsys.readouterr().out


@pytest.mark.filterwarnings("ignore:predictions for some of:UserWarning")
def test_search(capsys):
    result = run_gallery("plot_search")
    assert result["found"].groupby("query")["row"].first().tolist() == [0, 100]
    assert np.median(result["difference"]) < 0.5 * np.median(result["any_two"])
    groups, formulas = result["groups"], result["formulas"]
    assert len(set(formulas)) < len(set(groups)) < len(groups)
    assert len(set(zip(groups, formulas, strict=True))) == len(set(groups))
    error, distance = result["error"], result["scores"]["distance to the training crystals"]
    far = distance > np.quantile(distance, 0.8)
    assert error[far].mean() > 1.2 * error[~far].mean()


def test_suggest():
    results = run_gallery("plot_suggest")["results"]
    assert list(results) == ["random", "variance", "expected_improvement"]
    assert all(record[:, 0].tolist() == [50, 70, 90, 110, 130] for record in results.values())
    assert results["variance"][-1, 1] < results["variance"][0, 1]
    assert results["expected_improvement"][-1, 2] >= results["random"][-1, 2]
