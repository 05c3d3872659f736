"""Opens Parquet and CSV tables with a structure in each row."""

from __future__ import annotations

import json

from ..source_rows import FlatStructure, Text
from .csv_tables import csv_columns, csv_rows, name_columns
from .parquet_tables import parquet_batches, parquet_head, parquet_rows
from .source import Source

_FLAT = FlatStructure._fields
#: Names of columns with texts of structures, and of columns with ids.
_WHOLE, _IDS = ("cif", "structure"), ("id", "material_id")


def parquet_source(path, without_test):
    """Open a Parquet table; see :meth:`SiteNetFeaturizer.transform_to_disk`."""
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
                name = None if id_column is None else _id_text(cells[id_column][k].as_py())
                yield name, _from_cells([cells[column][k] for column in content])

    has_ids = id_column is not None
    return Source(path.name, "rows", read, n_rows - n_test, has_names=has_ids, has_ids=has_ids, n_test=n_test)


def csv_source(path, without_test):
    """Open a CSV table; see :meth:`SiteNetFeaturizer.transform_to_disk`."""
    columns = csv_columns(path)
    content = next((name for name in _WHOLE if name in columns), None)
    if content is None:
        raise ValueError(f"{path} has no column {' or '.join(_WHOLE)} with whole CIFs. It has {name_columns(columns)}")
    id_column = next((name for name in _IDS if name in columns), None)
    split = "split" if without_test and "split" in columns else None
    n_test = sum(part == "test" for (part,) in csv_rows(path, [split])) if split else 0

    def read():
        for text, name, part in csv_rows(path, [content, id_column or content, split or content]):
            if split is None or part != "test":
                yield (name if id_column else None), Text(text) if text else None

    return Source(path.name, "rows", read, has_names=bool(id_column), has_ids=bool(id_column), n_test=n_test)


def _id_text(name):
    """Return an id as text, empty if it is missing."""
    return "" if name is None else str(name)


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
