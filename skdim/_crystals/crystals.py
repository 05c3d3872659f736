"""Crystals: a columnar, ragged container of featurized crystals, one row per crystal."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from .._chemistry.elements import OXIDATION_FEATURE, check_features
from .._chemistry.formulas import count_elements, reduced_formula
from .._shared.ragged import offsets_of, take_rows
from .columns import COLUMNS
from .html import crystals_html
from .store import find_fault, read_store, write_store


class Crystals:
    """Featurized crystals: the output of :class:`SiteNetFeaturizer` and the input of all other estimators.

    Each row is a crystal. It is stored as its site classes (sites that are identical for every network on features and
    distances) with multiplicities, and for each class its distinct (neighbour class, distance) pairs with counts. The
    rows of all crystals are stored in eleven flat arrays, which can be memory-mapped.

    Crystals are made by :meth:`SiteNetFeaturizer.transform`, :meth:`load`, indexing and :meth:`concatenate`. They can
    be used like an array in ``train_test_split``, ``cross_validate``, ``GridSearchCV`` and ``learning_curve``.

    Attributes
    ----------
    class_offsets, site_offsets : ndarray of int64 of shape (n + 1,)
        Start of the classes, and of the input sites, of each crystal.
    volume : ndarray of float32 of shape (n,)
        Volume of the primitive cell in cubic angstrom; 0 for rows that failed to featurize.
    numbers : ndarray of uint8 of shape (n_classes,)
        Atomic number of each class.
    oxidation_states : ndarray of float32 of shape (n_classes,)
        0 if unknown.
    multiplicity : ndarray of uint16 of shape (n_classes,)
        Number of primitive sites in each class.
    pair_offsets : ndarray of int64 of shape (n_classes + 1,)
        Start of the pairs of each class.
    site_class : ndarray of uint16 of shape (n_sites,)
        Class of each site of the input structures, in their order; classes are numbered within each crystal.
    neighbour, distance, count : ndarray of shape (n_pairs,)
        Class of the neighbour (numbered within the crystal), minimum-image distance in angstrom, and number of such
        neighbours in the supercell.
    site_features : tuple of str
        The site features that networks are given.
    errors_ : dict of int to str
        Rows that failed to featurize (with ``on_error="warn"``) and the reasons. They have no sites; their vectors are
        NaN. Indexing and concatenation update the keys; row numbers in the reasons are those of the input structures.
    index : pandas.Index of length n, or None
        Index of the Series or DataFrame of structures, None if they had none. It is kept by indexing, splitting,
        concatenation and saving; DataFrames that transformers return have the same index. Can be set.

    See Also
    --------
    SiteNetFeaturizer : Convert structures to Crystals.

    Examples
    --------
    >>> from skdim import SiteNetFeaturizer
    >>> from skdim.datasets import make_crystals
    >>> structures, y = make_crystals(20, random_state=0)
    >>> X = SiteNetFeaturizer().fit_transform(structures)
    >>> X.shape, len(X[:5]), X[[3, 1]].formulas[1] == X.formulas[1]
    ((20,), 5, True)
    """

    class_offsets: np.ndarray
    site_offsets: np.ndarray
    volume: np.ndarray
    numbers: np.ndarray
    oxidation_states: np.ndarray
    multiplicity: np.ndarray
    pair_offsets: np.ndarray
    site_class: np.ndarray
    neighbour: np.ndarray
    distance: np.ndarray
    count: np.ndarray

    def __init__(self, columns, site_features, settings=None, errors=None, index=None) -> None:
        for name, dtype in COLUMNS.items():
            column = columns[name]
            setattr(self, name, column if column.dtype == dtype else column.astype(dtype))
        self.site_features = tuple(site_features)
        self.settings = dict(settings or {})
        self.errors_ = dict(errors or {})
        self.index = index

    @property
    def index(self) -> Any:
        """Index of the rows, pandas.Index of length n, or None."""
        return self._index

    @index.setter
    def index(self, index) -> None:
        if index is not None:
            import pandas as pd

            index = index if isinstance(index, pd.Index) else pd.Index(index)
            if len(index) != len(self):
                raise ValueError(f"an index of length {len(index)} does not match {len(self)} crystals")
        self._index = index

    # ---- as a sequence of rows ----

    def __len__(self) -> int:
        return len(self.class_offsets) - 1

    @property
    def shape(self) -> tuple[int]:
        """``(n_crystals,)``; scikit-learn indexes one-dimensional objects by rows."""
        return (len(self),)

    def __getitem__(self, key) -> Crystals:
        """Select rows by an integer (one row), slice, boolean mask or index array, each also followed by ``...``.

        The result is always Crystals. Consecutive rows share memory with the original; other rows are copied.
        """
        if isinstance(key, tuple):
            # scikit-learn indexes objects with a shape by X[rows, ...].
            if len(key) != 2 or key[1] is not Ellipsis:
                raise IndexError(f"Crystals have one dimension: index them with rows, not with {key!r}")
            key = key[0]
        rows = self._rows(key)
        classes, class_offsets = take_rows(self.class_offsets, rows)
        sites, site_offsets = take_rows(self.site_offsets, rows)
        class_rows = np.arange(classes.start, classes.stop) if isinstance(classes, slice) else classes
        pairs, pair_offsets = take_rows(self.pair_offsets, class_rows)
        columns = {
            "class_offsets": class_offsets,
            "site_offsets": site_offsets,
            "pair_offsets": pair_offsets,
            "volume": self.volume[rows],
            **{name: getattr(self, name)[classes] for name in ("numbers", "oxidation_states", "multiplicity")},
            "site_class": self.site_class[sites],
            **{name: getattr(self, name)[pairs] for name in ("neighbour", "distance", "count")},
        }
        errors = {}
        if self.errors_:
            errors = {new: self.errors_[old] for new, old in enumerate(rows.tolist()) if old in self.errors_}
        index = None if self.index is None else self.index[rows]
        return Crystals(columns, self.site_features, self.settings, errors, index)

    def _rows(self, key):
        """Convert a key to non-negative row numbers, ndarray of int of shape (k,)."""
        n = len(self)
        if isinstance(key, slice):
            return np.arange(*key.indices(n))
        if not isinstance(key, bool | np.bool_) and np.ndim(key) == 0:
            try:
                row = operator.index(key)
            except TypeError:
                keys = "an integer, a slice, a boolean mask or an array of integers"
                raise IndexError(f"Crystals are indexed with {keys}, not {key!r}") from None
            if not -n <= row < n:
                raise IndexError(f"row {row} is out of bounds for {n} crystals")
            return np.array([row % n])
        rows = np.arange(n)[key]
        if rows.ndim != 1:
            raise IndexError("Crystals have one dimension: index them with a one-dimensional array of rows")
        return rows

    def __iter__(self):
        return (self[k] for k in range(len(self)))

    def __array__(self, dtype=None, copy=None):
        # NumPy would treat rows of rows as further dimensions.
        raise TypeError(
            "Crystals are ragged and cannot be converted to an array; to get vectors, embed them "
            "(DeepInfoMaxEmbedder().fit_transform)"
        )

    def _fingerprint_parts(self):
        # Without the index, which does not affect results.
        return [{name: getattr(self, name) for name in COLUMNS}, self.site_features, self.settings, self.errors_]

    @classmethod
    def concatenate(cls, parts) -> Crystals:
        """Join the rows of several Crystals.

        Parameters
        ----------
        parts : iterable of Crystals
            Featurized with the same settings.

        Returns
        -------
        Crystals
            Including ``errors_`` and ``index``.

        Raises
        ------
        ValueError
            If there are no parts, they were featurized with different settings, or only some of them have an index.
        """
        parts = list(parts)
        if not parts:
            raise ValueError("nothing to concatenate: pass at least one Crystals")
        first = parts[0]
        for k, part in enumerate(parts):
            if not isinstance(part, Crystals):
                raise TypeError(f"can only concatenate Crystals; part {k} is a {type(part).__name__}")
            if part.settings != first.settings or part.site_features != first.site_features:
                raise ValueError(f"part {k} was featurized with other settings than part 0: {_difference(part, first)}")
            if (part.index is None) != (first.index is None):
                with_index, without = (0, k) if part.index is None else (k, 0)
                raise ValueError(
                    f"part {with_index} has an index and part {without} does not: set the index of all parts, or set "
                    "it to None"
                )
        columns = {
            name: offsets_of(np.concatenate([np.diff(getattr(p, name)) for p in parts]))
            if name.endswith("_offsets")
            else np.concatenate([getattr(p, name) for p in parts])
            for name in COLUMNS
        }
        starts = offsets_of([len(p) for p in parts])
        errors = {row + int(s): why for p, s in zip(parts, starts, strict=False) for row, why in p.errors_.items()}
        index = None if first.index is None else first.index.append([part.index for part in parts[1:]])
        return cls(columns, first.site_features, first.settings, errors, index)

    def with_site_features(self, site_features) -> Crystals:
        """Return the same crystals with other site features; the arrays are shared.

        Parameters
        ----------
        site_features : sequence of str
            As for :class:`SiteNetFeaturizer`; "oxidation_state" only if it was featurized.

        Returns
        -------
        Crystals
        """
        names = tuple(site_features)
        elemental = [n for n in names if n != OXIDATION_FEATURE or n not in self.site_features]
        if elemental or not names:
            check_features(elemental)
        columns = {name: getattr(self, name) for name in COLUMNS}
        return Crystals(columns, names, self.settings, self.errors_, self.index)

    # ---- properties of rows ----

    @property
    def n_sites(self) -> np.ndarray:
        """Number of sites of each primitive cell, ndarray of int64 of shape (n,)."""
        total = offsets_of(self.multiplicity)
        return total[self.class_offsets[1:]] - total[self.class_offsets[:-1]]

    @property
    def failed(self) -> np.ndarray:
        """Mask of the rows that failed to featurize, ndarray of bool of shape (n,)."""
        mask = np.zeros(len(self), dtype=bool)
        mask[list(self.errors_)] = True
        return mask

    @property
    def formulas(self) -> list[str]:
        """Reduced formula of each row (elements sorted by electronegativity; "?" for failed rows), list of str."""
        return [self.formula(k) for k in range(len(self))]

    def formula(self, row) -> str:
        """Reduced formula of one row.

        Parameters
        ----------
        row : int
            From 0, or from the end if negative.

        Returns
        -------
        str
            "?" if the row failed.
        """
        (row,) = self._rows(operator.index(row))
        classes = slice(int(self.class_offsets[row]), int(self.class_offsets[row + 1]))
        return reduced_formula(count_elements(self.numbers[classes], self.multiplicity[classes])) or "?"

    @property
    def nbytes(self) -> int:
        """Total size of the arrays in bytes."""
        return sum(getattr(self, name).nbytes for name in COLUMNS)

    def __repr__(self) -> str:
        n_sites, n_pairs = int(self.multiplicity.sum(dtype=np.int64)), len(self.distance)
        parts = [
            f"{len(self)} crystals",
            f"{n_sites} sites in {len(self.numbers)} classes",
            f"{n_pairs} pairs",
            f"{self.nbytes / 1e6:.1f} MB",
        ]
        if self.errors_:
            parts.append(f"{len(self.errors_)} failed")
        return f"Crystals({', '.join(parts)})"

    def _repr_html_(self):
        return crystals_html(self)

    # ---- to and from disk ----

    def save(self, path) -> None:
        """Save to a folder with one ``.npy`` file per column and a JSON header; nothing is pickled.

        The folder is written atomically.

        Parameters
        ----------
        path : str or Path
            Must not exist.

        Raises
        ------
        FileExistsError
            If ``path`` exists.
        TypeError
            If the values of ``index`` are not numbers, strings or dates.
        """
        write_store([(self, None)], path, self.errors_, self.index)

    @staticmethod
    def load(path, mmap_mode=None, *, verify=False) -> Crystals:
        """Load Crystals that :meth:`save` or :meth:`SiteNetFeaturizer.transform_to_disk` has written.

        Parameters
        ----------
        path : str or Path
            The folder.
        mmap_mode : {None, "r", "c"}, default=None
            "r" memory-maps the arrays: rows are read from disk when they are used. "c" also allows changes in memory,
            which are not saved.
        verify : bool, default=False
            Read all files and compare them with the checksums in the header.

        Returns
        -------
        Crystals

        Raises
        ------
        ValueError
            If the folder is not a Crystals store, is damaged, or has another schema version or no checksums to verify.
        """
        columns, site_features, settings, errors, index = read_store(path, mmap_mode, verify)
        crystals = Crystals(columns, site_features, settings, errors)
        # Values that are memory-mapped are not read here: they are checked when batches are made.
        if fault := find_fault(crystals, check_values=mmap_mode is None or verify):
            raise ValueError(f"{path} is damaged: {fault}")
        if index is not None and len(index) != len(crystals):
            raise ValueError(f"{path} is damaged: its index has {len(index)} entries for {len(crystals)} crystals")
        crystals.index = index
        return crystals


def _difference(one, other):
    """Describe how the settings of two Crystals differ."""
    names = sorted({*one.settings, *other.settings})
    values = [(name, one.settings.get(name), other.settings.get(name)) for name in names]
    values.append(("site_features", list(one.site_features), list(other.site_features)))
    return "; ".join(f"{name} {a}, not {b}" for name, a, b in values if a != b)
