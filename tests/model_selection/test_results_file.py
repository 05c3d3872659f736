"""The results file: resuming after a kill, adding to it, and errors."""

import json
import pickle
import re
import signal
import sys
import time

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.datasets import make_regression
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdim import CompositionStatistics, DeepInfoMaxEmbedder, SiteNetRegressor
from skdim.model_selection import label_efficiency, make_arm, read_results, summarize
from tests.helpers import processes
from tests.helpers.small_estimators import SMALL

ARMS = {"ridge": make_pipeline(StandardScaler(), Ridge()), "mean": DummyRegressor()}
OPTIONS = {"train_sizes": [10, 20], "n_repeats": 3}
MEASURED = ["arm", "n_labels", "repeat", "mae"]


@pytest.fixture
def table():
    return make_regression(100, 4, noise=1.0, random_state=0)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "results.jsonl"


def assert_same(actual, expected):
    assert_frame_equal(actual[MEASURED], expected[MEASURED], check_exact=True)


def entries(path):
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def draws(path):
    return [(e["arm"], e["n_labels"], e["repeat"]) for e in entries(path) if "mae" in e]


class Breaking(RegressorMixin, BaseEstimator):
    """Raises KeyboardInterrupt after ``left`` fits."""

    left = 0

    def fit(self, X, y):
        if type(self).left == 0:
            raise KeyboardInterrupt
        type(self).left -= 1
        self.mean_ = y.mean()
        return self

    def predict(self, X):
        return np.full(len(X), self.mean_)


# -- resuming ---------------------------------------------------------------------------------------------------------


def test_file_has_every_fit_once(table, path):
    frame = label_efficiency(ARMS, *table, results_file=path, **OPTIONS)
    assert_same(frame, label_efficiency(ARMS, *table, **OPTIONS))
    assert_frame_equal(read_results(path), frame, check_exact=True)
    header, *rest = entries(path)
    assert header["format"] == "skdim.label_efficiency"
    assert (header["n_rows"], header["n_test"]) == (80, 20)
    assert [e["arm"] for e in rest if "fingerprint" in e] == ["ridge", "mean"]
    assert len(draws(path)) == len(set(draws(path))) == 12
    before = path.read_bytes()
    assert_frame_equal(label_efficiency(ARMS, *table, results_file=str(path), **OPTIONS), frame, check_exact=True)
    assert path.read_bytes() == before


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_finished_fits_are_not_repeated(table, path, n_jobs):
    label_efficiency(ARMS, *table, results_file=path, train_sizes=[10], n_repeats=2)
    old = read_results(path)
    frame = label_efficiency(ARMS, *table, results_file=path, n_jobs=n_jobs, **OPTIONS)
    assert_same(frame, label_efficiency(ARMS, *table, **OPTIONS))
    kept = frame.merge(old, on=["arm", "n_labels", "repeat"], suffixes=("", "_old"))
    assert len(kept) == 4
    assert (kept["fit_time"] == kept["fit_time_old"]).all()


def test_each_fit_is_written_when_it_is_finished(table, path):
    Breaking.left = 4
    arms = {"breaking": Breaking()}
    with pytest.raises(KeyboardInterrupt):
        label_efficiency(arms, *table, results_file=path, **OPTIONS)
    assert len(draws(path)) == 4
    Breaking.left = 2  # just enough for the rest
    frame = label_efficiency(arms, *table, results_file=path, **OPTIONS)
    assert_same(frame, label_efficiency({"breaking": DummyRegressor()}, *table, **OPTIONS))


