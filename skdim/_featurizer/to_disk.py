"""Featurizing to disk: chunk by chunk into a store, so that a run that was killed goes on where it was."""

from __future__ import annotations

import hashlib
import json
import math
import shutil
import warnings
from pathlib import Path

import numpy as np

from .._crystals.crystals import Crystals
from .._crystals.store import HEADER
from .._shared.files import as_json, refuse_existing
from .._shared.fingerprint import fingerprint
from .._shared.index import index_of
from .._shared.progress import progress
from .._structures.errors import StructureError
from .._structures.row_fingerprint import row_content
from .._structures.source_rows import UNLOADED, Text
from .._structures.sources.open_source import open_source
from .chunk_journal import ChunkJournal

#: Characters of CIFs that are held at a time: an archive may inflate without end.
_MOST_TEXT = 2**28


def featurize_to_disk(featurize, source, path, *, settings, site_features, chunk_size, identity, verbose=0):
    """Featurize a source into the new store ``path``; see :meth:`SiteNetFeaturizer.transform_to_disk`.

    Parameters
    ----------
    featurize : callable
        Given rows and the position of the first, returns a list of what ``featurize_rows`` returns.
    source, path, chunk_size
        As there.
    settings, site_features
        For the header of the store.
    identity : dict
        Whatever else a run must share with one that it goes on with.
    verbose : int, default=0
        1 shows a progress bar; in a log file, a line now and then.

    Returns
    -------
    Crystals
        Memory-mapped.
    """
    index = index_of(source)
    path, source = Path(path), open_source(source)
    work = path.parent / f".{path.name}.partial"
    if (path / HEADER).exists():
        shutil.rmtree(work, ignore_errors=True)  # what a kill in the last step of a run has left
        raise FileExistsError(
            f"{path} exists, and so is complete: open it with Crystals.load({str(path)!r}, mmap_mode='r'); to "
            "featurize anew, remove it first"
        )
    refuse_existing(path)
    head = as_json({**identity, "settings": settings, "site_features": site_features})
    rows = source.read()
    with (
        ChunkJournal(work, head, names=source.has_names) as journal,
        progress(verbose=verbose, total=source.n_rows, desc="featurize", unit="structure") as bar,
    ):
        first = 0
        for n, expected in journal.chunks:
            ids, raws = _take(rows, n)
            if _digest(ids, raws) != expected:
                raise ValueError(
                    f"{source.name} has changed since the run in {work}: rows {first} to {first + n - 1} are others. "
                    "Pass what it began with, or remove that folder to begin anew"
                )
            first += n
            bar.update(n)
        while (taken := _take(rows, chunk_size, _MOST_TEXT))[1]:
            ids, raws = taken
            try:
                parts = (
                    (Crystals(columns, site_features, settings), errors, remarks)
                    for columns, errors, remarks in featurize(raws, first)
                )
                journal.append(ids, _digest(ids, raws), parts)
            except StructureError as error:
                error.name = error.name or ids[error.row - first]
                if first:
                    error.add_note(f"{first} rows before it are kept in {work}; with on_error='warn' the run goes on")
                raise
            first += len(raws)
            bar.update(len(raws))
        if not first:
            raise ValueError(f"{source.name} holds no {source.what}")
        n_remarks, remark = journal.complete(path, site_features, settings, index)
    if n_remarks:
        row, name, formula, text = remark
        warnings.warn(
            f"{n_remarks} of {first} structures were read with a remark; {path / 'remarks.csv'} has them. The first: "
            f"{StructureError(row, formula, text, name)}",
            stacklevel=3,
        )
    return Crystals.load(path, mmap_mode="r")


def _take(rows, n, most=math.inf):
    """Ids and contents of the next rows: no more once their texts have so many characters."""
    taken: list[tuple] = []
    size = 0
    while len(taken) < n and size < most and (row := next(rows, None)):
        taken.append(row)
        size += len(row[1].text) if isinstance(row[1], Text) else 0
    return [own for own, _ in taken], [raw for _, raw in taken]


def _digest(ids, raws):
    """Fingerprint of some rows."""
    digest = hashlib.sha256()
    for own, raw in zip(ids, raws, strict=True):
        if isinstance(raw, UNLOADED):
            parts = [part if isinstance(part, str) else np.asarray(part).tobytes() for part in raw]
            whole = hashlib.sha256(type(raw).__name__.encode())
            for part in parts:
                part = part.encode(errors="surrogatepass") if isinstance(part, str) else part
                whole.update(len(part).to_bytes(8, "big") + part)
            content = whole.hexdigest()
        else:
            content = fingerprint(row_content(raw))
        digest.update(json.dumps([own, content]).encode() + b"\n")
    return digest.hexdigest()
