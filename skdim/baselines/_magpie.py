"""MagpieFeatures: statistics of the composition, as in matminer's preset "magpie"."""

from __future__ import annotations

import csv
from functools import lru_cache
from importlib.resources import files
from typing import ClassVar

import numpy as np

from ._base import StructureTransformer

#: Statistics of each property, in matminer's order.
_STATISTICS = ("minimum", "maximum", "range", "mean", "avg_dev", "mode")
#: Highest atomic number; the table lacks the last elements.
_MAX_Z = 118


class MagpieFeatures(StructureTransformer):
    """Magpie's 132 statistics of the composition.

    Minimum, maximum, range, mean, mean absolute deviation and mode of 22 elemental properties, weighted by atomic
    fractions. Polymorphs of one formula have equal rows. ``fit`` only checks the parameters. Values and names are those
    of matminer's preset "magpie", from a copy of its table: matminer need not be installed.

    Parameters
    ----------
    impute : bool, default=True
        Magpie's tables lack a few values, such as the electronegativities of He, Ne, Ar and Rn and the covalent radii
        from Bk on. True takes the mean of the property over the elements, as matminer's preset does; False raises an
        error for structures with such elements.
    disordered : {"raise", "majority"}, default="raise"
        What to do with a partially occupied site: raise an error, or take the species of largest occupancy.
    on_error : {"raise", "warn"}, default="raise"
        What to do if a structure has no features: raise an error, or warn and set its row to NaN.
    n_jobs : int, default=None
        Number of processes (joblib). None means 1 unless in a ``joblib.parallel_config`` context.
    verbose : int, default=0
        1 shows a progress bar; in a log file, occasional lines.

    See Also
    --------
    skdim.CompositionStatistics : Composition statistics of Crystals.

    References
    ----------
    Ward, Agrawal, Choudhary, Wolverton, npj Computational Materials 2016, 10.1038/npjcompumats.2016.28;
    Ward et al., Computational Materials Science 2018 (matminer), 10.1016/j.commatsci.2018.05.018.

    Examples
    --------
    >>> from skdim.baselines import MagpieFeatures
    >>> from skdim.datasets import make_crystals
    >>> structures, y = make_crystals(20, random_state=0)
    >>> MagpieFeatures().fit_transform(structures).shape
    (20, 132)
    """

    _parameter_constraints: ClassVar = {**StructureTransformer._parameter_constraints, "impute": ["boolean"]}

    def __init__(self, *, impute=True, disordered="raise", on_error="raise", n_jobs=None, verbose=0) -> None:
        self.impute = impute
        self.disordered = disordered
        self.on_error = on_error
        self.n_jobs = n_jobs
        self.verbose = verbose

    def _function(self):
        names, table = _table()
        if self.impute:
            table = np.where(np.isnan(table), [np.nanmean(column[1:].copy()) for column in table.T], table)

        def features(structure):
            amounts = structure.composition.element_composition
            # Contiguous along the elements, so that sums are rounded like matminer's.
            values = np.ascontiguousarray(table[[element.Z for element in amounts]].T)
            _check_known(values, names, list(amounts))
            return _statistics(values, np.array(list(amounts.values()))).ravel()

        return features

    def get_feature_names_out(self, input_features=None) -> np.ndarray:
        """Names of the columns of :meth:`transform`.

        Parameters
        ----------
        input_features : object, default=None
            Ignored.

        Returns
        -------
        ndarray of str of shape (132,)
            "minimum Number", "maximum Number", ...: matminer's names without "MagpieData".
        """
        return np.array([f"{statistic} {name}" for name in _table()[0] for statistic in _STATISTICS], dtype=object)


@lru_cache(maxsize=1)
def _table():
    """Names of the properties, and values by atomic number: (names, ndarray of shape (119, 22)); NaN where missing."""
    text = files(__package__).joinpath("magpie.csv").read_text(encoding="utf-8")
    header, *rows = csv.reader(line for line in text.splitlines() if not line.startswith("#"))
    values = np.full((_MAX_Z + 1, len(header) - 1), np.nan)
    values[1 : len(rows) + 1] = [[float(value or "nan") for value in row[1:]] for row in rows]
    values.flags.writeable = False
    return tuple(header[1:]), values


def _statistics(values, amounts):
    """Statistics of properties (n_properties, n_elements), weighted by amounts: (n_properties, n_statistics)."""
    least, most = values.min(axis=1), values.max(axis=1)
    mean = np.average(values, axis=1, weights=amounts)
    deviation = np.average(np.abs(values - mean[:, None]), axis=1, weights=amounts)
    # Of equally frequent elements, the smallest value.
    mode = values[:, np.isclose(amounts, amounts.max())].min(axis=1)
    return np.stack([least, most, most - least, mean, deviation, mode], axis=1)


def _check_known(values, names, elements):
    lacking = np.isnan(values)
    if lacking.any():
        column = int(lacking.any(axis=0).argmax())
        properties = ", ".join(name for name, missing in zip(names, lacking[:, column], strict=True) if missing)
        raise ValueError(
            f"Magpie's tables lack {properties} of {elements[column]}; impute=True takes the mean over the elements"
        )
