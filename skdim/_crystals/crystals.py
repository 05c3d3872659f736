"""Crystals: a columnar, ragged container of featurized crystals, one row a crystal."""

from __future__ import annotations

import operator

import numpy as np

from .._chemistry.elements import OXIDATION_FEATURE, check_features
from .._chemistry.formulas import count_elements, reduced_formula
from .._shared.ragged import offsets_of, take_rows
from .columns import COLUMNS
from .store import fault_in, read_store, write_store


class Crystals:
    """Featurized crystals: what :class:`SiteNetFeaturizer` returns and the other estimators take.

    A row is a crystal, stored as its site classes (sites that no network on features and distances can tell apart)
    with multiplicities, and for each class its distinct (neighbour class, distance) pairs with counts. All rows lie in
    a few flat arrays, so that 100 000 crystals are ten arrays and not millions of objects; these may be memory-mapped.

    Instances are made by :meth:`SiteNetFeaturizer.transform`, :meth:`load`, indexing and :meth:`concatenate`. They
    pass through ``train_test_split``, ``cross_validate``, ``GridSearchCV`` and ``learning_curve`` like an array.

    Attributes
    ----------
    class_offsets, site_offsets : ndarray of int64 of shape (n + 1,)
        Where each crystal's classes, and its input sites, begin.
    numbers : ndarray of uint8 of shape (n_classes,)
        Atomic number of each class.
    oxidation_states : ndarray of float32 of shape (n_classes,)
        0 where unknown.
    multiplicity : ndarray of uint16 of shape (n_classes,)
        Primitive sites in each class.
    pair_offsets : ndarray of int64 of shape (n_classes + 1,)
        Where each class's pairs begin.
    site_class : ndarray of uint16 of shape (n_sites,)
        Class, counted within its crystal, of each site of the input structure, in the structure's own order.
    neighbour, distance, count : ndarray of shape (n_pairs,)
        Class of the neighbour (counted within the crystal), minimum-image distance in angstrom, and how many sites of
        the supercell are such a neighbour.
    site_features : tuple of str
        The elemental properties that the networks are given.
    errors_ : dict of int to str
        Rows that could not be featurized (``on_error="warn"``) and why; they hold no sites and embed as NaN. The keys
        follow the rows through indexing and concatenation; a row named in a text is that of the structures handed in.

    See Also
    --------
    SiteNetFeaturizer : Makes Crystals from structures.

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
    numbers: np.ndarray
    oxidation_states: np.ndarray
    multiplicity: np.ndarray
    pair_offsets: np.ndarray
    site_class: np.ndarray
    neighbour: np.ndarray
    distance: np.ndarray
    count: np.ndarray

    def __init__(self, columns, site_features, settings=None, errors=None):
        for name, dtype in COLUMNS.items():
            column = columns[name]
            setattr(self, name, column if column.dtype == dtype else column.astype(dtype))
        self.site_features = tuple(site_features)
        self.settings = dict(settings or {})
        self.errors_ = dict(errors or {})

    # ---- as a sequence of rows ----

    def __len__(self):
        return len(self.class_offsets) - 1

    @property
    def shape(self):
        """``(n_crystals,)``: one-dimensional, so that scikit-learn indexes it by rows."""
        return (len(self),)

    def __getitem__(self, key):
        """Rows as a new Crystals: an integer (one row), slice, boolean mask, index array, or any of them with ``...``.

        Consecutive rows share memory with this container; other rows are copied.
        """
        if isinstance(key, tuple):
            # scikit-learn indexes what has a shape by X[rows, ...].
            if len(key) != 2 or key[1] is not Ellipsis:
                raise IndexError(f"Crystals has one dimension: index it with rows, not with {key!r}")
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
            **{name: getattr(self, name)[classes] for name in ("numbers", "oxidation_states", "multiplicity")},
            "site_class": self.site_class[sites],
            **{name: getattr(self, name)[pairs] for name in ("neighbour", "distance", "count")},
        }
        errors = {}
        if self.errors_:
            errors = {new: self.errors_[old] for new, old in enumerate(rows.tolist()) if old in self.errors_}
        return Crystals(columns, self.site_features, self.settings, errors)

    def _rows(self, key):
        """Non-negative row numbers that ``key`` stands for, ndarray of int of shape (k,)."""
        n = len(self)
        if isinstance(key, slice):
            return np.arange(*key.indices(n))
        if not isinstance(key, bool | np.bool_) and np.ndim(key) == 0:
            try:
                row = operator.index(key)
            except TypeError:
                what = "an integer, a slice, a boolean mask or an array of integers"
                raise IndexError(f"Crystals is indexed with rows: {what}, not {key!r}") from None
            if not -n <= row < n:
                raise IndexError(f"row {row} is out of bounds for {n} crystals")
            return np.array([row % n])
        rows = np.arange(n)[key]
        if rows.ndim != 1:
            raise IndexError("Crystals has one dimension: index it with a one-dimensional array of rows")
        return rows

    def __iter__(self):
        return (self[k] for k in range(len(self)))

    def __array__(self, dtype=None, copy=None):
        # NumPy would take rows of rows for further dimensions.
        raise TypeError(
            "Crystals is ragged and cannot be an array; to get vectors, embed it (DeepInfoMaxEmbedder().fit_transform)"
        )

    @classmethod
    def concatenate(cls, parts):
        """One container with the rows of several, in order.

        Parameters
        ----------
        parts : iterable of Crystals
            Featurized with the same settings.

        Returns
        -------
        Crystals
            ``errors_`` included.

        Raises
        ------
        ValueError
            If there are none, or they were not featurized with the same settings.
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
        columns = {
            name: offsets_of(np.concatenate([np.diff(getattr(p, name)) for p in parts]))
            if name.endswith("_offsets")
            else np.concatenate([getattr(p, name) for p in parts])
            for name in COLUMNS
        }
        starts = offsets_of([len(p) for p in parts])
        errors = {row + int(s): why for p, s in zip(parts, starts, strict=False) for row, why in p.errors_.items()}
        return cls(columns, first.site_features, first.settings, errors)

    def with_site_features(self, site_features):
        """The same crystals, to be read by networks with other elemental properties; the arrays are shared.

        Parameters
        ----------
        site_features : sequence of str
            As for :class:`SiteNetFeaturizer`; "oxidation_state" only where it was featurized.

        Returns
        -------
        Crystals
        """
        names = tuple(site_features)
        elemental = [n for n in names if n != OXIDATION_FEATURE or n not in self.site_features]
        if elemental or not names:
            check_features(elemental)
        columns = {name: getattr(self, name) for name in COLUMNS}
        return Crystals(columns, names, self.settings, self.errors_)

    # ---- what the rows are ----

    @property
    def n_sites(self):
        """Sites of each primitive cell, ndarray of int64 of shape (n,)."""
        total = offsets_of(self.multiplicity)
        return total[self.class_offsets[1:]] - total[self.class_offsets[:-1]]

    @property
    def failed(self):
        """Rows that could not be featurized, boolean ndarray of shape (n,)."""
        mask = np.zeros(len(self), dtype=bool)
        mask[list(self.errors_)] = True
        return mask

    @property
    def formulas(self):
        """Reduced formula of each row (elements by electronegativity; "?" where the row failed), list of str."""
        return [self.formula(k) for k in range(len(self))]

    def formula(self, row):
        """Reduced formula of one row.

        Parameters
        ----------
        row : int
            Counted from 0, or from the end if negative.

        Returns
        -------
        str
            "?" where the row failed.
        """
        (row,) = self._rows(operator.index(row))
        classes = slice(int(self.class_offsets[row]), int(self.class_offsets[row + 1]))
        return reduced_formula(count_elements(self.numbers[classes], self.multiplicity[classes])) or "?"

    @property
    def nbytes(self):
        """Bytes of all arrays."""
        return sum(getattr(self, name).nbytes for name in COLUMNS)

    def __repr__(self):
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

    # ---- to and from disk ----

    def save(self, path):
        """Write to a folder: one plain ``.npy`` array a column and a JSON header, nothing pickled.

        The folder appears under its name only once it is complete.

        Parameters
        ----------
        path : str or Path
            Must not exist yet.

        Raises
        ------
        FileExistsError
            If ``path`` exists.
        """
        write_store([(self, None)], path, self.errors_)

    @staticmethod
    def load(path, mmap_mode=None, *, verify=False):
        """Read what :meth:`save` or :meth:`SiteNetFeaturizer.transform_to_disk` wrote.

        Parameters
        ----------
        path : str or Path
            The folder.
        mmap_mode : {None, "r", "c"}, default=None
            "r" maps the arrays instead of reading them: opening takes no time, and rows are read as they are used.
        verify : bool, default=False
            Read all and compare it with the checksums in the header.

        Returns
        -------
        Crystals

        Raises
        ------
        ValueError
            If the folder is no Crystals store, is damaged, or has another schema version, or no checksums to verify.
        """
        crystals = Crystals(*read_store(path, mmap_mode, verify))
        # Values that are only mapped are not read here: batches of them are checked as they are made.
        if fault := fault_in(crystals, check_values=mmap_mode is None or verify):
            raise ValueError(f"{path} is damaged: {fault}")
        return crystals


def _difference(one, other):
    """In what settings two Crystals differ, in words."""
    names = sorted({*one.settings, *other.settings})
    found = [(name, one.settings.get(name), other.settings.get(name)) for name in names]
    found.append(("site_features", list(one.site_features), list(other.site_features)))
    return "; ".join(f"{name} {mine}, and not {yours}" for name, mine, yours in found if mine != yours)
