"""Crystals on disk: a folder of .npy arrays with a JSON header, which cannot execute code when it is loaded."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import numpy as np

from .._shared.files import new_folder
from .._shared.headers import FileFormat
from .blocks import blocks
from .columns import COLUMNS, lengths_match, offsets_fault, values_fault
from .index import index_from_json, index_to_json
from .store_writer import StoreWriter

FORMAT = FileFormat("skdim.Crystals", 1, "a Crystals store", "featurize again")
HEADER, INDEX = "header.json", "index.json"


def write_store(parts, path, errors=None, index=None):
    """Write rows of several Crystals with the same settings to the new folder ``path``, block by block.

    Parameters
    ----------
    parts : sequence of (Crystals of shape (n,), ndarray of int of shape (k,) or None)
        Crystals and the rows to write; None writes all rows.
    path : str or Path
    errors : dict of int to str, default=None
        ``errors_`` of the store.
    index : pandas.Index, default=None
        ``index`` of the store.
    """
    first = parts[0][0]
    with new_folder(path) as folder:
        with StoreWriter(folder) as writer:
            for crystals, rows in parts:
                for block in blocks(crystals, rows):
                    writer.append(block)
            writer.finish()
        write_header(folder, writer.lengths, first.site_features, first.settings, errors or {}, index)


def write_header(folder, lengths, site_features, settings, errors, index=None):
    """Write the header, and the index if there is one, of the store in ``folder``, whose columns are complete."""
    if index is not None:
        _write_text(folder / INDEX, json.dumps(index_to_json(index)))
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
        "errors": {str(row): reason for row, reason in errors.items()},
        "index": None if index is None else {"sha256": _sha256(folder / INDEX)},
    }
    _write_text(folder / HEADER, json.dumps(header, indent=1) + "\n")


def read_store(path, mmap_mode=None, verify=False):
    """Read the folder ``path``; see :meth:`Crystals.load`.

    Returns
    -------
    columns : dict of str to ndarray
    site_features : list of str
    settings : dict
    errors : dict of int to str
    index : pandas.Index or None
    """
    path = Path(path)
    if mmap_mode not in (None, "r", "c"):
        raise ValueError(f"mmap_mode must be None, 'r' or 'c', not {mmap_mode!r}")
    if not path.exists():
        raise FileNotFoundError(f"no such folder: {path}")
    header = FORMAT.read(path / HEADER, path)
    try:
        lengths = {name: header["columns"][name]["length"] for name in COLUMNS}
        checksums = {f"{name}.npy": header["columns"][name].get("sha256") for name in COLUMNS}
        if header.get("index") is not None:
            checksums[INDEX] = header["index"]["sha256"]
        errors = {int(row): reason for row, reason in header["errors"].items()}
        site_features, settings = header["site_features"], header["settings"]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"{path / HEADER} is damaged: entries are missing ({error!r})") from error
    texts = [*errors.values(), *(site_features if isinstance(site_features, list) else [None])]
    if not all(isinstance(text, str) for text in texts) or not isinstance(settings, dict):
        raise ValueError(f"{path / HEADER} is damaged: its site_features, settings or errors have the wrong type")
    if verify:
        _verify(path, checksums)
    columns = {name: _load_column(path / f"{name}.npy", lengths[name], mmap_mode) for name in COLUMNS}
    index = _read_index(path / INDEX) if INDEX in checksums else None
    return columns, site_features, settings, errors, index


def find_fault(crystals, check_values):
    """Describe what is wrong with Crystals that were read from a store; None if they are valid.

    Parameters
    ----------
    crystals : Crystals
    check_values : bool
        False compares the lengths of the columns only.

    Returns
    -------
    str or None
    """
    n_crystals = len(crystals)
    if not (lengths_match(crystals) and all(0 <= row < n_crystals for row in crystals.errors_)):
        return "the lengths of its columns do not match"
    if not check_values:
        return None
    if fault := offsets_fault(crystals):
        return fault
    return next(filter(None, map(values_fault, blocks(crystals))), None)


def _load_column(file, length, mmap_mode):
    try:
        # Memory-mapped first in any case: an array is allocated only if the file has the length that it states.
        column = np.lib.format.open_memmap(file, mode=mmap_mode or "r")
    except Exception as error:  # the parser of damaged headers raises errors of many types
        raise ValueError(f"{file} is damaged or missing ({error})") from error
    if column.dtype != COLUMNS[file.stem] or column.shape != (length,):
        raise ValueError(
            f"{file} is damaged: it contains {column.dtype} {column.shape}, not "
            f"{np.dtype(COLUMNS[file.stem])} ({length},) as in the header"
        )
    return np.array(column) if mmap_mode is None else column


def _read_index(file):
    try:
        return index_from_json(json.loads(file.read_text(encoding="utf-8")))
    except Exception as error:  # pandas raises errors of many types
        raise ValueError(f"{file} is damaged or missing ({error})") from error


def _write_text(file, text):
    with open(file, "w", encoding="utf-8") as opened:
        opened.write(text)
        opened.flush()
        os.fsync(opened.fileno())


def _verify(path, checksums):
    """Compare all files with the checksums in the header."""
    if None in checksums.values():
        raise ValueError(
            f"{path} has no checksums to verify: load it without verify, and save it again under another name"
        )
    for name, expected in checksums.items():
        file = path / name
        try:
            checksum = _sha256(file)
        except OSError as error:
            raise ValueError(f"{file} is damaged or missing ({error})") from error
        if checksum != expected:
            raise ValueError(
                f"{file} is damaged: its checksum differs from the header. Restore the store from a copy, or featurize "
                "again"
            )


def _sha256(file):
    with open(file, "rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
