"""Reads files, also compressed ones, in bounded memory; file names as valid text."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import zlib
from collections.abc import Callable
from typing import IO, Any

from .errors import ReadError, describe
from .limits import MAX_SIZE

#: Signatures of compressed content, and the functions that open it.
_COMPRESSIONS: dict[bytes, Callable[..., Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\x00": lzma.open,
}
_LONGEST_MAGIC = 6
#: Errors of reading; MemoryError if damaged content requests a dictionary larger than the memory.
READ_ERRORS = (OSError, EOFError, ValueError, MemoryError, zlib.error, lzma.LZMAError)


def decompressed(file: IO[bytes]) -> IO[bytes]:
    """Open a seekable binary file with gzip, bz2 or xz if it is compressed; otherwise return it."""
    start = file.read(_LONGEST_MAGIC)
    file.seek(0)
    for magic, opener in _COMPRESSIONS.items():
        if start.startswith(magic):
            return opener(file)
    return file


def read_file(path):
    """Read a file, which may be compressed.

    Parameters
    ----------
    path : str or path

    Returns
    -------
    bytes
        The content, one byte more than MAX_SIZE at most.

    Raises
    ------
    ReadError
        If it cannot be opened or decompressed.
    """
    try:
        with open(path, "rb") as file:
            return decompressed(file).read(MAX_SIZE + 1)
    except READ_ERRORS as error:
        raise ReadError(f"cannot open the file ({describe(error)}){_hint(path, error)}") from error


def _hint(path, error):
    """What a user may have meant, or ""."""
    if isinstance(error, IsADirectoryError):
        return ": for the files of a folder, pass sorted(Path(folder).glob('*.cif'))"
    if isinstance(error, FileNotFoundError) and isinstance(path, str) and not os.path.splitext(path)[1]:
        return ": a string must be the path or the text of a structure file, as a formula alone has no structure"
    return ""


def decode(content):
    """Decode the content of a text file: UTF-16 if it has such a byte order mark, else UTF-8 with U+FFFD for errors."""
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return content.decode("utf-16", errors="replace")
    return content.decode("utf-8-sig", errors="replace")


def written_name(path):
    """Return the name of a file as valid text: names that are not UTF-8 are decoded as Latin-1."""
    name = os.fspath(path)
    name = os.fsdecode(name) if isinstance(name, bytes) else name
    try:
        name.encode()
    except UnicodeEncodeError:
        return name.encode("utf-8", errors="surrogateescape").decode("latin-1")
    return name
