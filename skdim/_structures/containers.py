"""The rows of the collections that can be passed as X."""

import os

import narwhals as nw
import numpy as np

#: Types of rows, for messages.
ROWS = (
    "pymatgen Structures and entries, ASE Atoms, paths or texts of files (CIF, POSCAR, extended XYZ, XSF, RES, CSSR, "
    "JSON), and dicts (pymatgen, OPTIMADE, JARVIS, ASE)"
)
_ACCEPTED = (
    "Accepted: a list, a tuple, an object array of one column, a Series or a DataFrame of one column (pandas, polars, "
    f"pyarrow), whose rows are {ROWS}, in any mixture."
)


def as_rows(X):
    """List the rows of a collection, unchanged.

    Parameters
    ----------
    X : list, tuple, ndarray of objects or strings, Series or DataFrame
        Of pandas, polars or pyarrow. Two-dimensional ones must have one column.

    Returns
    -------
    list
        The rows, not converted.

    Raises
    ------
    TypeError, ValueError
        If X is anything else, or empty.

    Examples
    --------
    >>> as_rows(("NaCl.cif", "MgO.cif"))
    ['NaCl.cif', 'MgO.cif']
    """
    # A Structure is a Sequence: numpy and len() must not be used before the type of X is known, nor on its rows.
    if isinstance(X, list | tuple):
        rows = list(X)
    elif isinstance(X, np.ndarray):
        if X.dtype.kind not in "OUT":
            raise ValueError(f"X is an array of {X.dtype}, not of structures. {_ACCEPTED}")
        if X.ndim == 0 or X.shape[1:] not in ((), (1,)):
            raise ValueError(
                f"X is an array of shape {X.shape}; it needs one column. np.array takes Structures apart into their "
                "sites: pass the list of structures instead."
            )
        rows = X.reshape(len(X)).tolist()
    elif (table := _as_narwhals(X)) is not None:
        if isinstance(table, nw.DataFrame):
            names = table.columns
            if len(names) != 1:
                listed = ", ".join(map(repr, names[:5])) + (", ..." if len(names) > 5 else "")
                raise ValueError(
                    f"X is a DataFrame of {len(names)} columns ({listed}); pass the one with the structures."
                )
            table = table[:, 0]
        if table.dtype.is_numeric() or table.dtype == nw.Boolean:
            raise ValueError(f"X holds numbers ({table.to_native().dtype}), not structures. {_ACCEPTED}")
        rows = table.to_list()
    else:
        name = f"X is a {type(X).__name__}"
        if isinstance(X, str | os.PathLike) and os.path.isdir(X):
            raise TypeError(
                f"X is the folder {os.fspath(X)!r}; pass a list of its files, sorted(Path(folder).glob('*.cif')), or "
                "give it to transform_to_disk"
            )
        if isinstance(X, str | bytes | os.PathLike | dict) or hasattr(X, "lattice") or hasattr(X, "pbc"):
            raise TypeError(f"{name}, a single row; pass a list of one: [x]. {_ACCEPTED}")
        if hasattr(X, "toarray"):
            raise TypeError(f"{name}: sparse data was passed, structures are required. {_ACCEPTED}")
        if hasattr(X, "with_site_features"):
            raise TypeError(f"{name}, which is featurized already: pass the original structures. {_ACCEPTED}")
        raise TypeError(f"{name}{'; make it a list first: list(X)' if hasattr(X, '__iter__') else ''}. {_ACCEPTED}")
    if not rows:
        raise ValueError(f"Found array with 0 sample(s) (shape={np.shape(X)}) while a minimum of 1 is required.")
    return rows


def _as_narwhals(X):
    """Wrap a Series or DataFrame of pandas, polars, pyarrow and the like; None for other objects."""
    try:
        return nw.from_native(X, eager_only=True, allow_series=True)
    except TypeError:
        return None
