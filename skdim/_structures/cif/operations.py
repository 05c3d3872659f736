"""Symmetry operations: read completely, and checked to be a group of isometries of the cell."""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache
from math import lcm

import numpy as np

from ..errors import ReadError

#: Most operations of a group: 192 in a conventional cell, and more where a magnetic cell is several of them.
_MOST = 1000
#: Relative change of the cell's metric that rounded edges and angles explain.
_METRIC_TOL = 0.01
_TERM = re.compile(r"([+-]?)(?:(\d*)\*?([xyz])|(\d+)/(\d+)|(\d*\.?\d+|\d+\.))")
#: Denominators of the fractions that decimals of translations are rounded from.
_DENOMINATORS = 24, 5, 7, 9, 10, 11, 13, 14, 15, 16


class Group:
    """A closed group of symmetry operations, modulo the translations of the cell.

    Parameters
    ----------
    operations : list of (tuple of 9 int, tuple of 3 Fraction)
        Rotations, row by row, and translations; repetitions are left out.
    names : list of str
        Their texts, for messages.

    Attributes
    ----------
    rotations : ndarray of int of shape (n, 3, 3)
    translations : ndarray of shape (n, 3)
    products : ndarray of int of shape (n, n)
        ``products[i, j]`` is the operation that has the effect of j and then i. The first operation is the identity.

    Raises
    ------
    ReadError
        If an operation is singular or the list is not closed.
    """

    def __init__(self, operations, names):
        unique: dict[tuple, str] = {}
        for (rotation, translation), name in zip(operations, names, strict=True):
            unique.setdefault((rotation, tuple(part % 1 for part in translation)), name)
        if len(unique) > _MOST:
            raise ReadError(f"it lists {len(unique)} symmetry operations, more than {_MOST}")
        identity = (1, 0, 0, 0, 1, 0, 0, 0, 1), (Fraction(0),) * 3
        order = sorted(unique, key=lambda operation: operation != identity)
        self.names = [unique[operation] for operation in order]
        self.rotations = np.array([rotation for rotation, _ in order], dtype=np.int64).reshape(-1, 3, 3)
        determinants = np.rint(np.linalg.det(self.rotations)).astype(int)
        for odd in np.flatnonzero((np.abs(determinants) != 1) | (np.abs(self.rotations) > 8).any(axis=(1, 2))):
            raise ReadError(
                f"the symmetry operation '{self.names[odd]}' is singular or changes the volume (its determinant is "
                f"{determinants[odd]}): correct it"
            )
        denominator = lcm(*(part.denominator for _, translation in order for part in translation))
        if denominator > 10**5:
            raise ReadError("the translations of its symmetry operations are not simple fractions: correct them")
        shifts = np.array([[int(part * denominator) for part in translation] for _, translation in order])
        self.translations = shifts / denominator
        #: All different rotations.
        self._kinds = np.unique(self.rotations, axis=0).astype(float)
        #: The action of each rotation on a metric of 9 numbers.
        both = np.einsum("gji,gkl->giljk", self._kinds, self._kinds)
        self._metric_map = both.reshape(len(self._kinds), 9, 9)
        self._matrices = self.rotations.reshape(-1, 3).T.astype(float)
        self.products = self._multiply(shifts, denominator)
        self._cosets: dict[tuple, np.ndarray] = {}

    def __len__(self):
        return len(self.rotations)

    def _multiply(self, shifts, denominator):
        kinds, kind = np.unique(_codes(self.rotations), return_inverse=True)
        matrices = np.zeros((len(kinds), 3, 3), dtype=np.int64)
        matrices[kind] = self.rotations
        codes = _codes(np.einsum("aij,bjk->abik", matrices, matrices))
        product_kind = np.searchsorted(kinds, codes).clip(max=len(kinds) - 1)
        product_kind[kinds[product_kind] != codes] = len(kinds)  # of no operation
        moved = (np.einsum("aij,bj->abi", self.rotations, shifts) + shifts[:, None]) % denominator
        weights = np.array([denominator**2, denominator, 1])
        keys = kind * denominator**3 + shifts @ weights
        wanted = product_kind[kind[:, None], kind] * denominator**3 + moved @ weights
        order = np.argsort(keys)
        place = np.searchsorted(keys, wanted, sorter=order).clip(max=len(keys) - 1)
        products = order[place]
        for i, j in np.argwhere(keys[products] != wanted)[:1]:
            raise ReadError(
                f"its symmetry operations are not a group: '{self.names[i]}' after '{self.names[j]}' is "
                "not among them. List all operations, each once"
            )
        return products

    def images(self, positions):
        """Images of positions under all operations: (n, 3) -> (n, n_operations, 3)."""
        return (positions @ self._matrices).reshape(len(positions), -1, 3) + self.translations

    def cosets(self, fixing):
        """One operation for each different image of a point that the operations ``fixing`` leave unmoved."""
        if fixing not in self._cosets:
            self._cosets[fixing] = np.unique(self.products[:, fixing].min(axis=1))
        return self._cosets[fixing]

    def check_metric(self, lattice):
        """Raise ReadError, naming an operation, unless all keep the lengths and angles of the cell."""
        odd = self.changes_metric(lattice)
        if odd is not None:
            raise ReadError(
                f"the symmetry operation '{self.names[odd]}' does not fit the cell: it would change its edges or "
                "angles. Correct the cell, or the symmetry"
            )

    def changes_metric(self, lattice):
        """Index of an operation that changes the metric of the cell, or None."""
        metric = lattice @ lattice.T
        edges = np.sqrt(metric.diagonal())
        change = np.abs(self._metric_map @ metric.ravel() - metric.ravel()) / (edges[:, None] * edges).ravel()
        if change.max() <= _METRIC_TOL:
            return None
        odd = self._kinds[change.max(axis=1).argmax()]
        return int(np.flatnonzero((self.rotations == odd).all(axis=(1, 2)))[0])

    @property
    def n_rotations(self):
        """Order of the point group, which does not depend on the setting."""
        return len(self._kinds)


