"""A Crystals on disk: a folder of plain .npy arrays and a JSON header. Nothing in it can execute code when loaded."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from ._crystals import COLUMNS, Crystals
from ._files import new_folder
from ._version import __version__

SCHEMA_VERSION = 1
_HEADER = "header.json"


def save_crystals(crystals, path):
    """Write ``crystals`` to the new folder ``path``; see :meth:`Crystals.save`."""
    with new_folder(path) as folder:
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
    if header.get("schema_version") != SCHEMA_VERSION:
        raise ValueError(
            f"{path} has schema version {header.get('schema_version')}, and this skdim ({__version__}) reads version "
            f"{SCHEMA_VERSION}: featurize again, or use skdim {header.get('skdim_version', '?')}"
        )
    try:
        lengths = {name: header["columns"][name]["length"] for name in COLUMNS}
        errors = {int(row): why for row, why in header["errors"].items()}
        site_features, settings = header["site_features"], header["settings"]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"{path / _HEADER} is damaged: it lacks entries ({error!r})") from error
    columns = {name: _load_column(path / f"{name}.npy", lengths[name], mmap_mode) for name in COLUMNS}
    n_rows = lengths["class_offsets"] - 1
    # The ends of the offsets alone: a check of every value would read the store.
    ends = (("class_offsets", "numbers"), ("site_offsets", "site_class"), ("row_offsets", "distance"))
    whole = lengths["site_offsets"] == n_rows + 1 and all(0 <= row < n_rows for row in errors)
    if not whole or any(columns[offsets][-1] != lengths[flat] for offsets, flat in ends):
        raise ValueError(f"{path} is damaged: its columns do not fit together")
    return Crystals(columns, site_features, settings, errors)


def _load_column(file, length, mmap_mode):
    try:
        column = np.load(file, mmap_mode=mmap_mode, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ValueError(f"{file} is damaged or missing ({error})") from error
    if column.dtype != COLUMNS[file.stem] or column.shape != (length,):
        raise ValueError(
            f"{file} is damaged: it holds {column.dtype} {column.shape}, and the header says "
            f"{np.dtype(COLUMNS[file.stem])} ({length},)"
        )
    return column
