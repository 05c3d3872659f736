"""Pre-train the weights included in skdim, or your own, on tables, databases, folders and archives of crystals.

A table (*.parquet) has one row per crystal: lattice (9 numbers, row-major, angstrom), species (atomic numbers) and
frac_coords (3 numbers a site); or a column "cif" or "structure" with CIF texts or pymatgen dicts. It may have an id or
material_id, and a split: rows with split "test" are never used. Databases (*.db) are those of ASE. Folders and
archives are searched for files of structures.

The work folder holds featurized crystals, and the state of the training after every epoch. To resume a killed run,
run the same command; the weights will be the same. Memory use is constant.
"""

import argparse
import hashlib
import json
import shlex
import sys
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.base import clone

from skdim import PAPER_SITE_FEATURES, Crystals, DeepInfoMaxEmbedder, SiteNetFeaturizer, __version__
from skdim._crystals.blocks import blocks
from skdim._crystals.duplicates import first_occurrences
from skdim._crystals.store import write_store
from skdim._embedder.weights_folder import DEFAULT_WEIGHTS
from skdim._structures.sources.open_source import open_source
from skdim.model_selection import formula_split

LICENCE = "not stated"


def main(argv=None):
    args = parse(argv)
    if args.output.exists():
        raise SystemExit(f"{args.output} exists: remove it first, or give another --output")
    train, valid, sources = load(args)
    if args.paper:
        train, valid = (crystals.with_site_features(PAPER_SITE_FEATURES) for crystals in (train, valid))
    if min(len(train), len(valid)) < 2:
        raise SystemExit(f"{len(train)} crystals to train on and {len(valid)} held out: at least 2 of each are needed")
    print(f"{len(train)} crystals to train on; {len(valid)} of other formulas are held out", flush=True)

    make = DeepInfoMaxEmbedder.paper if args.paper else DeepInfoMaxEmbedder
    embedder = make(
        **{**args.params, **({} if args.epochs is None else {"max_epochs": args.epochs})},
        random_state=args.seed,
        checkpoint=args.work / "training.pt",
        device=args.device,
        n_jobs=args.threads,
        verbose=1,
    )
    try:
        embedder.fit(train)
    except KeyboardInterrupt as interrupt:
        raise SystemExit(f"{str(interrupt) or 'training was interrupted'}; the same command resumes it") from None
    untrained = clone(embedder).set_params(max_epochs=0, checkpoint=None, verbose=0).fit(train)
    loss, untrained_loss = -embedder.score(valid), -untrained.score(valid)
    print(f"held-out loss: {loss:.4f} pre-trained, {untrained_loss:.4f} untrained")

    metadata = {
        "data": args.data_description or ", ".join(source["name"] for source in sources),
        "licence": args.licence,
        "held_out_loss": loss,
        "untrained_held_out_loss": untrained_loss,
        "n_held_out": len(valid),
        "held_out": f"skdim.model_selection.formula_split(X, test_size={args.held_out}, salt={args.salt!r})",
        "sources": sources,
        "command": command(args),
    }
    embedder.save_pretrained(args.output, metadata=metadata)
    size = sum(file.stat().st_size for file in args.output.iterdir())
    print(f"{args.output}: {size / 1e6:.2f} MB")


def parse(argv):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="+", type=Path, metavar="DATA", help="table, database, folder or archive")
    parser.add_argument("--epochs", type=int, help="number of epochs (default: that of the embedder)")
    parser.add_argument("--seed", type=int, default=0, help="random seed (default: %(default)s)")
    parser.add_argument("--paper", action="store_true", help="the paper's settings, on its eight site features")
    parser.add_argument(
        "--params", type=json.loads, default={}, metavar="JSON", help="further parameters: '{\"n_components\": 128}'"
    )
    parser.add_argument(
        "--max-sites", type=int, default=50, help="leave out larger primitive cells (default: %(default)s)"
    )
    parser.add_argument(
        "--held-out", type=float, default=0.05, help="fraction of the formulas to hold out (default: %(default)s)"
    )
    parser.add_argument(
        "--leave-out", type=Path, metavar="FILE", help="text file of reduced formulas, one a line, that are never used"
    )
    parser.add_argument("--salt", default="", help="use another text to hold out other formulas")
    parser.add_argument("--jobs", type=int, default=-1, help="processes that featurize (default: all cores)")
    parser.add_argument("--threads", type=int, default=1, help="training threads (default: %(default)s)")
    parser.add_argument("--device", default="auto", help="device for training (default: %(default)s)")
    parser.add_argument(
        "--chunk-size", type=int, default=1000, help="crystals to featurize and save at a time (default: %(default)s)"
    )
    parser.add_argument(
        "--work", type=Path, default=Path("weights_work"), help="folder of intermediate results (default: %(default)s)"
    )
    parser.add_argument(
        "--output", type=Path, default=DEFAULT_WEIGHTS, help="output folder (default: skdim/weights/default)"
    )
    parser.add_argument("--data-description", default="", help="description of the crystals, for config.json")
    parser.add_argument("--licence", default=LICENCE, help="licence of the data, for config.json")
    return parser.parse_args(argv)


