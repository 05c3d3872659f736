"""A Crystals on disk: a folder of plain .npy arrays and a JSON header. Nothing in it can execute code when loaded."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np

from ._crystals import COLUMNS, Crystals
from ._version import __version__

SCHEMA_VERSION = 1
_HEADER = "header.json"


def save_crystals(crystals, path):
    """Write ``crystals`` to the new folder ``path``; see :meth:`Crystals.save`."""
    path = Path(path)
    if path.exists():
        raise FileExistsError(f"{path} exists: remove it first, or save under another name")
    path.parent.mkdir(parents=True, exist_ok=True)
    # Written beside its place and renamed: a run killed midway leaves no half store under the name.
    folder = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        for name in COLUMNS:
            np.save(folder / f"{name}.npy", np.asarray(getattr(crystals, name)), allow_pickle=False)
        header = {
            "format": "skdim.Crystals",
            "schema_version": SCHEMA_VERSION,
            "skdim_version": __version__,
            "n_crystals": len(crystals),
            "site_features": list(crystals.site_features),
            "settings": crystals.settings,
            "columns": {
                name: {"dtype": np.dtype(dtype).name, "length": len(getattr(crystals, name))}
                for name, dtype in COLUMNS.items()
            },
            "errors": {str(row): why for row, why in crystals.errors_.items()},
        }
        (folder / _HEADER).write_text(json.dumps(header, indent=1) + "\n", encoding="utf-8")
        # mkdtemp makes the folder private to its owner; a store is as readable as any file the user makes.
        mask = os.umask(0)
        os.umask(mask)
        folder.chmod(0o777 & ~mask)
        folder.rename(path)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def load_crystals(path, mmap_mode=None):
    """Read the folder ``path``; see :meth:`Crystals.load`."""
    path = Path(path)
    if mmap_mode not in (None, "r", "c"):
        raise ValueError(f"mmap_mode must be None, 'r' or 'c', not {mmap_mode!r}")
    if not path.exists():
        raise FileNotFoundError(f"no such folder: {path}")
    try:
        header = json.loads((path / _HEADER).read_text(encoding="utf-8"))
        known = header["format"] == "skdim.Crystals"
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is not a Crystals store: its {_HEADER} cannot be read ({error})") from error
    if not known:
        raise ValueError(f"{path} is not a Crystals store: its header says {header['format']!r}")
    if header["schema_version"] != SCHEMA_VERSION:
        raise ValueError(
            f"{path} has schema version {header['schema_version']}, and this skdim ({__version__}) reads version "
            f"{SCHEMA_VERSION}: featurize again, or use skdim {header.get('skdim_version', '?')}"
        )
    columns = {}
    for name, dtype in COLUMNS.items():
        expected = header["columns"][name]
        try:
            column = np.load(path / f"{name}.npy", mmap_mode=mmap_mode, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            # An empty array cannot be mapped; it needs no mapping either.
            if expected["length"] or mmap_mode is None:
                raise ValueError(f"{path / name}.npy is damaged or missing ({error})") from error
            column = np.load(path / f"{name}.npy", allow_pickle=False)
        if column.dtype != dtype or column.shape != (expected["length"],):
            raise ValueError(
                f"{path / name}.npy holds {column.dtype} {column.shape}, but the header says {np.dtype(dtype)} "
                f"({expected['length']},): the store is damaged"
            )
        columns[name] = column
    errors = {int(row): why for row, why in header["errors"].items()}
    return Crystals(columns, header["site_features"], header["settings"], errors)
