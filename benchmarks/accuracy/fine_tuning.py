"""Compare recipes of fine-tuning a network on few labels, without any test row.

Labels are drawn from the training formulas of a table that the weights may have seen; errors are measured on the
training formulas that no weights have seen (those of --keep-out, and of no table that weights were trained on). Each
target takes the first set of weights that does not know its property. All errors are divided by those of the Gaussian
process on statistics and frozen vectors, with the same labels. Finished fits are kept in the work folder, and the same
command resumes an interrupted run. Writes fine_tuning.csv (one row per recipe and label draw; recipes of earlier calls
are kept) and prints tables of the ratios.

    python -m benchmarks.accuracy.fine_tuning data --weights properties p0 --recipes default statistics
"""

import time

import numpy as np
import pandas as pd

from skdim._shared.fingerprint import fingerprint
from skdim.model_selection import label_draws

from . import data
from .fine_tuning_recipes import RECIPES, REFERENCE
from .markdown import table as markdown_table
from .options import add_choices, add_data, add_numbers, add_output, add_weights, make_parser, weights_of
from .sources import Sources
from .targets import TARGETS
from .validation import add_seen, seen_formulas, split

#: Targets for weights without their property.
NAMES = (
    "dielectric-n",
    "dielectric-poly_total",
    "dielectric-band_gap",
    "phonons-last_phdos_peak",
    "jdft2d-exfoliation_en",
    "mp_megnet-formation_energy_per_atom",
    "mp_megnet-band_gap",
)
#: Columns that identify a row of the results.
_KEYS = ["target", "seed", "n_labels", "repeat", "recipe"]


def parse(argv=None):
    parser = make_parser(".fine_tuning", __doc__)
    add_data(parser)
    add_weights(parser)
    add_seen(parser)
    add_output(parser)
    add_choices(parser, "--targets", NAMES, "properties to predict")
    add_choices(parser, "--recipes", RECIPES, "recipes to compare")
    add_numbers(parser, "--sizes", [50, 100, 250], "numbers of labels")
    add_numbers(parser, "--repeats", [8, 8, 5], "number of label draws for each of --sizes")
    parser.add_argument(
        "--networks", type=int, default=1, help="number of networks to average in each recipe (%(default)s)"
    )
    parser.add_argument("--seeds", type=int, default=1, help="number of seeds of the weights (%(default)s)")
    parser.add_argument(
        "--n-held-out", type=int, default=400, help="maximum number of rows to measure errors on (%(default)s)"
    )
    args = parser.parse_args(argv)
    if not args.weights:
        parser.error("--weights is required")
    if len(args.repeats) != len(args.sizes):
        parser.error("--repeats needs one number for each of --sizes")
    return args


class Task:
    """One target with one seed of the weights: rows, labels, features.

    ``labelled`` are the rows that labels are drawn from, ``held_out`` those that errors are measured on.
    """

    def __init__(self, name, table, weights, seed, seen, args):
        target = TARGETS[name]
        self.name, self.seed, self.X = name, seed, table.X
        self.weights = next((each for each in weights if not target.is_known(each.known_properties)), None)
        if self.weights is None:
            raise SystemExit(f"{name}: all sets of weights know this property")
        self.embedder = self.weights.embedder(seed)
        self.y = target.labels(table.frame[target.column])
        self.formulas = table.frame["formula"].to_numpy()
        self.labelled, self.held_out = split(table, self.y, seen)
        if len(self.held_out) > args.n_held_out:
            self.held_out = np.sort(np.random.default_rng(0).choice(self.held_out, args.n_held_out, replace=False))
        sources = Sources(table, None, weights, None, None, args.work, args.jobs)
        self.matrix, self.blocks = sources.join(("statistics", self.weights.name), seed) or (None, None)
        self.folder = args.work / "fine_tuning"
        draws = label_draws(len(self.labelled), train_sizes=args.sizes, n_repeats=max(args.repeats), random_state=0)
        #: Rows of each label draw, the same for all recipes and weights.
        self.draws = {(draw.n_labels, draw.repeat): self.labelled[draw.rows] for draw in draws}

    def predictions(self, recipe, n_labels, repeat, member=0):
        """Predictions of the held-out rows and CPU seconds of a fit, from the work folder or computed."""
        draw = self.draws[n_labels, repeat]
        rows = fingerprint([draw, self.held_out])[:8]
        key = f"{self.name}-{self.weights.digests[self.seed]}-{n_labels}-{repeat}-{rows}-{recipe}-{member}"
        path = self.folder / f"{key.replace(' ', '_')}.npz"
        if not path.exists():
            start = time.process_time()
            values = RECIPES[recipe](self, draw, member)
            path.parent.mkdir(parents=True, exist_ok=True)
            half = path.with_suffix(".part.npz")
            np.savez(half, predictions=values, seconds=time.process_time() - start)
            half.replace(path)
        with np.load(path, allow_pickle=False) as file:
            return file["predictions"], float(file["seconds"])


