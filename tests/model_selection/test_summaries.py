"""summarize and paired_difference."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from pandas.testing import assert_frame_equal

from skdim.model_selection import paired_difference, summarize


@pytest.fixture
def frame():
    """Model "b" is 1 worse than "a" in each repeat; repeats differ by much more; "c" lacks repeats."""
    level = np.array([1.0, 5.0, 9.0, 13.0])
    parts = [
        pd.DataFrame({"arm": arm, "n_labels": n, "repeat": repeats, "mae": level[repeats] / n + shift})
        for arm, shift, repeats in (("b", 1.0, [0, 1, 2, 3]), ("a", 0.0, [0, 1, 2, 3]), ("c", 0.5, [1, 2]))
        for n in (1, 10)
    ]
    return pd.concat(parts, ignore_index=True)


def test_summary_has_medians_and_quartiles(frame):
    summary = summarize(frame)
    assert list(summary["arm"]) == ["b", "b", "a", "a", "c", "c"]
    assert list(summary["n_labels"]) == [1, 10] * 3
    assert list(summary["n_repeats"]) == [4, 4, 4, 4, 2, 2]
    first = summary.iloc[2]
    assert_allclose(first[["median", "q25", "q75"]].astype(float), [7, 4, 10])
    assert "fit_time" not in summary
    assert "fit_time" in summarize(frame.assign(fit_time=2.0))
    shuffled = summarize(frame.sample(frac=1, random_state=0))
    order = {"by": ["arm", "n_labels"], "ignore_index": True}
    assert_frame_equal(shuffled.sort_values(**order), summary.sort_values(**order))


def test_paired_difference_removes_the_spread_between_repeats(frame):
    difference = paired_difference(frame, "a", "b")
    assert_allclose(difference[["median_difference", "low", "high"]], -1)
    assert list(difference["share_better"]) == [1, 1]
    assert list(paired_difference(frame, "c", "a")["n_repeats"]) == [2, 2]


def test_bootstrap_interval_has_the_expected_width():
    rng = np.random.default_rng(0)
    maes = {"a": 1 + rng.normal(0, 0.1, 200), "b": 1 + rng.normal(0.05, 0.1, 200)}
    parts = [pd.DataFrame({"arm": arm, "n_labels": 50, "repeat": range(200), "mae": mae}) for arm, mae in maes.items()]
    frame = pd.concat(parts)
    difference = paired_difference(frame, "a", "b", random_state=0)
    assert_frame_equal(difference, paired_difference(frame, "a", "b", random_state=0))
    row = difference.iloc[0]
    assert row["low"] < row["median_difference"] < row["high"] < 0
    wider = paired_difference(frame, "a", "b", confidence=0.999).iloc[0]
    assert wider["low"] < row["low"] < row["high"] < wider["high"]
    # The standard error of a median of 200 normal differences of deviation 0.14 is 0.0125.
    assert_allclose(row["high"] - row["low"], 2 * 1.96 * 0.0125, rtol=0.4)


def with_seeds(n_seeds=4, n_repeats=6, between=0.0):
    """Model "a" is 1 better than "b", with a spread of 0.1 between repeats and ``between`` between seeds."""
    rng = np.random.default_rng(0)
    parts = []
    for seed in range(n_seeds):
        level, shift = rng.normal(10, 5, n_repeats), -1 + rng.normal(0, between)
        for arm, mae in (("a", level + shift + rng.normal(0, 0.1, n_repeats)), ("b", level)):
            draws = {"seed": seed, "arm": arm, "n_labels": 50, "repeat": range(n_repeats), "mae": mae}
            parts.append(pd.DataFrame(draws))
    return pd.concat(parts, ignore_index=True)


def test_seeds_are_pooled_and_paired():
    frame = with_seeds()
    difference = paired_difference(frame, "a", "b").iloc[0]
    assert difference["n_repeats"] == 24
    assert -1.2 < difference["low"] < difference["median_difference"] < difference["high"] < -0.8
    summary = summarize(frame)
    assert list(summary["n_repeats"]) == [24, 24]
    assert_allclose(summary["median"], [frame.query("arm == @arm")["mae"].median() for arm in "ab"])


def test_the_interval_includes_the_spread_between_seeds():
    frame = with_seeds(n_seeds=8, between=1.0)
    difference = paired_difference(frame, "a", "b").iloc[0]
    alike = paired_difference(frame.assign(repeat=frame["repeat"] + 10 * frame["seed"]).drop(columns="seed"), "a", "b")
    assert difference["median_difference"] == alike["median_difference"].item()
    assert difference["high"] - difference["low"] > 1.5 * (alike["high"] - alike["low"]).item()


def test_seeds_may_have_different_numbers_of_repeats():
    frame = with_seeds(n_seeds=2)
    frame = frame[(frame["seed"] == 0) | (frame["repeat"] < 2)]
    difference = paired_difference(frame, "a", "b").iloc[0]
    assert difference["n_repeats"] == 8
    assert np.isfinite(difference[["low", "high"]].astype(float)).all()
    one = frame.query("seed == 0")
    assert_frame_equal(paired_difference(one, "a", "b"), paired_difference(one.drop(columns="seed"), "a", "b"))


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda f: summarize(f.assign(seed=np.nan)), r"missing values in columns.*'seed'"),
        (lambda f: summarize(pd.concat([f, f]).assign(seed=1)), "same arm, n_labels, seed, repeat"),
        (lambda f: summarize(f.drop(columns="mae")), r"columns \['mae'\] are missing"),
        (lambda f: summarize(f[:0]), "no rows"),
        (lambda f: summarize(None), "columns .* are missing"),
        (lambda f: summarize(f.assign(mae=f["mae"].where(f.index != 3))), r"missing values in columns.*'mae'"),
        (lambda f: summarize(pd.concat([f, f])), "has duplicate draws"),
        (lambda f: paired_difference(f, "a", "z"), "'z' not found in column"),
        (lambda f: paired_difference(f, "a", "b", confidence=95), "between 0 and 1"),
        (lambda f: paired_difference(f.query("arm != 'a' or repeat == 0"), "a", "c"), "no common label draw"),
    ],
)
def test_bad_tables_are_refused(frame, call, match):
    with pytest.raises(ValueError, match=match):
        call(frame)
