"""FigureS1Display: box plots of the paper's comparison, with a panel for each property."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

from ._label_efficiency import LabelEfficiencyDisplay
from ._style import as_panels, make_panels, pyplot

#: Size of a panel, in inches.
_WIDTH, _HEIGHT = 5.6, 4.2


class FigureS1Display:
    """Box plots of the test error against the number of labels for several properties: the paper's figure S1.

    Create it with :meth:`from_results`.

    Parameters
    ----------
    results : dict of str to DataFrame
        For each property, by name, the result of :func:`skdim.model_selection.figure_s1` or
        :func:`skdim.model_selection.label_efficiency`.
    units : dict of str to str, default=None
        Unit of each property.

    Attributes
    ----------
    results : dict of str to DataFrame
    figure_ : matplotlib Figure
    axes_ : list of matplotlib Axes
        One per property.
    displays_ : dict of str to LabelEfficiencyDisplay
        The panels.

    See Also
    --------
    skdim.model_selection.figure_s1 : Runs the comparison.
    LabelEfficiencyDisplay : A single panel.

    Examples
    --------
    >>> from sklearn.datasets import make_regression
    >>> from sklearn.linear_model import LinearRegression, Ridge
    >>> from skdim.model_selection import label_efficiency
    >>> from skdim.plotting import FigureS1Display
    >>> X, y = make_regression(200, 5, noise=1.0, random_state=0)
    >>> models = {"least squares": LinearRegression(), "ridge": Ridge()}
    >>> table = label_efficiency(models, X, y, train_sizes=[20, 80], n_repeats=4)
    >>> display = FigureS1Display.from_results({"energy": table, "gap": table}, units={"gap": "eV"})
    >>> [axes.get_title(loc="left") for axes in display.axes_]
    ['(a) energy', '(b) gap']
    """

    def __init__(self, results, *, units=None) -> None:
        self.results = results
        self.units = units

    @classmethod
    def from_results(cls, results, *, units=None, ax=None, **plot_params) -> Self:
        """Plot the results of one or several properties.

        Parameters
        ----------
        results : dict of str to DataFrame
            For each property the result of :func:`skdim.model_selection.figure_s1`.
        units : dict of str to str, default=None
            Unit of each property.
        ax : matplotlib Axes, or sequence of one per property, default=None
            None creates a figure.
        **plot_params
            Passed to :meth:`plot`.

        Returns
        -------
        FigureS1Display
        """
        return cls(results, units=units).plot(ax=ax, **plot_params)

    def plot(self, ax=None, **plot_params) -> Self:
        """Draw the panels.

        Parameters
        ----------
        ax : matplotlib Axes, or sequence of one per property, default=None
            None creates a figure, with the panels side by side.
        **plot_params
            Passed to :meth:`LabelEfficiencyDisplay.plot`.

        Returns
        -------
        self : FigureS1Display

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        TypeError, ValueError
            If ``results`` is not a dict of tables, or the number of axes differs from that of the properties.
        """
        pyplot()
        if not isinstance(self.results, Mapping) or not self.results:
            raise TypeError(f"results must be a dict of property to DataFrame; got {type(self.results).__name__}")
        n_panels = len(self.results)
        if ax is None:
            self.axes_ = make_panels(n_panels, n_panels, _WIDTH, _HEIGHT)
        else:
            self.axes_ = as_panels(ax, n_panels)
        self.figure_, self.displays_ = self.axes_[0].figure, {}
        for k, (axes, (name, table)) in enumerate(zip(self.axes_, self.results.items(), strict=True)):
            display = LabelEfficiencyDisplay(table, units=(self.units or {}).get(name))
            self.displays_[name] = display.plot(ax=axes, **plot_params)
            label = f"({chr(ord('a') + k)}) " if n_panels > 1 else ""
            # Above the legend, which is above the axes.
            legend = axes.get_legend()
            height = 0 if legend is None else legend.get_window_extent().height * 72 / self.figure_.dpi
            axes.set_title(label + name, loc="left", pad=height + 8)
        return self
