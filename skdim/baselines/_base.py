"""Base class of the baselines: from structures to rows of numbers, with errors that name the row."""

from __future__ import annotations

import warnings
from itertools import islice
from numbers import Integral
from typing import ClassVar, Self

import numpy as np
from joblib import delayed, effective_n_jobs
from sklearn.base import BaseEstimator
from sklearn.utils import gen_even_slices
from sklearn.utils._param_validation import StrOptions

from .._shared.processes import in_processes
from .._shared.progress import progress
from .._shared.stateless import StatelessTransformer
from .._structures.containers import as_rows
from .._structures.errors import StructureError
from .._structures.read import formula_of, name_of, read_structure


class StructureTransformer(StatelessTransformer, BaseEstimator):
    """A stateless transformer from structures to float64 rows.

    A subclass has the parameters ``disordered``, ``on_error``, ``n_jobs`` and ``verbose``, and defines
    ``get_feature_names_out`` and ``_function()``, which returns a function that computes the row of an ordered pymatgen
    Structure. This raises ValueError on failure; row number and formula are added here. ``_check()`` may check further
    parameters. A subclass that computes several rows together defines ``_batch_size`` and ``_features`` as well.
    """

    _parameter_constraints: ClassVar = {
        "disordered": [StrOptions({"raise", "majority"})],
        "on_error": [StrOptions({"raise", "warn"})],
        "n_jobs": [Integral, None],
        "verbose": ["verbose"],
    }

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.dict = True
        return tags

    def _check(self):
        self._validate_params()

    def _batch_size(self):
        return 1

    def _features(self, function, structures):
        """Compute the row of each structure with the result of ``_function``; its ValueError where there is none."""
        return [attempt(function, structure) for structure in structures]

    def fit(self, X, y=None) -> Self:
        """Check the parameters and the type of X.

        Parameters
        ----------
        X : sequence of structures of length n_crystals
            As in :meth:`transform`.
        y : object, default=None
            Ignored.

        Returns
        -------
        self : object
            The transformer, unchanged.
        """
        self._check()
        as_rows(X)
        return self

    def transform(self, X) -> np.ndarray:
        """Compute the features.

        Parameters
        ----------
        X : sequence of structures of length n_crystals
            A list, tuple, object array, pandas Series or one-column DataFrame of pymatgen Structures, ASE Atoms, paths
            or texts of structure files, or dicts, also mixed.

        Returns
        -------
        ndarray of float64 of shape (n_crystals, n_features_out)

        Raises
        ------
        StructureError
            If a row has no features and ``on_error="raise"``; names row, formula and reason. (A ValueError.)
        ImportError
            If a required optional package is not installed.
        """
        self._check()
        rows = as_rows(X)
        n_jobs = effective_n_jobs(self.n_jobs)
        if n_jobs == 1:
            counted = progress(rows, verbose=self.verbose, desc=type(self).__name__, unit="structure")
            parts = [_transform_rows(self, counted, 0)]
        else:
            # Several chunks per process balance slow structures.
            chunks = list(gen_even_slices(len(rows), min(len(rows), 16 * n_jobs)))
            calls = (delayed(_transform_rows)(self, rows[chunk], chunk.start) for chunk in chunks)
            options = {"verbose": self.verbose, "total": len(chunks), "unit": "chunk"}
            parts = list(progress(in_processes(calls, self.n_jobs), desc=type(self).__name__, **options))
        errors = [error for _, failed in parts for error in failed]
        if errors:
            warnings.warn(
                f"{len(errors)} of {len(rows)} structures have no features; their rows are NaN. The first: {errors[0]}",
                stacklevel=2,
            )
        return np.concatenate([values for values, _ in parts])


def _transform_rows(transformer, raws, first_row):
    """Features of some rows, and errors of those without features (only with ``on_error="warn"``)."""
    function, n_features = transformer._function(), len(transformer.get_feature_names_out())
    values, errors = [], []
    numbered = enumerate(raws, start=first_row)
    while batch := list(islice(numbered, transformer._batch_size())):
        for result in _transform_batch(transformer, function, batch):
            if isinstance(result, StructureError):
                if transformer.on_error == "raise":
                    raise result
                errors.append(str(result))
                result = np.full(n_features, np.nan)
            values.append(result)
    return np.asarray(values, dtype=np.float64).reshape(-1, n_features), errors


def _transform_batch(transformer, function, batch):
    """Return the features of each (row, structure), or its StructureError."""
    structures = []
    for row, raw in batch:
        try:
            structures.append(read_structure(raw, row, disordered=transformer.disordered))
        except StructureError as error:
            structures.append(error)
    features = iter(transformer._features(function, [s for s in structures if not isinstance(s, StructureError)]))
    return [
        structure if isinstance(structure, StructureError) else _checked(next(features), structure, row, raw)
        for structure, (row, raw) in zip(structures, batch, strict=True)
    ]


def _checked(values, structure, row, raw):
    """Return features as an array, or a StructureError if there are none."""
    error = values if isinstance(values, ValueError) else None
    if error is None:
        values = np.asarray(values, dtype=np.float64)
        if np.isfinite(values).all():
            return values
        error = ValueError(f"{np.count_nonzero(~np.isfinite(values))} of its features are not finite")
    result = StructureError(row, formula_of(structure), str(error), name_of(raw))
    result.__cause__ = error
    return result


def attempt(function, structure):
    """Return what a function returns, or the ValueError that it raises."""
    try:
        return function(structure)
    except ValueError as error:
        return error


def import_matminer(name):
    """Import a module of matminer, or raise an ImportError that names the extra."""
    from importlib import import_module

    try:
        return import_module(f"matminer.{name}")
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] != "matminer":
            raise
        raise ImportError(
            'this baseline needs matminer, which is not installed: pip install "skdim-crystals[baselines]"'
        ) from error
