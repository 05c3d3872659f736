"""fetch_matbench: published facts and folds, and small tasks from a server on localhost."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.dummy import DummyRegressor
from sklearn.model_selection import KFold, StratifiedKFold, cross_val_score

from skdim.datasets import _matbench, fetch_matbench
from tests.datasets.matbench.tables import STRUCTURES, Y, digest_of
from tests.helpers.loopback import Server, whole


def test_facts_are_those_published_by_matminer():
    matminer = importlib.util.find_spec("matminer")
    if matminer is None:
        pytest.skip("the extra 'baselines' is not installed")
    text = (Path(matminer.origin).parent / "datasets" / "dataset_metadata.json").read_text(encoding="utf-8")
    published = {name: facts for name, facts in json.loads(text).items() if name.startswith("matbench_")}
    with_structures = {name for name, facts in published.items() if "structure" in facts["columns"]}
    assert with_structures == {f"matbench_{task}" for task in _matbench.TASKS}
    for task, facts in _matbench.TASKS.items():
        expected = published[f"matbench_{task}"]
        assert expected["url"] == f"{_matbench.URL}/matbench_{task}.json.gz"
        assert (expected["hash"], expected["num_entries"]) == (facts.sha256, facts.n_rows)
        assert set(expected["columns"]) == {"structure", facts.target}


@pytest.mark.parametrize("task", sorted(set(_matbench.TASKS) - {"mp_is_metal"}))
def test_folds_are_those_published_by_matbench(task):
    """By the sha256 of Matbench's file of splits, except mp_is_metal, whose folds depend on its classes."""
    facts = _matbench.TASKS[task]
    folds = _matbench._folds(np.zeros(facts.n_rows), facts)
    assert sorted(np.concatenate([test for _, test in folds])) == list(range(facts.n_rows))
    with pytest.raises(ValueError, match="does not reproduce the folds of Matbench"):
        _matbench._folds(np.zeros(facts.n_rows - 1), facts)


def test_first_test_rows_of_a_fold():
    """In Matbench's file: mb-dielectric-0008, -0010, -0019, -0025."""
    assert _matbench._folds(np.zeros(4764), _matbench.TASKS["dielectric"])[0][1][:4].tolist() == [7, 9, 18, 24]


@pytest.mark.parametrize("name", ["jdft2d", "matbench_jdft2d"])
def test_task_has_crystals_targets_and_ids(small_task, name):
    server = small_task("jdft2d")
    data = fetch_matbench(name, base_url=f"{server.url}/mirror/")
    again = fetch_matbench(name, download_if_missing=False)
    assert [path for path, _ in server.requests] == ["/mirror/matbench_jdft2d.json.gz"]
    assert data.structures == again.structures == STRUCTURES
    np.testing.assert_array_equal(data.target, Y)
    assert (data.target_name, data.unit) == ("exfoliation_en", "meV/atom")
    assert data.ids[[0, -1]].tolist() == ["mb-jdft2d-01", "mb-jdft2d-23"]
    for (train, test), expected in zip(data.folds, KFold(5, shuffle=True, random_state=18012019).split(Y), strict=True):
        np.testing.assert_array_equal(train, expected[0])
        np.testing.assert_array_equal(test, expected[1])
    for text in ("jdft2d", "23", "meV/atom", "10.1038/s41524-020-00406-3", _matbench.TASKS["jdft2d"].sha256):
        assert text in data.DESCR
    assert "{" not in data.DESCR
    structures, target = fetch_matbench(name, return_X_y=True)
    assert structures == STRUCTURES
    np.testing.assert_array_equal(target, Y)


def test_folds_can_be_passed_as_cv(small_task, monkeypatch):
    monkeypatch.setenv("SKDIM_MATBENCH_URL", small_task("phonons").url)
    data = fetch_matbench("phonons")
    scores = cross_val_score(DummyRegressor(), np.zeros((23, 1)), data.target, cv=data.folds)
    assert len(scores) == 5


def test_train_and_test_rows_of_one_fold(small_task, monkeypatch):
    monkeypatch.setenv("SKDIM_MATBENCH_URL", small_task("phonons").url)
    for fold in (0, 3, np.int64(4)):
        data = fetch_matbench("phonons", fold)
        np.testing.assert_array_equal(data.train, data.folds[fold][0])
        np.testing.assert_array_equal(data.test, data.folds[fold][1])
    np.testing.assert_array_equal(fetch_matbench("phonons").test, data.folds[0][1])


@pytest.mark.parametrize("fold", [5, -1, "0", None, 0.5, True])
def test_unknown_folds_are_refused(fold):
    with pytest.raises(ValueError, match="fold must be an integer from 0 to 4; got"):
        fetch_matbench("phonons", fold)


@pytest.mark.parametrize("kind", [bool, int])
def test_targets_of_classification_are_booleans(small_task, kind):
    classes = np.arange(23) % 3 == 0
    folds = StratifiedKFold(5, shuffle=True, random_state=18012019).split(classes, classes)
    server = small_task("mp_is_metal", classes.astype(kind), folds_sha256=digest_of(folds, 23))
    data = fetch_matbench("mp_is_metal", base_url=server.url)
    assert data.target.dtype == bool
    assert data.unit is None
    assert data.ids[0] == "mb-mp-is-metal-01"
    assert {int(data.target[test].sum()) for _, test in data.folds} == {1, 2}
    np.testing.assert_array_equal(data.target, classes)


def test_wrong_number_of_rows_is_refused(small_task):
    server = small_task("phonons", n_rows=24)
    with pytest.raises(ValueError, match="has 23 rows, but Matbench's phonons has 24"):
        fetch_matbench("phonons", base_url=server.url)


def test_files_too_large_for_the_task_are_refused(small_task):
    small_task("phonons")
    with Server(whole(bytes(2**21))) as server, pytest.raises(OSError, match="has 2097152 bytes, more than"):
        fetch_matbench("phonons", base_url=server.url)


@pytest.mark.parametrize("task", ["steels", "matbench_expt_gap", "", None])
def test_unknown_tasks_are_refused(task):
    with pytest.raises(ValueError, match=r"no task .* with structures; available: dielectric, jdft2d"):
        fetch_matbench(task)


def test_error_without_network_explains_what_to_do():
    with pytest.raises(OSError, match=r"Could not download matbench_jdft2d\.json\.gz from https://127.*By hand"):
        fetch_matbench("jdft2d", n_retries=0)
