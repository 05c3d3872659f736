"""Tables of crystals as matminer writes them (JSON, mostly gzipped), read row by row and without executing anything.

Such a table is pandas' ``{"index": [...], "columns": [...], "data": [[...], ...]}``, with the structures as pymatgen's
``Structure.as_dict()``. monty would import whatever module a ``"@module"`` names, and call whatever class; here only
the numbers and the symbols of a Structure are taken out, and checked. matminer's reader holds the whole text, its
objects and the structures at once; here one row is in memory at a time.
"""

from __future__ import annotations

import gzip
import io
import json
import re
import zlib
from typing import Any, TypeGuard

import numpy as np

_SPACE = re.compile(r"[ \t\r\n]*")
_CHUNK = 2**20
#: Characters of one row. A structure of 10 000 sites has some 4 million.
_MAX_VALUE = 2**26
#: Text of crystals shrinks by a factor of 5 to 10. Much more than that is made to fill the memory.
_MAX_RATIO = 100


def read_table(path):
    """Read a table with structures.

    Parameters
    ----------
    path : Path
        Of a JSON file, gzipped or not.

    Returns
    -------
    dict of str to list
        The columns: text, numbers, booleans, None and Structures. Properties of a structure and of its sites (charges,
        magnetic moments) are left out; oxidation states stay.

    Raises
    ------
    ValueError
        If it is anything else; the message names the file, and the row.
    """
    try:
        with open(path, "rb") as file, _open_text(file) as text:
            return _columns(_Scanner(text.read))
    except (ValueError, RecursionError, EOFError, gzip.BadGzipFile, zlib.error) as error:
        # A JSONDecodeError tells of a place in the piece that was just read: that is of no use.
        what = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
        raise ValueError(f"{path} is not a table of crystals: {what}") from error


def _columns(scanner):
    parts: dict[str, Any] = {}
    rows: list = []
    scanner.expect("{")
    while scanner.peek() != "}":
        key = scanner.value()
        scanner.expect(":")
        if not isinstance(key, str) or key in parts:
            raise ValueError(f"its part {key!r} comes twice, or has no name")
        if key == "data":
            parts[key] = None
            for raw in _rows(scanner):
                rows.append(_row(raw, len(rows)))
        else:
            parts[key] = scanner.value()
        if scanner.peek() != "}":
            scanner.expect(",")
    scanner.expect("}")
    scanner.expect_end()
    names = parts.get("columns")
    if "data" not in parts or not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError('it needs the parts "columns" (a list of names) and "data"')
    if len(set(names)) != len(names):
        raise ValueError(f"its column names are not unique: {names}")
    for k, row in enumerate(rows):
        if len(row) != len(names):
            raise ValueError(f"row {k} has {len(row)} values for the {len(names)} columns {names}")
    return {name: [row[k] for row in rows] for k, name in enumerate(names)}


def _rows(scanner):
    scanner.expect("[")
    while scanner.peek() != "]":
        yield scanner.value()
        if scanner.peek() != "]":
            scanner.expect(",")
    scanner.expect("]")


def _row(raw, k):
    if not isinstance(raw, list):
        raise ValueError(f"row {k} is not a list")
    try:
        return [_structure(value) if isinstance(value, dict) else _plain(value) for value in raw]
    except ValueError as error:
        raise ValueError(f"row {k}: {error}") from error


def _plain(value):
    if isinstance(value, list):
        raise ValueError("a list where a number, a text or a structure should stand")
    return value


def _structure(raw):
    """Build the Structure of a dict, of which nothing but numbers and symbols is used."""
    from pymatgen.core import Lattice, Structure

    module, name = raw.get("@module"), raw.get("@class")
    if name != "Structure" or module not in ("pymatgen.core.structure", "pymatgen.core"):
        raise ValueError(f"an object of class {name!r} from {module!r}; only pymatgen's Structure is read")
    lattice, sites = _part(raw, "lattice", dict), _part(raw, "sites", list)
    matrix = _numbers(_part(lattice, "matrix", list), (3, 3), "lattice matrix")
    pbc = lattice.get("pbc", [True] * 3)
    if not isinstance(pbc, list) or len(pbc) != 3 or not all(isinstance(axis, bool) for axis in pbc):
        raise ValueError(f"the lattice's pbc is {pbc!r}, not three booleans")
    if not sites or not all(isinstance(site, dict) for site in sites):
        raise ValueError("the structure has no sites, or some that are not objects")
    coords = _numbers([_part(site, "abc", list) for site in sites], (len(sites), 3), "coordinates")
    return Structure(Lattice(matrix, pbc=tuple(pbc)), [_species(site) for site in sites], coords)


