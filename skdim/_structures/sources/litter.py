"""Files in folders that users did not put there."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

_LITTER = {"__MACOSX", ".DS_Store", "Thumbs.db", "desktop.ini"}
#: Hidden folders in which skdim keeps what is not complete yet.
_UNFINISHED = re.compile(r"\..+\.(partial|work)")


def is_litter(name):
    """Whether it is a file of an operating system or an unfinished one of skdim, which is ignored."""
    parts = PurePosixPath(name).parts
    return any(part in _LITTER or part.startswith("._") or _UNFINISHED.fullmatch(part) for part in parts)


def is_hidden(name):
    """Whether the file, or a folder that it is in, is hidden, as ``.ipynb_checkpoints`` is."""
    return any(part.startswith(".") and part not in (".", "..") for part in PurePosixPath(name).parts)
