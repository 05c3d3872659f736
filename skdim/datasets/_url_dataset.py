"""Data sets of crystals from any URL."""

from __future__ import annotations

import numpy as np

from ._fetch import fetch_file
from ._tables import read_table


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
):
    """Fetch a table of crystals, and read it without executing anything.

    The table is one as matminer publishes them, and as its ``store_dataframe_as_json`` writes them: JSON, gzipped or
    not, of the index, the columns and the rows of a DataFrame, with the structures as pymatgen's dicts.

    Parameters
    ----------
    url : str
        An https URL; http for this machine only.
    sha256 : str
        The checksum that the file must have.
    target : str, default=None
        The column to learn. None leaves ``target`` None.
    structure : str, default="structure"
        The column with the structures.
    filename, data_home, download_if_missing, max_bytes, n_retries, delay, timeout, verbose
        As of :func:`fetch_file`.
    return_X_y : bool, default=False
        Return ``(structures, target)`` instead of a Bunch.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        Dictionary-like object with the following attributes.

        structures : list of :class:`pymatgen.core.Structure`, length n_crystals
            The crystals; lengths in angstrom. Charges and magnetic moments are left out, oxidation states stay.
        target : ndarray of shape (n_crystals,), float or bool
            The column ``target``.
        target_name : str
            Its name.
        frame : DataFrame of shape (n_crystals, n_columns - 1)
            All columns but that of the structures.
        filename : str
            Path of the file.
    (structures, target) : tuple if ``return_X_y=True``
        As above.

    Raises
    ------
    OSError
        If the file cannot be fetched; the message says how to put it in its place by hand.
    ValueError
        If it is not such a table, or lacks a column; the message names the row.

    See Also
    --------
    fetch_matbench : The tasks of Matbench, with their folds.
    fetch_file : Fetch a file of any kind.

    Examples
    --------
    A table of two crystals, of which the file is there already:

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
    """The column of structures: a list in which each is one."""
    from pymatgen.core import Structure

    column = _column(columns, name, path)
    for row, value in enumerate(column):
        if not isinstance(value, Structure):
            raise ValueError(f"{path}, row {row}: its {name!r} is {value!r}, not a structure")
    return column


def target_of(columns, name, path):
    """The column to learn: an array of finite numbers, or of booleans where all of it is."""
    column = _column(columns, name, path)
    for row, value in enumerate(column):
        if not isinstance(value, int | float) or not abs(value) < float("inf"):
            raise ValueError(f"{path}, row {row}: its {name!r} is {value!r}, not a number")
    return np.array(column, dtype=bool if column and all(isinstance(v, bool) for v in column) else np.float64)


def _column(columns, name, path):
    if name not in columns:
        raise ValueError(f"{path} has no column {name!r}; it has {', '.join(map(repr, columns))}")
    return columns[name]
