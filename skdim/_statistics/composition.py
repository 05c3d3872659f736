"""CompositionStatistics: Crystals -> statistics of the elements' properties, the features without structure."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from sklearn.base import BaseEstimator

from .._chemistry.elements import check_features, element_table
from .._crystals.checks import check_crystals
from .._shared.stateless import StatelessTransformer

#: Every statistic that there is, in the default order.
STATISTICS = ("mean", "std", "min", "max")


class CompositionStatistics(StatelessTransformer, BaseEstimator):
    """Describe a crystal by its composition alone: statistics of its sites' elemental properties.

    The plain baseline that a representation of the structure has to beat, and a useful neighbour of one: join the two
    with a ``FeatureUnion``. Each site of the primitive cell counts once, so that polymorphs of one formula get the same
    row. Nothing is learnt: ``fit`` only checks the parameters.

    Parameters
    ----------
    site_features : sequence of str, default=None
        Elemental properties, as for :class:`SiteNetFeaturizer`: None takes all. They keep their units, and need not be
        the ones that the Crystals were featurized with.
    statistics : sequence of {"mean", "std", "min", "max"}, default=("mean", "std", "min", "max")
        What to take of each property over the sites. "std" is the standard deviation of the sites themselves
        (divided by their number), 0 for elements.

    See Also
    --------
    DeepInfoMaxEmbedder : Vectors that know the structure as well.

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

    def __init__(self, *, site_features=None, statistics=STATISTICS):
        self.site_features = site_features
        self.statistics = statistics

    def fit(self, X, y=None):
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
        self._checked()
        check_crystals(X, "CompositionStatistics")
        return self

    def transform(self, X):
        """Take the statistics.

        Parameters
        ----------
        X : Crystals of shape (n_crystals,)

        Returns
        -------
        ndarray of float64 of shape (n_crystals, n_statistics * n_site_features)
            All properties of the first statistic, then all of the second, ...; NaN for rows that failed to featurize.

        Raises
        ------
        TypeError
            If X is not Crystals.
        ValueError
            If a property or a statistic is unknown or named twice.
        """
        names, statistics = self._checked()
        X = check_crystals(X, "CompositionStatistics")
        result = np.full((len(X), len(statistics), len(names)), np.nan)
        # reduceat gives an empty segment the element that follows it: rows without sites must not take part.
        filled = np.diff(X.class_offsets) > 0
        if filled.any():
            starts, lengths = X.class_offsets[:-1][filled], np.diff(X.class_offsets)[filled]
            values = element_table(names, scaled=False)[X.numbers]
            weights = X.multiplicity.astype(np.float64)[:, None]
            n_sites = np.add.reduceat(weights, starts)
            mean = np.add.reduceat(weights * values, starts) / n_sites

            def std():
                squares = (values - np.repeat(mean, lengths, axis=0)) ** 2
                return np.sqrt(np.add.reduceat(weights * squares, starts) / n_sites)

            compute = {
                "mean": lambda: mean,
                "std": std,
                "min": lambda: np.minimum.reduceat(values, starts),
                "max": lambda: np.maximum.reduceat(values, starts),
            }
            for k, statistic in enumerate(statistics):
                result[filled, k] = compute[statistic]()
        return result.reshape(len(X), -1)

    def get_feature_names_out(self, input_features=None):
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
        names, statistics = self._checked()
        return np.array([f"{statistic}_{name}" for statistic in statistics for name in names], dtype=object)

    def _checked(self):
        self._validate_params()
        names = check_features(self.site_features)
        statistics = tuple(self.statistics)
        if not statistics or len(set(statistics)) != len(statistics) or not set(statistics) <= set(STATISTICS):
            raise ValueError(f"statistics must list some of {STATISTICS}, each once; got {self.statistics!r}")
        return names, statistics
