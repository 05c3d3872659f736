"""``skdim evaluate``: compare models on the labels, tested on new formulas."""

from __future__ import annotations

import contextlib
from pathlib import Path

from ._inputs.crystals import featurizer_of, work_folder
from ._inputs.labels import add_labels, check_labels, labelled_crystals
from ._reports import add_report, check_report_path, new_report, report_evaluation
from ._tables import check_table_path, write_table
from ._terminal import (
    DONE,
    SOME_FAILED,
    add_device,
    add_featurizing,
    add_seed,
    add_weights,
    check_device,
    number,
    say,
)
from .fit import ARMS, ARMS_TEXT, both_included

#: Baselines in every table.
_BASELINES = ("mean", "composition")
#: Scores of classes: the names of scikit-learn's scorers.
_SCORES = ("neg_log_loss", "roc_auc", "accuracy", "balanced_accuracy")

_DESCRIPTION = """\
Measure how well models predict a property, or classes, of crystals of new formulas, by repeated cross-validation in
which all crystals of a reduced formula are in the same fold. The table always contains two baselines: the mean of the
labels, and trees on the composition.
"""
_EPILOG = (
    ARMS_TEXT
    + """
examples:
  skdim evaluate gaps.csv --target band_gap -o errors.csv
  skdim evaluate gaps.csv --target band_gap -o errors.csv --labels 50 100
  skdim evaluate gaps.csv --target band_gap -o errors.csv --arms best transfer
  skdim evaluate gaps.csv --target band_gap --structures my_cifs/ -o errors.csv
  skdim evaluate gaps.csv --target band_gap -o errors.csv --report report.html
  skdim evaluate m.csv --target is_metal --task classification -o scores.csv

The table on the screen shows the median and the quartiles of the mean absolute error, or of the score, over all folds;
OUTPUT has a row for each model and fold. By default each model is fitted 15 times. Every fit is saved when it is done:
to resume an interrupted or killed run, run the same command. Folds share training crystals, so the quartiles describe
the spread of the errors and are not confidence intervals.
"""
)


def add(commands):
    parser = commands.add_parser(
        "evaluate", help="compare models on labels, tested on new formulas", description=_DESCRIPTION, epilog=_EPILOG
    )
    add_labels(parser)
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FILE", help="output table: .csv or .parquet"
    )
    parser.add_argument(
        "--arms",
        nargs="+",
        choices=ARMS,
        default=["best"],
        metavar="NAME",
        help="models to compare with the baselines (default: best)",
    )
    parser.add_argument(
        "--scoring",
        choices=_SCORES,
        metavar="NAME",
        help=f"score with --task classification, one of {', '.join(_SCORES)}; greater is better (default: "
        "neg_log_loss)",
    )
    parser.add_argument("--folds", type=number(int, 2), default=5, metavar="N", help="number of folds (default: 5)")
    parser.add_argument(
        "--draws",
        type=number(int, 1),
        default=3,
        metavar="N",
        help="number of repetitions, each with other folds (default: %(default)s)",
    )
    parser.add_argument(
        "--labels",
        nargs="+",
        type=number(int, 2),
        metavar="N",
        help="numbers of training labels, drawn at random for each fold (default: all labels outside the fold)",
    )
    add_weights(parser)
    parser.add_argument(
        "--epochs",
        type=number(int, 1),
        metavar="N",
        help="epochs of the networks: supervised, transfer, and that of best (default: 50)",
    )
    add_seed(parser, "models and draws")
    add_device(parser)
    parser.add_argument(
        "--fit-jobs",
        type=number(int, 1),
        default=1,
        metavar="N",
        help="models that are fitted in parallel, each in a process (default: %(default)s)",
    )
    add_report(parser, "errors of the models, and predictions of the best with the worst crystals, maps and a table")
    add_featurizing(parser, max_sites_default="that of the weights, 50")
    return parser


