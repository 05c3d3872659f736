"""StructureStatistics: Crystals -> statistics of the sites and of their surroundings, learnt from nothing."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from sklearn.base import BaseEstimator

from .._chemistry.elements import check_features
from .._crystals.checks import check_crystals
from .._shared.stateless import StatelessTransformer
from ..nn.choices import GEOMETRY

#: Primitive sites in work at a time: they bound the memory.
_BATCH_SITES = 5000


class StructureStatistics(StatelessTransformer, BaseEstimator):
    """Describe a crystal by statistics of its sites and of their surroundings.

    What a chemist would write down without a network: for each site its elemental properties, how its neighbours'
    differ from them on average, and how far, how dense and how many the neighbours are; of each of these the mean and
    the standard deviation over the primitive cell's sites. Neighbours at distance d weigh d^-6. A useful companion of
    the learnt vectors in a ``FeatureUnion``, and the baseline that knows the structure. Nothing is learnt: ``fit`` only
    checks its input.

    Parameters
    ----------
    site_features : sequence of str, default=None
        Elemental properties, as for :class:`SiteNetFeaturizer`: None takes all. They need not be the ones that the
        Crystals were featurized with.

    See Also
    --------
    CompositionStatistics : Statistics without structure.
    DeepInfoMaxEmbedder : Learnt vectors.

    Notes
    -----
    Elemental properties are standardised over the periodic table. With weights w_j of the neighbours that add up to 1,
    "neighbour_distance" is the sum of w_j d_j in angstrom, "log_packing" the logarithm of the sum of d_j^-6, and
    "log_coordination" that of 1 / sum of w_j^2, the effective number of neighbours.

    Examples
    --------
    >>> from skdim import SiteNetFeaturizer, StructureStatistics
    >>> from skdim.datasets import make_crystals
    >>> structures, y = make_crystals(20, random_state=0)
    >>> X = SiteNetFeaturizer().fit_transform(structures)
    >>> StructureStatistics().fit_transform(X).shape
    (20, 106)
    >>> few = StructureStatistics(site_features=["electronegativity"]).set_output(transform="pandas")
    >>> few.fit_transform(X).columns[:3].to_list()
    ['mean_electronegativity', 'mean_electronegativity_difference', 'mean_neighbour_distance']
    """

    _parameter_constraints: ClassVar[dict] = {"site_features": ["array-like", None]}

    def __init__(self, *, site_features=None):
        self.site_features = site_features

    def fit(self, X, y=None):
        """Check the parameters and the type of X.

        Parameters
        ----------
        X : Crystals of shape (n_crystals,)
        y : object, default=None
            Ignored.

        Returns
        -------
        self : StructureStatistics
        """
        self._validate_params()
        check_features(self.site_features)
        check_crystals(X, "StructureStatistics")
        return self

    def transform(self, X):
        """Take the statistics.

        Parameters
        ----------
        X : Crystals of shape (n_crystals,)

        Returns
        -------
        ndarray of float32 of shape (n_crystals, 4 * n_site_features + 6)
            The means of all, then the standard deviations; NaN for rows that failed to featurize.

        Raises
        ------
        TypeError
            If X is not Crystals.
        ValueError
            If a property is unknown or named twice.
        """
        self._validate_params()
        names = check_features(self.site_features)
        X = check_crystals(X, "StructureStatistics")
        result = np.full((len(X), 4 * len(names) + 2 * len(GEOMETRY)), np.nan, dtype=np.float32)
        good = np.flatnonzero(~X.failed)
        if len(good):
            result[good] = _statistics(X.with_site_features(names), good)
        return result

    def get_feature_names_out(self, input_features=None):
        """Names of the columns of :meth:`transform`.

        Parameters
        ----------
        input_features : object, default=None
            Ignored.

        Returns
        -------
        ndarray of str of shape (n_features_out,)
            "mean_atomic_number", ..., "mean_atomic_number_difference", ..., "mean_neighbour_distance", ...,
            "std_atomic_number", ...
        """
        names = check_features(self.site_features)
        columns = [*names, *(f"{name}_difference" for name in names), *GEOMETRY]
        return np.array([f"{statistic}_{column}" for statistic in ("mean", "std") for column in columns], dtype=object)


def _statistics(crystals, rows):
    """Statistics of those rows of crystals, which were featurized, float32 ndarray."""
    # torch takes seconds to import, and making the estimator does not need it.
    import torch

    from .._training.batches import CrystalDataset, RaggedLoader
    from .._training.threads import torch_threads
    from ..nn.descriptors import crystal_statistics

    # One thread, as the estimators train: these operations are small.
    with torch.no_grad(), torch_threads(1):
        batches = RaggedLoader(CrystalDataset(crystals, rows), _BATCH_SITES)
        return torch.cat([crystal_statistics(batch) for batch, _ in batches]).numpy()
