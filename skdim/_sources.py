"""Structures in bulk: from Parquet tables and folders of CIF files, without making them all at once."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

_FLAT = ("lattice", "species", "frac_coords")
#: Columns that may hold whole structures, and those that may hold a material's id.
_WHOLE, _IDS = ("cif", "structure"), ("id", "material_id")


class FlatStructure(NamedTuple):
    """A structure as a row of flat numbers.

    ``lattice`` (9,), row-major, in angstrom; ``species`` (n,) atomic numbers; ``frac_coords`` (3 n,).
    """

    lattice: np.ndarray
    species: np.ndarray
    frac_coords: np.ndarray

    def to_structure(self):
        """The pymatgen Structure."""
        from pymatgen.core import Lattice, Structure

        lattice = Lattice(np.reshape(self.lattice, (3, 3)))
        return Structure(lattice, [int(z) for z in self.species], np.reshape(self.frac_coords, (-1, 3)))


@dataclass
class Source:
    """Rows of one file or folder.

    Attributes
    ----------
    name : str
        Of the file or folder.
    rows : list
        What :func:`skdim._chunks.featurize_in_chunks` takes.
    ids : list of str
        A material's id, where the source has one, else where the row comes from; unique for each material.
    has_ids : bool
        Whether these are ids that another source may have too.
    n_test : int
        Rows left out, as the table says that they are for testing.
    """

    name: str
    rows: list
    ids: list
    has_ids: bool
    n_test: int = 0


def read_source(path):
    """Open a Parquet table or a folder of CIF files.

    Parameters
    ----------
    path : str or Path
        A table has the columns "lattice", "species" and "frac_coords" (see :class:`FlatStructure`), or "cif" or
        "structure" with CIF texts or pymatgen dicts (also as JSON); and may have "id" or "material_id", and "split":
        rows with "test" there are left out. In a folder all files ``*.cif`` are read, at any depth.

    Returns
    -------
    Source

    Raises
    ------
    FileNotFoundError, ValueError
        If there is nothing, or nothing of this kind.
    """
    path = Path(path)
    if path.is_dir():
        files = sorted(path.rglob("*.cif"))
        if not files:
            raise ValueError(f"{path} holds no files *.cif")
        return Source(path.name, files, [str(file.relative_to(path)) for file in files], has_ids=False)
    if not path.exists():
        raise FileNotFoundError(f"no such file or folder: {path}")
    if path.suffix != ".parquet":
        raise ValueError(f"{path} is neither a Parquet table (*.parquet) nor a folder of CIF files")
    return _read_parquet(path)


def _read_parquet(path):
    import pandas as pd

    table = pd.read_parquet(path)
    is_test = (table["split"] == "test").to_numpy() if "split" in table else np.zeros(len(table), dtype=bool)
    table = table[~is_test]
    id_column = next((name for name in _IDS if name in table), None)
    ids = [f"{path.name} row {row}" for row in table.index] if id_column is None else table[id_column].astype(str)
    if set(_FLAT) <= set(table.columns):
        _check_flat(table, path)
        rows = [FlatStructure(*row) for row in zip(*(table[name] for name in _FLAT), strict=True)]
    else:
        column = next((name for name in _WHOLE if name in table), None)
        if column is None:
            raise ValueError(
                f"{path} has the columns {list(table.columns)}; it needs {', '.join(_FLAT)}, or one of "
                f"{' and '.join(_WHOLE)}"
            )
        rows = [_from_text(raw) for raw in table[column]]
    return Source(path.name, rows, list(ids), has_ids=id_column is not None, n_test=int(is_test.sum()))


def _check_flat(table, path):
    """Each row must be flat numbers of the right count."""
    for row, lattice, species, coords in zip(table.index, *(table[name] for name in _FLAT), strict=True):
        if any(not isinstance(part, np.ndarray) or part.dtype.kind not in "iuf" for part in (lattice, species, coords)):
            raise ValueError(f"{path}, row {row}: {', '.join(_FLAT)} must be lists of numbers")
        if len(lattice) != 9 or len(coords) != 3 * len(species):
            raise ValueError(
                f"{path}, row {row}: lattice must have 9 numbers (it has {len(lattice)}) and frac_coords 3 for each of "
                f"the {len(species)} species (it has {len(coords)})"
            )
        if len(species) == 0 or not np.isin(species, np.arange(1, 119)).all():
            raise ValueError(f"{path}, row {row}: species must be atomic numbers, 1 to 118")


def _from_text(raw):
    return json.loads(raw) if isinstance(raw, str) and raw.lstrip().startswith("{") else raw