def test_later_calls_add_models_sizes_and_repeats(table, path):
    label_efficiency({"ridge": ARMS["ridge"]}, *table, results_file=path, train_sizes=[20], n_repeats=2)
    label_efficiency({"mean": ARMS["mean"]}, *table, results_file=path, train_sizes=[10], n_repeats={10: 1})
    assert len(draws(path)) == 3
    arms = {"mean": ARMS["mean"], "ridge": ARMS["ridge"], "trees": ExtraTreesRegressor(5)}
    grown = label_efficiency(arms, *table, results_file=path, **OPTIONS)
    assert_same(grown, label_efficiency(arms, *table, **OPTIONS))
    # A call for fewer fits returns fewer; the file keeps the rest.
    few = label_efficiency({"mean": ARMS["mean"]}, *table, results_file=path, train_sizes=[10], n_repeats=2)
    assert list(few["repeat"]) == [0, 1]
    assert len(summarize(read_results(path))) == 6


def test_vectors_do_not_depend_on_the_remaining_fits(X, y, tmp_path):
    """Batches of a network must not change with the draws that are left."""
    embedder = FrozenEstimator(DeepInfoMaxEmbedder(max_epochs=0, **SMALL).fit(X))
    arms = {"vectors": make_pipeline(embedder, Ridge())}
    options = {"test_size": 0.3, "train_sizes": [5, 10]}
    first, second = tmp_path / "a", tmp_path / "b"
    whole = label_efficiency(arms, X, y, n_repeats=4, results_file=first, **options)
    for n_repeats in (1, 4):
        resumed = label_efficiency(arms, X, y, n_repeats=n_repeats, results_file=second, **options)
    assert_same(resumed, whole)


def test_progress_counts_finished_fits(table, path, capsys, monkeypatch):
    label_efficiency(ARMS, *table, results_file=path, train_sizes=[10], n_repeats=3)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    label_efficiency(ARMS, *table, results_file=path, verbose=1, **OPTIONS)
    shown = capsys.readouterr().err
    assert "6/12" in shown
    assert "12/12" in shown


def forty_eight_fits(path):
    X, y = make_regression(100, 4, noise=1.0, random_state=0)
    arms = {"trees": ExtraTreesRegressor(150), "ridge": Ridge()}
    return label_efficiency(arms, X, y, train_sizes=[10, 20], n_repeats=12, results_file=path)


def test_a_killed_run_resumes(path):
    """SIGKILL, twice, and then a run to the end."""
    written = 0
    for _ in range(2):
        run = processes.start(forty_eight_fits, path)
        while not path.exists() or path.read_bytes().count(b"\n") < written + 5:
            assert run.is_alive(), "ended before it was killed"
            time.sleep(0.005)
        run.kill()
        run.join()
        assert run.exitcode == -signal.SIGKILL
        assert path.read_bytes().count(b"\n") < 48  # fits are left
        before, written = written, path.read_bytes().count(b"\n")
        assert written > before
    lines = path.read_bytes().split(b"\n")[:written]
    assert processes.run(forty_eight_fits, path) == 0
    assert path.read_bytes().split(b"\n")[:written] == lines
    assert len(draws(path)) == len(set(draws(path))) == 48
    assert_same(read_results(path), forty_eight_fits(None))


def test_a_file_cut_off_anywhere_resumes(table, path):
    """Fits after the cut are repeated, whatever part of the file a crash has left."""
    whole = label_efficiency(ARMS, *table, results_file=path, train_sizes=[10], n_repeats=2)
    content = path.read_bytes()
    ends = [m.end() for m in re.finditer(b"\n", content)]
    cuts = {0, 1, 5, 60, *range(70, len(content), 31), *(end + shift for end in ends for shift in (-2, -1, 0, 1))}
    for cut in sorted(cut for cut in cuts if cut <= len(content)):
        path.write_bytes(content[:cut])
        resumed = label_efficiency(ARMS, *table, results_file=path, train_sizes=[10], n_repeats=2)
        assert_same(resumed, whole)
        assert_same(read_results(path), whole)
        assert len(draws(path)) == 4
        assert path.read_bytes().startswith(content[: max([end for end in ends if end <= cut], default=0)])


