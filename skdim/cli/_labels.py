"""Crystals with labels: a table, and the structures in it or beside it."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import NamedTuple

from ._crystals import Named, check_sources, crystals_of, reader_of, report
from ._terminal import say

#: Columns that may name a row's structure.
_KEYS = ("id", "material_id", "file", "filename", "name")


class Labelled(NamedTuple):
    """Crystals in memory, all usable and labelled, and the labels; and how many rows failed."""

    X: object
    y: object
    n_failed: int


def add_labels(parser):
    parser.add_argument(
        "table",
        type=Path,
        metavar="TABLE",
        help='table (.csv, .parquet), a row a crystal, with the labels; and with the structures in a column "cif" or '
        '"structure", unless --structures says where they are',
    )
    parser.add_argument("--target", required=True, metavar="COLUMN", help="column of the labels, numbers")
    parser.add_argument(
        "--structures",
        nargs="+",
        type=Path,
        metavar="SOURCE",
        help="where the structures are, if not in the table: CIF files, folders, zip files, or a store of `skdim "
        "featurize`. They are found by name: MgO stands for MgO.cif",
    )
    parser.add_argument(
        "--id",
        metavar="COLUMN",
        help=f"with --structures, the table's column that names them (default: the first there is of "
        f"{', '.join(_KEYS)})",
    )


def check_labels(args):
    """Read the labels and check them before anything takes time.

    Returns
    -------
    DataFrame
        With the column "y", NaN where there is none, and, with ``--structures``, "key".

    Raises
    ------
    FileNotFoundError, ValueError
    """
    import pandas as pd

    from .._structures.sources.csv_tables import csv_rows, name_columns
    from .._structures.sources.parquet_tables import parquet_rows

    columns = _columns(args.table)
    _check_column(args.target, columns, args.table, "--target")
    key = None
    if args.structures:
        key = args.id or next((name for name in _KEYS if name in columns), None)
        if key is None:
            raise ValueError(
                f"{args.table} has no column {', '.join(_KEYS)}: say with --id COLUMN which one names the structures. "
                f"It has {name_columns(columns)}"
            )
        _check_column(key, columns, args.table, "--id")
    elif args.id:
        raise ValueError("--id goes with --structures")
    try:
        check_sources(args.structures or [args.table], args)
    except ValueError as error:
        if not args.structures:
            error.add_note("If the structures are not in the table, say where they are: --structures my_cifs/")
        raise
    name = key or next((name for name in _KEYS if columns.count(name) == 1), None)  # for messages
    wanted = list(dict.fromkeys([args.target, *([name] if name else [])]))
    is_csv = args.table.suffix.lower() == ".csv"
    rows = csv_rows if is_csv else parquet_rows
    cells = pd.DataFrame(rows(args.table, wanted), columns=wanted, dtype=object)
    raw = cells[args.target]
    if is_csv:
        raw = raw.str.strip()
        given = ~raw.str.lower().isin(["", "nan", "na", "n/a", "none", "null"])
    else:
        given = raw.notna()
    y = raw.where(given).map(_number, na_action="ignore").astype(float)
    for row in (given & ~(y.abs() < float("inf"))).to_numpy().nonzero()[0][:1]:
        which = f"row {row}{f' ({cells[name].iloc[row]})' if name else ''}"
        raise ValueError(f"{args.table}: {which} has the {args.target} {raw.iloc[row]!r}, which is no finite number")
    if not given.any():
        raise ValueError(f"{args.table}: the column {args.target!r} is empty")
    result = pd.DataFrame({"y": y.to_numpy()})
    if key:
        result["key"] = ["" if name is None else str(name) for name in cells[key]]
    return result


def _number(value):
    """A label to its last digit, which pandas does not promise of a text; NaN where it is no number."""
    try:
        return float("nan") if "_" in str(value) else float(value)
    except (TypeError, ValueError):
        return float("nan")


def labelled_crystals(args, labels, work, featurizer):
    """The crystals of the labels that :func:`check_labels` has read; says what is left out."""
    import numpy as np

    named = crystals_of(args.structures or [args.table], work, featurizer)
    y = labels["y"].to_numpy()
    if args.structures:
        rows = _rows_by_name(labels["key"], named.ids, args)
    elif len(named.X) == len(y):
        rows = np.arange(len(y))
    else:
        raise ValueError(f"{args.table} was changed: it had {len(y)} labels, and has {len(named.X)} structures now")
    has_label = np.isfinite(y)
    if not has_label.all():
        say(f"{int((~has_label).sum())} of {len(y)} rows have no {args.target} and are left out")
    found = rows >= 0
    if not found[has_label].all():
        missing = labels["key"].to_numpy()[has_label & ~found]
        some = ", ".join(name or "no name" for name in missing[:3]) + (", ..." if len(missing) > 3 else "")
        say(f"{len(missing)} labelled rows have no structure ({some}) and are left out")
    used = np.flatnonzero(has_label & found)
    if not len(used):
        raise ValueError(f"no row of {args.table} has both a label and a structure")
    X = named.X[rows[used]]
    used_ids = [named.ids[row] for row in rows[used]]
    n_failed = report(Named(X, used_ids), args.output, reader_of(args.structures or [args.table]))
    good = ~X.failed
    if not good.any():
        raise ValueError("none of the labelled structures can be used")
    return Labelled(X[good] if n_failed else X, y[used][good], n_failed)


def _columns(path):
    if not path.exists():
        raise FileNotFoundError(f"no such file: {path}")
    suffix = path.suffix.lower()
    if suffix == ".csv":
        from .._structures.sources.csv_tables import csv_columns

        return csv_columns(path)
    if suffix == ".parquet":
        from .._structures.sources.parquet_tables import parquet_head

        return parquet_head(path).columns
    raise ValueError(f"{path} must be a table, .csv or .parquet, with a column of labels")


def _check_column(name, columns, path, option):
    if name not in columns:
        from .._structures.sources.csv_tables import name_columns

        near = difflib.get_close_matches(name, columns, 1) if len(columns) > 1 else []
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"{option} {name}: {path} has no such column. It has {name_columns(columns)}{hint}")


def _rows_by_name(keys, ids, args):
    """Row of each key among the ids, by the whole name or without folder and ending; -1 where there is none."""
    import numpy as np

    whole: dict[str, list[int]] = {}
    bare: dict[str, list[int]] = {}
    for row, own in enumerate(ids):
        if own:
            whole.setdefault(own, []).append(row)
            bare.setdefault(_bare(own), []).append(row)
    found = []
    for key in keys:
        same = whole.get(key) or bare.get(_bare(key)) or [-1]
        if len(same) > 1 and key in whole:
            raise ValueError(f"{key!r} of {args.table} may be any of {len(same)} structures of that name: rename them")
        if len(same) > 1:
            raise ValueError(
                f"{key!r} of {args.table} may be {' or '.join(repr(ids[k]) for k in same[:2])}: give whole names"
            )
        found.append(same[0])
    rows = np.array(found)
    if (rows < 0).all():
        raise ValueError(
            f"no row of {args.table} has a structure: its names are like {keys.iloc[0]!r}, those of the structures "
            f"like {ids[0]!r}"
        )
    return rows


def _bare(name):
    name = name.rsplit("/", 1)[-1]
    return name[:-4] if name.lower().endswith(".cif") else name
