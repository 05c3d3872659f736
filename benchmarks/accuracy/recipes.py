"""Train weights by named recipes and compare them without test rows, as docs/recipe.md does.

Each recipe is a chain of trainings with tools/train_weights.py, which leave out the formulas of keep_out.txt. Its
vectors are a block of a Gaussian process beside StructureStatistics and DensityStatistics, and are judged by the
protocol of benchmarks.accuracy.validation. Prints the mean ratio to the first recipe for each seed, and a Markdown
table of means over the seeds.

The work folder holds finished weights and errors, and the state of the training after every epoch: to resume a killed
run, run the same command. Recipes with the same first stages share these.

    python -m benchmarks.accuracy.recipes data --recipes properties "two blocks" --seeds 0 1
"""

import argparse
import json
from pathlib import Path

import joblib
import numpy as np

from tools import train_weights

from .targets import TARGETS
from .validation import DEFAULT_TARGETS, DRAWS, medians, page, ratios, seen_formulas
from .weight_recipes import RECIPES, key_of
from .weights import parse_weights

_SOURCES = "statistics + density + vectors"


def trained(stages, seed, args):
    """Folder of the weights of a recipe, trained where the work folder lacks them."""
    start = []
    for n in range(1, len(stages) + 1):
        stage = stages[n - 1]
        output = args.work / "weights" / f"{key_of(stages[:n])}-{seed}"
        if not output.exists():
            properties = ["--properties", *stage.properties] if stage.properties else []
            train_weights.main(
                [
                    *(str(args.data / f"{table}.parquet") for table in stage.tables),
                    *("--epochs", str(stage.epochs), "--seed", str(seed), *properties, *start),
                    *("--params", json.dumps(stage.params), "--leave-out", str(args.keep_out)),
                    *("--jobs", str(args.jobs), "--threads", str(args.threads), "--device", args.device),
                    *("--work", str(args.work / "training"), "--output", str(output)),
                ]
            )
        start = ["--start", str(output)]
    return output


def validated(folder, target, seen, args):
    """Median errors of one target with weights, dict of size to float, kept in the work folder."""
    weights = parse_weights([["vectors", folder]], args.keep_out, False)
    draws = "-".join(f"{n}x{repeats}" for n, repeats in DRAWS.items())
    path = args.work / "errors" / f"{target}-{draws}-{weights[0].digests[0]}.json"
    if not path.exists():
        args.sources = [_SOURCES]
        errors = medians(TARGETS[target], args, weights, seen)[_SOURCES]
        path.parent.mkdir(parents=True, exist_ok=True)
        half = path.with_suffix(".part")
        half.write_text(json.dumps(list(errors.items())), encoding="utf-8")
        half.replace(path)
    return dict(json.loads(path.read_text(encoding="utf-8")))


def mean_over_seeds(results):
    """Mean of a list of dict of target to dict of recipe to dict of size to float, as such a dict."""
    return {
        target: {name: {n: np.mean([each[target][name][n] for each in results]) for n in DRAWS} for name in recipes}
        for target, recipes in results[0].items()
    }


def parse(argv=None):
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.accuracy.recipes",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("data", type=Path, help="folder of the Parquet tables and of keep_out.txt")
    parser.add_argument("--recipes", nargs="+", default=list(RECIPES), choices=list(RECIPES), metavar="NAME")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="seeds of the trainings (0)")
    parser.add_argument("--targets", nargs="+", default=DEFAULT_TARGETS, choices=list(TARGETS), help="which (six)")
    parser.add_argument("--without", nargs="+", default=[], metavar="PROPERTY", help="properties that are not learned")
    parser.add_argument(
        "--seen", nargs="+", default=["mp_megnet", "properties"], metavar="TABLE", help="tables that weights learned"
    )
    parser.add_argument("--device", default="auto", help="device for training (%(default)s)")
    parser.add_argument("--jobs", type=int, default=joblib.cpu_count(), help="processes (all cores)")
    parser.add_argument("--threads", type=int, default=joblib.cpu_count(), help="threads for training (all cores)")
    parser.add_argument("--work", type=Path, default=Path("accuracy_work"), help="folder of weights, errors, features")
    args = parser.parse_args(argv)
    args.keep_out = args.data / "keep_out.txt"
    return args


def main(argv=None):
    args = parse(argv)
    seen = seen_formulas(args.data, args.seen, args.keep_out)
    results = []
    for seed in args.seeds:
        results.append({target: {} for target in args.targets})
        for name in args.recipes:
            folder = trained([stage.without(args.without) for stage in RECIPES[name]], seed, args)
            for target in args.targets:
                results[-1][target][name] = validated(folder, target, seen, args)
            ratio = ratios(results[-1], name).mean()
            print(f"seed {seed}: {name}: mean ratio to {args.recipes[0]} {ratio:.3f}", flush=True)
    print(page(mean_over_seeds(results), head="recipe"))


if __name__ == "__main__":
    main()
