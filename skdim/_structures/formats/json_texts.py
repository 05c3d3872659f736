"""JSON of structures: pymatgen, its entries, OPTIMADE, JARVIS, ASE."""

from __future__ import annotations

import json

from ..dicts import KINDS, structure_of_dict, structures_in
from ..errors import ReadError


def is_json(text):
    """Whether a text begins with a JSON object or list."""
    return text.lstrip()[:1] in ("{", "[")


def split_json(text):
    """The structures in it, each as JSON.

    Raises
    ------
    ReadError
        If there is none.
    """
    structures = list(structures_in(_load(text)))
    if not structures:
        raise ReadError(f"the JSON has no structure of {KINDS}")
    return [text] if len(structures) == 1 else (json.dumps(structure) for structure in structures)


def read_json(text):
    """Read the first structure.

    Raises
    ------
    ReadError
    """
    value = _load(text)
    for structure in structures_in(value):
        return structure_of_dict(structure)
    if isinstance(value, dict):
        return structure_of_dict(value)  # which says what is missing
    raise ReadError(f"the JSON has no structure of {KINDS}")


def _load(text):
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ReadError(f"the text is not valid JSON ({error})") from error
