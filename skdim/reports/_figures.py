"""Figures of a report, as SVG texts that follow the colours of the page."""

from __future__ import annotations

import io
import re
import warnings
from html import escape

import numpy as np

from ..plotting import CalibrationDisplay, EmbeddingDisplay, LabelEfficiencyDisplay
from ..plotting._style import COLORS, make_panels, pyplot

#: Colour of texts and lines in figures.
_INK = "#010203"
#: Colours of the displays that become those of the page: of its text, and of lines that are pale on any background.
_OF_PAGE = {_INK: "currentColor", "#000000": "currentColor", "#262626": "currentColor"}
_OF_PAGE |= {"#d9d9d9": "#80808066", "#e5e5e5": "#80808066"}
_SIDE = 3.6
#: Fewest vectors of a map.
_FEWEST = 5


def parity(label, prediction, std, unit):
    """Predictions against labels; bars of one standard deviation for at most 300 crystals."""
    with _figure_settings("parity"):
        (axes,) = make_panels(1, 1, _SIDE, _SIDE)
        both = np.concatenate([label, prediction])
        limits = [both.min(), both.max()]
        axes.plot(limits, limits, color=_INK, linewidth=0.8, linestyle="--")
        if std is not None and len(label) <= 300:
            axes.errorbar(label, prediction, yerr=std, fmt="none", ecolor=COLORS[4], elinewidth=0.6, alpha=0.6)
        axes.scatter(label, prediction, s=_size(len(label)), color=COLORS[0], alpha=0.6, linewidths=0, rasterized=True)
        axes.set(xlabel=_with_unit("Label", unit), ylabel=_with_unit("Prediction", unit))
        axes.set_aspect("equal", adjustable="datalim")
        return _svg(axes.figure, "Predictions against labels")


def histogram(values, what, unit):
    """Distribution of predictions or errors."""
    with _figure_settings(f"histogram {what}"):
        (axes,) = make_panels(1, 1, _SIDE, _SIDE)
        axes.hist(values, bins=min(40, max(5, int(np.sqrt(len(values))))), color=COLORS[0])
        axes.set(xlabel=_with_unit(what, unit), ylabel="Crystals")
        return _svg(axes.figure, f"Distribution of the {what.lower()}")


def calibration(label, prediction, std):
    """Fraction of labels inside of predicted intervals against their level."""
    with _figure_settings("calibration"):
        (axes,) = make_panels(1, 1, _SIDE, _SIDE)
        CalibrationDisplay.from_predictions(label, prediction, std, ax=axes)
        return _svg(axes.figure, "Calibration of the standard deviations")


def errors_of_models(table, unit):
    """Box plots of the errors of the models against the number of labels."""
    with _figure_settings("models"):
        display = LabelEfficiencyDisplay.from_results(table, units=_plain(unit) if unit else None)
        return _svg(display.ax_.figure, "Mean absolute error of the models")


def maps(vectors, targets, *, method, max_points, random_state):
    """A map for each target, on the same positions; empty if fewer than five crystals have different vectors.

    Parameters
    ----------
    vectors : ndarray of shape (n, n_components)
    targets : dict of str to ndarray of shape (n,)

    Returns
    -------
    list of (svg, caption)
    """
    usable = np.flatnonzero(np.isfinite(vectors).all(axis=1))
    if len(usable) < _FEWEST or (vectors[usable] == vectors[usable[0]]).all():
        return []
    drawn = []
    with _figure_settings("map"):
        options = {"method": method, "max_points": max_points, "random_state": random_state}
        whole = EmbeddingDisplay.from_vectors(vectors[usable], **options)
        pyplot().close(whole.ax_.figure)
    rows = usable[whole.rows]
    for name, values in targets.items():
        if not np.isfinite(values[rows]).any():
            continue
        with _figure_settings(f"map {name}"):
            display = EmbeddingDisplay(whole.positions, {name: values[rows]}, axis_names=whole.axis_names).plot()
            drawn.append((_svg(display.ax_.figure, f"Map of crystals by {name}"), f"{name}, {len(rows)} crystals"))
    return drawn


def _with_unit(text, unit):
    return _plain(f"{text} ({unit})" if unit else text)


def _plain(text):
    """A text in which matplotlib finds no formula."""
    return text.replace("$", r"\$")


def _size(n):
    return float(np.clip(4000 / max(1, n), 3, 20))


def _figure_settings(name):
    ink = ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color")
    return pyplot().rc_context(
        {
            **dict.fromkeys(ink, _INK),
            "figure.facecolor": "none",
            "axes.facecolor": "none",
            "savefig.facecolor": "none",
            "savefig.dpi": 130,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "svg.fonttype": "none",
            # Names inside of an SVG are hashes; those of two figures in a page must differ.
            "svg.hashsalt": name,
        }
    )


def _svg(figure, label):
    with io.StringIO() as file, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        figure.savefig(file, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
        text = file.getvalue()
    pyplot().close(figure)
    text = re.sub("|".join(_OF_PAGE), lambda match: _OF_PAGE[match[0]], text[text.index("<svg") :])
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'<g id="[^"]*"', "<g", text)
    # The page determines the size.
    text = re.sub(r'^<svg([^>]*?) width="[^"]*"', r"<svg\1", text)
    text = re.sub(r'^<svg([^>]*?) height="[^"]*"', r"<svg\1", text)
    return text.replace("<svg", f'<svg role="img" aria-label="{escape(label)}"', 1)
