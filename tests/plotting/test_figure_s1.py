"""FigureS1Display: one panel of box plots for each property."""

import sys

import numpy as np
import pytest

from skdim.plotting import FigureS1Display
from tests.plotting.test_label_efficiency import make_results, medians

pytest.importorskip("matplotlib", reason="needs the extra 'plot'")

from matplotlib.text import Text

ARMS = ("representation", "untrained", "transfer", "supervised")


@pytest.fixture
def results():
    return {"formation energy": make_results(ARMS), "band gap": make_results(ARMS, sizes=(50, 100))}


def test_each_property_has_a_panel_with_its_errors(results, tmp_path):
    display = FigureS1Display.from_results(results, units={"formation energy": "eV/atom", "band gap": "eV"})
    assert [axes.get_title(loc="left") for axes in display.axes_] == ["(a) formation energy", "(b) band gap"]
    for (name, panel), unit in zip(display.displays_.items(), ("eV/atom", "eV"), strict=True):
        assert panel.ax_.get_ylabel() == f"Test mean absolute error ({unit})"
        assert list(panel.boxes_) == list(ARMS)
        for arm in ARMS:
            table = results[name]
            expected = table[table["arm"] == arm].groupby("n_labels")["mae"].median()
            np.testing.assert_allclose(medians(panel, arm), expected)
    display.figure_.savefig(tmp_path / "figure.png", dpi=display.figure_.dpi)
    renderer = display.figure_.canvas.get_renderer()
    for axes in display.axes_:
        title = next(text for text in axes.findobj(Text) if text.get_text() == axes.get_title(loc="left"))
        legend = axes.get_legend().get_window_extent(renderer)
        assert title.get_window_extent(renderer).y0 >= legend.y1 - 1, "the title overlaps the legend"
        assert legend.x1 <= display.figure_.bbox.x1


def test_one_property_has_no_letter(results):
    display = FigureS1Display.from_results({"band gap": results["band gap"]}, arms=["transfer"])
    assert display.axes_[0].get_title(loc="left") == "band gap"
    assert list(display.displays_["band gap"].boxes_) == ["transfer"]


def test_axes_of_the_user_are_used(results):
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2)
    display = FigureS1Display(results)
    assert display.plot(ax=axes) is display
    assert display.figure_ is figure
    assert display.axes_ == list(axes)
    with pytest.raises(ValueError, match="one Axes for each of 2 panels; got 1"):
        display.plot(ax=axes[0])


@pytest.mark.parametrize("wrong", [None, {}, make_results()])
def test_bad_results_are_refused(wrong):
    with pytest.raises(TypeError, match="results must be a dict of property to DataFrame"):
        FigureS1Display.from_results(wrong)


def test_error_without_matplotlib_names_the_extra(results, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"skdim-crystals\[plot\]"):
        FigureS1Display.from_results(results)
