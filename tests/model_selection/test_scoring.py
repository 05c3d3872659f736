"""Scorers and classes in label_efficiency, its tables, summaries, files and plots."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from pandas.testing import assert_frame_equal
from sklearn.datasets import make_classification
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import get_scorer, make_scorer, mean_absolute_error, roc_auc_score
from sklearn.model_selection import GroupShuffleSplit, StratifiedShuffleSplit

from skdim.model_selection import label_draws, label_efficiency, paired_difference, read_results, summarize
from skdim.plotting import LabelEfficiencyDisplay

SIZES = {"train_sizes": [20, 60], "n_repeats": 3, "random_state": 0}
MODELS = {"prior": DummyClassifier(strategy="prior"), "logistic": LogisticRegression()}


@pytest.fixture(scope="module")
def table():
    X, y = make_classification(200, 6, weights=[0.8], random_state=0)
    return X, np.array(["metal", "insulator"])[1 - y]


@pytest.fixture(scope="module")
def frame(table):
    return label_efficiency(MODELS, *table, scoring="roc_auc", **SIZES)


def negative_error(estimator, X, y):
    return -mean_absolute_error(y, estimator.predict(X))


# ---- draws ----


def test_stratified_draws_are_nested_and_have_the_shares_of_the_classes():
    classes = np.repeat(["a", "b", "c"], [140, 50, 10])
    draws = label_draws(200, train_sizes=[3, 20, 100, 200], n_repeats=20, stratify=classes)
    for first, second in pairwise(draws):
        if first.repeat == second.repeat:
            assert_array_equal(first.rows, second.rows[: first.n_labels])
    for draw in draws:
        assert len(set(draw.rows)) == draw.n_labels
        counts = np.array([(classes[draw.rows] == name).sum() for name in "abc"])
        assert (counts >= 1).all()
        assert (np.abs(counts - draw.n_labels * np.array([0.7, 0.25, 0.05])) <= 2).all()
    assert len({tuple(draw.rows) for draw in draws if draw.n_labels == 20}) == 20
    with pytest.raises(ValueError, match="stratify has 200 classes for n_rows=100"):
        label_draws(100, train_sizes=[3], stratify=classes)


def test_every_row_is_drawn_about_as_often_as_the_others():
    classes = np.repeat([0, 1], [30, 10])
    draws = label_draws(40, train_sizes=[8], n_repeats=2000, stratify=classes)
    counts = np.bincount(np.concatenate([draw.rows for draw in draws]), minlength=40)
    for name in (0, 1):
        each = counts[classes == name]
        assert_allclose(each, each.mean(), rtol=0.25)


def test_draws_of_classifiers_are_stratified(table):
    X, y = table
    seen = []

    class Recorder(DummyClassifier):
        def fit(self, X, y, sample_weight=None):
            seen.append(list(y))
            return super().fit(X, y)

    label_efficiency({"a": Recorder(strategy="prior")}, X, y, **SIZES)
    assert len(seen) == 6
    for labels in seen:
        assert abs(labels.count("metal") / len(labels) - 0.2) < 0.06


# ---- scores ----


def test_the_score_of_each_fit_is_that_of_the_scorer(table, frame):
    X, y = table
    assert list(frame.columns) == ["arm", "n_labels", "repeat", "test_roc_auc", "fit_time", "predict_time"]
    seed = int(np.random.RandomState(0).randint(np.iinfo(np.int32).max))
    pool, test = next(StratifiedShuffleSplit(1, test_size=0.2, random_state=seed).split(X, y))
    draws = label_draws(len(pool), **SIZES, stratify=y[pool])
    for draw in draws:
        rows = pool[draw.rows]
        model = LogisticRegression().fit(X[rows], y[rows])
        expected = roc_auc_score(y[test], model.predict_proba(X[test])[:, 1])
        got = frame.query("arm == 'logistic' and n_labels == @draw.n_labels and repeat == @draw.repeat")
        assert got["test_roc_auc"].item() == pytest.approx(expected)
    assert_allclose(frame.query("arm == 'prior'")["test_roc_auc"], 0.5)


def test_callables_name_their_column(table):
    X, _ = table
    y = X @ np.arange(6.0)
    errors = label_efficiency({"ridge": Ridge()}, X, y, **SIZES)["mae"]
    for scoring, column in (
        (negative_error, "test_negative_error"),
        (make_scorer(mean_absolute_error, greater_is_better=False), "test_score"),
        (lambda *args: negative_error(*args), "test_score"),
        ("neg_mean_absolute_error", "test_neg_mean_absolute_error"),
    ):
        scores = label_efficiency({"ridge": Ridge()}, X, y, scoring=scoring, **SIZES)
        assert_allclose(scores[column], -errors)


def test_classifiers_are_scored_by_log_loss_by_default(table):
    default = label_efficiency(MODELS, *table, **SIZES)
    explicit = label_efficiency(MODELS, *table, scoring="neg_log_loss", **SIZES)
    times = ["fit_time", "predict_time"]
    assert_frame_equal(default.drop(columns=times), explicit.drop(columns=times))
    assert "test_neg_log_loss" in default


def test_greater_scores_are_better(frame):
    summary = summarize(frame)
    best = frame.query("arm == 'logistic' and n_labels == 60")["test_roc_auc"]
    assert summary["median"].iloc[-1] == pytest.approx(best.median())
    difference = paired_difference(frame, "logistic", "prior")
    assert (difference["median_difference"] > 0).all()
    assert (difference["share_better"] == 1).all()
    assert (paired_difference(frame, "prior", "logistic")["share_better"] == 0).all()


def test_groups_of_classes_are_held_out_together(table):
    X, y = table
    groups = np.arange(200) % 20
    frame = label_efficiency({"a": MODELS["logistic"]}, X, y, scoring="accuracy", groups=groups, **SIZES)
    seed = int(np.random.RandomState(0).randint(np.iinfo(np.int32).max))
    pool, test = next(GroupShuffleSplit(1, test_size=0.2, random_state=seed).split(X, y, groups))
    draw = label_draws(len(pool), **SIZES, stratify=y[pool])[0]
    model = LogisticRegression().fit(X[pool[draw.rows]], y[pool[draw.rows]])
    assert frame["test_accuracy"].iloc[0] == get_scorer("accuracy")(model, X[test], y[test])


# ---- files ----


def test_results_files_keep_the_scores_and_refuse_others(table, frame, tmp_path):
    path = tmp_path / "scores.jsonl"
    first = label_efficiency(MODELS, *table, scoring="roc_auc", results_file=path, **{**SIZES, "n_repeats": 2})
    assert_frame_equal(read_results(path), first)
    again = label_efficiency(MODELS, *table, scoring="roc_auc", results_file=path, **SIZES)
    assert_array_equal(again["test_roc_auc"], frame["test_roc_auc"])
    assert len(read_results(path)) == 12
    for other in ("accuracy", None):
        with pytest.raises(ValueError, match="is for another comparison, with other scoring"):
            label_efficiency(MODELS, *table, scoring=other, results_file=path, **SIZES)
    path = tmp_path / "callable.jsonl"
    X, y = table[0], table[0] @ np.arange(6.0)
    label_efficiency({"ridge": Ridge()}, X, y, scoring=negative_error, results_file=path, **SIZES)
    assert "test_negative_error" in read_results(path)
    with pytest.raises(ValueError, match="with other scoring"):
        label_efficiency({"ridge": Ridge()}, X, y, results_file=path, **SIZES)


# ---- errors ----


def test_bad_calls_are_refused(table):
    X, y = table
    with pytest.raises(TypeError, match=r"the models \['logistic'\] are classifiers, and \['ridge'\] are not"):
        label_efficiency({"logistic": MODELS["logistic"], "ridge": Ridge()}, X, y, **SIZES)
    missing = y.astype(object)
    missing[7] = None
    with pytest.raises(ValueError, match=r"y has 1 labels that are missing, the first in row 7\. .*~pandas\.isna\(y\)"):
        label_efficiency(MODELS, X, missing, **SIZES)
    with pytest.raises(ValueError, match="Unknown label type: continuous"):
        label_efficiency(MODELS, X, X[:, 0], **SIZES)
    with pytest.raises(ValueError, match="all labels to draw from are one class, 1: pass rows of other classes"):
        label_efficiency(MODELS, X, [1] * 200, **SIZES)
    with pytest.raises(ValueError, match="roc_aux"):
        label_efficiency(MODELS, X, y, scoring="roc_aux", **SIZES)
    with pytest.raises(
        RuntimeError, match="model 'prior' failed at 20 labels, repeat 0: ValueError: the scorer gave nan"
    ):
        label_efficiency(MODELS, X, y, scoring=lambda *args: np.nan, **SIZES)
    with pytest.raises(ValueError, match=r"scores \['mae', 'test_r2'\]: keep one"):
        summarize(pd.DataFrame({"arm": "a", "n_labels": 1, "repeat": [0], "mae": 1.0, "test_r2": 1.0}))


# ---- plot ----


def test_the_axis_is_labelled_with_the_score(frame, table):
    pytest.importorskip("matplotlib", reason="needs the extra 'plot'")
    assert LabelEfficiencyDisplay.from_results(frame).ax_.get_ylabel() == "Test ROC AUC"
    accuracy = frame.rename(columns={"test_roc_auc": "test_balanced_accuracy"})
    assert LabelEfficiencyDisplay.from_results(accuracy).ax_.get_ylabel() == "Test balanced accuracy"
    errors = frame.rename(columns={"test_roc_auc": "mae"})
    assert LabelEfficiencyDisplay.from_results(errors, units="eV").ax_.get_ylabel() == "Test mean absolute error (eV)"
    display = LabelEfficiencyDisplay.from_estimators(MODELS, *table, scoring="accuracy", **SIZES)
    medians = display.results.groupby(["arm", "n_labels"], sort=False)["test_accuracy"].median()
    assert [line.get_ydata()[0] for line in display.boxes_["prior"]["medians"]] == medians["prior"].tolist()
