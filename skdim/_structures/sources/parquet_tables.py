"""Reads Parquet tables in batches of rows, with pyarrow."""

from __future__ import annotations

from typing import NamedTuple

from ..._shared.files import refuse_duplicate_columns

#: Rows per batch.
_AT_ONCE = 500


class Head(NamedTuple):
    """Names of the columns, their types (of pyarrow), and the number of rows."""

    columns: list
    types: list
    n_rows: int


def parquet_head(path):
    """Read the schema of a table, without its rows.

    Parameters
    ----------
    path : Path

    Returns
    -------
    Head

    Raises
    ------
    ImportError
        If pyarrow is not installed.
    ValueError
        If it is not a Parquet table.
    """
    try:
        import pyarrow.lib
        import pyarrow.parquet as pq
    except ImportError as error:
        raise ImportError('Parquet tables need pyarrow: pip install "skdim-crystals[parquet]"') from error
    try:
        with pq.ParquetFile(path) as table:
            schema = table.schema_arrow
            return Head(schema.names, schema.types, table.metadata.num_rows)
    except (pyarrow.lib.ArrowException, OSError) as error:
        raise ValueError(f"{path} is not a Parquet table, or damaged ({error})") from error


def parquet_batches(path, names):
    """Yield some columns in batches of rows.

    Parameters
    ----------
    path : Path
    names : list of str
        Columns of the table.

    Yields
    ------
    pyarrow.RecordBatch

    Raises
    ------
    ValueError
        If the table has several columns of such a name, or is damaged.
    """
    refuse_duplicate_columns(path, parquet_head(path).columns, names)
    import pyarrow.lib
    import pyarrow.parquet as pq

    try:
        # Buffered, since one row group may be the whole table.
        with pq.ParquetFile(path, buffer_size=2**20) as table:
            yield from table.iter_batches(batch_size=_AT_ONCE, columns=names)
    except (pyarrow.lib.ArrowException, OSError) as error:
        raise ValueError(f"{path} is damaged: its rows cannot be read ({error})") from error


def parquet_rows(path, names):
    """Yield the cells of some columns row by row, as Python objects; see :func:`parquet_batches`."""
    for batch in parquet_batches(path, names):
        yield from zip(*(batch.column(name).to_pylist() for name in names), strict=True)
