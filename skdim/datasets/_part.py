"""A partial download, kept for the next try and written by one process at a time."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import uuid

from .._shared.files import replaced_file
from .._shared.locks import lock_file, unlock_file

#: Windows cannot rename a file that other processes, which wait for its lock, have open.
_RENAMES_OPEN_FILES = os.name != "nt"


@contextlib.contextmanager
def part_of(path):
    """Open ``NAME.part`` next to ``path``, and wait until no other process has it open.

    The lock ends with the process. On Windows, and without locks (some network file systems), the part has a unique
    name and is deleted at the end of the block.

    Yields
    ------
    Part or None
        None if ``path`` exists because another process has finished it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    place = path.with_name(f"{path.name}.part")
    while True:
        file = open(place, "a+b")  # noqa: SIM115
        try:
            locked = _RENAMES_OPEN_FILES and lock_file(file, wait=True)
            if not locked:
                file.close()
                place.unlink(missing_ok=True)
                place = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
                file = open(place, "a+b")  # noqa: SIM115
            if _is_at(file, place):
                part = Part(file, place, is_locked=locked)
                try:
                    yield None if path.exists() else part
                finally:
                    if not locked or not part.size or path.exists():
                        part.discard()
                return
            # The process that had the lock renamed or removed the file: open a new one.
        finally:
            if not file.closed:
                unlock_file(file)
                file.close()


class Part:
    """The first bytes of a file.

    Attributes
    ----------
    size : int
        Number of bytes.
    source : dict
        Argument of :meth:`start_over`; empty if unknown.
    """

    def __init__(self, file, place, *, is_locked):
        self._file, self._place, self._is_locked = file, place, is_locked
        self._note = place.with_name(f"{place.name}.json")
        self.source = _read_note(self._note)
        self._hash = hashlib.sha256()
        file.seek(0)
        while piece := file.read(2**20):
            self._hash.update(piece)
        self.size = file.tell()

    @property
    def sha256(self):
        return self._hash.hexdigest()

    def start_over(self, source=None):
        """Delete the content; ``source`` describes where the new bytes come from."""
        # In this order: after a kill in between, no bytes are attributed to the wrong source.
        self._file.truncate(0)
        self.size, self._hash, self.source = 0, hashlib.sha256(), source or {}
        with replaced_file(self._note) as file:
            file.write_text(json.dumps(self.source), encoding="utf-8")

    def append(self, piece):
        self._file.write(piece)
        self._hash.update(piece)
        self.size += len(piece)

    def finish(self, path):
        """Move the complete file to its path."""
        self._file.flush()
        os.fsync(self._file.fileno())
        if not self._is_locked:  # Windows cannot rename open files
            self._file.close()
        os.replace(self._place, path)
        self._note.unlink(missing_ok=True)

    def discard(self):
        if not self._is_locked:
            self._file.close()
        for file in (self._place, self._note):
            with contextlib.suppress(OSError):  # a leftover file does no harm
                file.unlink(missing_ok=True)


def _is_at(file, place):
    """Whether a path still refers to an open file."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), place.stat())
    except FileNotFoundError:
        return False


def _read_note(note):
    try:
        source = json.loads(note.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    known = isinstance(source, dict) and all(isinstance(text, str) for text in source.values())
    return source if known else {}
