"""CIF text: characters outside ASCII, data blocks, and the data names that describe a crystal."""

from __future__ import annotations

import re
from functools import lru_cache

from gemmi import cif

from ..errors import ReadError
from ..limits import MAX_SIZE

#: Characters of one crystal, which take some 20 bytes of memory each. 10 000 sites are a million.
_MAX_BLOCK = 16 * 2**20

_MINUS, _PLUS, _SLASH = "\u2212\u2013\u2014\u2012\u2010\u2011\ufe63\uff0d\u02d7\u207b", "\uff0b\u207a", "\u2044\u2215"
_SPACES = "\u00a0\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))
#: Signs that have one meaning. Any other becomes a "~", which no number, symbol or operation contains: it is refused
#: where it matters, and is never deleted.
_SIGNS = {
    **dict.fromkeys(_MINUS, "-"),
    **dict.fromkeys(_PLUS, "+"),
    **dict.fromkeys(_SLASH, "/"),
    **dict.fromkeys(_SPACES, " "),
    **{chr(0xFF10 + k): str(k) for k in range(10)},
    "\uff0c": ",",
    "\uff0e": ".",
    "\u25a1": "Vac",
}
_FRACTIONS = {
    **{"\u00bd": "1/2", "\u2153": "1/3", "\u2154": "2/3", "\u00bc": "1/4", "\u00be": "3/4", "\u2159": "1/6"},
    **{"\u215a": "5/6", "\u215b": "1/8", "\u215c": "3/8", "\u215d": "5/8", "\u215e": "7/8"},
    **{"\u2155": "1/5", "\u2156": "2/5", "\u2157": "3/5", "\u2158": "4/5"},
}
_FRACTION = re.compile(f"([0-9.]?)([{''.join(_FRACTIONS)}])([0-9.]?)")
_OTHER = re.compile("[^\x00-\x7f]")
#: A digit with a bar above, as in the symbols of space groups.
_BARRED = re.compile("([1-6])[\u0304\u0305]")
#: Starts of a line that open or close a text field, or begin a data block.
_STARTS = re.compile(r"^(?:;|[ \t]*data_)", re.MULTILINE | re.IGNORECASE)

#: Data names that are read, in lower case and with "_" for ".".
ATOM_NAMES = {
    f"_atom_site_{name}"
    for name in (
        *("label", "type_symbol", "fract_x", "fract_y", "fract_z", "occupancy", "calc_flag", "symmetry_multiplicity"),
        *("attached_hydrogens", "disorder_group", "disorder_assembly"),
    )
}
OPERATION_NAMES = (
    "_space_group_symop_operation_xyz",
    "_symmetry_equiv_pos_as_xyz",
    "_space_group_symop_operation_xyz_",
    "_symmetry_equiv_pos_as_xyz_",
)
_TABLES = "bns", "og", "uni"
MAGNETIC_NAMES = "_space_group_symop_magn_operation_xyz", "_space_group_symop_magn_centering_xyz"
MAGNETIC_GROUP_NAMES = tuple(f"_space_group_magn_{kind}_{source}" for kind in ("name", "number") for source in _TABLES)
HALL_NAMES = "_space_group_name_hall", "_symmetry_space_group_name_hall"
SYMBOL_NAMES = (
    "_space_group_name_h-m_alt",
    "_symmetry_space_group_name_h-m",
    "_space_group_name_h-m_full",
    "_space_group_name_h-m",
    "_symmetry_space_group_name_h-m_alt",
)
NUMBER_NAMES = "_space_group_it_number", "_symmetry_int_tables_number", "_symmetry_it_number"
_NAMES = {
    *ATOM_NAMES,
    *OPERATION_NAMES,
    *MAGNETIC_NAMES,
    *HALL_NAMES,
    *SYMBOL_NAMES,
    *NUMBER_NAMES,
    "_space_group_it_coordinate_system_code",
    *(f"_cell_length_{axis}" for axis in "abc"),
    *(f"_cell_angle_{angle}" for angle in ("alpha", "beta", "gamma")),
    "_cell_volume",
    "_cell_formula_units_z",
    "_cell_modulation_dimension",
    *MAGNETIC_GROUP_NAMES,
    "_chemical_formula_sum",
    "_chemical_formula_weight",
    "_exptl_crystal_density_diffrn",
    "_atom_type_symbol",
    "_atom_type_oxidation_number",
    "_atom_site_cartn_x",
}


def looks_like_cif(text):
    """Whether a text has what every CIF of a crystal has: a data block and the length of an edge."""
    lower = text.lower()
    return "data_" in lower and _has(lower, "_cell", "length")


def _has(lower, category, name):
    return f"{category}_{name}" in lower or f"{category}.{name}" in lower


