"""A table of labelled crystals: training rows, fixed test rows, and cached features."""

import hashlib
import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd
from joblib import Parallel, delayed, effective_n_jobs
from tqdm import tqdm

from skdim import Crystals, SiteNetFeaturizer
from skdim._structures.source_rows import FlatStructure

#: Maximum number of sites of a supercell, and of a primitive cell in tables that must be complete.
MAX_SITES, MOST_SITES = 50, 250
_CHUNK = 250


@dataclass
class Table:
    """Crystals of one file.

    ``X`` Crystals; ``rows`` the same as FlatStructures; ``frame`` the other columns; ``train`` and ``test`` row
    numbers, the latter at most ``n_test`` in a fixed random order; ``file_rows`` the row of each crystal in the file,
    which has ``n_file_rows``: larger cells are left out; ``key`` names the content of the file.
    """

    name: str
    X: object
    rows: list
    frame: pd.DataFrame
    train: np.ndarray
    test: np.ndarray
    file_rows: np.ndarray
    n_file_rows: int
    key: str


def load(folder, name, work, jobs, *, n_test=None, complete=False):
    """Read the Parquet table NAME.parquet with the columns lattice, species, frac_coords and split, and featurize it.

    Cells of more than ``MAX_SITES`` sites are left out; in a ``complete`` table they are featurized with supercells of
    at most ``MOST_SITES`` sites.
    """
    path, name = folder / f"{name}.parquet", name.replace("/", "_")
    frame = pd.read_parquet(path)
    n_file_rows = len(frame)
    large = (frame["species"].map(len) > MAX_SITES).to_numpy()
    file_rows = np.arange(len(frame)) if complete else np.flatnonzero(~large)
    frame = frame.iloc[file_rows].reset_index(drop=True)
    columns = (frame[name] for name in ("lattice", "species", "frac_coords"))
    rows = [FlatStructure(*row) for row in zip(*columns, strict=True)]
    with path.open("rb") as file:
        store = work / f"{name}-{hashlib.file_digest(file, 'sha256').hexdigest()[:12]}"
    X = _featurized(rows, store, MAX_SITES, jobs)
    if complete and large.any():
        X = _with_large(X, rows, store, jobs)
    if complete and X.failed.any():
        raise ValueError(f"{path.name}: rows failed to featurize, the first: {next(iter(X.errors_.values()))}")
    usable = ~X.failed
    train = np.flatnonzero(usable & (frame["split"] == "train"))
    test = np.random.default_rng(0).permutation(np.flatnonzero(usable & (frame["split"] == "test")))
    print(f"{name}: {X!r}; {len(train)} training rows", flush=True)
    frame = frame.drop(columns=["lattice", "species", "frac_coords"])
    return Table(name, X, rows, frame, train, test[:n_test], file_rows, n_file_rows, store.name)


def labelled(table, y):
    """Training and test rows that have a label."""
    known = np.isfinite(y)
    return table.train[known[table.train]], table.test[known[table.test]]


def rows_to_learn(table, keep_out):
    """Training rows without the formulas of the file ``keep_out``, in a fixed random order."""
    left_out = set(keep_out.read_text(encoding="utf-8").split())
    rows = table.train[~table.frame["formula"].iloc[table.train].isin(left_out).to_numpy()]
    return np.random.default_rng(0).permutation(rows)


def _featurized(rows, store, max_sites, jobs):
    if not store.exists():
        featurizer = SiteNetFeaturizer(max_sites=max_sites, on_error="warn", n_jobs=jobs, verbose=1)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".* could not be featurized")  # load() counts or refuses them
            featurizer.transform_to_disk(rows, store)
    return Crystals.load(store)


def _with_large(X, rows, store, jobs):
    """Crystals in which rows that failed are featurized again with larger supercells."""
    again = np.flatnonzero(X.failed)
    large = _featurized([rows[row] for row in again], store.with_name(f"{store.name}-large"), MOST_SITES, jobs)
    # Crystals of different settings cannot be joined, as a user's would be a mistake; here it is the intention.
    large.settings = X.settings
    places = np.arange(len(X))
    places[again] = len(X) + np.arange(len(again))
    return Crystals.concatenate([X, large])[places]


def features_of(table, wanted, name, transformer, work, jobs):
    """A matrix with the features of the wanted rows, NaN in all others; features are cached in the work folder."""
    folder = work / "features"
    folder.mkdir(parents=True, exist_ok=True)
    # Chunks are fixed ranges of rows, independent of which rows are wanted.
    chunks = [np.intersect1d(wanted, np.arange(k, k + _CHUNK)) for k in range(0, len(table.rows), _CHUNK)]
    paths = [folder / f"{table.key}-{name}-{k:04d}.npz" for k in range(len(chunks))]
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
