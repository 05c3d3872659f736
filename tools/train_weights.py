"""Pre-train the weights included in skdim, or your own, on tables, databases, folders and archives of crystals.

A table (*.parquet) has one row per crystal: lattice (9 numbers, row-major, angstrom), species (atomic numbers) and
frac_coords (3 numbers a site); or a column "cif" or "structure" with CIF texts or pymatgen dicts. It may have an id or
material_id, and a split: rows with split "test" are never used. Databases (*.db) are those of ASE. Folders and
archives are searched for files of structures.

With --properties, the encoder learns columns of the tables, in addition to the tasks that need no labels or instead of
them; crystals without any of these properties are left out.

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
from sklearn.frozen import FrozenEstimator

from skdim import PAPER_SITE_FEATURES, Crystals, DeepInfoMaxEmbedder, SiteNetFeaturizer, __version__
from skdim._crystals.blocks import blocks
from skdim._crystals.duplicates import first_occurrences
from skdim._crystals.store import write_store
from skdim._embedder.model_card import tasks_of
from skdim._embedder.weights_folder import INCLUDED, INCLUDED_FOLDER
from skdim._structures.sources.open_source import open_source
from skdim.model_selection import formula_split

LICENCE = "not stated"


def main(argv=None):
    args = parse(argv)
    if args.output.exists():
        raise SystemExit(f"{args.output} exists: remove it first, or give another --output")
    (train, Y), (valid, Y_valid), sources = load(args)
    if args.paper:
        train, valid = (crystals.with_site_features(PAPER_SITE_FEATURES) for crystals in (train, valid))
    if min(len(train), len(valid)) < 2:
        raise SystemExit(f"{len(train)} crystals to train on and {len(valid)} held out: at least 2 of each are needed")
    print(f"{len(train)} crystals to train on; {len(valid)} of other formulas are held out", flush=True)

    make = DeepInfoMaxEmbedder.paper if args.paper else DeepInfoMaxEmbedder
    start = None if args.start is None else FrozenEstimator(DeepInfoMaxEmbedder.from_pretrained(args.start))
    embedder = make(
        pretrained=start,
        **{
            **({"property_weight": 1.0} if args.properties else {}),
            **args.params,
            **({} if args.epochs is None else {"max_epochs": args.epochs}),
        },
        random_state=args.seed,
        checkpoint=args.work / f"{args.output.name}.pt",
        device=args.device,
        n_jobs=args.threads,
        verbose=1,
    )
    try:
        embedder.fit(train, Y)
    except KeyboardInterrupt as interrupt:
        raise SystemExit(f"{str(interrupt) or 'training was interrupted'}; the same command resumes it") from None
    held_out = {}
    if embedder.objective is not None or embedder.descriptor_weight or embedder.radial_weight:
        untrained = clone(embedder).set_params(max_epochs=0, checkpoint=None, verbose=0).fit(train, Y)
        held_out = {"held_out_loss": -embedder.score(valid), "untrained_held_out_loss": -untrained.score(valid)}
        loss, untrained_loss = held_out.values()
        print(f"held-out loss: {loss:.4f} pre-trained, {untrained_loss:.4f} untrained")
    if args.properties:
        held_out["held_out_properties"] = property_errors(embedder, valid, Y_valid)

    metadata = {
        "data": args.data_description or ", ".join(source["name"] for source in sources),
        "licence": args.licence,
        **held_out,
        "n_held_out": len(valid),
        "held_out": f"skdim.model_selection.formula_split(X, test_size={args.held_out}, salt={args.salt!r})",
        "sources": sources,
        "command": command(args),
        **({} if start is None else {"start": description_of(args.start, start.estimator)}),
    }
    embedder.save_pretrained(args.output, metadata=metadata)
    size = sum(file.stat().st_size for file in args.output.iterdir())
    print(f"{args.output}: {size / 1e6:.2f} MB")


def parse(argv):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="+", type=Path, metavar="DATA", help="table, database, folder or archive")
    parser.add_argument("--epochs", type=int, help="number of epochs (default: that of the embedder)")
    parser.add_argument("--seed", type=int, default=0, help="random seed (default: %(default)s)")
    parser.add_argument(
        "--properties",
        nargs="+",
        type=property_column,
        default=[],
        metavar="[NAME=][log10:]COLUMN",
        help="columns of the tables to learn, with a name other than that of the column; log10: learn the logarithm",
    )
    parser.add_argument("--start", metavar="WEIGHTS", help="weights to start from (default: random weights)")
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
        "--output",
        type=Path,
        default=INCLUDED_FOLDER / INCLUDED[0],
        help=f"output folder (default: skdim/weights/{INCLUDED[0]})",
    )
    parser.add_argument("--data-description", default="", help="description of the crystals, for config.json")
    parser.add_argument("--licence", default=LICENCE, help="licence of the data, for config.json")
    return parser.parse_args(argv)


def load(args):
    """Training and held-out crystals without failures and duplicates, and an entry of metadata for each source.

    Both with their known properties, or None without --properties. The crystals are in stores in the work folder,
    memory-mapped.
    """
    parts, entries, known = [], [], []
    for path in args.data:
        X, ids, entry = featurized(path, args)
        parts.append((X, ids))
        entries.append(entry)
        known.append(properties_of(path, args.properties, len(X)))
    if args.properties:
        # Duplicates are kept: each table knows other properties.
        used = [~X.failed & Y.notna().any(axis=1).to_numpy() for (X, _), Y in zip(parts, known, strict=True)]
    else:
        used = first_occurrences(parts)
        n_repeated = sum(np.sum(~mask & ~X.failed) for mask, (X, _) in zip(used, parts, strict=True))
        print(f"{n_repeated} duplicates left out (same id or same content)", flush=True)
    chosen: dict = {"train": [], "held-out": []}
    properties: dict = {"train": [], "held-out": []}
    left_out = set(args.leave_out.read_text(encoding="utf-8").split()) if args.leave_out else set()
    for entry, mask, (X, _), Y in zip(entries, used, parts, known, strict=True):
        rows = np.flatnonzero(mask)
        if left_out:
            formulas = [formula for block in blocks(X, rows) for formula in block.formulas]
            allowed = np.array([formula not in left_out for formula in formulas], dtype=bool)
            entry["n_formula_left_out"] = int(np.sum(~allowed))
            print(
                f"{entry['name']}: {entry['n_formula_left_out']} crystals of formulas in {args.leave_out.name} left out"
            )
            rows = rows[allowed]
        entry["n_used"] = len(rows)
        split = [formula_split(block, test_size=args.held_out, salt=args.salt) for block in blocks(X, rows)]
        held_out = np.concatenate([np.zeros(0, dtype=bool), *split])
        for name, subset in (("train", rows[~held_out]), ("held-out", rows[held_out])):
            chosen[name].append((X, subset))
            properties[name].append(Y.iloc[subset])
    key = key_of(
        [args.held_out, args.salt, args.max_sites, sorted(left_out), args.properties, [e["sha256"] for e in entries]]
    )
    crystals = [stored(args.work / f"{name}-{key}", partial(write_store, some)) for name, some in chosen.items()]
    tables = [pd.concat(some, ignore_index=True) if args.properties else None for some in properties.values()]
    return *zip(crystals, tables, strict=True), entries


def property_column(text):
    """Name, column and whether to take the logarithm, of an argument of --properties."""
    name, _, column = text.rpartition("=")
    logarithm = column.startswith("log10:")
    column = column.removeprefix("log10:")
    return name or (f"log10_{column}" if logarithm else column), column, logarithm


def properties_of(path, columns, n_rows):
    """Table of known properties of the rows of a source, without test rows; a column that it lacks is NaN."""
    if not columns:
        return pd.DataFrame(index=range(n_rows))
    if path.suffix != ".parquet":
        raise SystemExit(f"{path}: --properties needs Parquet tables")
    table = pd.read_parquet(path)
    if "split" in table:
        table = table[table["split"] != "test"]
    if len(table) != n_rows:
        raise SystemExit(f"{path} has {len(table)} rows, but {n_rows} crystals were featurized: it has changed")
    result = {}
    for name, column, logarithm in columns:
        values = table[column].to_numpy(dtype=float) if column in table else np.full(n_rows, np.nan)
        if logarithm:
            if (values <= 0).any():
                print(f"{path.name}: {np.sum(values <= 0)} values of {column} are not positive and count as unknown")
            values = np.log10(values, where=values > 0, out=np.full(n_rows, np.nan))
        result[name] = values
    return pd.DataFrame(result)


def property_errors(embedder, X, Y):
    """Mean absolute error of each known property on held-out crystals, that of their mean, and their number."""
    predicted, errors = embedder.predict_properties(X), {}
    for name, known in Y.items():
        errors[name] = {"n": int(known.notna().sum())}
        if known.notna().any():
            errors[name]["mae"] = float((predicted[name].to_numpy() - known).abs().mean())
            errors[name]["mean_absolute_deviation"] = float((known - known.mean()).abs().mean())
        print(f"held out: {name}: {errors[name]}")
    return errors


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


def description_of(name, embedder):
    """Name and training of the weights to start from."""
    info = embedder.pretrained_info_
    tasks = tasks_of(info["network"], info["known_properties"])
    earlier = {key: info["metadata"][key] for key in ("command", "start") if key in info["metadata"]}
    return {"name": Path(name).name, "tasks": tasks, **earlier}


def command(args):
    """The command that reproduces these weights, without folders."""
    words = ["python", "tools/train_weights.py", *(path.name for path in args.data)]
    for name in ("epochs", "seed", "max_sites", "held_out", "salt"):
        value = getattr(args, name)
        if value not in (None, ""):
            words += [f"--{name.replace('_', '-')}", str(value)]
    if args.properties:
        words += ["--properties", *(f"{name}={'log10:' * log}{column}" for name, column, log in args.properties)]
    if args.start:
        words += ["--start", Path(args.start).name]
    if args.leave_out:
        words += ["--leave-out", args.leave_out.name]
    if args.paper:
        words.append("--paper")
    if args.params:
        words += ["--params", json.dumps(args.params)]
    return shlex.join(words)


if __name__ == "__main__":
    sys.exit(main())
