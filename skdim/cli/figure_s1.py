"""``skdim figure-s1``: the paper's comparison on the bundled data sets."""

from __future__ import annotations

import contextlib
from pathlib import Path

from ._inputs.crystals import featurizer_of, work_folder
from ._terminal import DONE, add_device, add_featurizing, add_seed, add_weights, check_device, number, say

#: Properties of the bundled data sets, and their units.
TASKS = {"formation_energy": "eV/atom", "band_gap": "eV"}
_SUFFIXES = (".png", ".pdf", ".svg")

_DESCRIPTION = """\
Repeat the comparison of the paper's figure S1 on the bundled formation energies and band gaps: frozen vectors of a
pre-trained and of an untrained encoder, each under a network with one hidden layer of 64 units, and Site-Nets trained
from the pre-trained and from random weights, with 50 to 1000 labels.
"""
_EPILOG = """\
examples:
  skdim figure-s1 -o figure.png
  skdim figure-s1 -o figure.png --draws 12 --network-draws 4 --labels 50 100
  skdim figure-s1 -o figure.pdf --weights my_weights --fit-jobs 4

Writes box plots of the mean absolute error on the test crystals, whose formulas the weights of skdim were not trained
on, and next to the figure a table (.csv) with a row for each fit. Finished fits are kept: the same command resumes an
interrupted run. With the default numbers of draws it takes hours; Site-Nets take most of the time.
"""


def add(commands):
    parser = commands.add_parser(
        "figure-s1", help="the paper's comparison, as box plots", description=_DESCRIPTION, epilog=_EPILOG
    )
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FILE", help="output figure: .png, .pdf or .svg"
    )
    parser.add_argument(
        "--tasks", nargs="+", choices=TASKS, default=list(TASKS), metavar="TASK", help=f"{' or '.join(TASKS)}, or both"
    )
    parser.add_argument(
        "--labels",
        nargs="+",
        type=number(int, 2),
        metavar="N",
        help="numbers of labels (default: 50 100 250 1000 as the data allow)",
    )
    parser.add_argument(
        "--draws",
        type=number(int, 1),
        default=100,
        metavar="N",
        help="label draws of the frozen vectors; a quarter from 1000 labels on (default: %(default)s)",
    )
    parser.add_argument(
        "--network-draws",
        type=number(int, 1),
        default=12,
        metavar="N",
        help="label draws of the Site-Nets (default: %(default)s)",
    )
    parser.add_argument(
        "--paper",
        action="store_true",
        help="train the Site-Nets with the settings of the paper, with weights of its encoder (--weights)",
    )
    parser.add_argument(
        "--epochs", type=number(int, 1), metavar="N", help="epochs of the Site-Nets (default: 50, with --paper 200)"
    )
    add_weights(parser)
    add_seed(parser, "models and draws")
    add_device(parser)
    parser.add_argument(
        "--fit-jobs", type=number(int, 1), default=1, metavar="N", help="fits in parallel (default: %(default)s)"
    )
    add_featurizing(parser, max_sites_default="that of the weights, 50")
    return parser


def run(args):
    from .._shared.files import refuse_existing, replaced_file

    table_path = args.output.with_suffix(".csv")
    if args.output.suffix not in _SUFFIXES:
        raise ValueError(f"{args.output} must end in {', '.join(_SUFFIXES[:-1])} or {_SUFFIXES[-1]}")
    for path in (args.output, table_path):
        refuse_existing(path)
    check_device(args.device)

    import joblib
    import pandas as pd

    from .. import DeepInfoMaxEmbedder
    from ..plotting import FigureS1Display

    embedder = DeepInfoMaxEmbedder.from_pretrained(args.weights, device=args.device)
    tables = {}
    # One thread per process: the networks are small, and more threads than cores slow each other down.
    with work_folder(args.output) as work, joblib.parallel_config("loky", inner_max_num_threads=1):
        for task in dict.fromkeys(args.tasks):
            say(f"{task}: finished fits are saved in {work}")
            tables[task] = _compare(task, embedder, args, work)
        pd.concat(tables, names=["task"]).reset_index("task").to_csv(table_path, index=False)
        named = {task.replace("_", " "): table for task, table in tables.items()}
        display = FigureS1Display.from_results(named, units={task.replace("_", " "): TASKS[task] for task in tables})
        with replaced_file(args.output) as file:
            display.figure_.savefig(file, format=args.output.suffix[1:], dpi=150)
    _print(tables)
    say(f"{args.output} and {table_path}: {sum(map(len, tables.values()))} fits")
    return DONE


def _network(args):
    from .. import SiteNetRegressor

    options = {"device": args.device} | ({} if args.epochs is None else {"max_epochs": args.epochs})
    return SiteNetRegressor.paper(**options) if args.paper else SiteNetRegressor(**options)


@contextlib.contextmanager
def _named_options():
    try:
        yield
    except ValueError as error:
        if "train_sizes" in str(error):
            error.add_note("train_sizes is the option --labels")
        raise


def _compare(task, embedder, args, work):
    from ..datasets import load_band_gap, load_formation_energy
    from ..model_selection import figure_s1

    data = {"formation_energy": load_formation_energy, "band_gap": load_band_gap}[task]()
    X, test = featurizer_of(args, embedder).transform(data.structures), data.split == "test"
    X, y, test = X[~X.failed], data.target[~X.failed], test[~X.failed]
    with _named_options():
        return figure_s1(
            embedder,
            X[~test],
            y[~test],
            X_test=X[test],
            y_test=y[test],
            train_sizes=args.labels,
            n_draws=args.draws,
            n_network_draws=args.network_draws,
            network=_network(args),
            random_state=args.seed,
            results_file=work / f"{task}.jsonl",
            n_jobs=args.fit_jobs,
            verbose=1,
        )


def _print(tables):
    from ..model_selection import summarize

    for task, table in tables.items():
        print(f"Mean absolute error of {task} in {TASKS[task]} on the test crystals: median (quartiles) over draws\n")
        for n_labels, rows in summarize(table).groupby("n_labels"):
            print(f"{n_labels} labels")
            for row in rows.itertuples():
                print(f"  {row.arm:16s}{row.median:9.4f} ({row.q25:.4f} - {row.q75:.4f})   {row.n_repeats} draws")
            print()
