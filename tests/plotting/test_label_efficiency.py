"""LabelEfficiencyDisplay: boxes have the errors of the table; errors."""

import sys

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from sklearn.datasets import make_regression
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import Ridge

from skdim.model_selection import label_efficiency
from skdim.plotting import LabelEfficiencyDisplay
from skdim.plotting._label_efficiency import STYLES

matplotlib = pytest.importorskip("matplotlib", reason="needs the extra 'plot'")


def make_results(arms=("b", "a", "c"), sizes=(100, 50, 250), n_repeats=5):
    rng = np.random.default_rng(0)
    rows = [(arm, n, r, rng.lognormal(-1, 0.1)) for arm in arms for n in sizes for r in range(n_repeats)]
    return pd.DataFrame(rows, columns=["arm", "n_labels", "repeat", "mae"])


def medians(display, arm):
    return [line.get_ydata()[0] for line in display.boxes_[arm]["medians"]]


def points(display):
    return [line for line in display.ax_.lines if line.get_linestyle() == "None" and line.get_marker() == "o"]


def test_boxes_have_the_medians_of_the_results():
    results = make_results()
    display = LabelEfficiencyDisplay.from_results(results, units="eV/atom")
    assert display.results is results
    assert display.ax_.figure is display.figure_
    assert [tick.get_text() for tick in display.ax_.get_xticklabels()] == ["50", "100", "250"]
    assert display.ax_.get_ylabel() == "Test mean absolute error (eV/atom)"
    assert display.ax_.get_xlabel() == "Number of labels"
    assert [text.get_text() for text in display.ax_.get_legend().get_texts()] == ["b", "a", "c"]
    for arm in "abc":
        expected = results[results["arm"] == arm].groupby("n_labels")["mae"].median()
        assert_allclose(medians(display, arm), expected)


def test_boxes_are_over_the_draws_of_all_seeds():
    parts = {seed: make_results(n_repeats=3 + seed) for seed in range(2)}
    results = pd.concat(parts, names=["seed"]).reset_index("seed")
    display = LabelEfficiencyDisplay.from_results(results)
    for arm in "abc":
        assert_allclose(medians(display, arm), results[results["arm"] == arm].groupby("n_labels")["mae"].median())
    assert {len(line.get_xdata()) for line in points(display)} == {7}


def test_from_estimators_passes_on_results_file_and_memory(tmp_path):
    X, y = make_regression(60, 3, random_state=0)
    options = {"train_sizes": [10], "n_repeats": 3, "results_file": tmp_path / "results.jsonl", "memory": str(tmp_path)}
    first = LabelEfficiencyDisplay.from_estimators({"ridge": Ridge()}, X, y, **options)
    again = LabelEfficiencyDisplay.from_estimators({"ridge": Ridge()}, X, y, **options)
    pd.testing.assert_frame_equal(first.results, again.results)


def test_from_estimators_plots_label_efficiency():
    X, y = make_regression(60, 3, random_state=0)
    arms = {"mean": DummyRegressor(), "ridge": Ridge()}
    options = {"train_sizes": [10, 20], "n_repeats": 3, "test_size": 0.3}
    display = LabelEfficiencyDisplay.from_estimators(arms, X, y, **options, units="K", arms=["ridge"])
    columns = ["arm", "n_labels", "repeat", "mae"]
    pd.testing.assert_frame_equal(display.results[columns], label_efficiency(arms, X, y, **options)[columns])
    assert list(display.boxes_) == ["ridge"]
    assert display.ax_.get_ylabel().endswith("(K)")


def test_boxes_of_a_size_are_side_by_side_in_order():
    display = LabelEfficiencyDisplay.from_results(make_results())
    places = {arm: [np.mean(line.get_xdata()) for line in display.boxes_[arm]["medians"]] for arm in "bac"}
    for k in range(3):
        row = [places[arm][k] for arm in "bac"]
        assert row == sorted(row)
        assert k - 0.5 < row[0] < row[-1] < k + 0.5


