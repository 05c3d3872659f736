"""Random draws of the rows whose labels are used: paired between models, nested between sizes."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral
from typing import NamedTuple

import numpy as np
from sklearn.utils import check_random_state

#: Default numbers of labels, as in the paper.
TRAIN_SIZES = (50, 100, 250, 1000)


class LabelDraw(NamedTuple):
    """One random draw of labelled rows.

    Parameters
    ----------
    n_labels : int
        Number of labels.
    repeat : int
        Index of the shuffle of the rows, from 0.
    rows : ndarray of int of shape (n_labels,)
        Row numbers.

    See Also
    --------
    label_draws : Makes the draws.

    Examples
    --------
    >>> from skdim.model_selection import label_draws
    >>> draw = label_draws(10, train_sizes=[3], n_repeats=1)[0]
    >>> draw.n_labels, draw.repeat, draw.rows.shape
    (3, 0, (3,))
    """

    n_labels: int
    repeat: int
    rows: np.ndarray


def label_draws(n_rows, *, train_sizes=TRAIN_SIZES, n_repeats=12, random_state=0, stratify=None) -> list[LabelDraw]:
    """Draw the rows whose labels are used, as :func:`label_efficiency` does.

    Each repeat shuffles the rows once, and a draw of n labels is the first n rows. Draws of one repeat are therefore
    nested, as if more and more crystals were labelled. A draw depends only on ``n_rows``, ``random_state``, the repeat
    and its size, not on the other sizes or the number of repeats.

    Parameters
    ----------
    n_rows : int
        Number of rows to draw from.
    train_sizes : sequence of int, default=(50, 100, 250, 1000)
        Numbers of labels.
    n_repeats : int, default=12
        Number of draws of each size.
    random_state : int, RandomState instance or None, default=0
        Seed of the shuffles.
    stratify : array-like of shape (n_rows,), default=None
        Classes of the rows. Every draw of at least as many labels as classes then has all classes, and otherwise about
        the shares of all rows.

    Returns
    -------
    list of LabelDraw
        Named tuples ``(n_labels, repeat, rows)``, sorted by repeat and size. ``rows`` is an ndarray of int of shape
        (n_labels,).

    Raises
    ------
    ValueError
        If a size is not positive, is repeated, or exceeds ``n_rows``; or if ``n_repeats`` is not positive.

    See Also
    --------
    label_efficiency : Fits models on these draws and tests them.

    Examples
    --------
    Use the draws as folds of a search, with the last 20 rows as test rows:

    >>> import numpy as np
    >>> from skdim.model_selection import label_draws
    >>> test = np.arange(80, 100)
    >>> cv = [(draw.rows, test) for draw in label_draws(80, train_sizes=[10, 40], n_repeats=3)]
    >>> [len(train) for train, _ in cv]
    [10, 40, 10, 40, 10, 40]
    """
    if not isinstance(n_repeats, Integral) or n_repeats < 1:
        raise ValueError(f"n_repeats must be a positive integer; got {n_repeats!r}")
    classes = None if stratify is None else np.unique(stratify, return_inverse=True)[1]
    if classes is not None and len(classes) != n_rows:
        raise ValueError(f"stratify has {len(classes)} classes for n_rows={n_rows}: pass one class for each row")
    return make_draws(n_rows, checked_sizes(train_sizes, n_rows), n_repeats, entropy_of(random_state), classes)


def checked_sizes(train_sizes, n_rows):
    sizes = sorted(train_sizes) if np.iterable(train_sizes) else []
    if not sizes or len(set(sizes)) != len(sizes) or not all(isinstance(n, Integral) and int(n) > 0 for n in sizes):
        raise ValueError(f"train_sizes must be a sequence of distinct positive integers; got {train_sizes!r}")
    sizes = [int(n) for n in sizes]
    if sizes[-1] > n_rows:
        fitting = [n for n in sizes if n <= n_rows] or [n_rows]
        raise ValueError(
            f"train_sizes has {sizes[-1]} labels, but there are only {n_rows} rows to draw from: pass "
            f"train_sizes={fitting}, or more rows"
        )
    return sizes


def checked_repeats(n_repeats, arms, sizes):
    """Number of repeats for each model and size, dict of str to dict of int to int."""
    if isinstance(n_repeats, Mapping) and all(isinstance(key, str) for key in n_repeats):
        _check_keys("n_repeats", n_repeats, "models", arms)
        by_arm = n_repeats
    else:
        by_arm = dict.fromkeys(arms, n_repeats)
    repeats = {}
    for arm, by_size in by_arm.items():
        if isinstance(by_size, Mapping):
            _check_keys(f"n_repeats of model {arm!r}" if by_arm is n_repeats else "n_repeats", by_size, "sizes", sizes)
        else:
            by_size = dict.fromkeys(sizes, by_size)
        repeats[arm] = dict(by_size)
        for size, n in by_size.items():
            if not isinstance(n, Integral) or n < 1:
                raise ValueError(f"n_repeats must be positive integers; got {n!r} for model {arm!r} and {size} labels")
    return repeats


def _check_keys(name, keys, what, expected):
    if set(keys) != set(expected):
        source = {"models": "estimators", "sizes": "train_sizes"}[what]
        raise ValueError(f"{name} has the {what} {list(keys)}, but {source} has {list(expected)}: pass exactly these")


def entropy_of(random_state):
    return int(check_random_state(random_state).randint(np.iinfo(np.int32).max))


def make_draws(n_rows, sizes, n_repeats, entropy, classes=None):
    draws = []
    for repeat in range(n_repeats):
        rng = np.random.default_rng([entropy, repeat])
        order = rng.permutation(n_rows)
        if classes is not None:
            order = _stratified(order, classes, rng)
        draws += [LabelDraw(size, repeat, order[:size]) for size in sizes]
    return draws


def _stratified(order, classes, rng):
    """Reorder rows such that each beginning has the classes in about their shares, and first one row of each."""
    codes = classes[order]
    counts = np.bincount(codes)
    rank = np.empty(len(order))
    for code, count in enumerate(counts):
        rank[codes == code] = np.arange(count)
    # The rows of each class are spread evenly over the order, from a random start.
    place = (rank + rng.random(len(counts))[codes]) / counts[codes]
    return order[np.argsort(np.where(rank == 0, place - 1, place), kind="stable")]
