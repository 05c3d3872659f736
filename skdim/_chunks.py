"""Featurizing in bulk: chunk by chunk to disk, so that a run that was killed goes on where it was."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import warnings
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed

from ._columns import featurize_rows
from ._crystals import Crystals
from ._sources import FlatStructure
from ._version import __version__


def featurize_in_chunks(rows, folder, featurizer, *, chunk_size=1000, verbose=0):
    """Featurize many structures, saving each chunk of them as soon as it is done.

    A second call with the same rows and settings reads the chunks that are there and makes those that are missing.

    Parameters
    ----------
    rows : list
        What :meth:`SiteNetFeaturizer.transform` takes, or :class:`FlatStructure`; these become structures only in the
        process that featurizes them.
    folder : str or Path
        For the chunks, each a saved :class:`Crystals`. Its name is a fingerprint of its rows and of the settings.
    featurizer : SiteNetFeaturizer
        Its ``n_jobs`` processes share the chunks. Rows that cannot be featurized stay, empty, as with
        ``on_error="warn"``.
    chunk_size : int, default=1000
    verbose : int, default=0
        1 shows a progress bar.

    Returns
    -------
    Crystals of shape (n_rows,)
    """
    from tqdm import tqdm

    featurizer.fit(rows)
    settings = featurizer._settings()
    options = {**settings, "guess_time_limit": featurizer.guess_time_limit, "keep_errors": True}
    head = {"settings": settings, "features": featurizer._checked_features()}
    chunks = {}
    for start in range(0, len(rows), chunk_size):
        chunk = rows[start : start + chunk_size]
        # The first row, as messages of rows that fail have their numbers.
        name = _fingerprint(chunk, {**options, **head, "first_row": start, "skdim": __version__})
        chunks[Path(folder) / f"chunk-{start:08d}-{name}"] = start, chunk
    missing = {path: job for path, job in chunks.items() if not path.exists()}
    n_missing = sum(len(chunk) for _, chunk in missing.values())
    jobs = Parallel(n_jobs=featurizer.n_jobs, return_as="generator_unordered")(
        delayed(_featurize)(path, start, chunk, options, head) for path, (start, chunk) in missing.items()
    )
    with tqdm(
        total=len(rows), initial=len(rows) - n_missing, desc="featurize", unit="crystal", disable=not verbose
    ) as bar:
        for n in jobs:
            bar.update(n)
    return Crystals.concatenate(Crystals.load(path) for path in chunks)


def first_of_each(crystals, ids=None):
    """Which rows repeat none before them, boolean ndarray of shape (n,).

    A row repeats another if it has the same id, or if the networks see exactly the same in both.

    Parameters
    ----------
    crystals : Crystals of shape (n,)
    ids : sequence of length n, default=None
        None where a row has no id.
    """
    seen, seen_ids = set(), {None}
    first = np.zeros(len(crystals), dtype=bool)
    for row, content in enumerate(_contents(crystals)):
        own = None if ids is None else ids[row]
        first[row] = content not in seen and (own is None or own not in seen_ids)
        seen.add(content)
        seen_ids.add(own)
    return first


def _contents(crystals):
    """Fingerprint of what the networks see of each row."""
    lengths = np.diff(crystals.row_offsets)
    for row in range(len(crystals)):
        a, b = (int(crystals.class_offsets[k]) for k in (row, row + 1))
        pairs = slice(int(crystals.row_offsets[a]), int(crystals.row_offsets[b]))
        digest = hashlib.blake2b(digest_size=16)
        for column in (crystals.numbers, crystals.oxidation_states, crystals.multiplicity, lengths):
            digest.update(column[a:b].tobytes())
        for column in (crystals.neighbour, crystals.distance, crystals.count):
            digest.update(column[pairs].tobytes())
        yield digest.digest()


def _featurize(path, start, chunk, options, head):
    """Featurize one chunk and save it; returns its length."""
    raws = [raw.to_structure() if isinstance(raw, FlatStructure) else raw for raw in chunk]
    with warnings.catch_warnings():
        # Remarks on single CIF files, of which there may be a hundred thousand. What fails is in errors_.
        warnings.simplefilter("ignore")
        columns, errors = featurize_rows(raws, start, options)
    Crystals(columns, head["features"], head["settings"], errors).save(path)
    return len(chunk)


def _fingerprint(rows, head):
    digest = hashlib.sha256(json.dumps(head, sort_keys=True).encode())
    for raw in rows:
        if isinstance(raw, FlatStructure):
            parts = [np.ascontiguousarray(part).tobytes() for part in raw]
        elif isinstance(raw, os.PathLike):
            parts = [os.fsencode(raw.name), Path(raw).read_bytes()]
        elif isinstance(raw, dict):
            parts = [json.dumps(raw, sort_keys=True, default=repr).encode()]
        else:
            parts = [raw.encode() if isinstance(raw, str) else pickle.dumps(raw, protocol=4)]
        for part in parts:
            digest.update(len(part).to_bytes(8, "little"))
            digest.update(part)
    return digest.hexdigest()[:20]