def _codes(rotations):
    flat = rotations.reshape(*rotations.shape[:-2], 9)
    # Products that are not in the list may have larger entries: they get a code that no operation has.
    codes = (flat + 8) @ 17 ** np.arange(9, dtype=np.int64)
    return np.where((np.abs(flat) > 8).any(axis=-1), -1, codes)


@lru_cache(maxsize=256)
def listed_group(texts):
    """The group of the operations that a file lists.

    Parameters
    ----------
    texts : tuple of str

    Returns
    -------
    Group

    Raises
    ------
    ReadError
    """
    return Group([parse(text) for text in texts], texts)


@lru_cache(maxsize=256)
def magnetic_group(operations, centrings):
    """The group of a magnetic space group without time reversal, as it acts on the nuclei."""
    centred = [parse(text, is_magnetic=True) for text in centrings or ("x,y,z,+1",)]
    listed = [parse(text, is_magnetic=True) for text in operations]
    # A centring is a translation: it is added.
    for (rotation, _), text in zip(centred, centrings, strict=False):
        if rotation != (1, 0, 0, 0, 1, 0, 0, 0, 1):
            raise ReadError(f"the magnetic centring '{text}' is not a translation: correct it")
    if len(listed) * len(centred) > _MOST:
        raise ReadError(f"it lists {len(listed) * len(centred)} symmetry operations, more than {_MOST}")
    products = [
        ((rotation, tuple(a + b for a, b in zip(translation, shift, strict=True))), text)
        for _, shift in centred
        for (rotation, translation), text in zip(listed, operations, strict=True)
    ]
    return Group([operation for operation, _ in products], [text for _, text in products])


@lru_cache(maxsize=4096)
def parse(text, is_magnetic=False):
    """Read an operation such as ``-x+1/2, y, z``; a magnetic one has +1 or -1 as its fourth part.

    Parameters
    ----------
    text : str
    is_magnetic : bool, default=False

    Returns
    -------
    rotation : tuple of 9 int
    translation : tuple of 3 Fraction

    Raises
    ------
    ReadError
        If any part of the text is not understood.
    """
    parts = text.lower().replace(" ", "").replace("\t", "").replace("\n", "").split(",")
    n_parts = 3 + (is_magnetic and len(parts) == 4)
    if len(parts) != n_parts or (n_parts == 4 and parts[3] not in ("+1", "-1", "1")):
        expected = "three parts, and +1 or -1" if is_magnetic else "three parts"
        raise ReadError(f"the symmetry operation '{_short(text)}' does not have {expected}: correct it")
    rotation: list[int] = []
    translation = []
    for part in parts[:3]:
        row, shift = _parse_part(part, text)
        rotation += row
        translation.append(shift)
    return tuple(rotation), tuple(translation)


def _parse_part(part, text):
    row, shift, end = [0, 0, 0], Fraction(0), 0
    for term in _TERM.finditer(part):
        sign, count, axis, above, below, decimal = term.groups()
        if term.start() != end or (end and not sign):
            break
        end = term.end()
        factor = -1 if sign == "-" else 1
        if axis:
            row["xyz".index(axis)] += factor * int(count or 1)
        elif below:
            if not int(below):
                break
            shift += factor * Fraction(int(above), int(below))
        else:
            shift += factor * _fraction(decimal, text)
    else:
        if part and end == len(part):
            return row, shift
    raise ReadError(f"the symmetry operation '{_short(text)}' is not understood at '{_short(part)}': correct it")


def _fraction(decimal, text):
    """The fraction that a decimal is rounded from."""
    exact, digits = Fraction(decimal), len(decimal.partition(".")[2])
    tolerance = Fraction(3, 5 * 10**digits) if digits else 0
    for denominator in _DENOMINATORS:
        near = Fraction(round(exact * denominator), denominator)
        if abs(near - exact) <= min(tolerance, Fraction(1, 250)):
            return near
    raise ReadError(f"the translation {_short(decimal)} of the symmetry operation '{_short(text)}' is not a fraction")


def _short(text):
    return text if len(text) <= 60 else text[:57] + "..."
