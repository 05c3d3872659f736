"""What the displays share: matplotlib at its first use, colours, and panels."""

from __future__ import annotations

import numpy as np

#: Okabe and Ito's (2008) colours, told apart by colour-blind readers.
COLORS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442")
#: As many markers, for those who read in grey.
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
#: What no colour is left for, or of which nothing is known.
GREY = "#C8C8C8"


def pyplot():
    """matplotlib.pyplot, or what to install."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            "displays need matplotlib, which is not installed: pip install 'skdim-crystals[plot]'"
        ) from error
    return plt


def hex_colors(colors):
    """Colors of all the kinds that matplotlib knows, as texts: rows of numbers cannot be compared."""
    from matplotlib.colors import to_hex

    return [color if isinstance(color, str) else to_hex(color, keep_alpha=True) for color in colors]


def make_panels(n_panels, n_columns, width, height, beside=0.0, **options):
    """Axes of a new figure, in rows of ``n_columns``, each of so many inches; list of length n_panels.

    ``beside`` is how many inches a legend at the right needs.
    """
    columns = min(n_panels, n_columns)
    rows = -(-n_panels // columns)
    size = (width * columns + beside, height * rows)
    figure, axes = pyplot().subplots(rows, columns, figsize=size, layout="constrained", squeeze=False, **options)
    for unused in axes.ravel()[n_panels:]:
        figure.delaxes(unused)
    return list(axes.ravel()[:n_panels])


def as_panels(ax, n_panels):
    """One or several axes that a user gave, as a list of length n_panels."""
    axes = list(np.ravel(np.array(ax, dtype=object)))
    if len(axes) != n_panels:
        raise ValueError(f"{n_panels} panels need as many axes; got {len(axes)}")
    return axes


def legend_beside(axes):
    """A legend at the right of axes."""
    return axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
