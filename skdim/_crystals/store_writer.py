"""The columns of a Crystals store, appended block by block, in memory that does not grow with the store."""

from __future__ import annotations

import contextlib
import io
import os
from pathlib import Path

import numpy as np

from .columns import COLUMNS, POINT_INTO

#: Bytes of a .npy header. NumPy leaves room in it for the longest length, so that it can be written at the end.
_HEAD = 128


class StoreWriter(contextlib.AbstractContextManager):
    """Appends crystals to the column files of a store; :meth:`finish` makes them .npy files.

    Parameters
    ----------
    folder : str or Path
        Exists.
    lengths : dict of str to int, default=None
        Go on with files that are there, of which so many entries of each column count; what follows in them is cut off.
        None begins new files.

    Attributes
    ----------
    lengths : dict of str to int
        Entries of each column.
    """

    def __init__(self, folder, lengths=None):
        folder = Path(folder)
        self._files = {}
        with contextlib.ExitStack() as opened:
            for name in COLUMNS:
                file = open(folder / f"{name}.npy", "wb" if lengths is None else "r+b")  # noqa: SIM115
                self._files[name] = opened.enter_context(file)
            if lengths is None:
                self.lengths = dict.fromkeys(COLUMNS, 0)
                for name, file in self._files.items():
                    file.write(bytes(_HEAD))
                    if name in POINT_INTO:
                        self._write(name, np.zeros(1))
            else:
                self.lengths = dict(lengths)
                for name, file in self._files.items():
                    end = _HEAD + self.lengths[name] * np.dtype(COLUMNS[name]).itemsize
                    if file.seek(0, os.SEEK_END) < end:
                        raise ValueError(f"{file.name} is damaged: it is shorter than it was")
                    file.truncate(end)
                    file.seek(end)
            self._opened = opened.pop_all()

    def append(self, crystals):
        """Write further rows at the end."""
        starts = {name: self.lengths[into] for name, into in POINT_INTO.items()}
        for name in COLUMNS:
            column = getattr(crystals, name)
            self._write(name, column[1:] + starts[name] if name in starts else column)

    def sync(self):
        """Return when all is on the disk."""
        for file in self._files.values():
            file.flush()
            os.fsync(file.fileno())

    def finish(self):
        """Write the .npy headers, which have the lengths in them; returns when all is on the disk."""
        for name, file in self._files.items():
            file.seek(0)
            file.write(_npy_head(COLUMNS[name], self.lengths[name]))
        self.sync()

    def __exit__(self, *exception):
        self._opened.close()

    def _write(self, name, column):
        self._files[name].write(np.ascontiguousarray(column, dtype=COLUMNS[name]).data.cast("B"))
        self.lengths[name] += len(column)


def _npy_head(dtype, length):
    head = io.BytesIO()
    description = {"descr": np.dtype(dtype).str, "fortran_order": False, "shape": (length,)}
    np.lib.format.write_array_header_1_0(head, description)
    if head.tell() != _HEAD:
        raise RuntimeError(f"this NumPy writes .npy headers of {head.tell()} bytes, not {_HEAD}")
    return head.getvalue()
