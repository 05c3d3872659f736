"""Command line options that the commands share."""

import argparse
import textwrap
from pathlib import Path

import joblib

from .weights import parse_weights


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Keeps the lines of the description, and breaks no name at its hyphens."""

    def _split_lines(self, text, width):
        return textwrap.wrap(text, width, break_on_hyphens=False)


def make_parser(command, description, epilog=None):
    """Make the parser of ``python -m benchmarks.accuracy`` or of one of its modules."""
    prog = f"python -m benchmarks.accuracy{command}"
    return argparse.ArgumentParser(prog=prog, description=description, epilog=epilog, formatter_class=_Formatter)


def add_data(parser):
    """Add the tables, and how and where they are featurized."""
    parser.add_argument(
        "data",
        type=Path,
        help="folder of the tables: TABLE.parquet with the columns lattice, species, frac_coords, split, and labels",
    )
    parser.add_argument("--jobs", type=int, default=joblib.cpu_count(), help="number of processes (all cores)")
    parser.add_argument(
        "--work",
        type=Path,
        default=Path("accuracy_work"),
        metavar="FOLDER",
        help="folder of finished fits and features, from which an interrupted run resumes (%(default)s)",
    )


def add_output(parser, what="results"):
    """Add the folder of results."""
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("docs/accuracy"),
        metavar="FOLDER",
        help=f"folder to write the {what} to (%(default)s)",
    )


def add_weights(parser):
    """Add sets of weights, and the formulas that they must not have seen; :func:`weights_of` reads both."""
    parser.add_argument(
        "--weights",
        nargs="+",
        action="append",
        default=[],
        metavar=("NAME", "FOLDER"),
        help="a set of weights: a name for it, and for each seed a folder that save_pretrained has written. Can be "
        "repeated",
    )
    parser.add_argument(
        "--keep-out",
        type=Path,
        metavar="FILE",
        help="file of formulas, one per line, that no weights may have seen (DATA/keep_out.txt if it exists)",
    )
    parser.add_argument(
        "--allow-seen",
        action="store_true",
        help="also take weights whose config.json does not say that these formulas were left out",
    )


def add_controls(parser):
    """Add which sets of weights are controls."""
    parser.add_argument(
        "--controls",
        nargs="+",
        default=[],
        metavar="NAME",
        help='sets of weights to compare with the others but to leave out of the model "best"',
    )


def add_choices(parser, option, names, what, default=None):
    """Add an option that takes some of these names, all by default."""
    parser.add_argument(
        option,
        nargs="+",
        default=list(default or names),
        choices=list(names),
        metavar="NAME",
        help=f"{what}: {_listed(names)} ({'all' if default is None else _listed(default)})",
    )


def add_numbers(parser, option, default, what):
    """Add an option that takes several numbers."""
    shown = " ".join(map(str, default))
    parser.add_argument(option, type=int, nargs="+", default=default, metavar="N", help=f"{what} ({shown})")


def _listed(names):
    """Names in a line, in quotes where the shell needs them."""
    return ", ".join(f'"{name}"' if " " in name else name for name in names)


def describe_groups(groups):
    """Text about groups of models, which are functions, from the first lines of their docstrings."""
    width = max(map(len, groups))
    lines = [f"  {name:{width}}  {function.__doc__.splitlines()[0]}" for name, function in groups.items()]
    return "\n".join(["groups of models:", *lines])


def add_comparison(parser):
    """Add what comparisons of all models share."""
    add_data(parser)
    add_weights(parser)
    add_controls(parser)
    add_output(parser)
    parser.add_argument(
        "--no-mlip", action="store_true", help="leave out the features of an interatomic potential (CHGNet)"
    )
    parser.add_argument(
        "--mlip-features",
        type=Path,
        metavar="FOLDER",
        help="take these features from FOLDER/TABLE.parquet instead of computing them; its column row has row numbers",
    )
    parser.add_argument("--seeds", type=int, default=3, help="number of seeds of label draws and weights (%(default)s)")
    parser.add_argument(
        "--best-seeds", type=int, default=3, help='the same for the model "best", which is slow (%(default)s)'
    )


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
