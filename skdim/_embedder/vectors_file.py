"""Vectors of crystals on disk: a .npy, .parquet or .csv file, written as they come and never whole in memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .._shared.files import refuse_existing, replaced_file

#: Numbers that are gathered for one write.
_AT_ONCE = 2**22


def write_vectors(path, parts, n_rows, names, ids=None):
    """Write the vectors of rows to a new file, NaN for those that have none.

    Parameters
    ----------
    path : str or Path
        Its suffix, ".npy", ".parquet" or ".csv", says the kind.
    parts : iterable of (ndarray of int of shape (k,), ndarray of float32 of shape (k, n_columns))
        Row numbers, ascending also from one part to the next, and their vectors.
    n_rows : int
    names : sequence of str of length n_columns
    ids : sequence of str of length n_rows, default=None
        Name of each row, for a first column "id" of a table; a ".npy" has no place for it.

    Returns
    -------
    Path

    Raises
    ------
    FileExistsError, ImportError, ValueError
        If there is such a file, pyarrow is missing, or the suffix is another.
    """
    path = Path(path)
    writers = {".npy": _write_npy, ".parquet": _write_parquet, ".csv": _write_csv}
    if path.suffix not in writers:
        raise ValueError(f"{path} must end in .npy, .parquet or .csv, as that says what to write")
    refuse_existing(path)
    if ids is not None and len(ids) != n_rows:
        raise ValueError(f"there are {len(ids)} ids for {n_rows} rows")
    with replaced_file(path) as file:
        writers[path.suffix](file, _blocks(parts, n_rows, len(names)), n_rows, names, ids)
    return path


def _blocks(parts, n_rows, width):
    """Consecutive rows of the whole matrix, block by block."""
    step = max(1, _AT_ONCE // width)
    start, block = 0, None
    for rows, values in parts:
        while len(rows):
            if block is None:
                block = np.full((min(step, n_rows - start), width), np.nan, dtype=np.float32)
            here = int(np.searchsorted(rows, start + len(block)))
            block[rows[:here] - start] = values[:here]
            rows, values = rows[here:], values[here:]
            if len(rows):
                yield block
                start, block = start + len(block), None
    while start < n_rows:
        if block is None:
            block = np.full((min(step, n_rows - start), width), np.nan, dtype=np.float32)
        yield block
        start, block = start + len(block), None


def _write_npy(file, blocks, n_rows, names, ids):
    head = {"descr": np.dtype(np.float32).str, "fortran_order": False, "shape": (n_rows, len(names))}
    with open(file, "wb") as output:
        np.lib.format.write_array_header_1_0(output, head)
        for block in blocks:
            output.write(memoryview(block).cast("B"))


def _write_parquet(file, blocks, n_rows, names, ids):
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise ImportError(
            'Parquet files need pyarrow: pip install "skdim-crystals[parquet]"; or give a path that ends in .npy'
        ) from error
    id_field = [] if ids is None else [("id", pa.string())]
    schema = pa.schema(id_field + [(str(name), pa.float32()) for name in names])
    with pq.ParquetWriter(file, schema) as output:
        start = 0
        for block in blocks:
            columns = [pa.array(column) for column in np.ascontiguousarray(block.T)]
            if ids is not None:
                columns.insert(0, pa.array(list(ids[start : start + len(block)]), pa.string()))
            output.write_table(pa.Table.from_arrays(columns, schema=schema))
            start += len(block)


def _write_csv(file, blocks, n_rows, names, ids):
    import pandas as pd

    with open(file, "w", encoding="utf-8", errors="surrogateescape", newline="") as output:
        start = 0
        for block in blocks:
            table = pd.DataFrame(block, columns=[str(name) for name in names])
            if ids is not None:
                table.insert(0, "id", list(ids[start : start + len(block)]))
            table.to_csv(output, header=not start, index=False, lineterminator="\n")
            start += len(block)
