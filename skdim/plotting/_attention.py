"""AttentionDistanceDisplay: attention to a neighbour against its distance."""

from __future__ import annotations

from typing import Self

import numpy as np
import pandas as pd

from .._crystals.checks import check_crystals
from .._shared.fitted import find_step
from ._attention_pairs import bin_edges, binned_quantiles, density, read_attention, weighted_quantiles
from ._style import COLORS, GREY, MARKERS, as_panels, hex_colors, legend_at_right, make_panels, pyplot

KINDS = ("points", "median", "density")
#: Size of a panel, in inches.
_WIDTH, _HEIGHT = 3.8, 3.2
#: Width of the legend, in inches.
_LEGEND = 1.7
#: Colours if all pairs of elements are shown: those of Okabe and Ito that also differ in greyscale.
_FEW = ("#0072B2", "#E69F00", "#000000", "#F0E442")
#: Number of attention bins for "density".
_N_HEIGHTS = 48
#: Quantile of the densities at the upper end of the colours.
_MOST_SHARES = 0.98
_QUARTILES = (0.25, 0.5, 0.75)


class AttentionDistanceDisplay:
    """Attention to a neighbour against its distance, with a panel for each head of each block.

    Create it with :meth:`from_estimator` or :meth:`from_attention`, for one crystal or many. A row of the table stands
    for ``count`` equal neighbours and has the attention to all of them; the plot shows the attention to one neighbour,
    attention / count. The dashed line is uniform attention to all sites of the supercell. For many crystals it falls
    with distance, as distant neighbours occur only in large supercells. Distance 0 is a site's attention to itself.

    Medians, quartiles and densities are over pairs of sites: a row of the table counts ``multiplicity`` * ``count``
    times. They do not depend on whether equal sites are merged.

    Parameters
    ----------
    attention : DataFrame
        Result of :meth:`skdim.DeepInfoMaxEmbedder.attention`.

    Attributes
    ----------
    attention : DataFrame
    figure_ : matplotlib Figure
    axes_ : list of matplotlib Axes
        One per panel: the heads of the first block, then those of the second, and so on.
    ax_ : matplotlib Axes
        The first panel.
    artists_ : list of dict of str to matplotlib Artist
        One dict per panel. "even": the dashed line. Points: a PathCollection for each pair of elements ("Na → Cl"), or
        "points". Medians: a line for each pair of elements or "median", the band "quartiles", and "self" for the
        attention of sites to themselves. Density: the QuadMesh "density".

    See Also
    --------
    skdim.DeepInfoMaxEmbedder.attention : Computes the table.

    References
    ----------
    Moran, Gaultois, Gusev, Rosseinsky, "Site-Net: using global self-attention and real-space supercells to capture
    long-range interactions in crystal structures", Digital Discovery 2023, 10.1039/D3DD00005B.

    Examples
    --------
    >>> from skdim import DeepInfoMaxEmbedder, SiteNetFeaturizer
    >>> from skdim.datasets import make_crystals
    >>> from skdim.plotting import AttentionDistanceDisplay
    >>> X = SiteNetFeaturizer().fit_transform(make_crystals(20, random_state=0)[0])
    >>> embedder = DeepInfoMaxEmbedder(max_epochs=1, n_heads=2, random_state=0).fit(X)
    >>> display = AttentionDistanceDisplay.from_estimator(embedder, X[0])
    >>> len(display.axes_)
    2
    """

    def __init__(self, attention) -> None:
        self.attention = attention

    @classmethod
    def from_estimator(cls, estimator, X, *, max_crystals=1000, random_state=0, ax=None, **plot_params) -> Self:
        """Compute the attention of a fitted network on crystals, and plot it.

        Parameters
        ----------
        estimator : fitted DeepInfoMaxEmbedder or SiteNetRegressor
            Or a FrozenEstimator or Pipeline of one; earlier steps of the Pipeline are applied to X.
        X : Crystals, or input of the Pipeline
            Select a row to show one crystal: ``X[3]``. Failed rows are skipped.
        max_crystals : int or None, default=1000
            Maximum number of crystals, drawn at random. None takes all.
        random_state : int, default=0
            Seed of the draw.
        ax : matplotlib Axes, or sequence of one per head of each block, default=None
            None creates a figure.
        **plot_params
            Passed to :meth:`plot`.

        Returns
        -------
        AttentionDistanceDisplay
        """
        pyplot()  # raise before computing anything
        if max_crystals is not None and max_crystals < 1:
            raise ValueError(f"max_crystals must be at least 1, or None; got {max_crystals!r}")
        transformers, network = find_step(estimator, "attention")
        for transformer in transformers:
            X = transformer.transform(X)
        X = check_crystals(X, type(network).__name__)
        if max_crystals is None or len(X) <= max_crystals:
            return cls(network.attention(X)).plot(ax=ax, **plot_params)
        rows = np.sort(np.random.default_rng(random_state).choice(len(X), max_crystals, replace=False))
        attention = network.attention(X[rows])
        attention["crystal"] = rows[attention["crystal"]].astype(np.int32)
        return cls(attention).plot(ax=ax, **plot_params)

    @classmethod
    def from_attention(cls, attention, *, ax=None, **plot_params) -> Self:
        """Plot a table of attention, or part of one: ``table[table["element"] == "O"]``.

        Parameters
        ----------
        attention : DataFrame
            Result of :meth:`skdim.DeepInfoMaxEmbedder.attention`.
        ax : matplotlib Axes, or sequence of one per head of each block, default=None
            None creates a figure.
        **plot_params
            Passed to :meth:`plot`.

        Returns
        -------
        AttentionDistanceDisplay
        """
        return cls(attention).plot(ax=ax, **plot_params)

    def plot(self, ax=None, *, kind=None, elements=None, bins=24, colors=None, cmap="Blues", legend=True) -> Self:
        """Draw the panels.

        Parameters
        ----------
        ax : matplotlib Axes, or sequence of one per head of each block, default=None
            None creates a figure, with the heads of a block side by side.
        kind : {"points", "median", "density"}, default=None
            "points": one for each distinct pair. "median": median and quartiles of the attention at each distance.
            "density": distribution of the attention at each distance. None takes points for one crystal, else medians.
        elements : bool, default=None
            Distinguish the elements of site and neighbour ("Na → Cl": attention of Na to Cl), for points and medians;
            medians then have no quartiles. None does so for one crystal.
        bins : int or sequence of float, default=24
            Number or edges (angstrom) of the distance bins, for medians and densities. A number makes bins of equal
            width from 0 to the distance within which 99 % of the pairs of sites are; pairs beyond it are not shown.
        colors : sequence of colors, default=None
            For pairs of elements. Up to four elements: the color is the neighbour's element and the marker the site's.
            More elements: the most frequent pairs have a color and a marker each, the others are grey. None takes the
            colour-blind safe palette of Okabe and Ito.
        cmap : str or Colormap, default="Blues"
            For "density".
        legend : bool, default=True
            Add a legend (for a density, a colour bar) to the right of the panels.

        Returns
        -------
        self : AttentionDistanceDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        TypeError, ValueError
            If the table is not a table of attention, the number of axes differs from that of the heads, or a parameter
            is invalid.
        """
        pyplot()
        from matplotlib.ticker import LogLocator, NullFormatter

        table = read_attention(self.attention)
        single = table["crystal"].nunique() == 1
        kind = ("points" if single else "median") if kind is None else kind
        if kind not in KINDS:
            raise ValueError(f"kind must be one of {KINDS}; got {kind!r}")
        edges = bin_edges(table, bins)
        panels = list(table.groupby(["block", "head"]))
        n_columns = max(table.groupby("block")["head"].nunique())
        if ax is None:
            legend_width = _LEGEND if legend else 0
            self.axes_ = make_panels(len(panels), n_columns, _WIDTH, _HEIGHT, legend_width, sharex=True, sharey=True)
        else:
            self.axes_ = as_panels(ax, len(panels))
        self.ax_, self.figure_ = self.axes_[0], self.axes_[0].figure
        colors = None if colors is None else hex_colors(colors)
        styles = _styles(table, colors) if (single if elements is None else elements) else {}
        draw = {"points": self._draw_points, "median": self._draw_medians, "density": self._draw_density}[kind]
        self.artists_ = []
        for axes, ((block, head), rows) in zip(self.axes_, panels, strict=True):
            axes.set_yscale("log")
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.yaxis.set_major_formatter("{x:g}")
            axes.yaxis.set_minor_formatter(NullFormatter())
            self.artists_.append(draw(axes, rows, table, edges, styles, cmap))
            self.artists_[-1]["even"] = self._draw_even(axes, rows, edges, kind)
            if len(panels) > 1:
                axes.set_title(f"Block {block}, head {head}" if table["block"].nunique() > 1 else f"Head {head}")
            axes.set(xlabel="Distance (Å)", ylabel="Attention to one neighbour\n(attention of the pair / count)")
            axes.spines[["top", "right"]].set_visible(False)
            if ax is None:
                axes.label_outer()
        if kind == "density":
            self._share_colors(legend)
        elif legend:
            legend_at_right(self.axes_[n_columns - 1 if ax is None else -1])
        return self

    def _draw_points(self, axes, rows, table, edges, styles, cmap):
        size = float(np.clip(8000 / len(rows), 4, 26))
        artists = {}
        for label, (part, color, marker) in _parts(rows, styles, "points").items():
            artists[label] = axes.scatter(
                part["distance"],
                part["weight"],
                s=size,
                color=color,
                marker=marker,
                edgecolors="0.2" if size > 10 else "none",
                linewidths=0.4,
                rasterized=len(rows) > 2000,  # thousands of points make vector graphics slow to open
                zorder=2 if color == GREY else 3,
                label=label if styles else None,
            )
        return artists

    def _draw_medians(self, axes, rows, table, edges, styles, cmap):
        artists = {}
        for label, (part, color, marker) in _parts(rows, styles, "median").items():
            centres, quantiles = binned_quantiles(part, edges, shares=_QUARTILES)
            style = {"color": color, "marker": marker, "markersize": 4, "linewidth": 1.5}
            style["zorder"] = 2 if color == GREY else 3
            (artists[label],) = axes.plot(centres, quantiles[:, 1], **style, label=label)
            selves = part[part["distance"] == 0]
            if not styles:
                artists["quartiles"] = axes.fill_between(
                    centres, quantiles[:, 0], quantiles[:, 2], color=color, alpha=0.25, linewidth=0, label="quartiles"
                )
            if len(selves):
                weights, n_pairs = selves["weight"].to_numpy(), selves["n_pairs"].to_numpy()
                low, middle, high = weighted_quantiles(weights, n_pairs, _QUARTILES)
                artists["self" if not styles else f"self {label}"] = axes.errorbar(
                    [0],
                    [middle],
                    yerr=None if styles else [[middle - low], [high - middle]],
                    **{**style, "markerfacecolor": "white", "linestyle": "none", "capsize": 3},
                    label=None if styles else "site to itself",
                )
        return artists

    def _draw_density(self, axes, rows, table, edges, styles, cmap):
        seen = table.loc[table["weight"] > 0, "weight"]
        heights = np.geomspace(seen.min() * 0.999, seen.max() * 1.001, _N_HEIGHTS + 1)
        share = density(rows, edges, heights)
        share[share == 0] = np.nan  # white, not the palest colour
        return {"density": axes.pcolormesh(edges, heights, share.T, cmap=cmap, rasterized=True)}

    def _share_colors(self, legend):
        """Give all panels the same colour range, and add a colour bar."""
        meshes = [artists["density"] for artists in self.artists_]
        shares = np.concatenate([np.ma.compressed(mesh.get_array()) for mesh in meshes])
        # Rare distances, with all pairs in one bin, must not stretch the colour range.
        top = np.quantile(shares, _MOST_SHARES)
        for mesh in meshes:
            mesh.set_clim(0, top)
        if legend:
            extend = "max" if shares.max() > top else "neither"
            self.figure_.colorbar(meshes[0], ax=self.axes_, extend=extend, label="Share of the pairs at this distance")

    def _draw_even(self, axes, rows, edges, kind):
        style = {"color": "0.2" if kind != "density" else "#D55E00", "linestyle": "--", "linewidth": 1.2, "zorder": 4}
        if rows["supercell_sites"].nunique() == 1:
            return axes.axhline(rows["even"].iloc[0], **style, label="even attention")
        centres, quantiles = binned_quantiles(rows, edges, "even", (0.5,))
        return axes.plot(centres, quantiles[:, 0], **style, label="even attention")[0]


