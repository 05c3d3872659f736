"""Splits by a hash of the reduced formula: a formula is on the same side in every data set."""

from __future__ import annotations

import hashlib
from numbers import Integral, Real

import numpy as np
from sklearn.model_selection import BaseCrossValidator

from ._formula_groups import formula_texts


def formula_split(X, *, test_size=0.2, salt=""):
    """Choose test rows by a rule that reads nothing but each crystal's reduced formula.

    A formula is a test formula or it is not, whatever else is in the data set, on every machine and in every process.
    So an encoder that was pre-trained on the training rows of one file has seen no test formula of any other.

    Parameters
    ----------
    X : Crystals, or sequence of structures, of shape (n_crystals,)
        Structures may be of any kind that :class:`skdim.SiteNetFeaturizer` takes. A disordered site counts as the
        species of largest occupancy, fully occupied.
    test_size : float, default=0.2
        Share of all formulas that there could be. The share of the rows of X is near it, the nearer the more formulas.
        The test formulas of a smaller share are among those of a larger one.
    salt : str, default=""
        Mixed into the hash: another text gives another, unrelated split.

    Returns
    -------
    ndarray of bool of shape (n_crystals,)
        True for test rows. In a small X all or none may be.

    Raises
    ------
    StructureError
        If a structure cannot be read.
    ValueError
        If ``test_size`` does not lie between 0 and 1, or a row of Crystals failed to featurize, and so has no formula.

    See Also
    --------
    FormulaKFold : The same rule for cross-validation; its first fold of five is the test rows for ``test_size=0.2``.

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
        raise ValueError(f"test_size must be a share between 0 and 1; got {test_size!r}")
    return _places(X, salt) < test_size


class FormulaKFold(BaseCrossValidator):
    """Cross-validation that keeps each reduced formula in one fold, the same fold in every data set.

    The fold follows from a hash of the formula alone, as in :func:`formula_split`. Folds are therefore of about equal
    size, and not shuffled: another ``salt`` gives other folds.

    Parameters
    ----------
    n_splits : int, default=5
        Folds; at least 2.
    salt : str, default=""
        Mixed into the hash.

    See Also
    --------
    formula_split : One split into training and test rows.
    formula_groups : Groups for the splitters of scikit-learn, which balance the folds of one data set.

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

    def __init__(self, n_splits=5, *, salt=""):
        self.n_splits = n_splits
        self.salt = salt

    def split(self, X, y=None, groups=None):
        """Rows to train on and rows to test on, fold by fold.

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
        folds = np.floor(_places(X, self.salt) * n_splits).astype(np.int64)
        sizes = np.bincount(folds, minlength=n_splits)
        if not sizes.all():
            raise ValueError(
                f"fold {int(np.argmin(sizes))} of {n_splits} has none of the {len(folds)} crystals: there are too few "
                "formulas. Pass a smaller n_splits or another salt"
            )
        for fold in range(n_splits):
            yield np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)

    def get_n_splits(self, X=None, y=None, groups=None):
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


def _places(X, salt):
    """Where each row's formula stands between 0 and 1: the one rule of all splits, ndarray of shape (n_crystals,)."""
    if not isinstance(salt, str):
        raise TypeError(f"salt must be a str; got {salt!r}")
    texts = formula_texts(X)
    if None in texts:
        raise ValueError(
            f"row {texts.index(None)} of X failed to featurize and has no formula to split by. Leave such rows out: "
            "keep = ~X.failed"
        )
    places = {text: _place(text, salt) for text in set(texts)}
    return np.array([places[text] for text in texts])


def _place(text, salt):
    # Not hash(), which differs from process to process. 52 bits: as many as a float below 1 holds exactly.
    digest = hashlib.sha256(f"{salt}\n{text}".encode()).digest()
    return (int.from_bytes(digest[:8], "big") >> 12) / 2**52
