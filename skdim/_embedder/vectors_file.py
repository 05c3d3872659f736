"""Vectors of crystals on disk: a .npy, .parquet or .csv file, written block by block in constant memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .._shared.files import refuse_existing, replaced_file

#: Number of values in a block that is written at once.
_BLOCK_VALUES = 2**22


def write_vectors(path, parts, n_rows, names, ids=None):
    """Write vectors to a new file; rows without a vector are NaN.

    Parameters
    ----------
    path : str or Path
        Its suffix selects the format: ".npy", ".parquet" or ".csv".
    parts : iterable of (ndarray of int of shape (k,), ndarray of float32 of shape (k, n_columns))
        Row numbers, in ascending order within and across parts, and their vectors.
    n_rows : int
    names : sequence of str of length n_columns
    ids : sequence of str of length n_rows, default=None
        Row names, written as the first column "id" of a table; not written to ".npy".

    Returns
    -------
    Path

    Raises
    ------
    FileExistsError
        If the file exists.
    ImportError
        If pyarrow is needed and missing.
    ValueError
        If the suffix is unknown, or the number of ids is not ``n_rows``.
    """
    path = Path(path)
    writers = {".npy": _write_npy, ".parquet": _write_parquet, ".csv": _write_csv}
    if path.suffix not in writers:
        raise ValueError(f"{path} must end in .npy, .parquet or .csv, which selects the format")
    refuse_existing(path)
    if ids is not None and len(ids) != n_rows:
        raise ValueError(f"ids has {len(ids)} names for {n_rows} rows")
    with replaced_file(path) as file:
        writers[path.suffix](file, _blocks(parts, n_rows, len(names)), n_rows, names, ids)
    return path


def _blocks(parts, n_rows, width):
    """Yield the whole matrix as blocks of consecutive rows."""
    step = max(1, _BLOCK_VALUES // width)
    start, block = 0, None
    for rows, values in parts:
        while len(rows):
            if block is None:
                block = np.full((min(step, n_rows - start), width), np.nan, dtype=np.float32)
            n_here = int(np.searchsorted(rows, start + len(block)))
            block[rows[:n_here] - start] = values[:n_here]
            rows, values = rows[n_here:], values[n_here:]
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
            'Parquet files need pyarrow: pip install "skdim-crystals[parquet]", or use a path that ends in .npy'
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
