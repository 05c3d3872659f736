"""Does pre-training on structures without labels save labels? The comparison of Deep InfoMax's paper, in minutes.

An encoder is pre-trained on the training structures, then a few of their labels are revealed, over several random
draws, and ten ways of using them are tested on the same held-out crystals. Two of them use the weights that come with
skdim, which have seen ten times as many structures, and no formula that is tested here. Writes three files:

    label_efficiency.csv   one row a fit: arm, n_labels, repeat, mae, fit_time, predict_time
    summary.csv            median and quartiles of each arm and number of labels
    label_efficiency.png   box plots
"""

import argparse
from pathlib import Path

import joblib
import numpy as np
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdim import CompositionStatistics, Crystals, DeepInfoMaxEmbedder, SiteNetFeaturizer, SiteNetRegressor
from skdim.datasets import load_band_gap, load_formation_energy
from skdim.model_selection import label_efficiency, paired_difference, summarize
from skdim.plotting import LabelEfficiencyDisplay

UNITS = {"formation_energy": "eV/atom", "band_gap": "eV"}
#: Pairs whose difference says what pre-training is worth, and what knowing the structure is.
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
        "--output", type=Path, default=Path("demo_results"), metavar="FOLDER", help="where the three files go"
    )
    parser.add_argument(
        "--quick", action="store_true", help="a few crystals and epochs: does it run here? The errors mean nothing"
    )
    return parser.parse_args()


def load(task, quick):
    """Structures, targets and the mask of the test rows."""
    data = load_formation_energy() if task == "formation_energy" else load_band_gap()
    every = len(data.target) // 150 if quick else 1
    return data.structures[::every], data.target[::every], data.split[::every] == "test"


def make_arms(pretrained, untrained, shipped, sitenet_params):
    """The arms, in the order of the table."""

    def mlp(encoder):
        # The paper's head. On 50 rows of 128 columns it needs weight decay; L-BFGS converges where Adam stops early.
        # Like the kernel below chosen on formulas held out of the training rows, the same for both encoders.
        head = MLPRegressor(hidden_layer_sizes=(64,), solver="lbfgs", alpha=10.0, max_iter=5000, tol=3e-3)
        return make_pipeline(FrozenEstimator(encoder), StandardScaler(), head)

    def gaussian_process(encoder):
        # A fixed kernel: on 50 labels the likeliest one is no better, and ends on its bounds. Two rows of standardised
        # columns are about sqrt(2 * columns) apart, hence the length.
        length = 2 * np.sqrt(len(encoder.get_feature_names_out()))
        kernel = ConstantKernel(5.0) * Matern(length, nu=1.5) + WhiteKernel(0.1)
        head = GaussianProcessRegressor(kernel, optimizer=None, normalize_y=True)
        return make_pipeline(FrozenEstimator(encoder), StandardScaler(), head)

    return {
        "mean": DummyRegressor(),
        "composition, trees": make_pipeline(CompositionStatistics(), ExtraTreesRegressor(300)),
        "representation, MLP": mlp(pretrained),
        "untrained, MLP": mlp(untrained),
        "representation, GP": gaussian_process(pretrained),
        "untrained, GP": gaussian_process(untrained),
        "shipped weights, GP": gaussian_process(shipped),
        "transfer, shipped weights": SiteNetRegressor(pretrained=FrozenEstimator(shipped), **sitenet_params),
        "transfer": SiteNetRegressor(pretrained=FrozenEstimator(pretrained), **sitenet_params),
        "supervised": SiteNetRegressor(**sitenet_params),
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
    train_sizes, sitenet_params = (50, 100, 250), {}
    if options.quick:
        train_sizes, sitenet_params = (20, 40), {"max_epochs": 2}
        options.epochs, options.repeats = min(options.epochs, 1), min(options.repeats, 2)

    print("1/3 Featurize: structures to sites and distances")
    structures, y, test = load(options.task, options.quick)
    X = SiteNetFeaturizer(n_jobs=options.jobs, verbose=1).fit_transform(structures)
    print(f"    {X!r}; {np.sum(~test)} to train on, {np.sum(test)} to test")

    print(f"2/3 Pre-train on the {np.sum(~test)} training structures, without their labels")
    unlabelled = X[~test]
    if options.task == "band_gap":
        # Structures without this label are as good for it. The two sets are split alike: no test formula comes in.
        structures, _, other_test = load("formation_energy", options.quick)
        more = [s for s, is_test in zip(structures, other_test, strict=True) if not is_test]
        more = SiteNetFeaturizer(n_jobs=options.jobs, verbose=1).fit_transform(more)
        unlabelled = Crystals.concatenate([unlabelled, more])
        print(f"    and on {len(more)} training structures of the formation energies")
    pretrained = DeepInfoMaxEmbedder(max_epochs=options.epochs, random_state=options.seed, verbose=1).fit(unlabelled)
    untrained = DeepInfoMaxEmbedder(max_epochs=0, random_state=options.seed).fit(unlabelled)
    shipped = DeepInfoMaxEmbedder.from_pretrained()

    print(f"3/3 Reveal {', '.join(map(str, train_sizes))} labels, {options.repeats} times each")
    arms = make_arms(pretrained, untrained, shipped, sitenet_params)
    # One thread a process: the networks are small, and processes that share cores by threads wait for each other.
    with joblib.parallel_config("loky", inner_max_num_threads=1):
        draws = label_efficiency(
            arms,
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
    # The mean predictor stands far above the others and would squeeze their boxes: the table has it.
    display = LabelEfficiencyDisplay.from_results(draws, units=units, arms=[arm for arm in arms if arm != "mean"])
    display.figure_.savefig(options.output / "label_efficiency.png", dpi=200)
    print_tables(draws, units)
    print(f"\nWrote label_efficiency.csv, summary.csv and label_efficiency.png to {options.output.resolve()}")


if __name__ == "__main__":
    main()
