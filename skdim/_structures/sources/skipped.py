"""Files that are skipped by a source, with reasons."""

from __future__ import annotations

import warnings
from pathlib import PurePath

_MOST_NAMED = 3


class Skipped:
    """Counts files while a source is read, for a single warning at the end.

    Parameters
    ----------
    where : str
        Description of the folder or archive.
    """

    def __init__(self, where):
        self.where, self.n_read, self._groups = where, 0, {}

    def add(self, name, reason, kind=None):
        """Add a file; ``kind`` describes it in the warning (default: its suffix)."""
        kind = kind or PurePath(name).suffix.lower() or "without a suffix"
        self._groups.setdefault((kind, reason), []).append(name)

    def warn(self):
        """Issue the warning if files were skipped."""
        if self._groups:
            warnings.warn(str(self), stacklevel=3)

    def __str__(self):
        n = sum(map(len, self._groups.values()))
        parts = [
            f"{len(names)} {kind} ({reason}: {', '.join(names[:_MOST_NAMED])}{', ...' if names[_MOST_NAMED:] else ''})"
            for (kind, reason), names in self._groups.items()
        ]
        return f"{n} of {n + self.n_read} files in {self.where} were not read: {'; '.join(parts)}"
