"""The option ``--report`` of evaluate and predict: a report as one HTML file."""

from __future__ import annotations

import argparse
import contextlib
import shutil
from pathlib import Path

from ._terminal import say


def add_report(parser, content):
    parser.add_argument(
        "--report",
        type=Path,
        metavar="FILE",
        help=f"also write a report as one HTML file, for a browser without network: {content}. Needs matplotlib",
    )


def check_report_path(args):
    """Check that a new report can be written, before anything that takes time.

    Raises
    ------
    FileExistsError, ImportError, ValueError
    """
    if args.report is None:
        return
    from .._shared.files import refuse_existing
    from ..plotting._style import pyplot

    if args.report.suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"--report {args.report}: the file must end in .html")
    refuse_existing(args.report)
    pyplot()


@contextlib.contextmanager
def new_report(path, work):
    """Context manager with a path to write a report to, which is moved to ``path`` when the block succeeds."""
    work.mkdir(parents=True, exist_ok=True)
    file = work / "report.html"
    yield file
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(file, path)


def report_evaluation(path, args, arms, data, vectors, table, work):
    """Write the report of a comparison of models, with predictions of the best of them."""
    import pandas as pd

    from ..reports import write_report
    from ._inputs.crystals import failures_table

    largest = table[table["n_labels"] == table["n_labels"].max()]
    medians = largest.groupby("arm", sort=False)["mae"].median()
    name = medians.idxmin()
    prediction, std = _out_of_fold(name, arms[name], data.X, data.y, args, work)
    ids = [one for one, failed in zip(data.named.ids, data.named.X.failed, strict=True) if not failed]
    predictions = pd.DataFrame({"id": ids, "formula": data.X.formulas, "label": data.y, "prediction": prediction})
    if std is not None:
        predictions["std"] = std
    n_train = "all labels outside the fold" if args.labels is None else f"{max(args.labels)} labels outside the fold"
    write_report(
        path,
        predictions,
        title=f"{args.target}: comparison of models",
        target=args.target,
        vectors=vectors,
        errors=table,
        failures=failures_table(data.named),
        settings={
            "labels": f"{args.table}, column {args.target}",
            "predictions": f"model {name}, the best; each crystal by a model fitted to {n_train}",
            "folds": f"{args.folds}, all crystals of a formula in the same; {args.draws} repetitions for the errors",
            "seed": args.seed,
            "weights": str(args.weights or "structures, included in skdim"),
            "maps and neighbours": "vectors of these weights; neighbours of other formulas",
        },
        random_state=args.seed,
    )


def _out_of_fold(name, arm, X, y, args, work):
    """Prediction of each crystal by a model that was not fitted to its formula, and standard deviations or None.

    The folds are those of the first repetition. Finished folds are saved in the work folder.
    """
    import numpy as np
    from sklearn.base import clone

    from .._heads.standard_deviation import has_std
    from .._shared.files import replaced_file
    from .._shared.progress import progress
    from ..model_selection import FormulaKFold

    with_std = has_std(arm)
    values = np.full((2, len(X)), np.nan)
    with progress(total=args.folds, desc=f"report, predictions of {name}", unit="fold", pause=0) as bar:
        for fold, (train, test) in enumerate(FormulaKFold(args.folds, salt="0").split(X)):
            file = work / f"report-{name}-fold{fold}.npy"
            if not file.exists():
                if args.labels is not None:
                    train = np.random.default_rng([args.seed, fold]).permutation(train)[: max(args.labels)]
                model = _seeded(clone(arm), args.seed).fit(X[train], y[train])
                found = model.predict(X[test], return_std=True) if with_std else [model.predict(X[test])]
                with replaced_file(file) as new, open(new, "wb") as opened:
                    np.save(opened, np.stack(found))
            saved = np.load(file)
            values[: len(saved), test] = saved
            bar.update()
    return values[0], values[1] if with_std else None


def _seeded(estimator, seed):
    names = [
        name
        for name, value in estimator.get_params().items()
        if value is None and name.rpartition("__")[2] == "random_state"
    ]
    return estimator.set_params(**dict.fromkeys(names, seed))


# ---- predictions ----


def add_labelled(parser):
    parser.add_argument(
        "--labelled",
        type=Path,
        metavar="TABLE",
        help="with --report: the table of labels that the model was fitted to; the report then shows the nearest "
        "labelled crystals",
    )
    parser.add_argument(
        "--labelled-structures",
        nargs="+",
        type=Path,
        metavar="SOURCE",
        help="with --labelled: sources of the structures, if they are not in that table",
    )


def check_labelled(args, target):
    """The labels of ``--labelled`` and the options for reading them, or None.

    Raises
    ------
    FileNotFoundError, ValueError
    """
    if args.labelled is None:
        if args.labelled_structures:
            raise ValueError("--labelled-structures can be used only with --labelled")
        return None
    if args.report is None:
        raise ValueError("--labelled can be used only with --report")
    from ._inputs.labels import check_labels

    options = argparse.Namespace(
        table=args.labelled,
        structures=args.labelled_structures,
        target=target,
        task="regression",
        id=None,
        output=None,
    )
    return options, check_labels(options)


def report_predictions(path, args, model, named, table, labelled, work):
    """Write the report of predictions for new crystals; ``labelled`` is the result of :func:`check_labelled`."""
    import pandas as pd

    from .. import DeepInfoMaxEmbedder
    from ..reports import write_report
    from ._inputs.crystals import failures_table
    from ._inputs.labels import labelled_crystals

    target, about = model.skdim_info_["target"], model.skdim_info_
    predictions = pd.DataFrame({"id": named.ids, "formula": table["formula"], "prediction": table[target]})
    if f"{target}_std" in table:
        predictions["std"] = table[f"{target}_std"]
    if "outside" in table:
        predictions["outside"] = table["outside"]
    embedder = DeepInfoMaxEmbedder.from_pretrained()
    known = {}
    if labelled is not None:
        options, labels = labelled
        say(f"reading the labelled crystals of {options.table}")
        data = labelled_crystals(options, labels, work / "labelled", model[0])
        ids = [one for one, failed in zip(data.named.ids, data.named.X.failed, strict=True) if not failed]
        known["labelled"] = pd.DataFrame({"id": ids, "formula": data.X.formulas, "label": data.y})
        known["labelled_vectors"] = _vectors(embedder, data.X)
    write_report(
        path,
        predictions,
        title=f"{target}: predictions",
        target=target,
        vectors=_vectors(embedder, named.X),
        failures=failures_table(named),
        settings={
            "model": f"{args.model.name}: {about.get('arm')}, fitted to {about.get('n_labels')} labels with skdim "
            f"{about.get('skdim_version')}",
            "sources": ", ".join(map(str, args.sources)),
            "labelled crystals": str(args.labelled or "not given (--labelled)"),
            "maps and neighbours": "vectors of the weights structures, included in skdim",
        },
        **known,
    )


def _vectors(embedder, X):
    return embedder.transform(X.with_site_features(embedder.site_features_))
