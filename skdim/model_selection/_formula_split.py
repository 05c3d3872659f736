"""Splits by a hash of the reduced formula, which put a formula on the same side in every data set."""

from __future__ import annotations

import hashlib
from numbers import Integral, Real
from typing import TYPE_CHECKING

import numpy as np
from sklearn.model_selection import BaseCrossValidator

from ._formula_groups import formula_texts

if TYPE_CHECKING:
    from collections.abc import Iterator


def formula_split(X, *, test_size=0.2, salt="") -> np.ndarray:
    """Choose test rows by a hash of the reduced formula.

    Whether a formula is a test formula depends on nothing else: not on the data set, the machine or the process. An
    encoder pre-trained on the training rows of one data set has therefore seen no test formula of any other.

    Parameters
    ----------
    X : Crystals, or sequence of structures, of shape (n_crystals,)
        Structures of any kind that :class:`skdim.SiteNetFeaturizer` takes. A disordered site counts as its species of
        largest occupancy.
    test_size : float, default=0.2
        Expected fraction of formulas in the test set. The test formulas of a smaller fraction are a subset of those of
        a larger one.
    salt : str, default=""
        Added to the hash: another salt gives an independent split.

    Returns
    -------
    ndarray of bool of shape (n_crystals,)
        True for test rows. For few formulas, all or none may be test rows.

    Raises
    ------
    StructureError
        If a structure cannot be read.
    ValueError
        If ``test_size`` is not between 0 and 1, or a row of Crystals failed to featurize and has no formula.

    See Also
    --------
    FormulaKFold : The same for cross-validation; the first of five folds is the test set for ``test_size=0.2``.

    Examples
    --------
    >>> import numpy as np
    >>> from skdim.datasets import load_band_gap, load_formation_energy
    >>> from skdim.model_selection import formula_groups, formula_split
    >>> some, more = load_band_gap().structures, load_formation_energy().structures
    >>> test = np.concatenate([formula_split(some), formula_split(more)])
    >>> round(float(test.mean()), 2)
    0.19
    >>> formulas = formula_groups(some + more)
    >>> set(formulas[test]) & set(formulas[~test])
    set()
    """
    if not isinstance(test_size, Real) or not 0 < float(test_size) < 1:
        raise ValueError(f"test_size must be a fraction between 0 and 1; got {test_size!r}")
    return _positions(X, salt) < test_size


class FormulaKFold(BaseCrossValidator):
    """Cross-validation that keeps each reduced formula in one fold, the same fold in every data set.

    The fold depends only on a hash of the formula, as in :func:`formula_split`. Folds are of about equal size. Change
    ``salt`` to get other folds.

    Parameters
    ----------
    n_splits : int, default=5
        Number of folds, at least 2.
    salt : str, default=""
        Added to the hash.

    See Also
    --------
    formula_split : One split into training and test rows.
    formula_groups : Groups for scikit-learn's splitters, which balance the folds of one data set.

    Examples
    --------
    >>> from sklearn.ensemble import ExtraTreesRegressor
    >>> from sklearn.model_selection import cross_val_score
    >>> from sklearn.pipeline import make_pipeline
    >>> from skdim import CompositionStatistics, SiteNetFeaturizer
    >>> from skdim.datasets import load_band_gap
    >>> from skdim.model_selection import FormulaKFold
    >>> structures, gaps = load_band_gap(return_X_y=True)
    >>> X = SiteNetFeaturizer().fit_transform(structures[:100])
    >>> model = make_pipeline(CompositionStatistics(), ExtraTreesRegressor(20, random_state=0))
    >>> cross_val_score(model, X, gaps[:100], cv=FormulaKFold(3)).shape
    (3,)
    """

    def __init__(self, n_splits=5, *, salt="") -> None:
        self.n_splits = n_splits
        self.salt = salt

    def split(self, X, y=None, groups=None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the training and test rows of each fold.

        Parameters
        ----------
        X : Crystals, or sequence of structures, of shape (n_crystals,)
        y, groups : object, default=None
            Ignored.

        Yields
        ------
        train, test : ndarray of int
            Row numbers, ascending.

        Raises
        ------
        StructureError
            If a structure cannot be read.
        ValueError
            If a fold would be empty, or a row of Crystals failed to featurize.
        """
        n_splits = self.get_n_splits()
        folds = np.floor(_positions(X, self.salt) * n_splits).astype(np.int64)
        sizes = np.bincount(folds, minlength=n_splits)
        if not sizes.all():
            raise ValueError(
                f"fold {int(np.argmin(sizes))} of {n_splits} is empty: {len(folds)} crystals have too few formulas; "
                "pass a smaller n_splits or another salt"
            )
        for fold in range(n_splits):
            yield np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)

    def get_n_splits(self, X=None, y=None, groups=None) -> int:
        """Number of folds.

        Parameters
        ----------
        X, y, groups : object, default=None
            Ignored.

        Returns
        -------
        int
        """
        if not isinstance(self.n_splits, Integral) or self.n_splits < 2:
            raise ValueError(f"n_splits must be an integer of at least 2; got {self.n_splits!r}")
        return int(self.n_splits)


def _positions(X, salt):
    """Map the formula of each row to a number between 0 and 1, ndarray of shape (n_crystals,)."""
    if not isinstance(salt, str):
        raise TypeError(f"salt must be a str; got {salt!r}")
    texts = formula_texts(X)
    if None in texts:
        raise ValueError(
            f"row {texts.index(None)} of X failed to featurize and has no formula. Select the other rows: "
            "keep = ~X.failed"
        )
    positions = {text: _position(text, salt) for text in set(texts)}
    return np.array([positions[text] for text in texts])


def _position(text, salt):
    # Not hash(), which differs between processes. 52 bits: a float below 1 holds them exactly.
    digest = hashlib.sha256(f"{salt}\n{text}".encode()).digest()
    return (int.from_bytes(digest[:8], "big") >> 12) / 2**52
