"""Reads structure files, which give a row for each crystal."""

from __future__ import annotations

from ..errors import ReadError, describe
from ..files import READ_ERRORS, decode, decompressed
from ..formats.contents import check_size, split_content
from ..formats.detect import HEAD, format_of, has_known_name
from ..formats.trajectory import is_trajectory
from ..limits import MAX_SIZE
from ..source_rows import Unreadable


def read_structure_file(file, name, skipped):
    """Rows of a file.

    Parameters
    ----------
    file : seekable binary file
        May be compressed.
    name : str
    skipped : Skipped
        Collects the reason if the file is skipped. Files with names typical of structures are not skipped: they give
        a row that fails.

    Yields
    ------
    name : str
        Name of the file, followed by a number (``run.xyz#2``) if it contains several crystals.
    raw : Text, Atoms or Unreadable
    """
    try:
        rows = split_content(_content(file, name))
    except (ReadError, *READ_ERRORS) as error:
        reason = str(error) if isinstance(error, ReadError) else f"it cannot be read ({describe(error)})"
        if not has_known_name(name):
            skipped.add(name, reason)
            return
        rows = iter([Unreadable(reason)])
    skipped.n_read += 1
    first = next(rows, Unreadable("it contains no crystal"))
    second = next(rows, None)
    if second is None:
        yield name, first
        return
    yield f"{name}#1", first
    yield f"{name}#2", second
    for number, raw in enumerate(rows, start=3):
        yield f"{name}#{number}", raw


def _content(file, name):
    """Read a file; of files in unknown formats only the beginning."""
    file = decompressed(file)
    head = file.read(HEAD)
    if not (has_known_name(name) or is_trajectory(head) or format_of(decode(head))):
        raise ReadError("unknown format")
    content = head + file.read(MAX_SIZE + 1 - len(head))
    check_size(content, "it")
    return content