def _species(site):
    """What is on a site: an Element or a Species, or a dict of their occupancies."""
    from pymatgen.core import Element, Species

    shares: dict[Any, float] = {}
    for entry in _part(site, "species", list):
        if not isinstance(entry, dict):
            raise ValueError("a site's species is not an object")
        symbol, occupancy, charge = entry.get("element"), entry.get("occu"), entry.get("oxidation_state")
        if not isinstance(symbol, str) or not Element.is_valid_symbol(symbol):
            raise ValueError(f"a site has {symbol!r}, which is no element")
        if not _is_number(occupancy) or not 0 < occupancy <= 1:
            raise ValueError(f"a site has the occupancy {occupancy!r} of {symbol}")
        if charge is not None and not _is_number(charge):
            raise ValueError(f"a site has {symbol} in the oxidation state {charge!r}")
        species = Element(symbol) if charge is None else Species(symbol, charge)
        shares[species] = shares.get(species, 0) + occupancy
    if not shares or sum(shares.values()) > 1 + 1e-6:
        raise ValueError("a site is empty, or has occupancies of more than 1 together")
    return next(iter(shares)) if list(shares.values()) == [1] else shares


def _part(mapping, key, kind):
    value = mapping.get(key)
    if not isinstance(value, kind):
        raise ValueError(f"the structure lacks {key!r}, or has a {type(value).__name__} for it")
    return value


def _is_number(value) -> TypeGuard[float]:
    return type(value) in (int, float) and abs(value) < float("inf")


def _numbers(values, shape, what):
    try:
        array = np.array(values)
    except ValueError:  # ragged
        array = np.array(None)
    if array.dtype.kind not in "iuf" or array.shape != shape or not np.isfinite(array).all():
        raise ValueError(f"the {what} must be finite numbers of shape {shape}")
    return array.astype(np.float64)


class _Scanner:
    """JSON, value by value, from text that comes in pieces."""

    def __init__(self, read):
        self._read, self._text, self._at = read, "", 0
        self._decode = json.JSONDecoder().raw_decode

    def peek(self):
        """The next character that is not white space; empty at the end."""
        while True:
            self._at = _SPACE.match(self._text, self._at).end()  # type: ignore[union-attr]  # none is a match, too
            if self._at < len(self._text) or not self._more():
                return self._text[self._at : self._at + 1]

    def expect(self, character):
        if self.peek() != character:
            raise ValueError(f"{character!r} is missing, or the file ends early")
        self._at += 1

    def expect_end(self):
        if self.peek():
            raise ValueError("something follows its end")

    def value(self):
        """Decode one value, however many pieces it takes."""
        if not self.peek():
            raise ValueError("it ends early")
        while True:
            try:
                value, end = self._decode(self._text, self._at)
            except json.JSONDecodeError:
                # Broken, or not all there yet: each time twice as much is read, so that a long value takes no longer.
                if len(self._text) - self._at > _MAX_VALUE or not self._more():
                    raise
                continue
            if end == len(self._text) and self._more():  # a number may go on
                continue
            self._at = end
            return value

    def _more(self):
        piece = self._read(max(_CHUNK, len(self._text) - self._at))
        self._text, self._at = self._text[self._at :] + piece, 0
        return bool(piece)


def _open_text(file):
    """The text of a file, inflated where it is gzipped."""
    is_gzip = file.read(2) == b"\x1f\x8b"
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    raw = io.BufferedReader(_Limited(gzip.GzipFile(fileobj=file), _MAX_RATIO * size + _CHUNK)) if is_gzip else file
    return io.TextIOWrapper(raw, encoding="utf-8")


class _Limited(io.RawIOBase):
    """No more than some number of bytes."""

    def __init__(self, raw, limit):
        self._raw, self._limit = raw, limit

    def readable(self):
        return True

    def readinto(self, buffer):
        n = self._raw.readinto(buffer)
        if self._raw.tell() > self._limit:
            raise ValueError(f"it inflates to more than {_MAX_RATIO} times its size")
        return n

    def close(self):
        self._raw.close()
        super().close()
