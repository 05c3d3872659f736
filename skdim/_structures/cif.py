"""CIF files and texts, read by pymatgen in bounded time and memory."""

from __future__ import annotations

import re
import warnings
from typing import Any

from .._shared.caught_warnings import caught_warnings
from .errors import ReadError, describe
from .limits import MAX_SITES, MAX_SIZE, OCCUPANCY_TOL

#: Characters of one crystal in a CIF, which take some 20 bytes of memory each. 10 000 sites are a million.
MAX_BLOCK = 16 * 2**20
#: Steps that pymatgen's search for quotes may take on lines without an end: a few seconds.
_MAX_QUOTE_STEPS = 10**9
#: Most symmetry operations that a space group has in its conventional cell.
_MOST_OPERATIONS = 192
_NO_CIF = "is not CIF (which has 'data_' and '_cell_length' in it)"
#: Remarks of pymatgen's CIF reader that ask nothing of the user.
_HARMLESS = re.compile("rounded to ideal values|1-line symmetry op P1|Skipping relative stoich|No Pauling electroneg")
_BLANK_LINES = re.compile(r"\n\s*\n")


def read_cif(text, name):
    """Read the first crystal of a CIF.

    Parameters
    ----------
    text : str
    name : str
        What is read, for messages: "the CIF text", or a file's name in quotes.

    Returns
    -------
    structure : Structure
    remarks : list of str
        What a user should know of how it was read.

    Raises
    ------
    ReadError
        If it contains no crystal, or one that would take hours or all memory to read.
    """
    blocks = split_cif(text, name)
    structure, remarks = _parse(_checked(blocks[0], name), name)
    if len(blocks) > 1:
        remarks.append(f"it holds {len(blocks)} structures, of which the first is used")
    return structure, remarks


def split_cif(text, name):
    """Split a CIF into one text for each crystal.

    Raises
    ------
    ReadError
        If it contains no crystal.
    """
    if len(text) > MAX_SIZE:
        raise ReadError(f"{name} has more than {MAX_SIZE // 2**20} million characters, which no CIF of a crystal has")
    # A byte order mark before its name would hide the first block, and lines may end as on any system.
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    # pymatgen's expressions, and the next one, look at all that follows a blank line for every blank line.
    text = _BLANK_LINES.sub("\n", f"\n{text}")
    # Split as pymatgen does, so that blocks without atoms (authors, powder patterns) raise no warnings of their own.
    blocks = [f"data_{block}" for block in re.split(r"^\s*data_", text, flags=re.MULTILINE)[1:]]
    blocks = [block for block in blocks if "_cell_length" in block and "_atom_site_" in block]
    if not blocks:
        hint = "" if "_cell_length" in text else f": it {_NO_CIF}; read other formats with Structure.from_file"
        raise ReadError(f"{name} has no data block with both a cell and atoms{hint}")
    return blocks


def _checked(block, name):
    """Refuse a data block that pymatgen's expressions would search for hours."""
    if len(block) > MAX_BLOCK:
        raise ReadError(
            f"the crystal in {name} takes {len(block) / 2**20:.0f} million characters, more than "
            f"{MAX_BLOCK // 2**20}: leave out what is not about its cell and atoms"
        )
    if len(block) ** 2 > _MAX_QUOTE_STEPS:
        lines = block.splitlines()
        if sum((line.count("'") + line.count('"')) * len(line) for line in lines) > _MAX_QUOTE_STEPS:
            longest = max(map(len, lines))
            raise ReadError(f"{name} has lines of up to {longest} characters with quotes in them: break them")
    return block


def _parse(block, name):
    """The structure of a data block, and remarks."""
    from pymatgen.io.cif import CifParser

    with caught_warnings("always") as caught:
        try:
            # Refined occupancies may sum to a little more than one.
            parser: Any = CifParser.from_str(block, occupancy_tolerance=1 + OCCUPANCY_TOL)
            for data in parser.as_dict().values():
                _check_work(parser, data, name)
                _check_occupancies(data, name)
            structure = parser.parse_structures(primitive=False, on_error="raise")[0]
        except ReadError:
            raise
        except Exception as error:
            raise ReadError(f"pymatgen cannot read {name} ({describe(error.__cause__ or error)})") from error
    for warning in caught:
        if not issubclass(warning.category, UserWarning):  # about code, not about this row
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    remarks = [str(warning.message) for warning in caught if issubclass(warning.category, UserWarning)]
    return structure, [text for text in dict.fromkeys(remarks + parser.warnings) if not _HARMLESS.search(text)]


def _check_work(parser, data, name):
    """Refuse what pymatgen would compare for hours: each atom with each, under every symmetry operation."""
    from pymatgen.io.cif import CifBlock

    lengths = {key: len(values) for key, values in data.items() if isinstance(values, list)}
    n_atoms = max((n for key, n in lengths.items() if key.startswith("_atom_site_")), default=1)
    n_operations = max((n for key, n in lengths.items() if "symop" in key or "equiv_pos" in key), default=0)
    if not n_operations and n_atoms**2 * _MOST_OPERATIONS > MAX_SITES**2:
        n_operations = len(parser.get_symops(CifBlock(data, [], "")))  # those of the space group that it names
    if n_atoms**2 * max(1, n_operations) > MAX_SITES**2:
        raise ReadError(
            f"{name} lists {n_atoms} atoms under {n_operations} symmetry operations, too many to be read in less "
            f"than minutes: at most {MAX_SITES} without any, and {int(MAX_SITES / _MOST_OPERATIONS**0.5)} under "
            f"{_MOST_OPERATIONS}"
        )


def _check_occupancies(data, name):
    """Refuse negative ones: pymatgen leaves such atoms out without a word."""
    values = data.get("_atom_site_occupancy", [])
    for k, value in enumerate(values if isinstance(values, list) else [values]):
        if value.startswith("-") and value.partition("(")[0].strip("-0."):
            raise ReadError(f"{name} has an occupancy of {value}, of the atom in line {k} of its list")
