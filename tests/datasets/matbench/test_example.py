"""examples/matbench_folds.py writes a record of Matbench."""

import hashlib
import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.model_selection import StratifiedKFold

from skdim.datasets import _matbench, fetch_matbench
from tests.datasets.matbench.tables import digest_of

EXAMPLE = Path(__file__).parents[3] / "examples" / "matbench_folds.py"


def run_example(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", [EXAMPLE.name, *map(str, arguments)])
    return runpy.run_path(str(EXAMPLE), run_name="__main__")


def check_record(path, task, data):
    """Check what Matbench's from_dict and validate require of a record with all five folds."""
    record = json.loads(path.read_text())
    digest = record.pop("hash")
    assert digest == hashlib.sha256(json.dumps(sort_all(record)).encode()).hexdigest()
    assert set(record) == {
        "@module",
        "@class",
        "version",
        "tasks",
        "user_metadata",
        "benchmark_name",
        "datestamp",
    }
    assert record["benchmark_name"] == "matbench_v0.1"
    (results_of_task,) = record["tasks"].values()
    assert results_of_task["dataset_name"] == next(iter(record["tasks"])) == f"matbench_{task}"
    kind = bool if data.target.dtype == bool else float
    names = {"accuracy", "balanced_accuracy", "f1", "rocauc"} if kind is bool else {"mae", "rmse", "mape", "max_error"}
    assert set(results_of_task["results"]) == {f"fold_{k}" for k in range(5)}
    for k, (_, test) in enumerate(data.folds):
        fold = results_of_task["results"][f"fold_{k}"]
        assert set(fold) == {"data", "parameters", "scores"}
        assert list(fold["data"]) == data.ids[test].tolist()
        assert all(type(value) is kind for value in fold["data"].values())
        assert set(fold["scores"]) == names
        assert all(type(value) is float for value in fold["scores"].values())
    return results_of_task["results"]


def sort_all(value):
    return {key: sort_all(value[key]) for key in sorted(value)} if isinstance(value, dict) else value


def test_record_of_a_regression_task(small_task, monkeypatch, tmp_path, capsys):
    server = small_task("jdft2d")
    monkeypatch.setenv("SKDIM_MATBENCH_URL", server.url)
    path = tmp_path / "results" / "record.json"
    options = ["--task", "jdft2d", "--epochs", 1, "--jobs", 1, "--data-home", tmp_path / "there", "--output", path]
    run_example(monkeypatch, *options, "--folds", 3, 0)
    assert (tmp_path / "there" / "matbench_jdft2d.json.gz").exists()
    printed = capsys.readouterr().out
    assert "mean of 2 of 5 folds: mae" in printed
    assert "when it has all five folds" in printed
    before = json.loads(path.read_text())["tasks"]["matbench_jdft2d"]["results"]
    assert list(before) == ["fold_0", "fold_3"]

    run_example(monkeypatch, *options)
    assert len(server.requests) == 1
    assert "mean of 5 of 5 folds: mae" in capsys.readouterr().out
    data = fetch_matbench("jdft2d", data_home=tmp_path / "there", download_if_missing=False)
    results = check_record(path, "jdft2d", data)
    assert {name: results[name] for name in before} == before
    for k, (_, test) in enumerate(data.folds):
        error = np.array(list(results[f"fold_{k}"]["data"].values())) - data.target[test]
        scores = results[f"fold_{k}"]["scores"]
        np.testing.assert_allclose(scores["mae"], np.abs(error).mean())
        np.testing.assert_allclose(scores["rmse"], np.sqrt((error**2).mean()))
        np.testing.assert_allclose(scores["max_error"], np.abs(error).max())
        np.testing.assert_allclose(scores["mape"], np.abs(error / data.target[test]).mean())

    with pytest.raises(SystemExit, match="record of another run"):
        run_example(monkeypatch, *options, "--seed", 1)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")  # only two iterations
@pytest.mark.parametrize("task", ["mp_is_metal", "phonons"])
def test_record_of_models_on_vectors(small_task, monkeypatch, tmp_path, task):
    classes = np.arange(23) % 2 == 0
    if task == "phonons":
        server = small_task(task)
    else:
        folds = StratifiedKFold(5, shuffle=True, random_state=18012019).split(classes, classes)
        server = small_task(task, classes, folds_sha256=digest_of(folds, 23))
    monkeypatch.setenv("SKDIM_MATBENCH_URL", server.url)
    monkeypatch.chdir(tmp_path)
    run_example(monkeypatch, "--task", task, "--model", "vectors", "--epochs", 2, "--jobs", 1)
    check_record(tmp_path / f"matbench_{task}_vectors.json", task, fetch_matbench(task))


def test_help_lists_the_options(monkeypatch, capsys):
    with pytest.raises(SystemExit, match="0"):
        run_example(monkeypatch, "--help")
    printed = capsys.readouterr().out
    for option in ("--task", "--folds", "--model", "--epochs", "--seed", "--jobs", "--data-home", "--output"):
        assert option in printed
    with pytest.raises(SystemExit, match="use --model vectors"):
        run_example(monkeypatch, "--task", "mp_is_metal", "--model", "transfer")


def test_all_tasks_can_be_chosen():
    assert set(runpy.run_path(str(EXAMPLE))["TASKS"]) == set(_matbench.TASKS)
