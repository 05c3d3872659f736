"""Conversion of pandas indexes to JSON and back."""

from __future__ import annotations

import json


def index_to_json(index):
    """Convert an index to values that JSON can hold.

    Parameters
    ----------
    index : pandas.Index

    Returns
    -------
    dict
        The names, the dtypes and the values of all levels.

    Raises
    ------
    TypeError
        If an equal index cannot be restored.

    Examples
    --------
    >>> import pandas as pd
    >>> index_to_json(pd.Index(["mp-2", "mp-7"], name="id", dtype=object))
    {'names': ['id'], 'dtypes': ['object'], 'values': [['mp-2', 'mp-7']]}
    """
    levels = [index.get_level_values(level) for level in range(index.nlevels)]
    content = {
        "names": list(index.names),
        "dtypes": [str(level.dtype) for level in levels],
        "values": [[_to_json(value) for value in level.tolist()] for level in levels],
    }
    try:
        restored = index_from_json(json.loads(json.dumps(content)))
    except Exception as error:  # pandas raises errors of many types
        raise _cannot_be_saved(content) from error
    if not (restored.equals(index) and list(restored.names) == list(index.names)):
        raise _cannot_be_saved(content)
    return content


def index_from_json(content):
    """Restore an index from what :func:`index_to_json` returned."""
    import pandas as pd

    levels = [
        pd.Index(values, dtype=dtype, name=name)
        for values, dtype, name in zip(content["values"], content["dtypes"], content["names"], strict=True)
    ]
    return levels[0] if len(levels) == 1 else pd.MultiIndex.from_arrays(levels, names=content["names"])


def _to_json(value):
    return value.isoformat() if hasattr(value, "isoformat") else value


def _cannot_be_saved(content):
    return TypeError(
        f"the index of the Crystals ({', '.join(content['dtypes'])}) cannot be saved: convert it first, for example "
        "X.index = X.index.astype(str), or remove it by X.index = None"
    )