def test_an_incomplete_last_line_is_ignored_by_read_results(table, path):
    label_efficiency(ARMS, *table, results_file=path, **OPTIONS)
    path.write_bytes(path.read_bytes()[:-10])
    before = path.read_bytes()
    assert len(read_results(path)) == 11
    assert path.read_bytes() == before


def test_missing_folders_are_created(table, tmp_path):
    label_efficiency(ARMS, *table, results_file=tmp_path / "a" / "b.jsonl", **OPTIONS)
    assert len(read_results(tmp_path / "a" / "b.jsonl")) == 12


# -- errors ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ("y", "with other y. Pass the data that the file"),
        ("X", "with other X. Pass"),
        ("random_state", "with other random_state, other test rows"),
        ("test_size", r"with other test rows \(X_test and y_test, or test_size"),
        ("X_test", "with other test rows"),
        ("y_test", "with other test rows"),
    ],
)
def test_a_file_of_another_comparison_is_refused(table, path, change, match):
    X, y = table
    given = {"X_test": X[80:], "y_test": y[80:]} if change.endswith("_test") else {}
    label_efficiency(ARMS, X, y, results_file=path, **given, **OPTIONS)
    before = path.read_bytes()
    if change in ("random_state", "test_size"):
        given = {"random_state": 1} if change == "random_state" else {"test_size": 0.3}
    elif change in given:
        given[change] = given[change] + 1e-9
    elif change == "X":
        X = X + 1e-9
    else:
        y = np.where(np.arange(100) == 50, y + 1e-6, y)
    with pytest.raises(ValueError, match=rf"results.jsonl is for another comparison, {match}"):
        label_efficiency(ARMS, X, y, results_file=path, **given, **OPTIONS)
    assert path.read_bytes() == before


def test_a_model_with_other_parameters_is_refused(table, path):
    label_efficiency({"ridge": Ridge(), "mean": DummyRegressor()}, *table, results_file=path, **OPTIONS)
    before = path.read_bytes()
    match = r"model 'ridge' in .*results.jsonl was Ridge\(\) and is now Ridge\(alpha=2.0\). Give the new model another"
    with pytest.raises(ValueError, match=match):
        label_efficiency({"new": DummyRegressor(), "ridge": Ridge(alpha=2.0)}, *table, results_file=path, **OPTIONS)
    assert path.read_bytes() == before


def test_n_jobs_does_not_change_the_identity_of_a_model(table, path):
    label_efficiency({"trees": ExtraTreesRegressor(5)}, *table, results_file=path, **OPTIONS)
    again = label_efficiency({"trees": ExtraTreesRegressor(5, n_jobs=1)}, *table, results_file=path, **OPTIONS)
    assert_frame_equal(again, read_results(path), check_exact=True)


def test_a_network_is_identified_by_its_weights(X, y, path):
    """A copy is the same network; one trained again is not."""

    def arms(embedder):
        frozen = FrozenEstimator(embedder)
        return {"vectors": make_pipeline(frozen, Ridge()), "transfer": transfer.set_params(pretrained=frozen)}

    transfer = SiteNetRegressor(max_epochs=0, **{k: v for k, v in SMALL.items() if k != "random_state"})
    embedder = DeepInfoMaxEmbedder(max_epochs=1, **SMALL).fit(X)
    options = {"results_file": path, "train_sizes": [5], "n_repeats": 2}
    frame = label_efficiency(arms(embedder), X, y, **options)
    again = label_efficiency(arms(pickle.loads(pickle.dumps(embedder))), X, y, **options)
    assert_frame_equal(again, frame, check_exact=True)
    other = DeepInfoMaxEmbedder(max_epochs=1, **SMALL).set_params(random_state=1).fit(X).set_params(random_state=0)
    with pytest.raises(ValueError, match=r"model 'vectors' in .* had other fitted values"):
        label_efficiency(arms(other), X, y, **options)


