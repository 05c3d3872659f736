"""Shared by the displays: lazy import of matplotlib, colours, and panels."""

from __future__ import annotations

import numpy as np

#: The colour-blind safe palette of Okabe and Ito (2008).
COLORS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442")
#: As many markers, to tell lines apart in greyscale.
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
#: Missing values, and categories without a colour.
GREY = "#C8C8C8"


def pyplot():
    """Import matplotlib.pyplot, or raise an ImportError that names the extra."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            "displays need matplotlib, which is not installed: pip install 'skdim-crystals[plot]'"
        ) from error
    return plt


def hex_colors(colors):
    """Convert any matplotlib colors to strings, which can be compared."""
    from matplotlib.colors import to_hex

    return [color if isinstance(color, str) else to_hex(color, keep_alpha=True) for color in colors]


def make_panels(n_panels, n_columns, width, height, legend_width=0.0, **options):
    """Create axes of ``width`` x ``height`` inches in rows of ``n_columns``; list of length n_panels.

    ``legend_width`` is the width in inches of a legend at the right.
    """
    columns = min(n_panels, n_columns)
    rows = -(-n_panels // columns)
    size = (width * columns + legend_width, height * rows)
    figure, axes = pyplot().subplots(rows, columns, figsize=size, layout="constrained", squeeze=False, **options)
    for unused in axes.ravel()[n_panels:]:
        figure.delaxes(unused)
    return list(axes.ravel()[:n_panels])


def as_panels(ax, n_panels):
    """Axes passed by the user, as a list of length n_panels."""
    axes = list(np.ravel(np.array(ax, dtype=object)))
    if len(axes) != n_panels:
        raise ValueError(f"ax must have one Axes for each of {n_panels} panels; got {len(axes)}")
    return axes


def legend_at_right(axes):
    """Add a legend to the right of axes."""
    return axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
