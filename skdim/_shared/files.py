"""Files and folders that appear under their name only once they are complete, and plain values for JSON."""

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
    """Make the folder ``path`` of what the block writes into the folder that it is given.

    That one lies beside its place and is renamed at the end: a run killed midway leaves no half folder under the name.

    Raises
    ------
    FileExistsError
        If ``path`` exists.
    """
    path = Path(path)
    refuse_existing(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = _beside(path)
    folder.mkdir()
    try:
        yield folder
        try:
            folder.rename(path)
        except OSError as error:
            if not path.exists():
                raise
            raise FileExistsError(f"{path} was made meanwhile, by another process: it was left as it is") from error
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


@contextlib.contextmanager
def replaced_file(path):
    """Put the file that the block writes under the name that it is given in the place of ``path``, in one step."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    file = _beside(path)
    try:
        yield file
        os.replace(file, path)
    finally:
        file.unlink(missing_ok=True)


def refuse_twins(path, columns, names):
    """Raise ValueError if a table has several columns of one of the names that are wanted."""
    for name in names:
        if columns.count(name) > 1:
            raise ValueError(f"{path} has {columns.count(name)} columns {name!r}: rename all but one")


def refuse_existing(path):
    """Raise FileExistsError if something is there already."""
    if Path(path).exists():
        raise FileExistsError(f"{path} exists: remove it first, or save under another name")


def as_json(value):
    """The value as JSON gives it back: lists for tuples and arrays, Python's numbers for NumPy's.

    Raises
    ------
    TypeError
        If JSON has no way to write it.
    """
    return json.loads(json.dumps(value, default=_plain))


def _plain(value):
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    raise TypeError(f"a {type(value).__name__} cannot be written as JSON")


def _beside(path):
    return path.parent / f".{path.name}.{uuid.uuid4().hex}"
