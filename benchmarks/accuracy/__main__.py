"""Measure the test errors of all models with few labels, for the properties in benchmarks/accuracy/targets.py.

Labels are drawn from the rows with split "train"; errors are measured on fixed rows with split "test". Each seed has
other label draws, and the next folder of each set of weights. Weights must not have seen test formulas: see --keep-out.
Finished fits are kept in the work folder, and the same command resumes an interrupted run. Writes for each target
TABLE-COLUMN.csv (one row per fit; models of earlier calls are kept) and TABLE-COLUMN.json (rows, labels and weights),
from which `python -m benchmarks.accuracy.report` makes tables and figures.

    python -m benchmarks.accuracy data --weights structures s0 s1 s2 --weights properties p0 p1 --targets dielectric-n
"""

from pathlib import Path

from . import data
from .comparison import GROUPS, Comparison
from .options import add_choices, add_comparison, describe_groups, make_parser, mlip_of, weights_of
from .targets import TARGETS


def parse(argv=None):
    parser = make_parser("", __doc__, describe_groups(GROUPS))
    add_comparison(parser)
    add_choices(parser, "--targets", TARGETS, "properties to predict")
    add_choices(parser, "--groups", GROUPS, "groups of models")
    parser.add_argument(
        "--paper-weights",
        type=Path,
        nargs="+",
        default=[],
        metavar="FOLDER",
        help="weights of DeepInfoMaxEmbedder.paper(), one folder per seed, for the group paper",
    )
    parser.add_argument(
        "--repeats", type=int, default=4, help="number of label draws of each size and seed (%(default)s)"
    )
    parser.add_argument("--repeats-1000", type=int, default=2, help="the same at 1000 labels (%(default)s)")
    parser.add_argument(
        "--network-seeds", type=int, default=1, help="number of seeds of the group networks (%(default)s)"
    )
    parser.add_argument("--n-test", type=int, default=2000, help="maximum number of test rows (%(default)s)")
    return parser.parse_args(argv)


def main(argv=None):
    args = parse(argv)
    weights, mlip = weights_of(args), mlip_of(args)
    tables = {}
    for name in args.targets:
        target = TARGETS[name]
        if target.table not in tables:
            tables = {target.table: data.load(args.data, target.table, args.work, args.jobs, n_test=args.n_test)}
        Comparison(target, tables[target.table], weights, mlip, args).measure(args.groups)


if __name__ == "__main__":
    main()
