"""Files that a source does not read, and why."""

from __future__ import annotations

import warnings
from pathlib import PurePath

_MOST_NAMED = 3


class Skipped:
    """Counts files while a source is read, for one warning at the end.

    Parameters
    ----------
    where : str
        What the files are in, for the warning.
    """

    def __init__(self, where):
        self.where, self.n_read, self._groups = where, 0, {}

    def add(self, name, reason, kind=None):
        """Note a file that is not read; ``kind`` is what it is called in the warning, by default its ending."""
        kind = kind or PurePath(name).suffix.lower() or "without an ending"
        self._groups.setdefault((kind, reason), []).append(name)

    def warn(self):
        """Warn of the files that were not read, if there are any."""
        if self._groups:
            warnings.warn(str(self), stacklevel=3)

    def __str__(self):
        n = sum(map(len, self._groups.values()))
        parts = [
            f"{len(names)} {kind} ({reason}: {', '.join(names[:_MOST_NAMED])}{', ...' if names[_MOST_NAMED:] else ''})"
            for (kind, reason), names in self._groups.items()
        ]
        return f"{n} of {n + self.n_read} files in {self.where} were not read: {'; '.join(parts)}"
