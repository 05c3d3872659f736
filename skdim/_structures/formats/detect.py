"""Detects the format of a text, and file names that are typical of structures."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import PurePath
from typing import Any, NamedTuple

from ..cif import looks_like_cif, split_cif
from .cssr import is_cssr, read_cssr
from .json_texts import is_json, read_json, split_json
from .res import is_res, read_res, split_res
from .vasp import is_poscar, is_xdatcar, read_poscar, split_xdatcar
from .xsf import is_xsf, read_xsf, split_xsf
from .xyz import is_xyz, read_xyz, split_xyz

#: Characters at the beginning of a text in which its format is recognised.
HEAD = 2**16
NAMES = "CIF, POSCAR, XDATCAR, extended XYZ, XSF, RES, CSSR, and JSON of pymatgen, OPTIMADE, JARVIS or ASE"
_FILE_NAME = re.compile(
    r"(?i)(.*\.(m?cif|vasp|poscar|(ext)?xyz|a?xsf|res|cssr|traj)|(.*[._-])?(POSCAR|CONTCAR|XDATCAR)([._-].*)?)"
)
_SUFFIX = re.compile(r"(?i)(?<=.)\.(m?cif|vasp|poscar|(ext)?xyz|a?xsf|res|cssr|traj|json)$")
_COMPRESSED = re.compile(r"(?i)\.(gz|bz2|xz)$")
_BLOCK = re.compile(r"(?im)^[ \t]*data_")
_DATA_BLOCK = re.compile(r"(?im)^[ \t]*data_\S*[ \t]*(#.*)?$")


class Format(NamedTuple):
    """One format of texts.

    Attributes
    ----------
    name : str
    recognises : callable
        Whether the beginning of a text is in this format.
    split : callable
        Splits a text into one for each crystal.
    read : callable or None
        Reads the text of one crystal into a Structure; None for CIF, whose reader also returns warnings.
    """

    name: str
    recognises: Callable[[str], bool]
    split: Callable[[str], Iterable[str]]
    read: Callable[[str], Any] | None


def is_cif(text):
    """Whether a text has the heading of a data block on a line of its own, or a data block and a cell."""
    return bool(_DATA_BLOCK.search(text)) or looks_like_cif(text)


def _whole(text):
    return [text]


def _split_cif(text):
    # A single block is not parsed here, but by the process that reads it.
    return [text] if len(_BLOCK.findall(text)) < 2 else split_cif(text, "the CIF text")


CIF = Format("CIF", is_cif, _split_cif, None)
_FORMATS = (
    Format("JSON", is_json, split_json, read_json),
    CIF,
    Format("XSF", is_xsf, split_xsf, read_xsf),
    Format("RES", is_res, split_res, read_res),
    Format("CSSR", is_cssr, _whole, read_cssr),
    Format("XDATCAR", is_xdatcar, split_xdatcar, read_poscar),
    Format("POSCAR", is_poscar, _whole, read_poscar),
    Format("XYZ", is_xyz, split_xyz, read_xyz),
)


def format_of(text):
    """Return the format of a text, of which the beginning is enough, or None."""
    head = text[:HEAD]
    return next((format_ for format_ in _FORMATS if format_.recognises(head)), None)


def has_known_name(name):
    """Whether a file name is typical of structures."""
    return bool(_FILE_NAME.fullmatch(_COMPRESSED.sub("", PurePath(name).name)))


def without_suffix(name):
    """Remove the suffixes of formats and compression from a name; the number after "#" is kept."""
    file, mark, number = name.rpartition("#")
    if not (mark and number.isdecimal()):
        file, mark, number = name, "", ""
    bare = _COMPRESSED.sub("", file)
    return _SUFFIX.sub("", bare) + mark + number


def is_content(text):
    """Whether a text is the content of a file rather than the name of one."""
    if "\n" in text:
        return True
    bare = text.strip()
    return (is_json(bare) and bare[-1] in "}]") or looks_like_cif(bare)