def load(args):
    """Training and held-out crystals without failures and duplicates, and an entry of metadata for each source.

    The crystals are in stores in the work folder, memory-mapped.
    """
    parts, entries = [], []
    for path in args.data:
        X, ids, entry = featurized(path, args)
        parts.append((X, ids))
        entries.append(entry)
    first = first_occurrences(parts)
    n_repeated = sum(np.sum(~mask & ~X.failed) for mask, (X, _) in zip(first, parts, strict=True))
    print(f"{n_repeated} duplicates left out (same id or same content)", flush=True)
    chosen = {"train": [], "held-out": []}
    left_out = set(args.leave_out.read_text(encoding="utf-8").split()) if args.leave_out else set()
    for entry, mask, (X, _) in zip(entries, first, parts, strict=True):
        rows = np.flatnonzero(mask)
        if left_out:
            formulas = [formula for block in blocks(X, rows) for formula in block.formulas]
            used = np.array([formula not in left_out for formula in formulas], dtype=bool)
            entry["n_formula_left_out"] = int(np.sum(~used))
            print(
                f"{entry['name']}: {entry['n_formula_left_out']} crystals of formulas in {args.leave_out.name} left out"
            )
            rows = rows[used]
        entry["n_used"] = len(rows)
        split = [formula_split(block, test_size=args.held_out, salt=args.salt) for block in blocks(X, rows)]
        held_out = np.concatenate([np.zeros(0, dtype=bool), *split])
        for name, subset in (("train", rows[~held_out]), ("held-out", rows[held_out])):
            chosen[name].append((X, subset))
    key = key_of([args.held_out, args.salt, args.max_sites, sorted(left_out), [entry["sha256"] for entry in entries]])
    return *(stored(args.work / f"{name}-{key}", partial(write_store, some)) for name, some in chosen.items()), entries


def featurized(path, args):
    """Crystals of a source, the ids of its materials if it has them, and its entry of metadata."""
    source, digest = open_source(path, without_test=True), fingerprint(path)
    n_rows = "" if source.n_rows is None else f"{source.n_rows} crystals, "
    print(f"{source.name}: {n_rows}{source.n_test} test rows left out", flush=True)
    featurizer = SiteNetFeaturizer(max_sites=args.max_sites, n_jobs=args.jobs, on_error="warn", verbose=1)
    store = args.work / f"{source.name}-{key_of([args.max_sites, digest])}"
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".* could not be featurized")  # listed below
        X = stored(store, lambda path: featurizer.transform_to_disk(source, path, chunk_size=args.chunk_size))
    failures = pd.read_csv(store / "failures.csv", dtype=str, keep_default_na=False)
    for row, row_id, why in failures[["row", "id", "reason"]].head(3).itertuples(index=False):
        print(f"  failed: {row_id or f'row {row}'}: {why}")
    if X.errors_:
        print(f"  {len(X.errors_)} rows failed in all")
    ids = None
    if source.has_ids:
        ids = pd.read_csv(store / "ids.csv", dtype=str, keep_default_na=False)["id"].tolist()
    entry = {
        "name": source.name,
        "sha256": digest,
        "n_rows": len(X),
        "n_test_left_out": source.n_test,
        "n_failed": len(X.errors_),
    }
    return X, ids, entry


def stored(path, make):
    """The store that ``make`` writes, or that an earlier run wrote."""
    if not path.exists():
        make(path)
    return Crystals.load(path, mmap_mode="r")


def key_of(what):
    """A short hash of some settings."""
    return hashlib.sha256(json.dumps([what, __version__]).encode()).hexdigest()[:12]


def fingerprint(path):
    """SHA-256 of a file, or of all CIF files in a folder."""
    digest = hashlib.sha256()
    for file in sorted(path.rglob("*.cif")) if path.is_dir() else [path]:
        with file.open("rb") as content:
            digest.update(hashlib.file_digest(content, "sha256").digest())
    return digest.hexdigest()


def command(args):
    """The command that reproduces these weights, without folders."""
    words = ["python", "tools/train_weights.py", *(path.name for path in args.data)]
    for name in ("epochs", "seed", "max_sites", "held_out", "salt"):
        value = getattr(args, name)
        if value not in (None, ""):
            words += [f"--{name.replace('_', '-')}", str(value)]
    if args.leave_out:
        words += ["--leave-out", args.leave_out.name]
    if args.paper:
        words.append("--paper")
    if args.params:
        words += ["--params", json.dumps(args.params)]
    return shlex.join(words)


if __name__ == "__main__":
    sys.exit(main())
