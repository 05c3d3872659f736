"""Crystals with labels, from a table and structures in it or elsewhere."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import NamedTuple

from ..._shared.arms import TASKS
from .._terminal import say
from .crystals import Named, check_sources, crystals_of, has_names, reader_of, report
from .names import no_names, rows_by_name

#: Columns that may hold the name of a structure.
_KEYS = ("id", "material_id", "file", "filename", "name")


class Labelled(NamedTuple):
    """Crystals without failed rows, their labels, the number of rows that failed, and all rows with their names."""

    X: object
    y: object
    n_failed: int
    named: Named


def add_labels(parser):
    parser.add_argument(
        "table",
        type=Path,
        metavar="TABLE",
        help="table (.csv, .parquet) with a row per crystal and a column of labels. The structures are in a column "
        '"cif" or "structure", or in other files, given by --structures',
    )
    parser.add_argument("--target", required=True, metavar="COLUMN", help="column of the labels")
    parser.add_argument(
        "--task",
        choices=TASKS,
        default=TASKS[0],
        help="whether the labels are numbers (regression, the default) or classes (classification), such as metal and "
        "insulator, or 0 and 1",
    )
    parser.add_argument(
        "--structures",
        nargs="+",
        type=Path,
        metavar="SOURCE",
        help="sources of the structures, if they are not in the table: CIF files, folders, zip files, or a store of "
        "`skdim featurize`. They are matched by name: MgO matches MgO.cif",
    )
    parser.add_argument(
        "--id",
        metavar="COLUMN",
        help=f"with --structures, the column of their names (default: the first of {', '.join(_KEYS)} in the table)",
    )


def check_labels(args):
    """Read and check the labels, before anything that takes time.

    Returns
    -------
    DataFrame
        With the column "y", NaN for missing labels, classes as text, and with ``--structures`` the column "key".

    Raises
    ------
    FileNotFoundError, ValueError
    """
    import pandas as pd

    from ..._structures.sources.csv_tables import csv_rows, name_columns
    from ..._structures.sources.parquet_tables import parquet_rows

    columns = _columns(args.table)
    _check_column(args.target, columns, args.table, "--target")
    key = None
    if args.structures:
        key = args.id or next((name for name in _KEYS if name in columns), None)
        if key is None:
            raise ValueError(
                f"{args.table} has no column {', '.join(_KEYS)}: name the column of structure names with --id. "
                f"Available: {name_columns(columns)}"
            )
        _check_column(key, columns, args.table, "--id")
    elif args.id:
        raise ValueError("--id can be used only with --structures")
    try:
        source = check_sources(args.structures or [args.table], args)
    except ValueError as error:
        if not args.structures:
            error.add_note("If the structures are not in the table, add their source: --structures my_cifs/")
        raise
    if args.structures and not (has_names(args.structures[0]) if source is None else source.has_names):
        raise no_names(args.table)
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
    if not given.any():
        raise ValueError(f"{args.table}: the column {args.target!r} is empty")
    if args.task == "classification":
        y = raw.where(given).map(str, na_action="ignore")
        _check_classes(y, args)
    else:
        y = raw.where(given).map(_number, na_action="ignore").astype(float)
        for row in (given & ~(y.abs() < float("inf"))).to_numpy().nonzero()[0][:1]:
            which = f"row {row}{f' ({cells[name].iloc[row]})' if name else ''}"
            raise ValueError(
                f"{args.table}: {which} has {args.target} {raw.iloc[row]!r}, which is not a finite number; for "
                "classes, add --task classification"
            )
    result = pd.DataFrame({"y": y.to_numpy()})
    if key:
        result["key"] = ["" if name is None else str(name) for name in cells[key]]
    return result


def _check_classes(y, args):
    counts = y.value_counts()
    if len(counts) < 2:
        raise ValueError(f"{args.table}: all labels in the column {args.target!r} are {counts.index[0]!r}: no classes")
    if len(counts) > counts.sum() / 2:
        raise ValueError(
            f"{args.table}: the column {args.target!r} has {len(counts)} different values in {counts.sum()} rows: for "
            "numbers, omit --task classification"
        )


def _number(value):
    """A label to its last digit, which pandas does not guarantee for text; NaN if it is not a number."""
    try:
        return float("nan") if "_" in str(value) else float(value)
    except (TypeError, ValueError):
        return float("nan")


def labelled_crystals(args, labels, work, featurizer):
    """The crystals of the labels from :func:`check_labels`; reports the rows that are left out."""
    import numpy as np

    named = crystals_of(args.structures or [args.table], work, featurizer)
    y = labels["y"].to_numpy()
    if args.structures:
        rows = rows_by_name(labels["key"].tolist(), named, args.table)
    elif len(named.X) == len(y):
        rows = np.arange(len(y))
    else:
        raise ValueError(
            f"{args.table} was changed during the run: it had {len(y)} labels, and now has {len(named.X)} structures"
        )
    has_label = labels["y"].notna().to_numpy()
    if not has_label.all():
        say(f"{int((~has_label).sum())} of {len(y)} rows have no {args.target} and are left out")
    has_structure = rows >= 0
    if not has_structure[has_label].all():
        missing = labels["key"].to_numpy()[has_label & ~has_structure]
        listed = ", ".join(name or "no name" for name in missing[:3]) + (", ..." if len(missing) > 3 else "")
        say(f"{len(missing)} labelled rows have no structure ({listed}) and are left out")
    used = np.flatnonzero(has_label & has_structure)
    if not len(used):
        raise ValueError(f"no row of {args.table} has both a label and a structure")
    X = named.X[rows[used]]
    used_rows = named._replace(X=X, ids=[named.ids[row] for row in rows[used]])
    n_failed = report(used_rows, args.output, reader_of(args.structures or [args.table]))
    good = ~X.failed
    if not good.any():
        raise ValueError("all structures with a label failed")
    y = y[used][good]
    return Labelled(X[good] if n_failed else X, y if y.dtype == float else y.astype(str), n_failed, used_rows)


def _columns(path):
    if not path.exists():
        raise FileNotFoundError(f"no such file: {path}")
    suffix = path.suffix.lower()
    if suffix == ".csv":
        from ..._structures.sources.csv_tables import csv_columns

        return csv_columns(path)
    if suffix == ".parquet":
        from ..._structures.sources.parquet_tables import parquet_head

        return parquet_head(path).columns
    raise ValueError(f"{path} must be a table (.csv or .parquet) with a column of labels")


def _check_column(name, columns, path, option):
    if name not in columns:
        from ..._structures.sources.csv_tables import name_columns

        near = difflib.get_close_matches(name, columns, 1) if len(columns) > 1 else []
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"{option} {name}: column not found in {path}. Available: {name_columns(columns)}{hint}")
