"""Files and compressed contents, read in bounded memory."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import zlib

from .errors import ReadError, describe
from .limits import MAX_SIZE

#: How compressed content begins, and what opens it.
_COMPRESSIONS = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\x00": lzma.open}
#: What damaged content raises; MemoryError where it asks for a dictionary that is larger than the memory.
DECOMPRESSION_ERRORS = (OSError, EOFError, ValueError, MemoryError, zlib.error, lzma.LZMAError)
_LONGEST_MAGIC = 6


def decompressed(file):
    """Open a binary file for reading, through gzip, bz2 or xz where its content is compressed.

    Parameters
    ----------
    file : seekable binary file

    Returns
    -------
    binary file
        ``file`` itself if it is not compressed.
    """
    start = file.read(_LONGEST_MAGIC)
    file.seek(0)
    for magic, opener in _COMPRESSIONS.items():
        if start.startswith(magic):
            return opener(file)
    return file


def read_text_file(path):
    """Read a text file, which may be compressed.

    Parameters
    ----------
    path : str or path

    Returns
    -------
    str
        One character more than MAX_SIZE at most.

    Raises
    ------
    ReadError
        If it cannot be opened or decompressed.
    """
    try:
        with open(path, "rb") as file:
            return decode(decompressed(file).read(MAX_SIZE + 1))
    except DECOMPRESSION_ERRORS as error:
        raise ReadError(f"cannot open '{os.fspath(path)}' ({describe(error)})") from error


def decode(content):
    """Text of a file: UTF-16 where a byte order mark says so, else UTF-8 with a sign in the place of what is not."""
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return content.decode("utf-16", errors="replace")
    return content.decode("utf-8-sig", errors="replace")
