"""What rows are read from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Source:
    """Where rows come from.

    Attributes
    ----------
    name : str
        Of the file or folder, or of the type.
    what : str
        What its rows are called, for messages.
    read : callable
        Gives an iterator over (name, raw), where ``raw`` is what ``featurize_rows`` takes.
    n_rows : int or None
        How many, if that is known before they are read.
    has_names : bool
        Whether rows have names (else None): a material's id, or the name of a file.
    has_ids : bool
        Whether these are ids of materials, which another source may have too.
    n_test : int
        Rows left out because the table marks them as test data.
    """

    name: str
    what: str
    read: Callable[[], Iterator]
    n_rows: int | None = None
    has_names: bool = False
    has_ids: bool = False
    n_test: int = 0