def measure(task, recipe, args):
    """Errors of a recipe, alone and averaged with the Gaussian process, a list of dict."""
    rows, y = [], task.y[task.held_out]
    n_members = args.networks if RECIPES[recipe] is not RECIPES[REFERENCE] else 1
    for n_labels, repeats in zip(args.sizes, args.repeats, strict=True):
        for repeat in range(repeats):
            reference, _ = task.predictions(REFERENCE, n_labels, repeat)
            fits = [task.predictions(recipe, n_labels, repeat, member) for member in range(n_members)]
            mean = np.mean([values for values, _ in fits], axis=0)
            errors = {
                "one": fits[0][0],
                "mean": mean,
                "average": (mean + reference) / 2,
                "reference": reference,
            }
            rows.append(
                {
                    **dict(zip(_KEYS, (task.name, task.seed, n_labels, repeat, recipe), strict=True)),
                    "n_networks": n_members,
                    **{f"mae_{name}": np.abs(values - y).mean() for name, values in errors.items()},
                    "seconds": sum(seconds for _, seconds in fits),
                }
            )
    return rows


def table_of(frame, column):
    """Markdown of the errors in a column divided by those of the reference: ratios of means over draws and seeds."""
    means = frame.groupby(["recipe", "target", "n_labels"], sort=False)[[column, "mae_reference"]].mean()
    ratios = means[column] / means["mae_reference"]
    targets, rows = list(dict.fromkeys(frame["target"])), {}
    for recipe in dict.fromkeys(frame["recipe"]):
        cells = [ratios[recipe].get(target) for target in targets]
        shown = ["" if cell is None else " / ".join(f"{ratio:.2f}" for ratio in cell) for cell in cells]
        rows[recipe] = (*shown, f"{ratios[recipe].mean():.3f}")
    return markdown_table(["recipe", *targets, "mean"], rows)


def main(argv=None):
    args = parse(argv)
    weights = weights_of(args)
    seen = seen_formulas(args.data, args.seen, args.keep_out)
    tables, rows = {}, []
    path = args.output / "fine_tuning.csv"
    for name in args.targets:
        of = TARGETS[name].table
        if of not in tables:
            tables = {of: data.load(args.data, of, args.work, args.jobs)}
        for seed in range(args.seeds):
            task = Task(name, tables[of], weights, seed, seen, args)
            if task.embedder is None:
                continue
            for recipe in args.recipes:
                rows += measure(task, recipe, args)
                print(f"{name}, seed {seed}: {recipe}", flush=True)
    frame = pd.DataFrame(rows).round(5)
    if path.exists():
        frame = pd.concat([pd.read_csv(path), frame]).drop_duplicates(_KEYS, keep="last")
    args.output.mkdir(parents=True, exist_ok=True)
    frame.to_csv(path, index=False)
    titles = {"mae_one": "One network", "mae_mean": "Mean of the networks", "mae_average": "... and Gaussian process"}
    if args.networks == 1:
        del titles["mae_mean"]
    for column, title in titles.items():
        print(f"\n{title}\n\n{table_of(frame, column)}")


if __name__ == "__main__":
    main()
