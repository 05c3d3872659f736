"""Options that the commands share."""

from pathlib import Path

import joblib

from .weights import parse_weights


def add_options(parser):
    parser.add_argument("data", type=Path, help="folder of the Parquet tables")
    parser.add_argument(
        "--weights",
        nargs="+",
        action="append",
        default=[],
        metavar=("NAME", "FOLDER"),
        help="a set of weights: its name and a folder of save_pretrained per seed. Can be repeated",
    )
    parser.add_argument(
        "--controls", nargs="+", default=[], metavar="NAME", help="sets of weights that are not part of the best model"
    )
    parser.add_argument(
        "--keep-out", type=Path, metavar="FILE", help="formulas that no weights may have seen (DATA/keep_out.txt)"
    )
    parser.add_argument(
        "--allow-seen", action="store_true", help="take weights without a record that these formulas were left out"
    )
    parser.add_argument("--no-mlip", action="store_true", help="no features of an interatomic potential (CHGNet)")
    parser.add_argument(
        "--mlip-features",
        type=Path,
        metavar="FOLDER",
        help="of TABLE.parquet with such features and the column row, their rows in the table (default: compute them)",
    )
    parser.add_argument("--seeds", type=int, default=3, help="seeds: of label draws, and of weights (%(default)s)")
    parser.add_argument(
        "--best-seeds", type=int, default=3, help="seeds of the best model, which is slow (%(default)s)"
    )
    parser.add_argument("--jobs", type=int, default=joblib.cpu_count(), help="processes (all cores)")
    parser.add_argument("--work", type=Path, default=Path("accuracy_work"), help="folder of finished fits and features")
    parser.add_argument("--output", type=Path, default=Path("docs/accuracy"), help="folder of the results")


def weights_of(args):
    """Sets of weights, after checking what they have seen."""
    if args.keep_out is None and (args.data / "keep_out.txt").exists():
        args.keep_out = args.data / "keep_out.txt"
    return parse_weights(args.weights, args.keep_out, args.allow_seen)


def mlip_of(args):
    """Transformer of structures to MLIP features, or None."""
    return None if args.no_mlip else mlip_transformer()


def mlip_transformer():
    from skdim.baselines import MLIPFeatures

    return MLIPFeatures(on_error="warn")
