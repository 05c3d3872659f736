"""Reads the members of zip and tar archives in memory; nothing is extracted."""

from __future__ import annotations

import io
import tarfile
import zipfile
from typing import Any

from ..errors import describe
from ..files import READ_ERRORS, decompressed, written_name
from ..limits import MAX_SIZE
from ..source_rows import Unreadable
from .litter import is_hidden, is_litter
from .structure_files import read_structure_file

#: Largest ratio of the decompressed to the compressed size of a tar archive, beyond the first gigabyte.
_MOST_INFLATED, _FREE = 1000, 2**30
#: Bytes before the current position of a tar archive that are kept for seeking back.
_KEPT = 2 * tarfile.BLOCKSIZE
_ZIP_ERRORS = (*READ_ERRORS, zipfile.BadZipFile, RuntimeError)  # RuntimeError: a password, an unknown compression


def is_archive(file):
    """Whether a seekable binary file is a zip or tar archive, also a compressed one."""
    try:
        start = decompressed(file).read(265)
    except READ_ERRORS:
        start = b""
    file.seek(0)
    return start.startswith((b"PK\x03\x04", b"PK\x05\x06")) or start[257:262] == b"ustar"


def read_archive(path, skipped, prefix=""):
    """Rows of the structure files in an archive, in its order.

    Parameters
    ----------
    path : Path
    skipped : Skipped
        Collects the members that are not read.
    prefix : str, default=""
        Prefix of the names of members.

    Yields
    ------
    name : str
    raw : Text, Atoms or Unreadable

    Raises
    ------
    ValueError
        If it is damaged.
    """
    with path.open("rb") as file:
        is_zip = file.read(2) == b"PK"
        file.seek(0)
        members = _zip_members(path, file) if is_zip else _tar_members(path, file)
        for member, content in members:
            name = prefix + written_name(member)
            if is_litter(member):
                continue
            if is_hidden(member):
                skipped.add(name, "hidden", "hidden")
            elif isinstance(content, Unreadable):
                skipped.n_read += 1
                yield name, content
            elif is_archive(io.BytesIO(content)):
                skipped.add(name, "a nested archive: extract it", "archive")
            else:
                yield from read_structure_file(io.BytesIO(content), name, skipped)


def _zip_members(path, file):
    try:
        archive = zipfile.ZipFile(file)
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OverflowError) as error:
        raise ValueError(f"{path} is not a zip file, or damaged ({error})") from error
    with archive:
        for member in archive.infolist():
            if not member.filename or member.is_dir():
                continue
            try:
                with archive.open(member) as content:
                    yield member.filename, content.read(MAX_SIZE + 1)
            except _ZIP_ERRORS as error:
                yield member.filename, Unreadable(f"the archive's member cannot be read ({error})")


def _tar_members(path, file):
    try:
        forward: Any = _ForwardFile(file)  # as much of a file as tarfile asks for
        with tarfile.open(fileobj=forward, mode="r:") as archive:
            for member in archive:
                archive.__dict__["members"] = []  # or those of a large archive fill the memory
                if (file := archive.extractfile(member) if member.isfile() else None) is not None:
                    content = file.read(MAX_SIZE + 1)
                    if len(content) < min(member.size, MAX_SIZE + 1):
                        raise EOFError(f"{member.name} is cut off")
                    yield member.name, content
    except (*READ_ERRORS, tarfile.TarError) as error:
        raise ValueError(f"{path} is not a tar file, or damaged ({describe(error)})") from error


class _ForwardFile:
    """A decompressed file that tarfile reads from start to end, in bounded time and memory.

    tarfile seeks back by a block at most, for which a compressed file would be decompressed again from the start.
    """

    def __init__(self, file):
        self._size = file.seek(0, io.SEEK_END)
        file.seek(0)
        self._file, self._last, self._end, self._at = decompressed(file), b"", 0, 0

    def tell(self):
        return self._at

    def seek(self, position):
        if position < self._end - len(self._last):
            raise ValueError("its members are not in order")
        while self._end < position and self._fill(min(position - self._end, 2**16)):
            pass
        self._at = min(position, self._end)
        return self._at

    def read(self, n):
        if n > 2 * MAX_SIZE:
            raise ValueError("a header is larger than any structure file")
        back = self._end - self._at
        kept = self._last[len(self._last) - back :][:n] if back else b""
        fresh = self._fill(n - len(kept)) if n > len(kept) else b""
        self._at += len(kept) + len(fresh)
        return kept + fresh

    def _fill(self, n):
        content = self._file.read(n)
        self._end += len(content)
        self._last = (self._last + content)[-_KEPT:]
        if self._end > max(_FREE, _MOST_INFLATED * self._size):
            raise ValueError(f"it inflates to more than {_MOST_INFLATED} times its size")
        return content
