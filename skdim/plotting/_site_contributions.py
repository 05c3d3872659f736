"""SiteContributionDisplay: a crystal coloured by the contributions of its sites to a prediction."""

from __future__ import annotations

from typing import Self

import numpy as np

from ..inspection import site_contributions
from ._crystal_drawing import draw_cell, symbol_numbers
from ._style import make_panels, pyplot

#: Side of the figure, in inches.
_SIDE = 5.0
#: Largest number of drawn atoms with labels of their elements.
_MOST_LABELS = 120


class SiteContributionDisplay:
    """A unit cell whose sites are coloured by their contributions to a prediction.

    Create it with :meth:`from_estimator` or :meth:`from_contributions`. Spheres are sites, with radii proportional to
    their covalent radii; atoms on the boundary of the cell are repeated on its opposite side. Bonds connect sites that
    are nearly as close as nearest neighbours, and closer than 1.2 times the sum of their covalent radii. The colour
    scale is symmetric: white contributes nothing, red increases the prediction, and blue decreases it.

    Parameters
    ----------
    structure : pymatgen Structure
    contributions : ndarray of float of shape (n_sites,)
        Contribution of each site, in the order of the structure.
    prediction, baseline : float, default=None
        The contributions sum to their difference. None omits them from the title.

    Attributes
    ----------
    structure, contributions, prediction, baseline
        As passed.
    figure_ : matplotlib Figure
    ax_ : matplotlib Axes
    circles_ : list of matplotlib Circle
        One per drawn atom, from back to front.
    sites_ : ndarray of int of shape (n_atoms,)
        The site of each circle.
    colorbar_ : matplotlib Colorbar

    See Also
    --------
    skdim.inspection.site_contributions : Computes the contributions.
    AttentionDistanceDisplay : Attention between sites.

    Examples
    --------
    >>> from skdim import SiteNetFeaturizer, SiteNetRegressor
    >>> from skdim.datasets import make_crystals
    >>> from skdim.plotting import SiteContributionDisplay
    >>> from sklearn.pipeline import make_pipeline
    >>> structures, y = make_crystals(40, random_state=0)
    >>> model = make_pipeline(SiteNetFeaturizer(), SiteNetRegressor(max_epochs=2, random_state=0))
    >>> model = model.fit(structures[:30], y[:30])
    >>> display = SiteContributionDisplay.from_estimator(model, structures[30], structures[:30])
    >>> display.contributions.shape == (len(structures[30]),)
    True
    """

    def __init__(self, structure, contributions, *, prediction=None, baseline=None) -> None:
        self.structure = structure
        self.contributions = contributions
        self.prediction = prediction
        self.baseline = baseline

    @classmethod
    def from_estimator(
        cls, estimator, structure, reference, *, crystal=None, target=0, n_steps=32, ax=None, **plot_params
    ) -> Self:
        """Compute the contributions of the sites of a structure, and draw it.

        Parameters
        ----------
        estimator : fitted Pipeline or SiteNetRegressor
            A Pipeline of a :class:`skdim.SiteNetFeaturizer` and a :class:`skdim.SiteNetRegressor` takes structures; the
            regressor alone takes Crystals, so it needs ``crystal``.
        structure : pymatgen Structure
        reference : list of structures, or Crystals
            The crystals to compare with, usually those of the training set; input of the estimator.
        crystal : Crystals of shape (1,), default=None
            The featurized structure.
        target, n_steps
            As in :func:`skdim.inspection.site_contributions`.
        ax : matplotlib Axes, default=None
            None creates a figure.
        **plot_params
            Passed to :meth:`plot`.

        Returns
        -------
        SiteContributionDisplay
        """
        pyplot()  # raise before computing anything
        _check_structure(structure)
        X = [structure] if crystal is None else crystal
        if len(X) != 1:
            raise ValueError(f"crystal must be one crystal, as X[[3]]; got {len(X)}")
        result = site_contributions(estimator, X, reference, target=target, n_steps=n_steps)
        contributions = result.sites["contribution"].to_numpy()
        if not len(contributions):
            raise ValueError(f"{structure.reduced_formula} failed to featurize: it has no contributions")
        options = {"prediction": float(result.predictions[0]), "baseline": result.baseline}
        return cls(structure, contributions, **options).plot(ax=ax, **plot_params)

    @classmethod
    def from_contributions(
        cls, structure, contributions, *, prediction=None, baseline=None, ax=None, **plot_params
    ) -> Self:
        """Draw a structure with any number for each site.

        Parameters
        ----------
        structure : pymatgen Structure
        contributions : array-like of float of shape (n_sites,)
            Such as the rows of one crystal in the table of :func:`skdim.inspection.site_contributions`.
        prediction, baseline : float, default=None
            For the title.
        ax : matplotlib Axes, default=None
            None creates a figure.
        **plot_params
            Passed to :meth:`plot`.

        Returns
        -------
        SiteContributionDisplay
        """
        _check_structure(structure)
        display = cls(structure, np.asarray(contributions, dtype=float), prediction=prediction, baseline=baseline)
        return display.plot(ax=ax, **plot_params)

    def plot(self, ax=None, *, view=(12.0, -70.0), cmap="RdBu_r", vmax=None, unit=None, labels=True) -> Self:
        """Draw the cell.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None creates a figure.
        view : tuple of two float, default=(12.0, -70.0)
            Elevation and azimuth of the viewer in degrees, as in matplotlib's ``view_init``.
        cmap : str or Colormap, default="RdBu_r"
            Should be diverging.
        vmax : float, default=None
            Contribution at the ends of the colour scale, for example the same for several crystals. None takes the
            largest absolute value.
        unit : str, default=None
            Unit of the contributions: "eV/atom".
        labels : bool, default=True
            Write the symbols of the elements on the sites, of up to 120 atoms.

        Returns
        -------
        self : SiteContributionDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If the number of contributions differs from that of the sites, or one is not finite.
        """
        plt = pyplot()
        from matplotlib.colors import Normalize
        from matplotlib.lines import Line2D
        from matplotlib.patches import Circle

        values = np.asarray(self.contributions, dtype=float)
        if values.shape != (len(self.structure),) or not np.isfinite(values).all():
            raise ValueError(
                f"contributions must be a finite number for each of the {len(self.structure)} sites; got an array of "
                f"shape {values.shape}"
            )
        symbols = [site.species.elements[0].symbol for site in self.structure]
        cell = draw_cell(self.structure.lattice.matrix, self.structure.frac_coords, symbol_numbers(symbols), *view)
        if ax is None:
            (ax,) = make_panels(1, 1, _SIDE + 1, _SIDE)
        self.ax_, self.figure_ = ax, ax.figure
        limit = float(np.abs(values).max()) if vmax is None else float(vmax)
        scale = plt.cm.ScalarMappable(Normalize(-limit or -1, limit or 1), cmap)
        # One artist after the other, from back to front.
        for ends, depth in zip(cell.edges, cell.edge_depth, strict=True):
            ax.add_line(Line2D(*ends.T, color="0.6", linewidth=0.8, zorder=_order(depth)))
        for ends, depth in zip(cell.bonds, cell.bond_depth, strict=True):
            ax.add_line(Line2D(*ends.T, color="0.45", linewidth=1.8, solid_capstyle="butt", zorder=_order(depth)))
        front = np.argsort(cell.depth, kind="stable")
        self.sites_, self.circles_ = cell.site[front], []
        for atom in front:
            site, place = cell.site[atom], cell.positions[atom]
            color = scale.to_rgba(values[site])
            order = _order(cell.depth[atom] + 1e-3)
            circle = Circle(place, cell.radius[atom], facecolor=color, edgecolor="0.2", linewidth=0.8, zorder=order)
            self.circles_.append(ax.add_patch(circle))
            if labels and len(front) <= _MOST_LABELS:
                ink = "white" if np.dot(color[:3], (0.3, 0.59, 0.11)) < 0.5 else "black"
                ax.annotate(symbols[site], place, ha="center", va="center", fontsize=8, color=ink, zorder=order)
        ax.set_aspect("equal")
        ax.autoscale_view()
        ax.margins(0.03)
        ax.set_axis_off()
        ax.set_title(self._title())
        self.colorbar_ = self.figure_.colorbar(scale, ax=ax, fraction=0.04, pad=0.02)
        self.colorbar_.outline.set_visible(False)
        self.colorbar_.set_label(f"Contribution{f' ({unit})' if unit else ''}")
        return self

    def _title(self):
        formula = self.structure.reduced_formula
        if self.prediction is None or self.baseline is None:
            return formula
        parts = np.array([self.prediction, self.baseline, self.prediction - self.baseline])
        largest = np.abs(parts).max() or 1.0
        decimals = int(np.clip(2 - np.floor(np.log10(largest)), 0, 6))  # three digits of the largest
        prediction, baseline, sites = (f"{part:.{decimals}f}" for part in parts)
        return f"{formula}: {prediction} (baseline {baseline}, sites {sites})".replace("-", "−")


def _order(depth):
    # Below zorder 2 are ticks and grid lines, which are off.
    return 1000 + depth


def _check_structure(structure):
    if not hasattr(structure, "frac_coords"):
        raise TypeError(
            f"the structure must be a pymatgen Structure; got a {type(structure).__name__}. To read others: "
            "pymatgen.core.Structure.from_file"
        )
