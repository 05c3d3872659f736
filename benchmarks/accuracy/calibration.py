"""Measure how well standard deviations are calibrated, for the properties in benchmarks/accuracy/targets.py.

The models predict the test rows from the first label draws of the first seed. Writes calibration.csv (one row per fit)
and calibration.md (medians) to the output folder; targets of earlier calls are kept. Each takes minutes; a killed run
starts its target again.
"""

import pandas as pd

from skdim.metrics import calibration_scores
from skdim.model_selection import label_draws

from . import arms, data
from .comparison import Comparison, sources_of
from .markdown import table
from .options import add_choices, add_controls, add_data, add_output, add_weights, make_parser, weights_of
from .sources import as_frame, take
from .targets import TARGETS

LEVELS = (0.5, 0.8, 0.9, 0.95)
#: Number of labels; with 1000 the models take minutes.
SIZES = (50, 100, 250)


def parse(argv=None):
    parser = make_parser(".calibration", __doc__)
    add_data(parser)
    add_weights(parser)
    add_controls(parser)
    add_output(parser)
    add_choices(parser, "--targets", TARGETS, "properties to predict")
    parser.add_argument("--repeats", type=int, default=3, help="number of label draws of each size (%(default)s)")
    parser.add_argument("--n-test", type=int, default=2000, help="maximum number of test rows (%(default)s)")
    parser.set_defaults(seeds=1, mlip_features=None)
    return parser.parse_args(argv)


def scores_of(comparison, names, repeats):
    """Calibration of the models of one target on its test rows, DataFrame with a row per fit."""
    embedders = {name: comparison.sources.weights[name].embedder(0) for name in names}
    joined, blocks = comparison.sources.join(("statistics", *names), 0)
    all_sources, all_blocks = comparison.sources.join((*arms.UNLEARNT, *sources_of(embedders)), 0)
    models = {
        "Gaussian process": (arms.block_gp(blocks), joined),
        "best": (arms.best(list(embedders.values()), comparison.table.X), as_frame(all_sources, all_blocks)),
    }
    train, test, y = comparison.train, comparison.test, comparison.y
    rows = []
    for draw in label_draws(len(train), train_sizes=list(SIZES), n_repeats=repeats, random_state=0):
        labelled = train[draw.rows]
        for name, (model, X) in models.items():
            model.fit(take(X, labelled), y[labelled])
            mean, std = model.predict(take(X, test), return_std=True)
            scores = calibration_scores(y[test], mean, std, levels=LEVELS)
            rows.append({"arm": name, "n_labels": draw.n_labels, "repeat": draw.repeat, **scores})
    return pd.DataFrame(rows)


def page(frame):
    """Markdown of the medians over draws."""
    columns = [f"coverage_{round(100 * level)}" for level in LEVELS]
    medians = frame.groupby(["title", "arm", "n_labels"], sort=False)[[*columns, "miscalibration_area", "nll"]].median()
    levels = " / ".join(f"{level:.0%}" for level in LEVELS)
    sections = []
    for title, part in medians.groupby(level="title", sort=False):
        rows = {}
        for (_, arm, n_labels), row in part.iterrows():
            coverage = " / ".join(f"{row[name]:.2f}" for name in columns)
            rows[f"{arm}, {n_labels} labels"] = coverage, f"{row['miscalibration_area']:.3f}", f"{row['nll']:.2f}"
        head = ["", levels, "miscalibration area", "negative log-likelihood"]
        sections.append(f"## {title}\n\n{table(head, rows)}\n")
    inside = frame[(frame["arm"] == "best") & frame["coverage_90"].between(0.85, 0.95)]
    n_best = int((frame["arm"] == "best").sum())
    return f"""# Calibration of standard deviations

Fraction of the labels of test crystals, whose formulas are in no training row, in the central intervals of each level;
miscalibration area (0 is best, 0.5 worst); negative log-likelihood of a label in natural units (smaller is better).
Medians over draws. Of the {n_best} fits of `best`, {len(inside)} have 90 % intervals that cover 85 to 95 %.

""" + "\n".join(sections)


def main(argv=None):
    args = parse(argv)
    args.repeats_1000 = args.repeats
    weights = weights_of(args)
    names = [each.name for each in weights if each.name not in args.controls]
    path = args.output / "calibration.csv"
    for name in args.targets:
        target = TARGETS[name]
        rows = data.load(args.data, target.table, args.work, args.jobs, n_test=args.n_test)
        scores = scores_of(Comparison(target, rows, weights, None, args), names, args.repeats)
        scores.insert(0, "title", target.title)
        if path.exists():
            old = pd.read_csv(path)
            scores = pd.concat([old[old["title"] != target.title], scores])
        path.parent.mkdir(parents=True, exist_ok=True)
        scores = scores.round(4)  # of which the page is made too
        scores.to_csv(path, index=False)
        path.with_suffix(".md").write_text(page(scores), encoding="utf-8")
        print(f"{target.title}: wrote {path}", flush=True)


if __name__ == "__main__":
    main()
