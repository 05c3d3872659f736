"""Joins labels to structures by name; ambiguous names are errors."""

from __future__ import annotations

#: Names that a message lists.
_MOST_LISTED = 3


def rows_by_name(keys, named, table):
    """Find the row of each key by its name.

    A key matches the same name; else names that are the same without the endings of files and without the folders that
    only one of them has: "MgO" and "oxides/MgO" match "oxides/MgO.cif", "sulfides/MgO" does not.

    Parameters
    ----------
    keys : sequence of str
        Names in the table of labels; empty ones match nothing.
    named : Named
    table : Path
        For messages.

    Returns
    -------
    ndarray of int of shape (n_keys,)
        -1 if no structure has the name.

    Raises
    ------
    ValueError
        If the structures have no names, no key has a structure, or it is not certain which one it has.
    """
    import numpy as np

    names = named.names
    if names is None:
        raise no_names(table)
    exact: dict[str, list[int]] = {}
    similar: dict[str, list[int]] = {}  # by the name without folders and ending
    files: dict[str, list[int]] = {}  # of files with several structures, by that of the file
    for row, name in enumerate(names):
        if name:
            exact.setdefault(name, []).append(row)
            similar.setdefault(_parts(name)[-1], []).append(row)
            if name != (file := _file_of(name)):
                files.setdefault(_parts(file)[-1], []).append(row)
    rows = np.full(len(keys), -1)
    key_of: dict[int, str] = {}
    for k, key in enumerate(keys):
        if not key:
            continue
        candidates = exact.get(key) or _agreeing(similar, key, names)
        if not candidates and (several := _agreeing(files, key, names, _file_of)):
            raise ValueError(
                f"{key!r} in {table} is a file with {len(several)} structures: name one of them, such as "
                f"{names[several[0]]!r}"
            )
        if not candidates:
            continue
        row = candidates[0]
        for other in candidates[1:]:
            if names[other] != names[row]:
                raise ValueError(
                    f"{key!r} in {table} matches {len({names[one] for one in candidates})} structures "
                    f"({_listed(names[one] for one in candidates)}): give the whole name"
                )
            if not _same_crystal(named.X, row, other):
                raise ValueError(
                    f"{key!r} in {table} matches {len(candidates)} structures of that name, which are not the same "
                    f"crystal (rows {row} and {other}): rename them"
                )
        first = key_of.setdefault(row, key)
        if _parts(first) != _parts(key):
            raise ValueError(
                f"{first!r} and {key!r} in {table} both match the structure {names[row]!r}: give whole names"
            )
        rows[k] = row
    if (rows < 0).all():
        raise ValueError(
            f"no name in {table} is that of a structure: names there are {_listed(key for key in keys if key)}; those "
            f"of the structures are {_listed(name for name in names if name)}"
        )
    return rows


def no_names(table):
    """Error for structures without names."""
    return ValueError(
        f"the structures have no names, so the labels in {table} cannot be joined to them: add a column 'id' to the "
        "table of structures, or put structures and labels into one table"
    )


def _agreeing(rows_of, key, names, name_of=str):
    """Rows whose names agree with the key, apart from leading folders that only one of them has."""
    parts = _parts(key)
    rows = []
    for row in rows_of.get(parts[-1], []):
        others = _parts(name_of(names[row]))
        n = min(len(parts), len(others))
        if parts[-n:] == others[-n:]:
            rows.append(row)
    return rows


def _parts(name):
    """Folders of a name, and its last part without suffixes."""
    from ..._structures.formats.detect import without_suffix

    *folders, last = name.replace("\\", "/").split("/")
    return (*(folder for folder in folders if folder not in ("", ".")), without_suffix(last))


def _file_of(name):
    """Name of the file, without the number of the structure in it."""
    file, mark, number = name.rpartition("#")
    return file if mark and number.isdecimal() else name


def _same_crystal(X, row, other):
    """Whether two rows have the same sites and distances, or neither has any."""
    import numpy as np

    from ..._crystals.columns import COLUMNS

    first, second = X[[row]], X[[other]]
    pairs = [(getattr(first, name), getattr(second, name)) for name in COLUMNS]
    return all(a.shape == b.shape and np.allclose(a, b, atol=1e-3) for a, b in pairs)


def _listed(names):
    names = list(dict.fromkeys(names))
    return ", ".join(map(repr, names[:_MOST_LISTED])) + (", ..." if names[_MOST_LISTED:] else "") or "missing"
