"""Structures in bulk: tables, folders, archives, databases and iterators, read row by row."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ..containers import as_rows
from ..limits import MAX_SIZE
from ..source_rows import FlatStructure, Text, Unreadable
from .csv_tables import csv_columns, csv_rows, name_columns
from .parquet_tables import parquet_batches, parquet_head, parquet_rows

#: Bytes of the largest CIF that is read: a thousand times a large one. What inflates to more is a mistake, or a trap.
MAX_BYTES = MAX_SIZE
_FLAT = FlatStructure._fields
#: Columns that may hold whole structures, and those that may hold a material's id.
_WHOLE, _IDS = ("cif", "structure"), ("id", "material_id")
#: Rows that a database is asked for at a time.
_AT_ONCE = 500


@dataclass(frozen=True)
class Source:
    """Where rows come from.

    Attributes
    ----------
    name : str
        Of the file or folder, or of the type.
    what : str
        What its rows are called, for messages.
    read : callable
        Gives an iterator over (id, raw), where ``raw`` is what ``featurize_rows`` takes.
    n_rows : int or None
        How many, where that is known beforehand.
    has_names : bool
        Whether rows have ids (else None): a material's id, or the name of a file.
    has_ids : bool
        Whether these are a material's, that another source may have too.
    n_test : int
        Rows left out, as the table says that they are for testing.
    """

    name: str
    what: str
    read: Callable[[], Iterator]
    n_rows: int | None = None
    has_names: bool = False
    has_ids: bool = False
    n_test: int = 0


def open_source(source, *, without_test=False):
    """Find out what ``source`` is; see :meth:`SiteNetFeaturizer.transform_to_disk`.

    Parameters
    ----------
    source : str, Path, iterator, collection or Source
    without_test : bool, default=False
        Leave out the rows of a table whose column "split" says "test".

    Returns
    -------
    Source

    Raises
    ------
    FileNotFoundError, TypeError, ValueError
        If there is nothing, or nothing of these kinds.
    """
    if isinstance(source, Source):
        return source
    if isinstance(source, Iterator):
        return Source(type(source).__name__, "structures", lambda: ((None, raw) for raw in source))
    if not isinstance(source, str | os.PathLike):
        rows = as_rows(source)
        return Source(type(source).__name__, "structures", lambda: ((None, raw) for raw in rows), len(rows))
    if isinstance(source, str) and "\n" in source:
        raise TypeError("the source is a text, not a path: to featurize CIF texts, pass a list of them")
    path = Path(source)
    if path.is_dir():
        return Source(path.name, "files *.cif", lambda: _read_folder(path), has_names=True)
    if not path.exists():
        raise FileNotFoundError(f"no such file or folder: {path}")
    suffix = path.suffix.lower()
    if suffix == ".zip":
        return Source(path.name, "files *.cif", lambda: _read_zip(path), has_names=True)
    if suffix == ".parquet":
        return _parquet_source(path, without_test)
    if suffix == ".csv":
        return _csv_source(path, without_test)
    if suffix == ".db":
        return _ase_source(path)
    if suffix == ".cif":
        return Source(path.name, "files *.cif", lambda: iter([(path.as_posix(), _read_file(path))]), 1, has_names=True)
    raise ValueError(
        f"{path} is neither a CIF (*.cif), a folder nor a zip file of CIFs (*.zip), nor a table (*.parquet, *.csv), "
        "nor an ASE database (*.db)"
    )


def open_sources(paths):
    """Several files and folders as one source, one after the other.

    Parameters
    ----------
    paths : sequence of (str or Path)
        Each as for :func:`open_source`.

    Returns
    -------
    Source
        With the ids of the source, if it is one. Of several, the id of a CIF file is its path, and that of any other
        row is the path, a slash, and the row's own id (or its number in the source, from 0).
    """
    if len(paths) == 1:
        return open_source(paths[0])
    sources = [open_source(Path(path)) for path in paths]

    def read():
        for path, source in zip(map(Path, paths), sources, strict=True):
            for row, (own, raw) in enumerate(source.read()):
                is_file = own == path.as_posix()
                yield own if is_file else f"{path.as_posix()}/{row if own is None else own}", raw

    n_rows = None if any(source.n_rows is None for source in sources) else sum(source.n_rows for source in sources)
    return Source(f"{len(sources)} files and folders", "structures", read, n_rows, has_names=True)


def _read_folder(folder):
    """CIF files at any depth, in an order that is the same everywhere."""
    for parent, folders, files in os.walk(folder, onerror=_refuse_folder):
        folders.sort()
        for name in sorted(files):
            if not name.lower().endswith(".cif"):
                continue
            file = Path(parent, name)
            yield file.relative_to(folder).as_posix(), _read_file(file)


def _refuse_folder(error):
    """Raise what os.walk would pass over, and all files of a folder with it."""
    raise OSError(f"cannot list the folder {error.filename} ({error.strerror}): make it readable or move it") from error


def _read_file(file):
    try:
        with file.open("rb") as content:
            return _text(content.read(MAX_BYTES + 1))
    except OSError as error:
        return Unreadable(f"cannot open the file ({error.strerror})")


def _read_zip(path):
    """CIF files of an archive, in its order; each is inflated in memory, as far as the limit, and none is extracted."""
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OverflowError) as error:
        raise ValueError(f"{path} is not a zip file, or damaged ({error})") from error
    with archive:
        for member in archive.infolist():
            hidden = member.filename.startswith("__MACOSX/")  # attributes of files, kept under the files' names
            if hidden or not member.filename.lower().endswith(".cif"):
                continue
            try:
                with archive.open(member) as content:
                    raw = _text(content.read(MAX_BYTES + 1))
            except (OSError, EOFError, zlib.error, zipfile.BadZipFile, RuntimeError, ValueError) as error:
                # RuntimeError: a password is asked for; NotImplementedError, one of them: an unknown compression.
                raw = Unreadable(f"the archive's member cannot be read ({error})")
            yield member.filename, raw


def _text(content):
    if len(content) > MAX_BYTES:
        return Unreadable(f"it is larger than {MAX_BYTES // 2**20} MB, which no CIF is")
    return Text(content.decode("utf-8", errors="replace"))


def _parquet_source(path, without_test):
    columns, types, n_rows = parquet_head(path)
    if set(_FLAT) <= set(columns):
        for name, kind in zip(columns, types, strict=True):
            if name in _FLAT and not _is_list_of_numbers(kind):
                raise ValueError(f"{path}: {', '.join(_FLAT)} must be lists of numbers; {name} is {kind}")
        content: tuple[str, ...] = _FLAT
    else:
        content = tuple(name for name in _WHOLE if name in columns)[:1]
        if not content:
            raise ValueError(
                f"{path} has neither a column {' or '.join(_WHOLE)}, nor {', '.join(_FLAT)}. It has "
                f"{name_columns(columns)}"
            )
    id_column = next((name for name in _IDS if name in columns), None)
    split = "split" if without_test and "split" in columns else None
    n_test = sum(part == "test" for (part,) in parquet_rows(path, [split])) if split else 0

    def read():
        wanted = [name for name in (*content, id_column, split) if name]
        for batch in parquet_batches(path, wanted):
            cells = dict(zip(batch.schema.names, batch.columns, strict=True))
            for k in range(batch.num_rows):
                if split and cells[split][k].as_py() == "test":
                    continue
                own = None if id_column is None else _id_text(cells[id_column][k].as_py())
                yield own, _from_cells([cells[name][k] for name in content])

    has_ids = id_column is not None
    return Source(path.name, "rows", read, n_rows - n_test, has_names=has_ids, has_ids=has_ids, n_test=n_test)


def _id_text(own):
    """An id as a CSV table would have it: empty where it is missing."""
    return "" if own is None else str(own)


def _is_list_of_numbers(kind):
    from pyarrow import types

    if not (types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)):
        return False
    return types.is_integer(kind.value_type) or types.is_floating(kind.value_type)


def _from_cells(cells):
    if len(cells) == len(_FLAT):
        return FlatStructure(
            *(None if cell.values is None else cell.values.to_numpy(zero_copy_only=False) for cell in cells)
        )
    value = cells[0].as_py()
    if isinstance(value, dict):
        return Text(json.dumps(value, default=str))
    return None if value is None else Text(str(value))


def _csv_source(path, without_test):
    columns = csv_columns(path)
    content = next((name for name in _WHOLE if name in columns), None)
    if content is None:
        raise ValueError(f"{path} has no column {' or '.join(_WHOLE)} with whole CIFs. It has {name_columns(columns)}")
    id_column = next((name for name in _IDS if name in columns), None)
    split = "split" if without_test and "split" in columns else None
    n_test = sum(part == "test" for (part,) in csv_rows(path, [split])) if split else 0

    def read():
        for text, own, part in csv_rows(path, [content, id_column or content, split or content]):
            if split is None or part != "test":
                yield (own if id_column else None), Text(text) if text else None

    return Source(path.name, "rows", read, has_names=bool(id_column), has_ids=bool(id_column), n_test=n_test)


def _ase_source(path):
    try:
        import ase.db
    except ImportError as error:
        raise ImportError('ASE databases need ase: pip install "skdim-crystals[ase]"') from error
    _check_tables(path)
    database = ase.db.connect(path, type="db")
    try:
        with database:  # or ase leaves each of its connections open
            n_rows = len(database)
    except Exception as error:  # of sqlite3, or of ase where the tables are others
        raise ValueError(f"{path} is not an ASE database, or damaged ({error})") from error

    def read():
        last = 0
        while True:
            # By id, in small numbers: a single selection would fetch them all.
            try:
                with database:
                    rows = list(database.select(f"id>{last}", sort="id", limit=_AT_ONCE, include_data=False))
            except Exception as error:  # of sqlite3, or of ase where the values are others
                raise ValueError(f"{path} is damaged: rows after id {last} cannot be read ({error})") from error
            for row in rows:
                yield str(row.key_value_pairs.get("material_id", row.id)), _atoms(row)
            if len(rows) < _AT_ONCE:
                return
            last = rows[-1].id

    return Source(path.name, "rows", read, n_rows, has_names=True)


def _check_tables(path):
    """Refuse a database of another kind: ase would make its own tables in it."""
    try:
        with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
            tables = database.execute("SELECT name FROM sqlite_master WHERE name = 'systems'").fetchall()
    except sqlite3.Error as error:
        raise ValueError(f"{path} is not an ASE database, or damaged ({error})") from error
    if not tables:
        raise ValueError(f"{path} is not an ASE database: it has no table 'systems'")


def _atoms(row):
    from ase import Atoms

    try:
        # Not row.toatoms(): of constraints and results nothing is needed.
        return Atoms(row.numbers, row.positions, cell=row.cell, pbc=row.pbc)
    except Exception as error:
        return Unreadable(f"ase cannot read the row ({type(error).__name__}: {error})")
