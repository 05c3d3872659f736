"""DensityStatistics: how densely a crystal is filled with atoms, mass, electrons and spheres."""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator

from .._chemistry.elements import element_table
from .._crystals.checks import check_crystals
from .._shared.ragged import reduce_rows
from .._shared.stateless import StatelessTransformer

#: g/cm3 for one unified atomic mass unit in a cubic angstrom; cubic angstrom of a cm3/mol.
_MASS_DENSITY, _MOLAR_VOLUME = 1.66053907, 1.66053907
#: Column and what each site contributes to the sum over the primitive cell, from its elemental properties.
_COLUMNS = {
    "log_number_density": lambda table: np.ones(len(table("row"))),
    "log_mass_density": lambda table: _MASS_DENSITY * table("atomic_weight"),
    "log_valence_electron_density": lambda table: _n_valence(table("group")),
    "log_atomic_radius_filling": lambda table: _sphere(table("atomic_radius")),
    "log_covalent_radius_filling": lambda table: _sphere(table("covalent_radius")),
    "log_van_der_waals_radius_filling": lambda table: _sphere(table("van_der_waals_radius")),
    "log_molar_volume_filling": lambda table: _MOLAR_VOLUME * table("molar_volume"),
}


class DensityStatistics(StatelessTransformer, BaseEstimator):
    """Descriptors of density: what a crystal contains per volume.

    Seven columns, each the logarithm of a sum over the sites of the primitive cell divided by its volume: the numbers
    of atoms and of valence electrons, the mass, and the volumes of spheres with the atomic, covalent and van der Waals
    radii, and of the elements themselves. Refractive indices, dielectric constants and elastic moduli depend on them.
    The neighbours of :class:`StructureStatistics` do not determine the volume: a layered crystal can have the same with
    wide gaps between its layers. The transformer is stateless: ``fit`` only checks its input.

    Parameters
    ----------
    columns : sequence of str, default=None
        Names of the columns, some of those that :meth:`get_feature_names_out` gives by default; None takes all.

    See Also
    --------
    StructureStatistics : Descriptors of local environments.
    CompositionStatistics : Descriptors of the composition.

    Notes
    -----
    Number densities are per cubic angstrom, mass densities in g/cm3; fillings have no unit.

    Examples
    --------
    >>> from skdim import DensityStatistics, SiteNetFeaturizer
    >>> from skdim.datasets import make_crystals
    >>> structures, y = make_crystals(20, random_state=0)
    >>> X = SiteNetFeaturizer().fit_transform(structures)
    >>> table = DensityStatistics().set_output(transform="pandas").fit_transform(X)
    >>> table.shape, table.columns[1]
    ((20, 7), 'log_mass_density')
    """

    _parameter_constraints: ClassVar[dict] = {"columns": ["array-like", None]}

    def __init__(self, *, columns=None) -> None:
        self.columns = columns

    def fit(self, X, y=None) -> Self:
        """Check the parameters and the type of X.

        Parameters
        ----------
        X : Crystals of shape (n_crystals,)
        y : object, default=None
            Ignored.

        Returns
        -------
        self : DensityStatistics
        """
        self._checked_columns()
        check_crystals(X, "DensityStatistics")
        return self

    def transform(self, X) -> np.ndarray:
        """Compute the densities.

        Parameters
        ----------
        X : Crystals of shape (n_crystals,)

        Returns
        -------
        ndarray of float64 of shape (n_crystals, n_columns)
            NaN for rows that failed to featurize.

        Raises
        ------
        TypeError
            If X is not Crystals.
        ValueError
            If a column is unknown or duplicate.
        """
        columns = self._checked_columns()
        X = check_crystals(X, "DensityStatistics")
        values = _per_site(columns)[X.numbers] * X.multiplicity[:, None]
        total = reduce_rows(np.add, values, X.class_offsets)
        return np.log(total / X.volume[:, None].astype(np.float64))

    def get_feature_names_out(self, input_features=None) -> np.ndarray:
        """Names of the columns of :meth:`transform`.

        Parameters
        ----------
        input_features : object, default=None
            Ignored.

        Returns
        -------
        ndarray of str of shape (n_columns,)
            "log_number_density", "log_mass_density", "log_valence_electron_density", "log_atomic_radius_filling", ...
        """
        return np.array(self._checked_columns(), dtype=object)

    def _checked_columns(self):
        self._validate_params()
        columns = tuple(_COLUMNS if self.columns is None else self.columns)
        if not columns or len(set(columns)) != len(columns) or not set(columns) <= _COLUMNS.keys():
            raise ValueError(f"columns must be a selection of {tuple(_COLUMNS)} without repetition; got {columns!r}")
        return columns


def _per_site(columns):
    """What a site of each element contributes to each column, ndarray of shape (n_elements, n_columns)."""
    return np.column_stack([_COLUMNS[name](lambda each: element_table([each], scaled=False)[:, 0]) for name in columns])


def _n_valence(group):
    """Electrons outside of noble gas cores and filled d shells."""
    return np.where(group > 12, group - 10, group)


def _sphere(radius):
    return 4 / 3 * np.pi * radius**3