def _styles(table, colors):
    """Color and marker of each pair of elements that is shown, in the order of the elements; grey for others."""
    names = table.drop_duplicates("elements").set_index("elements")[["element", "neighbour_element"]].sort_index()
    present = pd.unique(names.to_numpy().ravel()).tolist()
    if len(present) <= len(_FEW):
        few = colors or _FEW
        return {
            name: (few[present.index(near) % len(few)], MARKERS[present.index(site)])
            for name, site, near in names.itertuples()
        }
    colors = colors or COLORS
    amounts = table.groupby("elements", observed=True)["n_pairs"].sum().sort_values(ascending=False, kind="stable")
    shown = [name for name in names.index if name in set(amounts.index[: len(colors)])]
    styles = {name: (colors[k], MARKERS[k % len(MARKERS)]) for k, name in enumerate(shown)}
    if n_others := len(amounts) - len(shown):
        styles[f"{n_others} others"] = (GREY, ".")
    return styles


def _parts(rows, styles, name):
    """Rows, color and marker of each group."""
    if not styles:
        return {name: (rows, COLORS[0], MARKERS[0])}
    parts = {}
    for label, (color, marker) in styles.items():
        chosen = ~rows["elements"].isin(list(styles)) if color == GREY else rows["elements"] == label
        if chosen.any():
            parts[label] = (rows[chosen], color, marker)
    return parts
