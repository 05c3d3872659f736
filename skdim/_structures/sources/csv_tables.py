"""Reads CSV tables row by row in bounded memory; rows that do not fit the header are errors."""

from __future__ import annotations

import csv

from ..._shared.files import refuse_duplicate_columns
from ..limits import MAX_SIZE

#: Largest number of characters in a row. A quote that is never closed turns the rest of the file into one cell.
MAX_ROW = MAX_SIZE


def csv_columns(path):
    """Names of the columns of a CSV table.

    Parameters
    ----------
    path : Path

    Returns
    -------
    list of str

    Raises
    ------
    ValueError
        If it has no header, or is not UTF-8 text.
    """
    for columns in _rows(path):
        return columns
    raise ValueError(f"{path} is empty: a CSV table begins with the names of its columns")


def name_columns(columns, most=8):
    """List the columns of a table for a message, with a hint if there is only one."""
    listed = ", ".join(columns[:most]) + (f", ... ({len(columns)} in all)" if len(columns) > most else "")
    if len(columns) == 1 and (";" in columns[0] or "\t" in columns[0]):
        listed += " as a single column: cells must be separated by commas, as pandas.DataFrame.to_csv does"
    return listed


def csv_rows(path, names):
    """Yield the cells of some columns row by row; empty lines are ignored.

    Parameters
    ----------
    path : Path
    names : list of str
        Columns of the table.

    Yields
    ------
    list of str

    Raises
    ------
    ValueError
        If a row has more or fewer cells than the header, or is larger than any CIF; or the file is not UTF-8 text.
    """
    columns = csv_columns(path)
    refuse_duplicate_columns(path, columns, names)
    places = [columns.index(name) for name in names]
    rows = _rows(path)
    next(rows)
    for row in rows:
        yield [row[place] for place in places]


def _rows(path):
    """Yield the header and all rows, as lists of strings."""
    # The default limit of the csv module is less than a large CIF. The lines below have the same limit.
    csv.field_size_limit(max(csv.field_size_limit(), MAX_ROW))
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = _Lines(file)
        reader = csv.reader(lines, strict=True)
        width = None
        while True:
            lines.size = 0
            try:
                row = next(reader, None)
            except (ValueError, csv.Error, OSError) as error:
                where = f"near line {reader.line_num}"
                raise ValueError(f"{path} is not a CSV table in UTF-8, or damaged ({where}: {error})") from error
            if row is None:
                return
            if not row:
                continue
            if width not in (None, len(row)):
                raise ValueError(
                    f"{path}: the row that ends in line {reader.line_num} has {len(row)} cells, and the header "
                    f"{width}; cells with commas in them must be in quotes"
                )
            width = len(row)
            yield row


class _Lines:
    """Lines of a file; an error if those of one row are too long."""

    def __init__(self, file):
        self.file = file
        self.size = 0

    def __iter__(self):
        return self

    def __next__(self):
        line = self.file.readline(MAX_ROW + 1 - self.size)
        self.size += len(line)
        if self.size > MAX_ROW:
            raise ValueError(f"a row has more than {MAX_ROW // 10**6} million characters; is a quote never closed?")
        if not line:
            raise StopIteration
        return line
