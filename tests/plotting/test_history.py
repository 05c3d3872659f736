"""PretrainingHistoryDisplay: lines have the losses of the history; errors."""

import sys

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline

from skdim import DeepInfoMaxEmbedder, SiteNetFeaturizer, SiteNetRegressor
from skdim.plotting import PretrainingHistoryDisplay
from tests.helpers.small_estimators import SMALL

matplotlib = pytest.importorskip("matplotlib", reason="needs the extra 'plot'")


@pytest.fixture(scope="module")
def embedder(crystals):
    return DeepInfoMaxEmbedder(**SMALL, kl_weight=0.1, max_epochs=3, early_stopping=True).fit(crystals)


def make_history(n_epochs=4, valid=True):
    rng = np.random.default_rng(0)
    names = [f"{prefix}_{part}" for prefix in ("train", "valid")[: 1 + valid] for part in ("loss", "local", "global")]
    return [{"epoch": k + 1, "dur": 1.0, **dict(zip(names, rng.random(6), strict=False))} for k in range(n_epochs)]


def assert_draws(display, history):
    """Check that every line has the losses of the history against the epoch."""
    for part, lines in display.lines_.items():
        for prefix, line in lines.items():
            assert_array_equal(line.get_ydata(), [record[f"{prefix}_{part}"] for record in history])
            assert_array_equal(line.get_xdata(), [record["epoch"] for record in history])


def test_every_part_has_a_panel_with_both_losses(embedder, tmp_path):
    display = PretrainingHistoryDisplay.from_estimator(embedder)
    assert list(display.lines_) == ["loss", "local", "global", "kl", "descriptors"]
    assert all(list(lines) == ["train", "valid"] for lines in display.lines_.values())
    assert_draws(display, embedder.history_)
    assert display.history is embedder.history_
    assert display.best_epoch_ == 1 + int(np.argmin(embedder.history_[:, "valid_loss"]))
    labels = [axes.get_ylabel() for axes in display.axes_]
    assert labels == ["Loss", "Local loss", "Global loss", "Kullback-Leibler term", "Descriptor loss"]
    legends = [axes.get_legend() for axes in display.axes_]
    assert [legend is not None for legend in legends] == [False, False, True, False, False]
    assert [text.get_text() for text in legends[2].get_texts()] == ["training", "validation", "lowest validation loss"]
    display.figure_.savefig(tmp_path / "figure.png")
    assert legends[2].get_window_extent().x1 <= display.figure_.bbox.x1


def test_parts_add_up_to_the_loss_as_documented(embedder):
    last = {
        part: lines["valid"].get_ydata()[-1]
        for part, lines in PretrainingHistoryDisplay.from_estimator(embedder).lines_.items()
    }
    total = last["local"] + last["global"] + 0.1 * last["kl"] + 10 * last["descriptors"]
    assert last["loss"] == pytest.approx(total, rel=1e-5)


def test_history_of_saved_weights(embedder, tmp_path):
    embedder.save_pretrained(tmp_path / "weights")
    display = PretrainingHistoryDisplay.from_estimator(DeepInfoMaxEmbedder.from_pretrained(tmp_path / "weights"))
    assert_draws(display, embedder.history_)
    assert len(display.lines_) == 5


def test_history_of_shipped_weights():
    embedder = DeepInfoMaxEmbedder.from_pretrained()
    display = PretrainingHistoryDisplay.from_estimator(embedder)
    assert_draws(display, embedder.history_)
    assert len(display.ax_.lines[0].get_xdata()) == embedder.n_iter_
    assert display.best_epoch_ is None
    (legend,) = filter(None, (ax.get_legend() for ax in display.axes_))
    assert [text.get_text() for text in legend.get_texts()] == ["training"]


def test_a_regressor_has_one_panel(crystals):
    model = SiteNetRegressor(**SMALL, max_epochs=2).fit(crystals[:10], np.arange(10.0))
    display = PretrainingHistoryDisplay.from_estimator(model)
    assert {part: list(lines) for part, lines in display.lines_.items()} == {"loss": ["train"]}
    assert_draws(display, model.history_)


def test_network_inside_pipelines_and_frozen_estimators_is_found(embedder):
    for estimator in (
        FrozenEstimator(embedder),
        make_pipeline(SiteNetFeaturizer(), embedder),
        make_pipeline(SiteNetFeaturizer(), FrozenEstimator(embedder), Ridge()),
    ):
        assert PretrainingHistoryDisplay.from_estimator(estimator).history is embedder.history_


