"""ApplicabilityDomain: whether crystals are like those of a training set."""

from __future__ import annotations

import warnings
from numbers import Real
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator, OutlierMixin, TransformerMixin, clone
from sklearn.neighbors import NearestNeighbors
from sklearn.utils._param_validation import HasMethods, Interval
from sklearn.utils.validation import check_is_fitted

from .._chemistry.elements import SYMBOLS
from .._crystals.checks import check_crystals, usable_rows
from .._shared.index import KeepIndexMixin
from .._statistics.structure import StructureStatistics

if TYPE_CHECKING:
    from .._crystals.crystals import Crystals

#: Standardised features are clipped to this many standard deviations.
_CLIP = 8.0


class ApplicabilityDomain(KeepIndexMixin, OutlierMixin, TransformerMixin, BaseEstimator, auto_wrap_output_keys=None):
    """Tell crystals that are like those of a training set from those that are not.

    The score of a crystal is its distance to the nearest training crystal, in standardised features. It is an outlier
    detector, and as the first step of a Pipeline it returns the crystals unchanged and gives a warning if some of them
    are unlike the training set, so that predictions for them are less reliable. Models of ``skdim fit`` contain it.

    Parameters
    ----------
    features : transformer on Crystals, default=None
        Makes the features. None takes :class:`StructureStatistics`, whose distances predicted errors as well as or
        better than those of the embedding in our benchmarks.
    quantile : float, default=0.99
        The threshold is this quantile of the distances from each training crystal to the nearest other one.

    Attributes
    ----------
    features_ : transformer
        Fitted transformer.
    elements_ : tuple of str
        Symbols of the elements in the training set.
    offset_ : float
        Threshold: crystals with a lower score are outside of the domain.
    n_crystals_ : int
        Number of training crystals.

    See Also
    --------
    NearestCrystals : The nearest crystals themselves.
    suggest : Which crystals to measure next.

    Notes
    -----
    Measured on training rows of formation energies and band gaps (Materials Project) and phonon frequencies, with 50 to
    1000 labels and Gaussian processes on frozen vectors: with the default threshold 2 to 4 % of the crystals are
    outside of the domain, and their errors are 1.8 to 4.4 times as large as those of the others. Elements that the
    training set lacks are reported too; with 50 labels, a third of all crystals have some, and their errors are no
    larger.

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from skdim import ApplicabilityDomain, SiteNetFeaturizer
    >>> from skdim.datasets import make_crystals
    >>> from skdim.model_selection import make_arm
    >>> structures, y = make_crystals(60, random_state=0)
    >>> X = SiteNetFeaturizer().fit_transform(structures)
    >>> domain = ApplicabilityDomain().fit(X[:50])
    >>> domain.score_samples(X[50:]).shape, domain.predict(X[:50]).min().item()
    ((10,), 1)
    >>> model = make_pipeline(ApplicabilityDomain(), make_arm("structure")).fit(X[:50], y[:50])
    """

    _parameter_constraints: ClassVar[dict] = {
        "features": [HasMethods(["fit", "transform"]), None],
        "quantile": [Interval(Real, 0, 1, closed="both")],
    }

    def __init__(self, *, features=None, quantile=0.99) -> None:
        self.features = features
        self.quantile = quantile

    def fit(self, X, y=None) -> Self:
        """Compute the features of the training crystals and the threshold.

        Parameters
        ----------
        X : Crystals of shape (n_crystals,)
            At least two that did not fail to featurize.
        y : object, default=None
            Ignored.

        Returns
        -------
        self : ApplicabilityDomain
        """
        self._validate_params()
        X = check_crystals(X, "ApplicabilityDomain")
        rows = usable_rows(X, "ApplicabilityDomain.fit", least=2)
        X = X if len(rows) == len(X) else X[rows]
        self.features_ = StructureStatistics() if self.features is None else clone(self.features)
        Z = np.asarray(self.features_.fit(X, y).transform(X), dtype=np.float64)
        self._mean, self._scale = Z.mean(axis=0), Z.std(axis=0)
        self._scale[self._scale <= 1e-6 * np.abs(self._mean)] = np.inf  # constant columns become 0
        self.neighbors_ = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(self._standardise(Z))
        self.elements_ = tuple(SYMBOLS[number] for number in np.unique(X.numbers).tolist())
        self.n_crystals_ = len(X)
        others = self.neighbors_.kneighbors()[0][:, 0] / np.sqrt(Z.shape[1])
        self.offset_ = -float(np.quantile(others, self.quantile))
        return self

    def score_samples(self, X) -> np.ndarray:
        """Negative distance to the nearest training crystal.

        Parameters
        ----------
        X : Crystals of shape (n_crystals,)

        Returns
        -------
        ndarray of float64 of shape (n_crystals,)
            Minus the root mean square difference of the features, in standard deviations of the training set; NaN for
            rows that failed to featurize.
        """
        check_is_fitted(self)
        X = check_crystals(X, "ApplicabilityDomain")
        scores, rows = np.full(len(X), np.nan), np.flatnonzero(~X.failed)
        if len(rows):
            Z = np.asarray(self.features_.transform(X if len(rows) == len(X) else X[rows]), dtype=np.float64)
            scores[rows] = -self.neighbors_.kneighbors(self._standardise(Z))[0][:, 0] / np.sqrt(Z.shape[1])
        return scores

    def decision_function(self, X) -> np.ndarray:
        """Score above the threshold; negative outside of the domain.

        Parameters
        ----------
        X : Crystals of shape (n_crystals,)

        Returns
        -------
        ndarray of float64 of shape (n_crystals,)
        """
        return self.score_samples(X) - self.offset_

    def predict(self, X) -> np.ndarray:
        """Whether crystals are within the domain.

        Parameters
        ----------
        X : Crystals of shape (n_crystals,)

        Returns
        -------
        ndarray of int of shape (n_crystals,)
            1 within the domain, -1 outside of it or if the row failed to featurize.
        """
        return np.where(self.decision_function(X) >= 0, 1, -1)

    def unseen_elements(self, X) -> list[tuple[str, ...]]:
        """Elements that the training set lacks.

        Parameters
        ----------
        X : Crystals of shape (n_crystals,)

        Returns
        -------
        list of tuple of str
            For each crystal, their symbols in the order of the atomic numbers.
        """
        check_is_fitted(self)
        X = check_crystals(X, "ApplicabilityDomain")
        is_unseen = ~np.isin(SYMBOLS, self.elements_)
        unseen: list[tuple] = [()] * len(X)
        rows = np.repeat(np.arange(len(X)), np.diff(X.class_offsets))
        for row in np.unique(rows[is_unseen[X.numbers]]).tolist():
            numbers = np.unique(X.numbers[X.class_offsets[row] : X.class_offsets[row + 1]])
            unseen[row] = tuple(SYMBOLS[number] for number in numbers[is_unseen[numbers]].tolist())
        return unseen

    def transform(self, X) -> Crystals:
        """Return the crystals unchanged, with one warning if some are unlike the training set.

        Parameters
        ----------
        X : Crystals of shape (n_crystals,)

        Returns
        -------
        Crystals

        Warns
        -----
        UserWarning
            If crystals are outside of the domain or have elements that the training set lacks: how many, and the first.
        """
        text = describe_outside(self, X, self.score_samples(X))
        if text:
            warnings.warn(text, stacklevel=2)
        return X

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.transformer_tags.preserves_dtype = []  # crystals have no dtype
        return tags

    def _standardise(self, Z):
        return np.clip((Z - self._mean) / self._scale, -_CLIP, _CLIP)


def describe_outside(domain, X, scores):
    """Text of the warning about crystals that are unlike the training set; empty if there are none."""
    outside = np.flatnonzero(scores < domain.offset_)
    unseen = domain.unseen_elements(X)
    with_unseen = [row for row, elements in enumerate(unseen) if elements]
    parts = []
    if len(outside):
        parts.append(f"{len(outside)} are unlike all training crystals (first: {_name(X, outside[0])})")
    if with_unseen:
        symbols = sorted({symbol for row in with_unseen for symbol in unseen[row]}, key=SYMBOLS.index)
        listed = ", ".join(symbols[:10]) + (", ..." if len(symbols) > 10 else "")
        first = _name(X, with_unseen[0])
        parts.append(f"{len(with_unseen)} have elements that no training crystal has: {listed} (first: {first})")
    return f"predictions for some of {len(X)} crystals are less reliable: {'; '.join(parts)}" if parts else ""


def _name(X, row):
    label = "" if X.index is None else f", {X.index[row]}"
    return f"row {row}{label}, {X.formula(int(row))}"
