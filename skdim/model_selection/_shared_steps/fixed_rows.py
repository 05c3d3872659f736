"""FixedRows: rows after steps that learn nothing, each step applied once for all draws and models."""

from __future__ import annotations

import sys
from functools import cached_property, partial

from sklearn import get_config
from sklearn.base import BaseEstimator, clone
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import FeatureUnion, Pipeline

from ..._shared.fingerprint import fingerprint
from ..._version import __version__
from .rows_with_features import AddFeatures, RowsWithFeatures
from .split import learns_nothing


class FixedRows:
    """Rows after some steps: a tree with a branch for each distinct step, so that shared steps are applied once.

    Stateless transformers are the same step if they have the same class and parameters; frozen estimators must have the
    same fitted values too. The output is computed when :attr:`value` is first read. With a memory it is kept on disk,
    and neither this step nor those before it are applied again.

    Parameters
    ----------
    compute : callable
        Returns the rows.
    memory : joblib.Memory or None
    key : str or None
        Fingerprint of the input rows and the steps; used only with a memory.
    stored : bool
        Whether to keep the rows in the memory.
    """

    def __init__(self, compute, memory=None, key=None, *, stored=False):
        self._compute, self._memory, self._key = compute, memory, key
        self._stored = stored and memory is not None
        self._branches = {}

    @cached_property
    def value(self):
        """The rows."""
        if not self._stored:
            return self._compute()
        return self._memory.cache(_computed, ignore=["compute"])(self._key, self._compute)

    def after(self, *steps):
        """The rows after these steps."""
        rows = self
        for step in _flat(steps):
            key = self._key_of(step)
            if key not in rows._branches:
                rows._branches[key] = rows._branch(step, key)
            rows = rows._branches[key]
        return rows

    def _branch(self, step, key):
        below = None if self._memory is None else fingerprint([self._key, key, _environment(step)])
        if isinstance(step, FeatureUnion):
            # Its parts are kept; concatenating them costs nothing.
            return FixedRows(partial(_join_parts, step, self), self._memory, below)
        if isinstance(step, AddFeatures):
            return FixedRows(partial(_add_features, step, self), self._memory, below)
        return FixedRows(partial(_transformed, step, self), self._memory, below, stored=True)

    def _key_of(self, step):
        try:
            return fingerprint(step)
        except TypeError as error:
            if self._memory is not None:
                raise TypeError(
                    f"the output of {step!r} cannot be kept in memory: {error}. Pass memory=None"
                ) from error
            return id(step)


def _flat(steps):
    """Yield single steps, those of (frozen) pipelines one by one."""
    for step in steps:
        frozen = isinstance(step, FrozenEstimator)
        inner = step.estimator if frozen else step
        if isinstance(inner, Pipeline):
            yield from _flat([FrozenEstimator(part) if frozen else part for _, part in inner.steps])
        elif inner not in (None, "passthrough"):
            # Freezing does not change a stateless transformer.
            yield inner if frozen and not isinstance(inner, FeatureUnion) and learns_nothing(inner) else step


def _transformed(step, rows):
    # Fitting a stateless transformer only checks its input. A FrozenEstimator requires y and ignores it.
    return clone(step).fit(rows.value, None).transform(rows.value)


def _add_features(step, rows):
    return RowsWithFeatures(rows.value, rows.after(step.features).value)


def _computed(key, compute):
    """Function that joblib.Memory caches by the key."""
    return compute()


def _join_parts(union, rows):
    """Output of a FeatureUnion, from parts that are shared with other unions and pipelines."""
    parts = [
        (name, part if part in ("drop", "passthrough") else _Given(rows.after(part).value))
        for name, part in union.transformer_list
    ]
    joined = clone(union).set_params(n_jobs=None, transformer_list=parts)
    # Do not compute rows that no part reads.
    X = None if all(isinstance(part, _Given) for _, part in parts) else rows.value
    return joined.fit(X).transform(X)


class _Given(BaseEstimator):
    """Placeholder in a FeatureUnion for a part whose output is known."""

    def __init__(self, output):
        self.output = output

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return self.output

    def get_feature_names_out(self, input_features=None):
        return self.output.columns.to_numpy()  # called only if all parts return DataFrames


def _environment(step):
    """What else a cached output depends on: code versions, and the output container of scikit-learn."""
    package = sys.modules.get(type(step).__module__.partition(".")[0])
    return [__version__, getattr(package, "__version__", None), get_config()["transform_output"]]
