"""StructureStatistics: statistics of the sites and their local environments, descriptors without learning."""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator

from .._chemistry.elements import check_features
from .._crystals.checks import check_crystals, warn_of_other_cells
from .._shared.stateless import StatelessTransformer
from ..nn.choices import GEOMETRY

#: Primitive sites per batch, which limits the memory in use.
_BATCH_SITES = 5000


class StructureStatistics(StatelessTransformer, BaseEstimator):
    """Descriptors of the structure: statistics of the sites of a crystal and of their local environments.

    The descriptors of a site are its elemental properties, their mean difference from those of its neighbours, and the
    distance, density and number of the neighbours. The result has the mean and the standard deviation of each over the
    sites of the primitive cell. Neighbours at distance d have the weight d^-6. It is a baseline for learned
    representations, and a useful addition to them in a ``FeatureUnion``. The transformer learns nothing: ``fit`` only
    remembers how the crystals were featurized, and ``transform`` warns of others.

    Parameters
    ----------
    site_features : sequence of str, default=None
        Elemental properties, as for :class:`SiteNetFeaturizer`; None takes all. They need not be the features of the
        Crystals.

    Attributes
    ----------
    featurizer_settings_ : dict
        ``settings`` of the Crystals of the fit, if any.

    See Also
    --------
    CompositionStatistics : Descriptors of the composition.
    DeepInfoMaxEmbedder : Learned vectors.

    Notes
    -----
    Elemental properties are standardised over the periodic table. With weights w_j of the neighbours that sum to 1,
    "neighbour_distance" is the sum of w_j d_j in angstrom, "log_packing" the logarithm of the sum of d_j^-6, and
    "log_coordination" the logarithm of 1 / sum of w_j^2, the effective number of neighbours.

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

    def __init__(self, *, site_features=None) -> None:
        self.site_features = site_features

    def fit(self, X, y=None) -> Self:
        """Check the parameters and X, and remember how X was featurized.

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
        self.featurizer_settings_ = check_crystals(X, "StructureStatistics").settings
        return self

    def transform(self, X) -> np.ndarray:
        """Compute the statistics.

        Parameters
        ----------
        X : Crystals of shape (n_crystals,)

        Returns
        -------
        ndarray of float32 of shape (n_crystals, 4 * n_site_features + 6)
            All means, then all standard deviations; NaN for rows that failed to featurize.

        Raises
        ------
        TypeError
            If X is not Crystals.
        ValueError
            If a property is unknown or duplicate.

        Warns
        -----
        UserWarning
            If X was featurized with other supercells than the Crystals of the fit.
        """
        self._validate_params()
        names = check_features(self.site_features)
        X = check_crystals(X, "StructureStatistics")
        warn_of_other_cells(X, "StructureStatistics", getattr(self, "featurizer_settings_", X.settings))
        result = np.full((len(X), 4 * len(names) + 2 * len(GEOMETRY)), np.nan, dtype=np.float32)
        usable = np.flatnonzero(~X.failed)
        if len(usable):
            result[usable] = _statistics(X.with_site_features(names), usable)
        return result

    def get_feature_names_out(self, input_features=None) -> np.ndarray:
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
    """Statistics of some rows of crystals, none of which failed, as a float32 ndarray."""
    # torch takes seconds to import; it is not needed to make the estimator.
    import torch

    from .._training.batches import CrystalDataset, RaggedLoader
    from .._training.threads import torch_threads
    from ..nn.descriptors import crystal_statistics

    # One thread: the operations are small.
    with torch.no_grad(), torch_threads(1):
        batches = RaggedLoader(CrystalDataset(crystals, rows), _BATCH_SITES)
        return torch.cat([crystal_statistics(batch) for batch, _ in batches]).numpy()
