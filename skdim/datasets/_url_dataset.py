"""Tables of crystals from any URL."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ._fetch import fetch_file
from ._tables import read_table

if TYPE_CHECKING:
    from sklearn.utils import Bunch


def fetch_url_dataset(
    url,
    *,
    sha256,
    target=None,
    structure="structure",
    filename=None,
    data_home=None,
    download_if_missing=True,
    max_bytes=2**31,
    n_retries=3,
    delay=1.0,
    timeout=30.0,
    verbose=0,
    return_X_y=False,
) -> Bunch:
    """Download a table of crystals and read it. No code from the file is executed.

    The format is that of matminer's data sets and its ``store_dataframe_as_json``: JSON, optionally gzipped, with
    index, columns and rows of a DataFrame, and structures as pymatgen dicts.

    Parameters
    ----------
    url : str
        An https URL; http only for localhost.
    sha256 : str
        Checksum of the file.
    target : str, default=None
        Column of the target. None for no target.
    structure : str, default="structure"
        Column of the structures.
    filename, data_home, download_if_missing, max_bytes, n_retries, delay, timeout, verbose
        As in :func:`fetch_file`.
    return_X_y : bool, default=False
        Return ``(structures, target)`` instead of a Bunch.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        Dictionary-like object with the following attributes.

        structures : list of :class:`pymatgen.core.Structure`, length n_crystals
            The crystals; lengths in angstrom, with oxidation states but without charges and magnetic moments.
        target : ndarray of shape (n_crystals,), float or bool
            Column ``target``.
        target_name : str
            Name of the column.
        frame : DataFrame of shape (n_crystals, n_columns - 1)
            All columns except the structures.
        filename : str
            Path of the file.
    (structures, target) : tuple if ``return_X_y=True``
        As above.

    Raises
    ------
    OSError
        If the download fails; the message explains how to provide the file by hand.
    ValueError
        If the file is not such a table, or a column is missing; the message names the row.

    See Also
    --------
    fetch_matbench : Tasks of Matbench, with their folds.
    fetch_file : Download any file.

    Examples
    --------
    A table of two crystals, already in the folder:

    >>> import hashlib, json, tempfile
    >>> from pathlib import Path
    >>> from skdim.datasets import fetch_url_dataset, make_crystals
    >>> structures, y = make_crystals(2, random_state=0)
    >>> rows = [[s.as_dict(), value] for s, value in zip(structures, y)]
    >>> text = json.dumps({"index": [0, 1], "columns": ["structure", "energy"], "data": rows})
    >>> digest = hashlib.sha256(text.encode()).hexdigest()
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "mine.json").write_text(text)
    ...     data = fetch_url_dataset("https://example.org/mine.json", sha256=digest, target="energy", data_home=folder)
    >>> data.structures == structures, data.target.shape
    (True, (2,))
    """
    import pandas as pd
    from sklearn.utils import Bunch

    path = fetch_file(
        url,
        sha256=sha256,
        filename=filename,
        data_home=data_home,
        download_if_missing=download_if_missing,
        max_bytes=max_bytes,
        n_retries=n_retries,
        delay=delay,
        timeout=timeout,
        verbose=verbose,
    )
    columns = read_table(path)
    structures = structures_of(columns, structure, path)
    values = None if target is None else target_of(columns, target, path)
    if return_X_y:
        return structures, values
    return Bunch(
        structures=structures,
        target=values,
        target_name=target,
        frame=pd.DataFrame({name: column for name, column in columns.items() if name != structure}),
        filename=str(path),
    )


def structures_of(columns, name, path):
    """Column of structures, as a list. Raise ValueError if a value is not a structure."""
    from pymatgen.core import Structure

    column = _column(columns, name, path)
    for row, value in enumerate(column):
        if not isinstance(value, Structure):
            raise ValueError(f"{path}, row {row}: its {name!r} is {value!r}, not a structure")
    return column


def target_of(columns, name, path):
    """Column of the target: an array of finite numbers, or of booleans if all values are."""
    column = _column(columns, name, path)
    for row, value in enumerate(column):
        if not isinstance(value, int | float) or not abs(value) < float("inf"):
            raise ValueError(f"{path}, row {row}: its {name!r} is {value!r}, not a number")
    return np.array(column, dtype=bool if column and all(isinstance(v, bool) for v in column) else np.float64)


def _column(columns, name, path):
    if name not in columns:
        raise ValueError(f"{path} has no column {name!r}; it has {', '.join(map(repr, columns))}")
    return columns[name]
