"""Opens a source of rows, whose kind is detected from its content if possible."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from ..containers import as_rows
from ..files import written_name
from ..formats.detect import NAMES
from .archives import is_archive, read_archive
from .ase_databases import ase_source
from .folders import read_folder
from .skipped import Skipped
from .source import Source
from .structure_files import read_structure_file
from .tables import csv_source, parquet_source


def open_source(source, *, without_test=False):
    """Open a source of rows; see :meth:`SiteNetFeaturizer.transform_to_disk`.

    Parameters
    ----------
    source : str, Path, iterator, collection or Source
    without_test : bool, default=False
        Leave out the rows of a table whose column "split" is "test".

    Returns
    -------
    Source

    Raises
    ------
    FileNotFoundError, TypeError, ValueError
        If the source does not exist, or is of another kind.
    """
    if isinstance(source, Source):
        return source
    if isinstance(source, Iterator):
        return Source(type(source).__name__, "structures", lambda: ((None, raw) for raw in source))
    if not isinstance(source, str | os.PathLike):
        rows = as_rows(source)
        return Source(type(source).__name__, "structures", lambda: ((None, raw) for raw in rows), len(rows))
    if isinstance(source, str) and "\n" in source:
        raise TypeError("the source is a text, not a path: to featurize texts, pass a list of them")
    path = Path(source)
    if path.is_dir():
        return Source(path.name, "structures", lambda: read_folder(path), has_names=True)
    if not path.exists():
        raise FileNotFoundError(f"no such file or folder: {path}")
    suffix = path.suffix.lower()
    if suffix == ".csv":
        return csv_source(path, without_test)
    with path.open("rb") as file:
        start = file.read(16)
        file.seek(0)
        is_an_archive = is_archive(file)
    if suffix == ".parquet" or start.startswith(b"PAR1"):
        return parquet_source(path, without_test)
    if suffix == ".db" or start.startswith(b"SQLite format 3\0"):
        return ase_source(path)
    if suffix == ".zip" or is_an_archive:
        return Source(path.name, "structures", lambda: _read_archive(path), has_names=True)
    return _structure_file(path)


def open_sources(paths):
    """Several files and folders as one source, one after the other.

    Parameters
    ----------
    paths : sequence of (str or Path)
        Each as for :func:`open_source`.

    Returns
    -------
    Source
        With the names of the source, if it is one. Of several, the name of a file of structures is its path, and that
        of any other row is the path, a slash, and the row's name, or empty if it has none.
    """
    if len(paths) == 1:
        return open_source(paths[0])
    sources = [open_source(Path(path)) for path in paths]

    def read():
        for path, source in zip(map(Path, paths), sources, strict=True):
            prefix = written_name(path.as_posix())
            for name, raw in source.read():
                is_file = name is not None and (name == prefix or name.startswith(f"{prefix}#"))
                yield name if is_file else f"{prefix}/{name}" if name else "", raw

    n_rows = None if any(source.n_rows is None for source in sources) else sum(source.n_rows for source in sources)
    return Source(f"{len(sources)} files and folders", "structures", read, n_rows, has_names=True)


def _read_archive(path):
    skipped = Skipped(f"the archive {written_name(path.name)}")
    yield from read_archive(path, skipped)
    skipped.warn()


def _structure_file(path):
    """A file of one or several structures."""
    name = written_name(path.as_posix())

    def read(skipped):
        with path.open("rb") as file:
            yield from read_structure_file(file, name, skipped)

    n_rows = sum(1 for _ in read(Skipped(name)))
    if n_rows == 0:
        raise ValueError(
            f"{path} is neither a file of structures ({NAMES}), a folder or an archive (zip, tar) of them, a table "
            f"(*.parquet, *.csv), nor an ASE database (*.db)"
        )
    return Source(path.name, "structures", lambda: read(Skipped(name)), n_rows, has_names=True)
