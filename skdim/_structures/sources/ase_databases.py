"""Reads ASE databases (.db), with ase."""

from __future__ import annotations

import contextlib
import sqlite3

from ..source_rows import Unreadable
from .source import Source

#: Rows per query.
_AT_ONCE = 500


def ase_source(path):
    """Open a database; names of rows are the ids of the materials, or else those in the database.

    Raises
    ------
    ImportError
        If ase is not installed.
    ValueError
        If it is not an ASE database, or damaged.
    """
    try:
        import ase.db
    except ImportError as error:
        raise ImportError('ASE databases need ase: pip install "skdim-crystals[ase]"') from error
    _check_tables(path)
    database = ase.db.connect(path, type="db")
    try:
        with database:  # or ase leaves each of its connections open
            n_rows = len(database)
    except Exception as error:  # of sqlite3, or of ase if the tables are others
        raise ValueError(f"{path} is not an ASE database, or damaged ({error})") from error

    def read():
        last = 0
        while True:
            # By id, in batches: a single query would fetch all rows.
            try:
                with database:
                    rows = list(database.select(f"id>{last}", sort="id", limit=_AT_ONCE, include_data=False))
            except Exception as error:  # of sqlite3, or of ase if the values are others
                raise ValueError(f"{path} is damaged: rows after id {last} cannot be read ({error})") from error
            for row in rows:
                yield str(row.key_value_pairs.get("material_id", row.id)), _atoms(row)
            if len(rows) < _AT_ONCE:
                return
            last = rows[-1].id

    return Source(path.name, "rows", read, n_rows, has_names=True)


def _check_tables(path):
    """Raise ValueError for databases of other programs, in which ase would create its tables."""
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
        # Not row.toatoms(): constraints and results are not needed.
        return Atoms(row.numbers, row.positions, cell=row.cell, pbc=row.pbc)
    except Exception as error:
        return Unreadable(f"ase cannot read the row ({type(error).__name__}: {error})")
