"""A labelled table of crystals: training rows, fixed test rows, and cached features."""

import hashlib
import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd
from joblib import Parallel, delayed, effective_n_jobs
from tqdm import tqdm

from skdim import Crystals, SiteNetFeaturizer
from skdim._structures.source_rows import FlatStructure

MAX_SITES = 50
_CHUNK = 250


@dataclass
class Table:
    """Crystals of one file.

    ``X`` Crystals; ``rows`` the same as FlatStructures; ``y`` a DataFrame of targets; ``train`` and ``test`` row
    numbers, the latter at most ``n_test`` in a fixed random order.
    """

    name: str
    X: object
    rows: list
    y: pd.DataFrame
    train: np.ndarray
    test: np.ndarray


def load(path, targets, work, n_test, jobs):
    """Read a Parquet table with columns lattice, species, frac_coords, split and targets; featurize small cells."""
    frame = pd.read_parquet(path)
    frame = frame[frame["species"].map(len) <= MAX_SITES].reset_index(drop=True)
    columns = (frame[name] for name in ("lattice", "species", "frac_coords"))
    rows = [FlatStructure(*row) for row in zip(*columns, strict=True)]
    with path.open("rb") as file:
        store = work / f"{path.stem}-{hashlib.file_digest(file, 'sha256').hexdigest()[:12]}"
    if not store.exists():
        featurizer = SiteNetFeaturizer(max_sites=MAX_SITES, on_error="warn", n_jobs=jobs, verbose=1)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".* could not be featurized")  # the message below counts them
            featurizer.transform_to_disk(rows, store)
    X = Crystals.load(store)
    usable = ~X.failed
    train = np.flatnonzero(usable & (frame["split"] == "train"))
    test = np.random.default_rng(0).permutation(np.flatnonzero(usable & (frame["split"] == "test")))
    print(f"{path.name}: {X!r}; {len(train)} training rows", flush=True)
    return Table(path.stem, X, rows, frame[targets], train, test[:n_test])


def labelled(table, target):
    """Training and test rows that have this label."""
    known = np.isfinite(table.y[target].to_numpy())
    return table.train[known[table.train]], table.test[known[table.test]]


def features_of(table, wanted, name, transformer, work, jobs):
    """A matrix with the features of the wanted rows, NaN in all others; features are cached in the work folder."""
    folder = work / "features"
    folder.mkdir(parents=True, exist_ok=True)
    # Chunks are fixed ranges of rows, independent of which rows are wanted.
    chunks = [np.intersect1d(wanted, np.arange(k, k + _CHUNK)) for k in range(0, len(table.rows), _CHUNK)]
    paths = [folder / f"{table.name}-{name}-{k:04d}.npz" for k in range(len(chunks))]
    jobs = Parallel(effective_n_jobs(jobs), return_as="generator")(
        delayed(_chunk)([table.rows[row] for row in rows], rows, path, transformer)
        for rows, path in zip(chunks, paths, strict=True)
        if len(rows)
    )
    matrix = None
    for rows, values in tqdm(jobs, total=sum(map(bool, map(len, chunks))), desc=name, unit="chunk"):
        if matrix is None:
            matrix = np.full((len(table.rows), values.shape[1]), np.nan, dtype=np.float32)
        matrix[rows] = values
    return matrix


def _chunk(structures, rows, path, transformer):
    done, values = np.zeros(0, dtype=int), None
    if path.exists():
        with np.load(path, allow_pickle=False) as file:
            done, values = file["rows"], file["values"]
    missing = ~np.isin(rows, done)
    if missing.any():
        new = transformer.transform([s.load() for s, needed in zip(structures, missing, strict=True) if needed])
        values = np.concatenate([values, new.astype(np.float32)]) if len(done) else new.astype(np.float32)
        done = np.concatenate([done, rows[missing]])
        half = path.with_suffix(".part.npz")
        np.savez(half, rows=done, values=values)
        half.replace(path)
    place = {row: k for k, row in enumerate(done.tolist())}
    return rows, values[[place[row] for row in rows.tolist()]]
