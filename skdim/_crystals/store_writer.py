"""Write the columns of a Crystals store block by block, in constant memory."""

from __future__ import annotations

import contextlib
import io
import os
from pathlib import Path

import numpy as np

from .columns import COLUMNS, OFFSETS_INTO

#: Bytes of a .npy header. It has room for any length, so that it can be written at the end.
_HEADER_SIZE = 128


class StoreWriter(contextlib.AbstractContextManager):
    """Append crystals to the column files of a store; :meth:`finish` turns them into .npy files.

    Parameters
    ----------
    folder : str or Path
        Must exist.
    lengths : dict of str to int, default=None
        Continue existing files after this number of entries of each column; later entries are removed. None starts new
        files.

    Attributes
    ----------
    lengths : dict of str to int
        Number of entries of each column.
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
                    file.write(bytes(_HEADER_SIZE))
                    if name in OFFSETS_INTO:
                        self._write(name, np.zeros(1))
            else:
                self.lengths = dict(lengths)
                for name, file in self._files.items():
                    end = _HEADER_SIZE + self.lengths[name] * np.dtype(COLUMNS[name]).itemsize
                    if file.seek(0, os.SEEK_END) < end:
                        raise ValueError(f"{file.name} is damaged: it is too short")
                    file.truncate(end)
                    file.seek(end)
            self._opened = opened.pop_all()

    def append(self, crystals):
        """Append rows."""
        starts = {name: self.lengths[into] for name, into in OFFSETS_INTO.items()}
        for name in COLUMNS:
            column = getattr(crystals, name)
            self._write(name, column[1:] + starts[name] if name in starts else column)

    def sync(self):
        """Wait until all data is on the disk."""
        for file in self._files.values():
            file.flush()
            os.fsync(file.fileno())

    def finish(self):
        """Write the .npy headers, which contain the lengths, and wait until all data is on the disk."""
        for name, file in self._files.items():
            file.seek(0)
            file.write(_npy_header(COLUMNS[name], self.lengths[name]))
        self.sync()

    def __exit__(self, *exception):
        self._opened.close()

    def _write(self, name, column):
        self._files[name].write(np.ascontiguousarray(column, dtype=COLUMNS[name]).data.cast("B"))
        self.lengths[name] += len(column)


def _npy_header(dtype, length):
    header = io.BytesIO()
    description = {"descr": np.dtype(dtype).str, "fortran_order": False, "shape": (length,)}
    np.lib.format.write_array_header_1_0(header, description)
    if header.tell() != _HEADER_SIZE:
        raise RuntimeError(f"this NumPy writes .npy headers of {header.tell()} bytes, not {_HEADER_SIZE}")
    return header.getvalue()