def crystal_blocks(text):
    """Split CIF text into its data blocks with a cell and atoms.

    Parameters
    ----------
    text : str

    Returns
    -------
    list of str
        In their order; each begins with ``data_``.

    Raises
    ------
    ReadError
        If there are none, or the text is too large.
    """
    if len(text) > MAX_SIZE:
        raise ReadError(f"it has more than {MAX_SIZE // 2**20} million characters, which no CIF of a crystal has")
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    starts, inside_field = [], False
    for start in _STARTS.finditer(text):
        if start.group() == ";":
            inside_field = not inside_field
        elif not inside_field:
            starts.append(start.start())
    blocks = [text[begin:end] for begin, end in zip(starts, [*starts[1:], len(text)], strict=False)]
    blocks = [block for block in blocks if _has_crystal(block.lower())]
    if not blocks:
        missing = ": it is not CIF (which has 'data_' and '_cell_length' in it)"
        hint = "" if looks_like_cif(text) else missing
        raise ReadError(f"it has no data block with both a cell and atoms{hint}")
    return blocks


def _has_crystal(lower):
    return _has(lower, "_cell", "length") and _has(lower, "_atom_site", "")


def tags_of(block):
    """Parse one data block.

    Parameters
    ----------
    block : str
        From ``crystal_blocks``.

    Returns
    -------
    Tags

    Raises
    ------
    ReadError
        If it is too large, or not CIF; it names the line.
    """
    if len(block) > _MAX_BLOCK:
        raise ReadError(
            f"the crystal in it takes {len(block) / 2**20:.0f} million characters, more than {_MAX_BLOCK // 2**20}: "
            "leave out what is not about its cell and atoms"
        )
    try:
        document = cif.read_string(block if block.isascii() else _as_ascii(block), 0)
    except (ValueError, RuntimeError) as error:
        raise ReadError(_syntax(str(error))) from None
    return Tags(document[0])


def _syntax(message):
    """The parser's message with the number of the line."""
    match = re.match(r"string:(\d+)(?::\d+\(\d+\))?(?: in [^:]*)?: (.*)", message, re.DOTALL)
    if not match:
        return f"it is not valid CIF ({message})"
    return f"line {match[1]} after the start of its data block is not valid CIF ({match[2]}); correct or remove it"


def _as_ascii(text):
    text = _BARRED.sub(r"-\1", text)
    # Next to a digit, a fraction has no meaning that is certain: 1 1/2, or 11/2.
    text = _FRACTION.sub(lambda m: m[1] + (_FRACTIONS[m[2]] if not (m[1] or m[3]) else "~") + m[3], text)
    return _OTHER.sub(lambda m: _SIGNS.get(m[0], "~"), text)


class Tags:
    """Values of the data names that describe a crystal; names in lower case, with "_" for ".".

    Parameters
    ----------
    block : gemmi.cif.Block
    """

    def __init__(self, block):
        self._columns: dict[str, tuple[int, list]] = {}
        for number, item in enumerate(block):
            pair, loop = item.pair, item.loop
            if pair is not None:
                name = _plain(pair[0])
                if name in _NAMES:
                    self._add(name, number, [pair[1]])
            elif loop is not None:
                tags = [_plain(tag) for tag in loop.tags]
                if not _NAMES.isdisjoint(tags):
                    values, width = loop.values, len(tags)
                    for k, tag in enumerate(tags):
                        if tag in _NAMES:
                            self._add(tag, number, values[k::width])

    def _add(self, name, number, values):
        if "" in values:
            raise ReadError(f"{name} has no value: add it, or remove the name")
        earlier = self._columns.setdefault(name, (number, values))[1]
        if earlier is not values and earlier != values:
            raise ReadError(f"{name} is given twice, with different values: remove one of them")

    def column(self, name):
        """All values of a name, as text; None where the name is missing. ``?`` and ``.`` are None."""
        entry = self._columns.get(name)
        return None if entry is None else [_text(value) for value in entry[1]]

    def first(self, *names):
        """The first name that has a value, and the value; ``(None, None)`` if there is none."""
        for name in names:
            for value in self.column(name) or ():
                if value is not None and value.strip():
                    return name, value.strip()
        return None, None

    def operations(self, *names):
        """The first list of operations that has values; if there is another one, it must be the same."""
        first: tuple = ()
        for name in names:
            if name not in self._columns:
                continue
            values = _texts(tuple(self._columns[name][1]))
            if len(values) > 1 and None in values:
                raise ReadError(f"{name} has no value in row {values.index(None) + 1}: list all operations")
            values = tuple(value for value in values if value is not None and value.strip())
            if first and values and sorted(first) != sorted(values):
                raise ReadError(f"it has two lists of symmetry operations, the second as {name}: remove one of them")
            first = first or values
        return first

    def check_atoms(self):
        """Refuse columns of atoms that do not belong to one list."""
        numbers = {self._columns[name][0] for name in ATOM_NAMES & self._columns.keys()}
        lengths = {len(self._columns[name][1]) for name in ATOM_NAMES & self._columns.keys()}
        if lengths == {1} or (len(numbers) == 1 and len(lengths) == 1):
            return
        if numbers:
            raise ReadError("its _atom_site_ columns are in different loops: put them into one")


@lru_cache(maxsize=4096)
def _plain(tag):
    return tag.lower().replace(".", "_").replace("name_h_m", "name_h-m")


@lru_cache(maxsize=256)
def _texts(values):
    return tuple(_text(value) for value in values)


def _text(value):
    if value in (".", "?"):
        return None
    return cif.as_string(value) if value[0] in "'\";" else value
