"""Read tables of crystals in matminer's format (JSON, mostly gzipped), row by row and without executing code.

The format is pandas' ``{"index": [...], "columns": [...], "data": [[...], ...]}``, with structures as pymatgen's
``Structure.as_dict()``. monty would import any module that ``"@module"`` names and call any class. This reader only
takes numbers and symbols of a Structure, and checks them. matminer's reader keeps the whole text, its objects and the
structures in memory; this one keeps the text of one row.
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
#: Maximum characters of one row. A structure of 10 000 sites has about 4 million.
_MAX_VALUE = 2**26
#: Maximum ratio of compression: crystals have 5 to 10; a much larger ratio is an attack on the memory.
_MAX_RATIO = 100


def read_table(path):
    """Read a table of crystals.

    Parameters
    ----------
    path : Path
        JSON file, optionally gzipped.

    Returns
    -------
    dict of str to list
        Columns with strings, numbers, booleans, None and Structures. Structures keep oxidation states, but no other
        properties (charges, magnetic moments).

    Raises
    ------
    ValueError
        If the file is not such a table; the message names the file and the row.
    """
    try:
        with open(path, "rb") as file, _open_text(file) as text:
            return _columns(_Scanner(text.read))
    except (ValueError, RecursionError, EOFError, gzip.BadGzipFile, zlib.error) as error:
        # The position in a JSONDecodeError is relative to the last piece read, and useless.
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
            raise ValueError(f"its key {key!r} is repeated or not a string")
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
        raise ValueError('it needs the keys "columns" (a list of names) and "data"')
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
        raise ValueError("a list instead of a number, a string or a structure")
    return value


def _structure(raw):
    """Build a Structure from numbers and symbols of a dict."""
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
        raise ValueError("the structure has no sites, or a site is not an object")
    coords = _numbers([_part(site, "abc", list) for site in sites], (len(sites), 3), "coordinates")
    return Structure(Lattice(matrix, pbc=tuple(pbc)), [_species(site) for site in sites], coords)


def _species(site):
    """Element or Species of a site, or a dict of occupancies."""
    from pymatgen.core import Element, Species

    shares: dict[Any, float] = {}
    for entry in _part(site, "species", list):
        if not isinstance(entry, dict):
            raise ValueError("a site's species is not an object")
        symbol, occupancy, charge = entry.get("element"), entry.get("occu"), entry.get("oxidation_state")
        if not isinstance(symbol, str) or not Element.is_valid_symbol(symbol):
            raise ValueError(f"a site has {symbol!r}, which is not an element")
        if not _is_number(occupancy) or not 0 < occupancy <= 1:
            raise ValueError(f"a site has the occupancy {occupancy!r} of {symbol}")
        if charge is not None and not _is_number(charge):
            raise ValueError(f"a site has {symbol} in the oxidation state {charge!r}")
        species = Element(symbol) if charge is None else Species(symbol, charge)
        shares[species] = shares.get(species, 0) + occupancy
    if not shares or sum(shares.values()) > 1 + 1e-6:
        raise ValueError("a site is empty, or its occupancies sum to more than 1")
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
    """Parses JSON value by value, from text that is read in pieces."""

    def __init__(self, read):
        self._read, self._text, self._at = read, "", 0
        self._decode = json.JSONDecoder().raw_decode

    def peek(self):
        """The next character that is not white space; empty at the end."""
        while True:
            self._at = _SPACE.match(self._text, self._at).end()  # type: ignore[union-attr]  # an empty string matches, too
            if self._at < len(self._text) or not self._more():
                return self._text[self._at : self._at + 1]

    def expect(self, character):
        if self.peek() != character:
            raise ValueError(f"{character!r} is missing, or the file is truncated")
        self._at += 1

    def expect_end(self):
        if self.peek():
            raise ValueError("there is text after its end")

    def value(self):
        """Decode one value, reading as many pieces as necessary."""
        if not self.peek():
            raise ValueError("it is truncated")
        while True:
            try:
                value, end = self._decode(self._text, self._at)
            except json.JSONDecodeError:
                # Invalid or incomplete: double the amount read each time, so that long values take linear time.
                if len(self._text) - self._at > _MAX_VALUE or not self._more():
                    raise
                continue
            if end == len(self._text) and self._more():  # a number may continue
                continue
            self._at = end
            return value

    def _more(self):
        piece = self._read(max(_CHUNK, len(self._text) - self._at))
        self._text, self._at = self._text[self._at :] + piece, 0
        return bool(piece)


def _open_text(file):
    """Open a file as text, decompressing gzip."""
    is_gzip = file.read(2) == b"\x1f\x8b"
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    raw = io.BufferedReader(_Limited(gzip.GzipFile(fileobj=file), _MAX_RATIO * size + _CHUNK)) if is_gzip else file
    return io.TextIOWrapper(raw, encoding="utf-8")


class _Limited(io.RawIOBase):
    """Raises ValueError after a maximum number of bytes."""

    def __init__(self, raw, limit):
        self._raw, self._limit = raw, limit

    def readable(self):
        return True

    def readinto(self, buffer):
        n = self._raw.readinto(buffer)
        if self._raw.tell() > self._limit:
            raise ValueError(f"it decompresses to more than {_MAX_RATIO} times its size")
        return n

    def close(self):
        self._raw.close()
        super().close()
