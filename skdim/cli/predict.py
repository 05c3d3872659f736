"""``skdim predict``: predict a property, or classes, of new crystals."""

from __future__ import annotations

from pathlib import Path

from ._inputs.crystals import check_sources, crystals_of, reader_of, report, work_folder
from ._reports import add_labelled, add_report, check_labelled, check_report_path, new_report, report_predictions
from ._tables import check_table_path, write_table
from ._terminal import DONE, SOME_FAILED, add_sources, jobs, say

_DESCRIPTION = "Predict a property, or classes, of crystals with a model of `skdim fit`."
_EPILOG = """\
examples:
  skdim predict model.skops new_cifs/ -o predictions.csv
  skdim predict model.joblib a.cif b.cif -o predictions.csv --trust
  skdim predict model.skops new_cifs/ -o predictions.csv --report report.html
  skdim predict properties new_cifs/ -o properties.csv --known

The table has the columns id, formula and the target; the target with the suffix _std, its standard deviation, if the
model has one; for classes also the probability of each; distance, how far the crystal is from the nearest one that the
model was fitted to (in standard deviations of their features); and outside, True if that is farther than for 99 % of
those, so that the prediction is less reliable. A structure that fails keeps its row, without a prediction, and the exit
code is 1. To resume an interrupted run, run the same command.
"""


def add(commands):
    parser = commands.add_parser(
        "predict", help="predict a property of new crystals", description=_DESCRIPTION, epilog=_EPILOG
    )
    parser.add_argument("model", type=Path, metavar="MODEL", help="file written by `skdim fit`; with --known, weights")
    add_sources(parser)
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FILE", help="output table: .csv or .parquet"
    )
    parser.add_argument(
        "--trust",
        action="store_true",
        help="load a .joblib model, which is a pickle and can run any code: only for files from sources you trust. "
        ".skops models do not need it",
    )
    parser.add_argument(
        "--known",
        action="store_true",
        help="predict the properties that pre-trained weights have learned, such as formation energy and band gap, "
        "without any label; MODEL is then `properties`, the weights included in skdim, or a folder of weights",
    )
    add_report(parser, "predictions, the most uncertain crystals, maps, failures and a table")
    add_labelled(parser)
    parser.add_argument(
        "--jobs",
        type=jobs,
        default=1,
        metavar="N",
        help="processes that read structures; -1 uses all cores (default: %(default)s)",
    )
    return parser


def run(args):
    check_table_path(args.output)
    check_report_path(args)
    check_sources(args.sources)
    if args.known:
        if args.report is not None:
            raise ValueError("--report cannot be used with --known")
        from ._known_properties import predict_known

        return predict_known(args)
    from ._model_file import load_model

    if args.model.suffix == ".joblib" and not args.trust and args.model.exists():
        raise ValueError(
            f"{args.model} was not loaded: it is a pickle, and loading a pickle can run any code. If you trust its "
            "source, add --trust; .skops models do not need it"
        )
    model = load_model(args.model, trust=args.trust)
    target = model.skdim_info_["target"]
    if args.report is not None and model.skdim_info_.get("task") == "classification":
        raise ValueError("--report is for numbers, and cannot be used with a model of classes")
    labelled = check_labelled(args, target)
    featurizer = model[0].set_params(n_jobs=args.jobs, verbose=1, on_error="warn")
    with work_folder(args.output) as work:
        named = crystals_of(args.sources, work, featurizer, model.skdim_info_["site_features"])
        n_failed = report(named, args.output, reader_of(args.sources) or "fit")
        table = _predictions(model, named, target)
        if args.report is not None:
            with new_report(args.report, work) as file:
                report_predictions(file, args, model, named, table, labelled, work)
        write_table(table, args.output)
    say(f"{args.output}: {target} of {len(named.X) - n_failed} crystals")
    if args.report is not None:
        say(f"{args.report}: report, {args.report.stat().st_size / 1e6:.1f} MB")
    return SOME_FAILED if n_failed else DONE


def _predictions(model, named, target):
    import numpy as np
    import pandas as pd

    from .._heads.standard_deviation import has_std
    from .._shared.progress import progress

    X, is_class = named.X, model.skdim_info_.get("task") == "classification"
    classes = model.classes_ if is_class else ()
    names = (target, f"{target}_std") if has_std(model) else (target,)
    predicted = np.full((len(X), len(classes) if is_class else len(names)), np.nan)

    def compute(X):
        if is_class:
            return model[-1].predict_proba(X)
        return np.column_stack(model[-1].predict(X, return_std=True) if len(names) == 2 else [model[-1].predict(X)])

    good = np.flatnonzero(~X.failed)
    # In parts: a Gaussian process compares each crystal with all those that it was fitted on.
    with progress(total=len(good), desc="predict", unit="crystal") as bar:
        for rows in np.array_split(good, max(1, -(-len(good) // 2000))):
            if len(rows):
                predicted[rows] = compute(X[rows])
                bar.update(len(rows))
    formulas = np.array(X.formulas, dtype=object)
    formulas[X.failed] = None
    columns = {"id" if named.has_names else "row": named.ids, "formula": formulas}
    columns |= _of_classes(target, predicted, classes) if is_class else dict(zip(names, predicted.T, strict=True))
    return pd.DataFrame(columns | _domain_columns(model, X, named.names))


def _of_classes(target, probabilities, classes):
    """Columns of the most probable class and of the probability of each; empty where there is no prediction."""
    import numpy as np

    best = np.full(len(probabilities), None, dtype=object)
    good = ~np.isnan(probabilities).any(axis=1)
    best[good] = classes[probabilities[good].argmax(axis=1)]
    by_class = {f"probability_{name}": column for name, column in zip(classes, probabilities.T, strict=True)}
    return {target: best} | by_class


def _domain_columns(model, X, names):
    """Columns of the distance to the crystals that the model was fitted to; reports crystals that are unlike them."""
    from .. import ApplicabilityDomain
    from .._similarity.applicability_domain import describe_outside

    domain = model[1]
    if not isinstance(domain, ApplicabilityDomain):
        return {}  # fitted to one label
    X = X.with_site_features(X.site_features)  # a copy, whose index can be set
    X.index = names
    scores = domain.score_samples(X)
    if text := describe_outside(domain, X, scores):
        say(f"warning: {text}")
    return {"distance": -scores, "outside": scores < domain.offset_}