def run(args):
    check_table_path(args.output)
    check_report_path(args)
    if args.report is not None and args.task == "classification":
        raise ValueError("--report is for numbers, and cannot be used with --task classification")
    if args.scoring is not None and args.task != "classification":
        raise ValueError("--scoring can be used only with --task classification")
    labels = check_labels(args)
    if args.scoring == "roc_auc" and labels["y"].nunique() > 2:
        args.scoring = "roc_auc_ovr"
    check_device(args.device)

    from .. import DeepInfoMaxEmbedder
    from ..model_selection import cross_validate_arms, make_arm

    embedder = DeepInfoMaxEmbedder.from_pretrained(args.weights, device=args.device)
    names = list(dict.fromkeys([*_BASELINES, *(arm for arm in ARMS if arm in args.arms)]))
    options = {"task": args.task, "max_epochs": args.epochs, "device": args.device}
    arms = {name: make_arm(name, None if both_included(name, args.weights) else embedder, **options) for name in names}
    with work_folder(args.output) as work:
        data = labelled_crystals(args, labels, work, featurizer_of(args, embedder))
        X = data.X.with_site_features(embedder.site_features_)
        say(f"{len(X)} crystals of {len(set(X.formulas))} formulas; finished fits are saved in {work}")
        with _progress(args) as on_fold:
            try:
                table = cross_validate_arms(
                    arms,
                    X,
                    data.y,
                    scoring=args.scoring,
                    n_splits=args.folds,
                    n_draws=args.draws,
                    train_sizes=args.labels,
                    random_state=args.seed,
                    folder=work,
                    n_jobs=args.fit_jobs,
                    on_fold=on_fold,
                )
            except ValueError as error:
                if "results_file" in str(error):
                    error.add_note(f"{work} holds the fits of an interrupted run: delete that folder to start again")
                elif "n_splits" in str(error) or "train_sizes" in str(error):
                    error.add_note(
                        "n_splits is the option --folds; train_sizes is --labels, of the rows outside the fold"
                    )
                raise
        if args.report is not None:
            with new_report(args.report, work) as file:
                report_evaluation(file, args, arms, data._replace(X=X), embedder.transform(X), table, work)
        write_table(table, args.output)
    _print(table, args)
    say(f"{args.output}: {len(table)} fits")
    if args.report is not None:
        say(f"{args.report}: report, {args.report.stat().st_size / 1e6:.1f} MB")
    return SOME_FAILED if data.n_failed else DONE


@contextlib.contextmanager
def _progress(args):
    """Show the progress over the folds, with the medians so far."""
    from .._shared.progress import progress
    from .._shared.scores import score_column_of

    with progress(total=args.folds * args.draws, desc="evaluate", unit="fold", pause=0) as bar:

        def on_fold(done, n, table):
            medians = table.groupby("arm", sort=False)[score_column_of(table)].median()
            bar.set_postfix({arm: f"{median:.3g}" for arm, median in medians.items()}, refresh=False)
            bar.update()

        yield on_fold


def _print(table, args):
    from .._shared.scores import greater_is_better, score_column_of, score_label
    from ..model_selection import paired_difference, summarize

    column = score_column_of(table)
    label = score_label(column)
    unit = ", greater is better," if greater_is_better(column) else ", in its units,"
    print(f"{label[0].upper()}{label[1:]} of {args.target}{unit} on formulas outside the training set:")
    print(f"median (quartiles) over {args.draws} x {args.folds} folds\n")
    summary = summarize(table)
    for n_labels, rows in summary.groupby("n_labels"):
        print(f"{n_labels} labels" + ("" if args.labels else " (all, in the median fold)"))
        errors = table[table["n_labels"] == n_labels]
        for row in rows.itertuples():
            text = f"  {row.arm:16s}{row.median:9.4f} ({row.q25:.4f} - {row.q75:.4f})"
            if row.arm == "mean":
                text += "   predicts the same value for every crystal"
            elif row.arm not in _BASELINES:
                pairs = paired_difference(errors, row.arm, "composition", n_bootstrap=1).iloc[0]
                better = round(pairs.share_better * pairs.n_repeats)
                text += f"   better than composition in {better} of {int(pairs.n_repeats)} folds"
            print(text)
        print()