@pytest.mark.parametrize("kind", [list, pd.DataFrame])
def test_lowest_validation_loss_is_marked(kind):
    history = make_history()
    display = PretrainingHistoryDisplay.from_history(kind(history))
    assert list(display.lines_) == ["loss", "local", "global"]
    assert_draws(display, history)
    valid = [record["valid_loss"] for record in history]
    marks = [line for line in display.ax_.lines if line.get_linestyle() == ":"]
    assert [line.get_xdata()[0] for line in marks] == [1 + int(np.argmin(valid))]


def test_missing_epochs_are_numbered():
    history = [{"train_loss": 2.0}, {"train_loss": 1.0}]
    display = PretrainingHistoryDisplay.from_history(history)
    assert_array_equal(display.lines_["loss"]["train"].get_xydata(), [[1, 2], [2, 1]])
    assert history == [{"train_loss": 2.0}, {"train_loss": 1.0}]


def test_parts_are_drawn_on_axes_of_the_user():
    import matplotlib.pyplot as plt

    history = make_history()
    figure, axes = plt.subplots(1, 2)
    display = PretrainingHistoryDisplay(history)
    assert display.plot(ax=axes, parts=["global", "loss"]) is display
    assert list(display.lines_) == ["global", "loss"]
    assert display.axes_ == list(axes)
    assert display.figure_ is figure
    assert_draws(display, history)
    with pytest.raises(ValueError, match="one Axes for each of 3 panels; got 2"):
        display.plot(ax=axes)
    assert list(display.plot(parts="local").lines_) == ["local"]


def test_panels_fill_rows_evenly():
    history = [{"train_loss": 1.0, "train_local": 1.0, "train_global": 1.0, "train_kl": 1.0}] * 2
    places = [axes.get_subplotspec() for axes in PretrainingHistoryDisplay.from_history(history).axes_]
    assert [(p.rowspan.start, p.colspan.start) for p in places] == [(0, 0), (0, 1), (1, 0), (1, 1)]


def test_training_and_validation_differ_in_greyscale():
    line, other = PretrainingHistoryDisplay.from_history(make_history()).lines_["loss"].values()
    assert line.get_linestyle() != other.get_linestyle()
    assert line.get_marker() != other.get_marker()
    grey = [np.dot(matplotlib.colors.to_rgb(each.get_color()), [0.299, 0.587, 0.114]) for each in (line, other)]
    assert abs(grey[0] - grey[1]) > 0.2


@pytest.mark.parametrize(("n_epochs", "marker"), [(40, "o"), (41, "")])
def test_long_runs_have_no_markers(n_epochs, marker):
    display = PretrainingHistoryDisplay.from_history(make_history(n_epochs, valid=False))
    assert display.lines_["loss"]["train"].get_marker() == marker


@pytest.mark.parametrize(
    ("history", "params", "match"),
    [
        ([], {}, "the history has no epochs: nothing was trained"),
        ([{"epoch": 1, "dur": 0.1}], {}, r"neither 'train_loss' nor 'valid_loss'; it has \['epoch', 'dur'\]"),
        ([1.0, 2.0], {}, "history must be a list of records"),
        (make_history(), {"parts": ["kl"]}, r"parts must be some of \['loss', 'local', 'global'\]; got \['kl'\]"),
        (make_history(), {"parts": []}, "parts must be some of"),
    ],
)
def test_bad_history_is_refused(history, params, match):
    with pytest.raises(ValueError, match=match):
        PretrainingHistoryDisplay.from_history(history, **params)


def test_bad_estimators_are_refused(untrained):
    with pytest.raises(NotFittedError):
        PretrainingHistoryDisplay.from_estimator(DeepInfoMaxEmbedder())
    with pytest.raises(TypeError, match="neither Ridge nor its steps have 'history_'"):
        PretrainingHistoryDisplay.from_estimator(Ridge().fit([[0], [1]], [0, 1]))
    with pytest.raises(ValueError, match="nothing was trained"):
        PretrainingHistoryDisplay.from_estimator(untrained)


def test_error_without_matplotlib_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"skdim-crystals\[plot\]"):
        PretrainingHistoryDisplay.from_history(make_history())
