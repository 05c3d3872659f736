"""Tables that the commands write."""

from __future__ import annotations


def write_table(table, path):
    """Write a DataFrame to a .csv or .parquet file, atomically."""
    from .._shared.files import replaced_file

    with replaced_file(path) as file:
        if path.suffix == ".csv":
            table.to_csv(file, index=False, lineterminator="\n", errors="surrogateescape")
        else:
            table.to_parquet(file, index=False)


def check_table_path(path):
    """Check that a new table can be written to the path.

    Raises
    ------
    FileExistsError, ImportError, ValueError
    """
    from .._shared.files import refuse_existing

    if path.suffix not in (".csv", ".parquet"):
        raise ValueError(f"{path} must end in .csv or .parquet")
    if path.suffix == ".parquet":
        need_pyarrow()
    refuse_existing(path)


def need_pyarrow():
    try:
        import pyarrow  # noqa: F401
    except ImportError as error:
        raise ImportError(
            'Parquet files need pyarrow: pip install "skdim-crystals[parquet]"; or use a path that ends in .csv'
        ) from error


def sites_table(embedder, named):
    """Table with a row per site (id, site, element, vector), and the length of the vectors.

    Crystals without names have the column "row" instead of "id".
    """
    import numpy as np
    import pandas as pd

    from .._chemistry.elements import SYMBOLS

    X = named.X
    local, rows = embedder.transform_sites(X)
    ids, symbols = np.array(named.ids, dtype=object), np.array(SYMBOLS, dtype=object)
    table = pd.DataFrame(local, columns=[f"local{k}" for k in range(local.shape[1])])
    table.insert(0, "id" if named.has_names else "row", ids[rows])
    table.insert(1, "site", np.arange(len(rows)) - X.site_offsets[rows])
    table.insert(2, "element", symbols[X.numbers[X.class_offsets[rows] + X.site_class]])
    return table, local.shape[1]
