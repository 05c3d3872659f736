"""Compare sources of features without test rows: the protocol of docs/recipe.md.

Labels are drawn from training rows whose formulas the weights have seen, and errors are measured on training rows whose
formulas they have not (those of --keep-out). Each combination of sources is a Gaussian process
with a block for each, on labels whose transformation the labels choose. Prints Markdown.

    python -m benchmarks.accuracy.validation data --weights properties p0 --sources "statistics + density + properties"
"""

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from skdim.model_selection import label_draws

from . import arms, data
from .markdown import table
from .options import add_choices, add_data, add_weights, make_parser, weights_of
from .sources import Sources
from .targets import TARGETS

DEFAULT_TARGETS = (
    *("dielectric-n", "dielectric-poly_total", "phonons-last_phdos_peak", "jdft2d-exfoliation_en"),
    *("properties-k_vrh_mp", "properties-g_vrh_mp"),
)
DEFAULT_SOURCES = ("statistics", "statistics + density")
#: Number of label draws of each size.
DRAWS = {50: 8, 100: 8, 250: 5}


def split(rows, y, seen):
    """Labelled training rows with formulas that the weights have seen, and those with others."""
    train, _ = data.labelled(rows, y)
    is_seen = rows.frame["formula"].iloc[train].isin(seen).to_numpy()
    return train[is_seen], train[~is_seen]


def add_seen(parser):
    """Add the tables that :func:`seen_formulas` reads."""
    parser.add_argument(
        "--seen",
        nargs="*",
        default=["mp_megnet", "properties"],
        metavar="TABLE",
        help="tables that the weights were trained on: labels are drawn from their formulas (mp_megnet properties)",
    )


def seen_formulas(folder, names, keep_out):
    """Formulas of the training rows of these tables, without those that were left out."""
    if keep_out is None:
        raise SystemExit(f"{folder} has no keep_out.txt: pass --keep-out FILE, the formulas to measure errors on")
    frames = [pd.read_parquet(folder / f"{name}.parquet", columns=["formula", "split"]) for name in names]
    formulas = {formula for frame in frames for formula in frame.loc[frame["split"] == "train", "formula"]}
    return formulas - set(keep_out.read_text(encoding="utf-8").split())


def error(joined, y, rows, held_out):
    """Mean absolute error of one fit."""
    matrix, blocks = joined
    model = arms.block_gp(blocks).fit(matrix[rows], y[rows])
    return np.abs(model.predict(matrix[held_out]) - y[held_out]).mean()


def medians(target, args, weights, seen):
    """Median errors of the sources of one target, dict of source to dict of size to float."""
    rows = data.load(args.data, target.table, args.work, args.jobs)
    y = target.labels(rows.frame[target.column])
    labelled, held_out = split(rows, y, seen)
    sources = Sources(rows, np.union1d(labelled, held_out), weights, None, None, args.work, args.jobs)
    draws = label_draws(len(labelled), train_sizes=list(DRAWS), n_repeats=max(DRAWS.values()), random_state=0)
    draws = [draw for draw in draws if draw.repeat < DRAWS[draw.n_labels]]
    print(f"{target.title}: {len(labelled)} crystals with labels, {len(held_out)} held out", flush=True)
    result = {}
    for name in args.sources:
        joined = sources.join(name.split(" + "), 0)
        errors = Parallel(args.jobs)(delayed(error)(joined, y, labelled[draw.rows], held_out) for draw in draws)
        frame = pd.DataFrame({"n_labels": [draw.n_labels for draw in draws], "mae": errors})
        result[name] = frame.groupby("n_labels")["mae"].median().to_dict()
    return result


def page(results, head="sources"):
    """Markdown table: a row for each combination of sources, a column for each target and for the mean ratio.

    ``results`` is a dict of target to dict of sources to dict of size to float.
    """
    names = list(next(iter(results.values())))
    lines = {}
    for name in names:
        cells = [" / ".join(f"{errors[name][n]:.3f}" for n in DRAWS) for errors in results.values()]
        lines[name] = (*cells, " / ".join(f"{ratio:.2f}" for ratio in ratios(results, name)))
    return table([head, *(TARGETS[name].title for name in results), f"mean ratio to {names[0]}"], lines)


def ratios(results, name):
    """Errors of sources relative to the first ones, mean over the targets, ndarray for the sizes."""
    first = next(iter(next(iter(results.values()))))
    return np.mean([[errors[name][n] / errors[first][n] for n in DRAWS] for errors in results.values()], axis=0)


def parse(argv=None):
    parser = make_parser(".validation", __doc__)
    add_data(parser)
    add_weights(parser)
    add_seen(parser)
    add_choices(parser, "--targets", TARGETS, "properties to predict", DEFAULT_TARGETS)
    parser.add_argument(
        "--sources",
        nargs="+",
        default=DEFAULT_SOURCES,
        metavar="SOURCE",
        help="combinations of composition, statistics, density, untrained and the names of --weights, such as "
        '"statistics + density" (the default is this one and "statistics")',
    )
    return parser.parse_args(argv)


def main(argv=None):
    args = parse(argv)
    weights = weights_of(args)
    seen = seen_formulas(args.data, args.seen, args.keep_out)
    results = {name: medians(TARGETS[name], args, weights, seen) for name in args.targets}
    print(page(results))


if __name__ == "__main__":
    main()
