"""Does pre-training on structures without labels save labels? The comparison of Deep InfoMax's paper, in minutes.

An encoder is pre-trained on the training structures. Then a few of their labels are revealed, in several random draws,
and ten models are tested on the same held-out crystals. Two models use the weights that come with skdim. These were
trained on ten times as many structures, without the formulas of the test crystals. Writes three files:

    label_efficiency.csv   one row per fit: arm, n_labels, repeat, mae, fit_time, predict_time
    summary.csv            median and quartiles for each model and number of labels
    label_efficiency.png   box plots
"""

import argparse
from pathlib import Path

import joblib
import numpy as np

from skdim import Crystals, DeepInfoMaxEmbedder, SiteNetFeaturizer
from skdim.datasets import load_band_gap, load_formation_energy
from skdim.model_selection import label_efficiency, make_arm, paired_difference, summarize
from skdim.plotting import LabelEfficiencyDisplay

UNITS = {"formation_energy": "eV/atom", "band_gap": "eV"}
#: Pairs of models whose difference shows what pre-training adds, and what the structure adds to the composition.
COMPARISONS = (
    ("representation, GP", "untrained, GP"),
    ("representation, GP", "composition, trees"),
    ("transfer", "supervised"),
    ("transfer, shipped weights", "supervised"),
    ("shipped weights, GP", "untrained, GP"),
)


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n\n")[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--task", choices=sorted(UNITS), default="formation_energy", help="what to predict")
    parser.add_argument("--repeats", type=int, default=8, metavar="N", help="random draws of the labels")
    parser.add_argument(
        "--epochs", type=int, default=DeepInfoMaxEmbedder().max_epochs, metavar="N", help="epochs of the pre-training"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the encoder, the draws and the models")
    parser.add_argument("--jobs", type=int, default=min(4, joblib.cpu_count()), metavar="N", help="processes")
    parser.add_argument(
        "--output", type=Path, default=Path("demo_results"), metavar="FOLDER", help="folder of the three files"
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="a few crystals and epochs, to see whether it runs here; the errors mean nothing",
    )
    return parser.parse_args()


def load(task, quick):
    """Structures, targets and the mask of the test rows."""
    data = load_formation_energy() if task == "formation_energy" else load_band_gap()
    every = len(data.target) // 150 if quick else 1
    return data.structures[::every], data.target[::every], data.split[::every] == "test"


def make_models(pretrained, shipped, max_epochs):
    """The models (arms of the comparison), in the order of the table."""
    return {
        "mean": make_arm("mean"),
        "composition, trees": make_arm("composition"),
        "representation, MLP": make_arm("representation", pretrained, head="mlp"),
        "untrained, MLP": make_arm("untrained", pretrained, head="mlp"),
        "representation, GP": make_arm("representation", pretrained),
        "untrained, GP": make_arm("untrained", pretrained),
        "shipped weights, GP": make_arm("representation", shipped),
        "transfer, shipped weights": make_arm("transfer", shipped, max_epochs=max_epochs),
        "transfer": make_arm("transfer", pretrained, max_epochs=max_epochs),
        "supervised": make_arm("supervised", pretrained, max_epochs=max_epochs),
    }


def print_tables(draws, units):
    cells = summarize(draws).assign(
        text=lambda s: [f"{m:.3f} ({a:.3f} - {b:.3f})" for m, a, b in zip(s["median"], s["q25"], s["q75"], strict=True)]
    )
    table = cells.pivot(index="arm", columns="n_labels", values="text").loc[cells["arm"].unique()]
    n_repeats = draws["repeat"].nunique()
    print(f"\nTest mean absolute error in {units}: median (quartiles) over {n_repeats} label draws")
    print(table.rename_axis(index=None, columns=None).to_string())
    print("\nDifference on the same draws: median [95 % bootstrap interval]; negative where the first is better")
    for arm, reference in COMPARISONS:
        rows = paired_difference(draws, arm, reference).itertuples()
        values = "   ".join(f"{r.n_labels}: {r.median_difference:+.3f} [{r.low:+.3f}, {r.high:+.3f}]" for r in rows)
        print(f"  {arm + ' - ' + reference:40s} {values}")


def main():
    options = parse_arguments()
    options.output.mkdir(parents=True, exist_ok=True)
    train_sizes, max_epochs = (50, 100, 250), None
    if options.quick:
        train_sizes, max_epochs = (20, 40), 2
        options.epochs, options.repeats = min(options.epochs, 1), min(options.repeats, 2)

    print("1/3 Featurize: structures to sites and distances")
    structures, y, test = load(options.task, options.quick)
    X = SiteNetFeaturizer(n_jobs=options.jobs, verbose=1).fit_transform(structures)
    print(f"    {X!r}; {np.sum(~test)} to train on, {np.sum(test)} to test")

    print(f"2/3 Pre-train on the {np.sum(~test)} training structures, without their labels")
    unlabelled = X[~test]
    if options.task == "band_gap":
        # Pre-training needs no labels: take these structures as well. Both sets have the same test formulas.
        structures, _, other_test = load("formation_energy", options.quick)
        more = [s for s, is_test in zip(structures, other_test, strict=True) if not is_test]
        more = SiteNetFeaturizer(n_jobs=options.jobs, verbose=1).fit_transform(more)
        unlabelled = Crystals.concatenate([unlabelled, more])
        print(f"    and on {len(more)} training structures of the formation energies")
    pretrained = DeepInfoMaxEmbedder(max_epochs=options.epochs, random_state=options.seed, verbose=1).fit(unlabelled)
    shipped = DeepInfoMaxEmbedder.from_pretrained()

    print(f"3/3 Reveal {', '.join(map(str, train_sizes))} labels, {options.repeats} times each")
    models = make_models(pretrained, shipped, max_epochs)
    # One thread per process: the networks are small, and more threads than cores slow each other down.
    with joblib.parallel_config("loky", inner_max_num_threads=1):
        draws = label_efficiency(
            models,
            X[~test],
            y[~test],
            X_test=X[test],
            y_test=y[test],
            train_sizes=train_sizes,
            n_repeats=options.repeats,
            random_state=options.seed,
            n_jobs=options.jobs,
            verbose=1,
        )

    units = UNITS[options.task]
    draws.to_csv(options.output / "label_efficiency.csv", index=False)
    summarize(draws).to_csv(options.output / "summary.csv", index=False)
    # The error of the mean is far above the others and would compress the axis: only the table has it.
    display = LabelEfficiencyDisplay.from_results(draws, units=units, arms=[name for name in models if name != "mean"])
    display.figure_.savefig(options.output / "label_efficiency.png", dpi=200)
    print_tables(draws, units)
    print(f"\nWrote label_efficiency.csv, summary.csv and label_efficiency.png to {options.output.resolve()}")


if __name__ == "__main__":
    main()
