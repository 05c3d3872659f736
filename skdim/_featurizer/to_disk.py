"""Featurize a source into a store on disk, chunk by chunk, so that a killed run can be resumed."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import shutil
import warnings
from pathlib import Path

import numpy as np

from .._crystals.crystals import Crystals
from .._crystals.index import index_to_json
from .._crystals.store import HEADER
from .._shared.files import as_json, refuse_existing
from .._shared.fingerprint import fingerprint
from .._shared.index import index_of
from .._shared.progress import progress
from .._structures.errors import StructureError
from .._structures.row_fingerprint import row_content
from .._structures.source_rows import RAW_TYPES, Text
from .._structures.sources.open_source import open_source
from .chunk_journal import ChunkJournal

#: Maximum number of characters of a chunk: an archive can inflate to any size.
_MAX_TEXT = 2**28


def featurize_to_disk(
    featurize, source, path, *, settings, site_features, chunk_size, identity, overlap=False, verbose=0
):
    """Featurize a source into the new store ``path``; see :meth:`SiteNetFeaturizer.transform_to_disk`.

    Parameters
    ----------
    featurize : callable
        Called with rows and the position of the first one; returns an iterable of FeaturizedRows.
    source, path, chunk_size
        As in ``transform_to_disk``.
    settings, site_features
        For the header of the store.
    identity : dict
        What else must be equal for a run to be resumed.
    overlap : bool, default=False
        Whether ``featurize`` works in other processes, which then begin a chunk while this one reads the next chunk
        and writes the last one.
    verbose : int, default=0
        1 shows a progress bar, or lines in a log file.

    Returns
    -------
    Crystals
        Memory-mapped.
    """
    index = index_of(source)
    if index is not None:
        index_to_json(index)  # raises an error now, not after all the work, if the index cannot be saved
    path, source = Path(path), open_source(source)
    work = path.parent / f".{path.name}.partial"
    if (path / HEADER).exists():
        shutil.rmtree(work, ignore_errors=True)  # left if a run was killed in its last step
        raise FileExistsError(
            f"{path} exists and is complete: open it with Crystals.load({str(path)!r}, mmap_mode='r'); to featurize "
            "again, remove it first"
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
                    f"{source.name} differs from that of the run in {work}: rows {first} to {first + n - 1} have "
                    "changed. Pass the original source to resume it, or remove that folder to start again"
                )
            first += n
            bar.update(n)
        chunks = iter(lambda: _take(rows, chunk_size, _MAX_TEXT), ([], []))
        for ids, raws, results in (_overlapping if overlap else _in_turn)(chunks, featurize, first):
            try:
                parts = (
                    (Crystals(part.columns, site_features, settings), part.errors, part.warnings) for part in results
                )
                journal.append(ids, _digest(ids, raws), parts)
            except StructureError as error:
                error.name = error.name or ids[error.row - first]
                if first:
                    error.add_note(
                        f"The {first} rows before it are saved in {work}; a run with on_error='warn' resumes there"
                    )
                raise
            first += len(raws)
            bar.update(len(raws))
        if not first:
            raise ValueError(f"{source.name} contains no {source.what}")
        n_warnings, warning = journal.complete(path, site_features, settings, index)
    if n_warnings:
        row, name, formula, text = warning
        warnings.warn(
            f"{n_warnings} of {first} structures were read with a warning, see {path / 'warnings.csv'}. The first: "
            f"{StructureError(row, formula, text, name)}",
            stacklevel=3,
        )
    return Crystals.load(path, mmap_mode="r")


def _in_turn(chunks, featurize, first):
    """Names, rows and results of each chunk."""
    for ids, raws in chunks:
        yield ids, raws, _results(featurize, raws, first)
        first += len(raws)


def _overlapping(chunks, featurize, first):
    """As :func:`_in_turn`, but a chunk is begun before the results of the one before it are handed over."""
    running = None
    for ids, raws in chunks:  # read while the other processes work on the chunk before
        if running is not None:
            running[2], failed = _wait(running[2])
            if failed:
                break
        begun = [ids, raws, _wait(_results(featurize, raws, first), 1)[0]]
        if running is not None:
            yield running
        running = begun
        first += len(raws)
    if running is not None:
        yield running


def _results(featurize, raws, first):
    yield from featurize(raws, first)


def _wait(results, n=None):
    """Wait for the first ``n`` results, or all; return them, and whether there was an error, which they then raise."""
    done: list = []
    try:
        for result in itertools.islice(results, n):
            done.append(result)
    except StructureError as error:
        return itertools.chain(done, _raise(error)), True
    return itertools.chain(done, results), False


def _raise(error):
    raise error
    yield


def _take(rows, n, max_text=math.inf):
    """Take the next n rows, or fewer once their texts have ``max_text`` characters; return ids and contents."""
    taken: list[tuple] = []
    size = 0
    while len(taken) < n and size < max_text and (row := next(rows, None)):
        taken.append(row)
        size += len(row[1].text) if isinstance(row[1], Text) else 0
    return [row_id for row_id, _ in taken], [raw for _, raw in taken]


def _digest(ids, raws):
    """Hash of some rows."""
    digest = hashlib.sha256()
    for row_id, raw in zip(ids, raws, strict=True):
        if isinstance(raw, RAW_TYPES):
            parts = [part if isinstance(part, str) else np.asarray(part).tobytes() for part in raw]
            row_digest = hashlib.sha256(type(raw).__name__.encode())
            for part in parts:
                part = part.encode(errors="surrogatepass") if isinstance(part, str) else part
                row_digest.update(len(part).to_bytes(8, "big") + part)
            content = row_digest.hexdigest()
        else:
            content = fingerprint(row_content(raw))
        digest.update(json.dumps([row_id, content]).encode() + b"\n")
    return digest.hexdigest()
