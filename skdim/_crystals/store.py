"""A Crystals on disk: a folder of plain .npy arrays and a JSON header. Nothing in it can execute code when loaded."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import numpy as np

from .._shared.files import new_folder
from .._shared.headers import FileFormat
from .blocks import blocks
from .columns import COLUMNS, offsets_end_right, offsets_fault, values_fault
from .store_writer import StoreWriter

FORMAT = FileFormat("skdim.Crystals", 1, "a Crystals store", "featurize again")
HEADER = "header.json"


def write_store(parts, path, errors=None):
    """Write rows of several Crystals of the same settings to the new folder ``path``, block by block.

    Parameters
    ----------
    parts : sequence of (Crystals of shape (n,), ndarray of int of shape (k,) or None)
        With the rows of each; None takes all.
    path : str or Path
    errors : dict of int to str, default=None
        ``errors_`` of the whole.
    """
    first = parts[0][0]
    with new_folder(path) as folder:
        with StoreWriter(folder) as writer:
            for crystals, rows in parts:
                for block in blocks(crystals, rows):
                    writer.append(block)
            writer.finish()
        write_header(folder, writer.lengths, first.site_features, first.settings, errors or {})


def write_header(folder, lengths, site_features, settings, errors):
    """Complete the store in ``folder``, whose columns are all written, by its header."""
    header = {
        **FORMAT.header(),
        "n_crystals": lengths["class_offsets"] - 1,
        "site_features": list(site_features),
        "settings": settings,
        "columns": {
            name: {
                "dtype": np.dtype(dtype).name,
                "length": lengths[name],
                "sha256": _sha256(folder / f"{name}.npy"),
            }
            for name, dtype in COLUMNS.items()
        },
        "errors": {str(row): why for row, why in errors.items()},
    }
    text = json.dumps(header, indent=1) + "\n"
    with open(folder / HEADER, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def read_store(path, mmap_mode=None, verify=False):
    """Read the folder ``path``; see :meth:`Crystals.load`.

    Returns
    -------
    columns : dict of str to ndarray
    site_features : list of str
    settings : dict
    errors : dict of int to str
    """
    path = Path(path)
    if mmap_mode not in (None, "r", "c"):
        raise ValueError(f"mmap_mode must be None, 'r' or 'c', not {mmap_mode!r}")
    if not path.exists():
        raise FileNotFoundError(f"no such folder: {path}")
    header = FORMAT.read(path / HEADER, path)
    try:
        lengths = {name: header["columns"][name]["length"] for name in COLUMNS}
        # Stores of the first releases have none.
        checksums = {name: header["columns"][name].get("sha256") for name in COLUMNS}
        errors = {int(row): why for row, why in header["errors"].items()}
        site_features, settings = header["site_features"], header["settings"]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"{path / HEADER} is damaged: it lacks entries ({error!r})") from error
    texts = [*errors.values(), *(site_features if isinstance(site_features, list) else [None])]
    if not all(isinstance(text, str) for text in texts) or not isinstance(settings, dict):
        raise ValueError(f"{path / HEADER} is damaged: its site_features, settings or errors are of another kind")
    if verify:
        _verify(path, checksums)
    columns = {name: _load_column(path / f"{name}.npy", lengths[name], mmap_mode) for name in COLUMNS}
    return columns, site_features, settings, errors


def fault_in(crystals, check_values):
    """Return what is wrong with Crystals that were read from a store, or None.

    Parameters
    ----------
    crystals : Crystals
    check_values : bool
        False compares only the lengths of the columns, and reads nothing else of them.

    Returns
    -------
    str or None
    """
    if not (offsets_end_right(crystals) and all(0 <= row < len(crystals) for row in crystals.errors_)):
        return "its columns do not fit together"
    if not check_values:
        return None
    if fault := offsets_fault(crystals):
        return fault
    return next(filter(None, map(values_fault, blocks(crystals))), None)


def _load_column(file, length, mmap_mode):
    try:
        # Mapped, also to be read: that makes no array before the file is known to be as long as it says.
        column = np.lib.format.open_memmap(file, mode=mmap_mode or "r")
    except Exception as error:  # of a damaged head, whatever its parser says
        raise ValueError(f"{file} is damaged or missing ({error})") from error
    if column.dtype != COLUMNS[file.stem] or column.shape != (length,):
        raise ValueError(
            f"{file} is damaged: it holds {column.dtype} {column.shape}, and the header says "
            f"{np.dtype(COLUMNS[file.stem])} ({length},)"
        )
    return np.array(column) if mmap_mode is None else column


def _verify(path, checksums):
    """Read all columns and compare what they hold with the header's checksums."""
    if None in checksums.values():
        raise ValueError(
            f"{path} has no checksums to verify, as its skdim wrote none: load it without verify, and save it again "
            "under another name"
        )
    for name, expected in checksums.items():
        file = path / f"{name}.npy"
        try:
            found = _sha256(file)
        except OSError as error:
            raise ValueError(f"{file} is damaged or missing ({error})") from error
        if found != expected:
            raise ValueError(
                f"{file} is damaged: its checksum is not that of the header. Take the store from a copy, or featurize "
                "again"
            )


def _sha256(file):
    with open(file, "rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
