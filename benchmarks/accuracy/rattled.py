"""Make a table of rattled crystals with statistics of the crystals as they were: a task of denoising, without labels.

The crystals are training rows of a table, without the formulas to leave out. Each cell is strained and its sites are
displaced at random; bond lengths and densities of the original are the properties for weights to learn, which need an
idea of how large atoms are.

    python -m benchmarks.accuracy.rattled data --n-crystals 10000 --output data/rattled.parquet
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from skdim import DensityStatistics, StructureStatistics
from skdim._structures.source_rows import FlatStructure

from . import data

#: Statistics of the original, besides the densities: those that the elements alone do not determine.
GEOMETRY = tuple(
    f"{moment}_{name}"
    for moment in ("mean", "std")
    for name in (
        *("neighbour_distance", "log_packing", "log_coordination"),
        *("electronegativity_difference", "atomic_radius_difference"),
    )
)
DENSITIES = tuple(DensityStatistics().get_feature_names_out())


def rattle(row, strain, displacement, rng):
    """Strain the cell of a FlatStructure and displace its sites.

    ``strain`` is the standard deviation of the elements of the strain tensor, ``displacement`` that of each coordinate
    in angstrom.
    """
    noise = rng.normal(0, strain, (3, 3))
    lattice = np.asarray(row.lattice).reshape(3, 3) @ (np.eye(3) + (noise + noise.T) / 2)
    shift = rng.normal(0, displacement, (len(row.species), 3)) @ np.linalg.inv(lattice)
    return FlatStructure(lattice.ravel(), row.species, np.asarray(row.frac_coords) + shift.ravel())


def rattled_table(table, rows, strain, displacement):
    """DataFrame of rattled structures and of the statistics of the originals."""
    rng = np.random.default_rng(0)
    structures = pd.DataFrame([rattle(table.rows[row], strain, displacement, rng) for row in rows])
    parts = []
    for statistics in (StructureStatistics(), DensityStatistics()):
        parts.append(pd.DataFrame(statistics.transform(table.X[rows]), columns=statistics.get_feature_names_out()))
    about = table.frame[["formula", "split"]].iloc[rows].reset_index(drop=True)
    return pd.concat([about, structures, pd.concat(parts, axis=1)[[*GEOMETRY, *DENSITIES]]], axis=1)


def parse(argv):
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.accuracy.rattled",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("data", type=Path, help="folder of the Parquet tables and of keep_out.txt")
    parser.add_argument("--table", default="mp_megnet", help="table of the crystals (%(default)s)")
    parser.add_argument("--n-crystals", type=int, default=10_000, help="number of crystals (%(default)s)")
    parser.add_argument("--max-sites", type=int, default=12, help="sites of a cell, at most (%(default)s)")
    parser.add_argument("--strain", type=float, default=0.05, help="standard deviation of strains (%(default)s)")
    parser.add_argument(
        "--displacement", type=float, default=0.1, help="standard deviation of coordinates, angstrom (%(default)s)"
    )
    parser.add_argument("--jobs", type=int, default=1, help="processes (%(default)s)")
    parser.add_argument("--work", type=Path, default=Path("accuracy_work"), help="folder of featurized crystals")
    parser.add_argument("--output", type=Path, default=Path("rattled.parquet"), help="the table (%(default)s)")
    return parser.parse_args(argv)


def main(argv=None):
    args = parse(argv)
    table = data.load(args.data, args.table, args.work, args.jobs)
    rows = data.rows_to_learn(table, args.data / "keep_out.txt")
    small = np.array([len(table.rows[row].species) <= args.max_sites for row in rows], dtype=bool)
    frame = rattled_table(table, np.sort(rows[small][: args.n_crystals]), args.strain, args.displacement)
    args.output.parent.mkdir(parents=True, exist_ok=True)
    frame.to_parquet(args.output)
    print(f"{args.output}: {frame.shape[0]} crystals, {frame.shape[1]} columns")


if __name__ == "__main__":
    main()
