"""Atomic writes of files and folders, and conversion of values to JSON."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import uuid
from pathlib import Path

import numpy as np


@contextlib.contextmanager
def new_folder(path):
    """Context manager that creates the folder ``path`` atomically.

    The block writes into a temporary folder next to ``path``, which is renamed at the end: a killed run leaves no
    incomplete folder under the name.

    Yields
    ------
    Path
        The temporary folder.

    Raises
    ------
    FileExistsError
        If ``path`` exists.
    """
    path = Path(path)
    refuse_existing(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = _temporary_path(path)
    folder.mkdir()
    try:
        yield folder
        try:
            folder.rename(path)
        except OSError as error:
            if not path.exists():
                raise
            raise FileExistsError(f"{path} was created by another process; it was not changed") from error
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


@contextlib.contextmanager
def replaced_file(path):
    """Context manager that creates or replaces the file ``path`` atomically.

    Yields
    ------
    Path
        The temporary file to write, next to ``path``.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    file = _temporary_path(path)
    try:
        yield file
        os.replace(file, path)
    finally:
        file.unlink(missing_ok=True)


def refuse_duplicate_columns(path, columns, names):
    """Raise ValueError if one of the names belongs to several columns of a table."""
    for name in names:
        if columns.count(name) > 1:
            raise ValueError(f"{path} has {columns.count(name)} columns {name!r}: rename all but one")


def refuse_existing(path):
    """Raise FileExistsError if a file or folder exists at ``path``."""
    if Path(path).exists():
        raise FileExistsError(f"{path} exists: remove it first, or save under another name")


def as_json(value):
    """Return a value as it is read back from JSON: tuples and arrays as lists, NumPy numbers as Python numbers.

    Raises
    ------
    TypeError
        If it cannot be written as JSON.
    """
    return json.loads(json.dumps(value, default=_to_python))


def _to_python(value):
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    raise TypeError(f"a {type(value).__name__} cannot be written as JSON")


def _temporary_path(path):
    return path.parent / f".{path.name}.{uuid.uuid4().hex}"
