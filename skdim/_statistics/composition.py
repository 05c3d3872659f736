"""CompositionStatistics: statistics of elemental properties, descriptors without structure."""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator

from .._chemistry.elements import check_features, element_table
from .._crystals.checks import check_crystals
from .._shared.ragged import reduce_rows
from .._shared.stateless import StatelessTransformer

#: All statistics, in the default order.
STATISTICS = ("mean", "std", "min", "max")


class CompositionStatistics(StatelessTransformer, BaseEstimator):
    """Descriptors of the composition: statistics of elemental properties over the sites of a crystal.

    A simple baseline for representations of the structure, and a useful addition to them: combine both in a
    ``FeatureUnion``. Each site of the primitive cell counts once; polymorphs have the same descriptors. The transformer
    is stateless: ``fit`` only checks its input.

    Parameters
    ----------
    site_features : sequence of str, default=None
        Elemental properties, as for :class:`SiteNetFeaturizer`; None takes all. Values are in the original units.
        They need not be the features of the Crystals.
    statistics : sequence of {"mean", "std", "min", "max"}, default=("mean", "std", "min", "max")
        Statistics of each property over the sites. "std" is the population standard deviation (divided by n).

    See Also
    --------
    StructureStatistics : Descriptors of local environments.
    DeepInfoMaxEmbedder : Learned vectors, which describe the structure too.

    Examples
    --------
    >>> from skdim import SiteNetFeaturizer
    >>> from skdim import CompositionStatistics
    >>> from skdim.datasets import make_crystals
    >>> structures, y = make_crystals(20, random_state=0)
    >>> X = SiteNetFeaturizer().fit_transform(structures)
    >>> CompositionStatistics().fit_transform(X).shape
    (20, 100)
    >>> few = CompositionStatistics(site_features=["electronegativity"], statistics=["mean", "max"])
    >>> few.set_output(transform="pandas").fit_transform(X).columns.to_list()
    ['mean_electronegativity', 'max_electronegativity']
    """

    _parameter_constraints: ClassVar = {
        "site_features": ["array-like", None],
        "statistics": ["array-like"],
    }

    def __init__(self, *, site_features=None, statistics=STATISTICS) -> None:
        self.site_features = site_features
        self.statistics = statistics

    def fit(self, X, y=None) -> Self:
        """Check the parameters and the type of X.

        Parameters
        ----------
        X : Crystals of shape (n_crystals,)
        y : object, default=None
            Ignored.

        Returns
        -------
        self : CompositionStatistics
        """
        self._checked_parameters()
        check_crystals(X, "CompositionStatistics")
        return self

    def transform(self, X) -> np.ndarray:
        """Compute the statistics.

        Parameters
        ----------
        X : Crystals of shape (n_crystals,)

        Returns
        -------
        ndarray of float64 of shape (n_crystals, n_statistics * n_site_features)
            All properties for the first statistic, then for the second, ...; NaN for rows that failed to featurize.

        Raises
        ------
        TypeError
            If X is not Crystals.
        ValueError
            If a property or a statistic is unknown or duplicate.
        """
        names, statistics = self._checked_parameters()
        X = check_crystals(X, "CompositionStatistics")
        values = element_table(names, scaled=False)[X.numbers]
        weights = X.multiplicity.astype(np.float64)[:, None]
        n_sites = reduce_rows(np.add, weights, X.class_offsets)
        mean = reduce_rows(np.add, weights * values, X.class_offsets) / n_sites

        def std():
            squares = (values - np.repeat(mean, np.diff(X.class_offsets), axis=0)) ** 2
            return np.sqrt(reduce_rows(np.add, weights * squares, X.class_offsets) / n_sites)

        compute = {
            "mean": lambda: mean,
            "std": std,
            "min": lambda: reduce_rows(np.minimum, values, X.class_offsets),
            "max": lambda: reduce_rows(np.maximum, values, X.class_offsets),
        }
        return np.hstack([compute[statistic]() for statistic in statistics])

    def get_feature_names_out(self, input_features=None) -> np.ndarray:
        """Names of the columns of :meth:`transform`.

        Parameters
        ----------
        input_features : object, default=None
            Ignored.

        Returns
        -------
        ndarray of str of shape (n_features_out,)
            "mean_atomic_number", "mean_atomic_weight", ..., "std_atomic_number", ...
        """
        names, statistics = self._checked_parameters()
        return np.array([f"{statistic}_{name}" for statistic in statistics for name in names], dtype=object)

    def _checked_parameters(self):
        self._validate_params()
        names = check_features(self.site_features)
        statistics = tuple(self.statistics)
        if not statistics or len(set(statistics)) != len(statistics) or not set(statistics) <= set(STATISTICS):
            raise ValueError(f"statistics must be a selection of {STATISTICS} without repetition; got {statistics!r}")
        return names, statistics
