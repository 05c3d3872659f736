"""Make a table of crystals with features of an interatomic potential (CHGNet), as properties for weights to learn.

The crystals are training rows of a table, without the formulas to leave out. Those whose features are in
--mlip-features come first, then others in a fixed random order. Crystals without features are left out. Needs the extra
"mlip". The work folder keeps features of finished chunks: to resume a killed run, run the same command.

    python -m benchmarks.accuracy.teacher data --n-crystals 10000 --output data/teacher.parquet
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from . import data
from .options import mlip_transformer
from .sources import Sources

#: Beginning of the names of the columns.
PREFIX = "CHGNet "


def chosen_rows(table, keep_out, n_crystals, mlip_folder):
    """Rows of the crystals, in ascending order."""
    rows = data.rows_to_learn(table, keep_out)
    if mlip_folder is not None:
        file = pd.read_parquet(mlip_folder / f"{table.name}.parquet").dropna()
        rows = rows[np.argsort(~np.isin(table.file_rows[rows], file["row"]), kind="stable")]
    return np.sort(rows[:n_crystals])


def teacher_table(table, rows, matrix, names):
    """DataFrame of structures and features, of rows that have features."""
    known = np.isfinite(matrix[rows]).all(axis=1)
    print(f"{known.sum()} crystals; {np.sum(~known)} without features left out")
    rows = rows[known]
    structures = pd.DataFrame([table.rows[row] for row in rows])
    features = pd.DataFrame(matrix[rows], columns=[f"{PREFIX}{name}" for name in names])
    about = table.frame.iloc[rows].reset_index(drop=True)
    return pd.concat([about[about.columns.intersection(["id", "formula", "split"])], structures, features], axis=1)


def parse(argv):
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.accuracy.teacher",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("data", type=Path, help="folder of the Parquet tables and of keep_out.txt")
    parser.add_argument("--table", default="mp_megnet", help="table of the crystals (%(default)s)")
    parser.add_argument("--n-crystals", type=int, default=10_000, help="number of crystals (%(default)s)")
    parser.add_argument(
        "--mlip-features", type=Path, metavar="FOLDER", help="of TABLE.parquet with features computed before"
    )
    parser.add_argument("--jobs", type=int, default=1, help="processes (%(default)s)")
    parser.add_argument("--work", type=Path, default=Path("accuracy_work"), help="folder of finished chunks")
    parser.add_argument("--output", type=Path, default=Path("teacher.parquet"), help="the table (%(default)s)")
    return parser.parse_args(argv)


def main(argv=None):
    args = parse(argv)
    table = data.load(args.data, args.table, args.work, args.jobs)
    rows = chosen_rows(table, args.data / "keep_out.txt", args.n_crystals, args.mlip_features)
    mlip = mlip_transformer()
    sources = Sources(table, rows, [], mlip, args.mlip_features, args.work, args.jobs)
    frame = teacher_table(table, rows, sources.matrix("MLIP", 0), mlip.get_feature_names_out())
    args.output.parent.mkdir(parents=True, exist_ok=True)
    frame.to_parquet(args.output)
    print(f"{args.output}: {frame.shape[1]} columns")


if __name__ == "__main__":
    main()