def test_a_file_from_before_a_module_moved_is_accepted(X, y, path, monkeypatch):
    models = {"trees": make_arm("composition", random_state=0)}
    options = {"results_file": path, "train_sizes": [5], "n_repeats": 1}
    before = label_efficiency(models, X, y, **options)
    monkeypatch.setattr(CompositionStatistics, "__module__", "skdim._statistics.moved")
    assert_frame_equal(label_efficiency(models, X, y, **options), before, check_exact=True)


@pytest.mark.parametrize(
    "content", ["a,b\n1,2\n", "no line end", "[1]\n", '{"format": "other", "schema_version": 1}\n']
)
def test_other_files_are_refused_and_not_changed(table, path, content):
    path.write_text(content)
    with pytest.raises(ValueError, match=r"results.jsonl is not a results file of label_efficiency"):
        label_efficiency(ARMS, *table, results_file=path, **OPTIONS)
    with pytest.raises(ValueError, match="is not a results file"):
        read_results(path)
    assert path.read_text() == content


def test_a_newer_schema_version_is_refused(table, path):
    path.write_text('{"format": "skdim.label_efficiency", "schema_version": 2, "skdim_version": "9.0"}\n')
    with pytest.raises(ValueError, match=r"schema version 2, and this skdim .* reads version 1: use skdim 9\.0"):
        label_efficiency(ARMS, *table, results_file=path, **OPTIONS)


@pytest.mark.parametrize("damage", ["text", "twice", "arm", "field"])
def test_errors_name_the_damaged_line(table, path, damage):
    label_efficiency(ARMS, *table, results_file=path, **OPTIONS)
    lines = path.read_text().splitlines(keepends=True)
    fit = json.loads(lines[5])
    changed = {**fit, "arm": "unknown"} if damage == "arm" else {k: v for k, v in fit.items() if k != "mae"}
    lines[5] = {"text": lines[5][7:], "twice": lines[6]}.get(damage, json.dumps(changed) + "\n")
    path.write_text("".join(lines))
    number = 7 if damage == "twice" else 6
    with pytest.raises(ValueError, match=rf"line {number} of .*results.jsonl is damaged or repeats a fit: remove"):
        label_efficiency(ARMS, *table, results_file=path, **OPTIONS)
    path.write_text("".join(lines[: number - 1] + lines[number:]))
    again = label_efficiency(ARMS, *table, results_file=path, **OPTIONS)
    assert_same(again, label_efficiency(ARMS, *table, **OPTIONS))


def test_a_second_process_cannot_open_the_file(table, path):
    class Inner(DummyRegressor):
        def fit(self, X, y):
            with pytest.raises(RuntimeError, match=r"results.jsonl is in use by another process"):
                label_efficiency(ARMS, *table, results_file=path, **OPTIONS)
            return super().fit(X, y)

    frame = label_efficiency({"inner": Inner()}, *table, results_file=path, **OPTIONS)
    assert len(frame) == len(draws(path)) == 6


def test_a_results_file_needs_a_seed(table, path):
    with pytest.raises(ValueError, match="results_file needs a seed"):
        label_efficiency(ARMS, *table, results_file=path, random_state=None, **OPTIONS)
    assert not path.exists()


def test_a_model_without_fingerprint_is_refused(table, path):
    class Odd(DummyRegressor):
        def get_params(self, deep=True):
            return {"strategy": (x for x in ())}

    with pytest.raises(TypeError, match=r"model 'odd' cannot be identified in a results_file: .*generator has no"):
        label_efficiency({"odd": Odd()}, *table, results_file=path, **OPTIONS)
    assert not path.exists()


def test_read_results_of_a_missing_file(path):
    with pytest.raises(FileNotFoundError):
        read_results(path)


def test_names_may_have_any_characters(table, path):
    arms = {'a "quoted"\nname, é': Ridge()}
    frame = label_efficiency(arms, *table, results_file=path, **OPTIONS)
    assert_frame_equal(read_results(path), frame, check_exact=True)
    assert isinstance(frame, pd.DataFrame)
