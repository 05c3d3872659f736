"""Reads the contents of files, or splits them into rows."""

from __future__ import annotations

from ..cif import read_cif_sites
from ..errors import ReadError, describe
from ..files import decode
from ..limits import MAX_SIZE
from ..source_rows import Text, Unreadable
from .detect import CIF, NAMES, format_of, has_known_name
from .trajectory import is_trajectory, split_trajectory


def read_text(text, name, *, strict_cif=False):
    """Read the first crystal of a text.

    Parameters
    ----------
    text : str
    name : str
        What is read, for messages, such as "the text".
    strict_cif : bool, default=False
        As for :func:`skdim._structures.read.read_structure`.

    Returns
    -------
    crystal : Structure or CrystalSites
    notes : list of str
        Warnings on how it was read.

    Raises
    ------
    ReadError
    """
    check_size(text, name)
    kind = format_of(text)
    if kind is None:
        hint = ""
        if "\n" not in text.strip() and has_known_name(text.strip()):
            hint = "; it may be the name of a file: a table contains whole texts, files are read from their folder"
        raise ReadError(f"{name} is in none of the formats that are read: {NAMES}{hint}")
    if kind is CIF:
        label = "the CIF text" if name == "the text" else name
        crystal, notes = read_cif_sites(text, label, strict=strict_cif)
        return crystal, [f"reading {label}: {'; '.join(notes)}"] if notes else []
    try:
        texts = iter(kind.split(text))
        first = next(texts, text)
        n = 1 + sum(1 for _ in texts)
        return kind.read(first), _several(n)
    except ReadError:
        raise
    except Exception as error:
        raise ReadError(f"{name} cannot be read as {kind.name} ({describe(error)})") from error


def read_content(content, name):
    """Read the first crystal of a file's content, which is decompressed already.

    Returns
    -------
    first : str or Atoms
        What :func:`read_text` takes, or the first frame of a trajectory.
    notes : list of str
    """
    check_size(content, name)
    if not is_trajectory(content):
        return decode(content), []
    frames = list(split_trajectory(content))
    if not frames:
        raise ReadError(f"{name} is a trajectory without frames")
    return frames[0], _several(len(frames))


def split_content(content):
    """Split the content of a file into rows, one for each crystal.

    Yields
    ------
    Text, Atoms or Unreadable
        Unreadable if the rest of the content is damaged; rows before it are kept.

    Raises
    ------
    ReadError
        If the format is unknown; raised before the first row.
    """
    if is_trajectory(content):
        return _with_errors(split_trajectory, content)
    text = decode(content)
    kind = format_of(text)
    if kind is None:
        raise ReadError(f"it is in none of the formats that are read: {NAMES}")
    if kind.name == "JSON":  # most JSON files are not of structures: an error says so before the first row
        return map(Text, kind.split(text))
    return _with_errors(lambda text: map(Text, kind.split(text)), text)


def _with_errors(split, content):
    try:
        yield from split(content)
    except Exception as error:
        yield Unreadable(str(error) if isinstance(error, ReadError) else describe(error))


def check_size(content, name):
    """Refuse what is larger than any crystal."""
    if len(content) > MAX_SIZE:
        raise ReadError(f"{name} has more than {MAX_SIZE // 2**20} million characters, which no file of a crystal has")


def _several(n):
    return [f"it contains {n} structures, of which the first is used"] if n > 1 else []
