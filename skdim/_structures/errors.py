"""Errors of rows that cannot be read."""

from __future__ import annotations


class ReadError(ValueError):
    """Why a structure cannot be read, and what to do; the caller adds the row, its name and the formula."""


class StructureError(ValueError):
    """One row of X that cannot be used.

    Attributes
    ----------
    row : int
        Position in X, from 0.
    formula : str or None
        Reduced formula, None if it is not known.
    reason : str
        What is wrong, and what to do about it.
    name : str or None
        Name of the row: of its file, or its id in a table.
    """

    def __init__(self, row, formula, reason, name=None):
        # Exceptions are pickled by their args: with the text made in __str__ all survive a joblib worker.
        super().__init__(row, formula, reason, name)
        self.row, self.formula, self.reason, self.name = row, formula, reason, name

    def __str__(self):
        name = f", {self.name}" if self.name else ""
        return f"row {self.row}{name}{f' ({self.formula})' if self.formula else ''}: {self.reason}"


def join_names(names, most=6):
    """Join names for a message; of many, only the first."""
    names = list(dict.fromkeys(names))
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def describe(error):
    """Name an error of another library in a few words."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return f"it lacks {error}" if isinstance(error, KeyError) else f"{type(error).__name__}: {error}"
