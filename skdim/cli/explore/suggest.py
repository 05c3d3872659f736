"""``skdim suggest``: which crystals to measure next."""

from __future__ import annotations

import tempfile
from pathlib import Path

from .._inputs.crystals import check_sources, crystals_of, reader_of, report
from .._tables import check_table_path, write_table
from .._terminal import DONE, SOME_FAILED, add_sources, jobs, number, printable, say

#: Name on the command line -> name in the library.
_STRATEGIES = {"variance": "variance", "improvement": "expected_improvement", "diversity": "diversity"}

_DESCRIPTION = """\
Choose the crystals whose measurement promises most, with a model of `skdim fit` that ends in a Gaussian process (--arm
representation or structure). Add their labels to the table, fit again, and repeat.
"""
_EPILOG = """\
strategies:
  variance     labels that make the predictions for all candidates more certain
  improvement  labels that may exceed the best one so far: search for a maximum
  diversity    crystals that are unlike those measured, and unlike each other

examples:
  skdim fit labels.csv --target gap --arm representation -o model.skops
  skdim suggest model.skops candidates/ -n 10
  skdim suggest model.skops candidates/ --strategy improvement --minimize

Each line has the name, the formula, the prediction and its standard deviation, separated by tabs, in the order of the
choice. Leave out of the candidates what is measured already.
"""


def add(commands):
    parser = commands.add_parser(
        "suggest", help="choose the crystals to measure next", description=_DESCRIPTION, epilog=_EPILOG
    )
    parser.add_argument("model", type=Path, metavar="MODEL", help="file written by `skdim fit`")
    add_sources(parser)
    parser.add_argument(
        "-n",
        "--number",
        type=number(int, 1),
        default=10,
        metavar="N",
        help="number of crystals to choose (default: %(default)s)",
    )
    parser.add_argument(
        "--strategy",
        choices=tuple(_STRATEGIES),
        default="variance",
        metavar="NAME",
        help="variance, improvement or diversity, see below (default: %(default)s)",
    )
    parser.add_argument(
        "--minimize", action="store_true", help="with improvement, search for a minimum instead of a maximum"
    )
    parser.add_argument(
        "--best",
        type=float,
        metavar="X",
        help="with improvement, the best label so far (default: that of the labels that the model was fitted to)",
    )
    parser.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="write a table (.csv or .parquet) instead of lines"
    )
    parser.add_argument(
        "--trust", action="store_true", help="load a .joblib model, which can run any code: only from sources you trust"
    )
    parser.add_argument(
        "--jobs",
        type=jobs,
        default=1,
        metavar="N",
        help="processes that read structures; -1 uses all cores (default: %(default)s)",
    )
    return parser


def run(args):
    if args.output is not None:
        check_table_path(args.output)
    if args.strategy != "improvement" and (args.minimize or args.best is not None):
        raise ValueError("--minimize and --best can be used only with --strategy improvement")
    check_sources(args.sources)

    from .._model_file import load_model

    model = load_model(args.model, trust=args.trust)
    featurizer = model[0].set_params(n_jobs=args.jobs, verbose=1, on_error="warn")
    with tempfile.TemporaryDirectory(prefix="skdim-suggest-") as folder:
        named = crystals_of(args.sources, Path(folder) / "crystals", featurizer, model.skdim_info_["site_features"])
        n_failed = report(named, None, reader_of(args.sources) or "fit")
        table = _table(args, model, named)
        if args.output is not None:
            write_table(table, args.output)
            say(f"{args.output}: {len(table)} crystals")
        else:
            for name, formula, mean, std in table.itertuples(index=False):
                print(f"{printable(str(name))}\t{formula}\t{mean:.6g}\t{std:.3g}")
    return SOME_FAILED if n_failed else DONE


def _table(args, model, named):
    import pandas as pd

    from ... import suggest

    about, arm = model.skdim_info_, model[-1]
    X = named.X
    best = args.best if args.best is not None else about.get("label_min" if args.minimize else "label_max")
    n = min(args.number, len(X) - len(X.errors_))
    if n < args.number:
        say(f"there are only {n} candidates")
    try:
        rows = suggest(arm, X, n, strategy=_STRATEGIES[args.strategy], best=best, maximize=not args.minimize)
        mean, std = arm.predict(X[rows], return_std=True)
    except TypeError as error:
        if "return_std" not in str(error):
            raise
        raise ValueError(
            f"{args.model} is a model of the kind {about['arm']}, which has no standard deviations: fit another by "
            "`skdim fit --arm representation`"
        ) from error
    ids = [named.ids[row] for row in rows]
    target = about["target"]
    return pd.DataFrame(
        {
            "id" if named.has_names else "row": ids,
            "formula": [X.formula(int(row)) for row in rows],
            target: mean,
            f"{target}_std": std,
        }
    )