def test_axes_of_the_user_are_used():
    import matplotlib.pyplot as plt

    fig, (left, right) = plt.subplots(1, 2)
    display = LabelEfficiencyDisplay(make_results())
    assert display.plot(ax=right) is display
    assert display.ax_ is right
    assert display.figure_ is fig
    assert not left.patches
    assert len(plt.get_fignums()) == 1


def test_style_does_not_depend_on_the_models_shown():
    results = make_results()
    every = LabelEfficiencyDisplay.from_results(results)
    one = LabelEfficiencyDisplay.from_results(results, arms=["c"], legend=False)
    assert list(one.boxes_) == ["c"]
    box, same = one.boxes_["c"]["boxes"][0], every.boxes_["c"]["boxes"][0]
    assert box.get_facecolor() == same.get_facecolor()
    assert box.get_hatch() == same.get_hatch()
    assert one.ax_.get_legend() is None


def test_styles_differ_in_greyscale_or_hatch():
    def lightness(color):
        return np.dot(matplotlib.colors.to_rgb(color), [0.299, 0.587, 0.114])

    for i, (color, hatch) in enumerate(STYLES):
        for other, other_hatch in STYLES[:i]:
            assert hatch != other_hatch or abs(lightness(color) - lightness(other)) > 0.2


@pytest.mark.parametrize(("n_repeats", "shown"), [(12, True), (13, False)])
def test_up_to_12_draws_are_points(n_repeats, shown):
    display = LabelEfficiencyDisplay.from_results(make_results(n_repeats=n_repeats))
    assert bool(points(display)) == shown
    if shown:
        assert sum(len(line.get_ydata()) for line in points(display)) == 3 * 3 * n_repeats
    assert not points(LabelEfficiencyDisplay.from_results(make_results(n_repeats=n_repeats), points=False))


def test_a_model_may_lack_a_size():
    results = make_results().query("arm != 'a' or n_labels == 100")
    display = LabelEfficiencyDisplay.from_results(results)
    assert len(display.boxes_["a"]["boxes"]) == 1
    assert 0.5 < np.mean(display.boxes_["a"]["medians"][0].get_xdata()) < 1.5


def test_legend_of_many_models_is_above_the_axes(tmp_path):
    arms = [f"a model with a rather long name {k}" for k in range(10)]
    display = LabelEfficiencyDisplay.from_results(make_results(arms=arms))
    display.figure_.savefig(tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 10_000
    # Above the axes and inside the figure.
    renderer = display.figure_.canvas.get_renderer()
    legend, axes = display.ax_.get_legend().get_window_extent(renderer), display.ax_.get_window_extent(renderer)
    assert legend.y0 >= axes.y1 - 1
    assert legend.x1 <= display.figure_.bbox.x1
    assert legend.y1 <= display.figure_.bbox.y1


def test_results_can_be_read_from_a_csv_file(tmp_path):
    results = make_results()
    results.to_csv(tmp_path / "draws.csv", index=False)
    display = LabelEfficiencyDisplay.from_results(pd.read_csv(tmp_path / "draws.csv"))
    assert list(display.boxes_) == ["b", "a", "c"]


@pytest.mark.parametrize(
    ("change", "params", "match"),
    [
        (lambda f: f.drop(columns="repeat"), {}, r"columns \['repeat'\] are missing"),
        (lambda f: f, {"arms": ["z"]}, r"arms must be some of \['b', 'a', 'c'\]"),
        (lambda f: f, {"arms": []}, "arms must be some of"),
    ],
)
def test_bad_results_are_refused(change, params, match):
    with pytest.raises(ValueError, match=match):
        LabelEfficiencyDisplay.from_results(change(make_results()), **params)


def test_error_without_matplotlib_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"skdim-crystals\[plot\]"):
        LabelEfficiencyDisplay.from_results(make_results())
    with pytest.raises(ImportError, match=r"skdim-crystals\[plot\]"):
        LabelEfficiencyDisplay.from_estimators({"a": Ridge()}, None, None)
