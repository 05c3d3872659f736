"""Build the bundled data files of skdim.datasets from Parquet tables.

Each input has one row per crystal: id, formula (reduced), lattice (9 numbers, row-major, angstrom), species (atomic
numbers), frac_coords (3 numbers a site), split ("train" or "test") and the target columns.

The output is an .npz file of flat columns and offsets, without pickled objects. It is reproducible byte by byte:
members are stored uncompressed, as compressed bytes depend on the version of zlib, and have a fixed date. Copy the
printed checksums into skdim/datasets/_bundled.py.
"""

import argparse
import hashlib
import io
import zipfile
from pathlib import Path

import numpy as np

# File name -> target columns; the first is what load_* returns as the target, the others are its extra targets.
TARGETS = {
    "formation_energy": ("formation_energy_per_atom", "e_above_hull"),
    "band_gap": ("band_gap", "n", "poly_electronic", "poly_total"),
}


def to_columns(table, target_names):
    """Return the arrays of one data file, from a DataFrame with one row a crystal."""
    check_table(table, target_names)
    n_sites = table["species"].map(len).to_numpy()
    # The tables have single-precision coordinates, so storing them as such is exact and halves the file.
    frac_coords = np.concatenate(table["frac_coords"].to_list())
    if not np.array_equal(frac_coords, frac_coords.astype("<f4")):
        raise SystemExit("frac_coords: more digits than single precision holds")
    return {
        "lattice": np.stack(table["lattice"].to_list()).reshape(-1, 3, 3).astype("<f8"),
        "offsets": np.concatenate([[0], np.cumsum(n_sites)]).astype("<i4"),
        "atomic_numbers": np.concatenate(table["species"].to_list()).astype("u1"),
        "frac_coords": frac_coords.reshape(-1, 3).astype("<f4"),
        "ids": table["id"].to_numpy().astype("S"),
        "is_test": (table["split"] == "test").to_numpy(),
        "target_names": np.array(target_names, dtype="S"),
        "targets": table[list(target_names)].to_numpy().T.astype("<f8"),
    }


def check_table(table, target_names):
    """Stop at a table that would make a wrong data file."""
    if table["id"].duplicated().any():
        raise SystemExit("id: values are repeated")
    if not np.isfinite(table[list(target_names)].to_numpy(dtype=float)).all():
        raise SystemExit(f"{target_names}: some values are missing or infinite")
    if set(table["split"]) != {"train", "test"}:
        raise SystemExit('split: only "train" and "test" are known')
    if (table.groupby("formula")["split"].nunique() > 1).any():
        raise SystemExit("split: a formula stands on both sides")
    if (table["frac_coords"].map(len) != 3 * table["species"].map(len)).any():
        raise SystemExit("frac_coords: not three numbers a site")


def write_npz(path, columns):
    """Write arrays to an .npz and return the file's sha256."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, array in columns.items():
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, np.ascontiguousarray(array), version=(1, 0), allow_pickle=False)
            # numpy.savez stamps the time of day and the platform into the archive.
            member = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            member.create_system = 3
            member.external_attr = 0o644 << 16
            archive.writestr(member, buffer.getvalue())
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, targets in TARGETS.items():
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            metavar="PARQUET",
            help=f"table to make {name}.npz from; target columns: {', '.join(targets)}",
        )
    default_dir = Path(__file__).parents[1] / "skdim" / "datasets" / "data"
    parser.add_argument(
        "--output-dir", type=Path, default=default_dir, help="folder to write to (default: skdim/datasets/data)"
    )
    args = parser.parse_args(argv)
    sources = {name: getattr(args, name) for name in TARGETS if getattr(args, name)}
    if not sources:
        parser.error("give at least one table")

    # Reading Parquet needs pyarrow, which the package itself does not: --help works without it.
    import pandas as pd

    for name, source in sources.items():
        columns = to_columns(pd.read_parquet(source), TARGETS[name])
        path = args.output_dir / f"{name}.npz"
        digest = write_npz(path, columns)
        n_crystals, n_test = len(columns["ids"]), int(columns["is_test"].sum())
        print(
            f"{path.name}: {n_crystals} crystals ({n_crystals - n_test} train, {n_test} test), "
            f"{columns['offsets'][-1]} sites, {path.stat().st_size} bytes\n  sha256 {digest}"
        )


if __name__ == "__main__":
    main()
