"""Measure every model at few labels, on a table of labelled crystals.

Labels are drawn from the rows with split "train"; errors are measured on fixed rows with split "test". The weights must
have been pre-trained on training rows only, as tools/train_weights.py ensures. Each folder of weights is one seed with
its own label draws. Finished fits are kept in the work folder, and the same command resumes an interrupted run. Writes
NAME-TARGET.csv (one row per fit; models of earlier calls are kept), from which `python -m benchmarks.accuracy.report`
makes tables and figures.
"""

import argparse
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from sklearn.frozen import FrozenEstimator

from skdim import PAPER_SITE_FEATURES, DeepInfoMaxEmbedder, SiteNetRegressor
from skdim.model_selection import label_draws, label_efficiency
from skdim.model_selection._arms import untrained_copy

from . import arms, data

#: Band gaps cannot be negative.
ACTIVATIONS = {"band_gap": "trelu"}


def parse(argv=None):
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.accuracy", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("table", type=Path, help="Parquet: lattice, species, frac_coords, split, and the targets")
    parser.add_argument("target", help="column to predict")
    parser.add_argument("--other", help="column whose supervised model is another start for transfer (default: none)")
    parser.add_argument(
        "--average-from", choices=["transfer", "other"], default="transfer", help="network in the average of models"
    )
    parser.add_argument("--weights", type=Path, nargs="+", required=True, help="folders of save_pretrained, one a seed")
    parser.add_argument(
        "--paper-weights", type=Path, help="weights of the paper's recipe (default: no models of the paper)"
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=[50, 100, 250, 1000], help="labels to reveal")
    parser.add_argument(
        "--repeats", type=int, nargs="+", default=[4, 4, 4, 2], help="label draws of each seed, for each size"
    )
    parser.add_argument("--n-test", type=int, default=2000, help="test rows")
    parser.add_argument("--groups", nargs="+", default=list(GROUPS), choices=list(GROUPS), help="which models")
    parser.add_argument(
        "--slow-seeds", type=int, metavar="N", help="run the groups features and paper for the first N seeds (all)"
    )
    parser.add_argument("--skip", nargs="+", default=[], metavar="ARM", help="models of these groups to leave out")
    parser.add_argument("--jobs", type=int, default=joblib.cpu_count(), help="processes")
    parser.add_argument("--work", type=Path, default=Path("accuracy_work"), help="folder of finished fits and features")
    parser.add_argument("--output", type=Path, default=Path("docs/accuracy"), help="folder of the csv files")
    return parser.parse_args(argv)


class Comparison:
    """One target of one table, and the inputs of its models."""

    def __init__(self, args):
        self.args = args
        targets = [args.target] + ([args.other] if args.other else [])
        self.table = data.load(args.table, targets, args.work, args.n_test, args.jobs)
        self.train, self.test = data.labelled(self.table, args.target)
        self.y = self.table.y[args.target].to_numpy()
        self.repeats = dict(zip(args.sizes, args.repeats, strict=True))
        self.activation = ACTIVATIONS.get(args.target, "identity")

    def run(self, group, seed, chosen, X):
        """Fit the models of one group on the label draws of one seed; finished fits survive a kill."""
        name = f"{self.table.name}-{self.args.target}-{seed}-{group}"
        chosen = {arm: model for arm, model in chosen.items() if arm not in self.args.skip}
        print(f"\n{name}: {', '.join(chosen)}", flush=True)
        with joblib.parallel_config("loky", inner_max_num_threads=1):
            return label_efficiency(
                chosen,
                X[self.train],
                self.y[self.train],
                X_test=X[self.test],
                y_test=self.y[self.test],
                train_sizes=self.args.sizes,
                n_repeats=self.repeats,
                random_state=seed,
                results_file=self.args.work / f"{name}.jsonl",
                n_jobs=self.args.jobs,
                verbose=1,
            )

    def drawn(self):
        """Rows in any label draw of any seed, and the test rows."""
        rows = [self.test]
        for seed in range(len(self.args.weights)):
            draws = label_draws(
                len(self.train), train_sizes=self.args.sizes, n_repeats=max(self.args.repeats), random_state=seed
            )
            rows += [self.train[draw.rows] for draw in draws if draw.repeat < self.repeats[draw.n_labels]]
        return np.unique(np.concatenate(rows))

    def other_model(self):
        """A network supervised on all training rows of the other property, started from the first seed's weights."""
        path = self.args.work / f"{self.table.name}-{self.args.other}-model.joblib"
        if not path.exists():
            train, test = data.labelled(self.table, self.args.other)
            y = self.table.y[self.args.other].to_numpy()
            start = DeepInfoMaxEmbedder.from_pretrained(self.args.weights[0])
            model = SiteNetRegressor(
                pretrained=FrozenEstimator(start),
                output_activation=ACTIVATIONS.get(self.args.other, "identity"),
                batch_sites=600,
                max_epochs=8,
                random_state=0,
                verbose=1,
            ).fit(self.table.X[train], y[train])
            error = np.abs(model.predict(self.table.X[test]) - y[test]).mean()
            print(f"{self.args.other} from {len(train)} labels: test MAE {error:.3f}", flush=True)
            half = path.with_suffix(".part")
            joblib.dump(model, half)
            half.replace(path)
        return joblib.load(path)


def run_simple(comparison, seed, weights):
    """Baselines on Crystals."""
    return comparison.run("simple", seed, arms.baselines(), comparison.table.X)


def run_features(comparison, seed, weights):
    """Random forests on features computed from structures."""
    frames, args = [], comparison.args
    for name, transformer in arms.FEATURES.items():
        matrix = data.features_of(comparison.table, comparison.drawn(), name, transformer, args.work, args.jobs)
        frames.append(comparison.run(f"features-{name}", seed, {f"{name}, forest": arms.forest()}, matrix))
    return pd.concat(frames)


def run_ours(comparison, seed, weights):
    """Models that start from our weights, and the same without them."""
    pretrained = DeepInfoMaxEmbedder.from_pretrained(weights)
    untrained = untrained_copy(pretrained, seed)
    other = comparison.other_model() if comparison.args.other else None
    chosen = arms.ours(pretrained, untrained, other, comparison.args.average_from, comparison.activation)
    return comparison.run("ours", seed, chosen, comparison.table.X)


def run_paper(comparison, seed, weights):
    """The paper's recipe, on its eight site features."""
    if comparison.args.paper_weights is None:
        return None
    pretrained = DeepInfoMaxEmbedder.from_pretrained(comparison.args.paper_weights)
    X = comparison.table.X.with_site_features(PAPER_SITE_FEATURES)
    chosen = arms.paper(pretrained, untrained_copy(pretrained, seed), comparison.activation)
    return comparison.run("paper", seed, chosen, X)


GROUPS = {"simple": run_simple, "features": run_features, "ours": run_ours, "paper": run_paper}


def main(argv=None):
    args = parse(argv)
    args.work.mkdir(parents=True, exist_ok=True)
    comparison = Comparison(args)
    # Seed by seed, so that early results have all models.
    frames = {}
    for seed, weights in enumerate(args.weights):
        slow = args.slow_seeds is None or seed < args.slow_seeds
        groups = [group for group in args.groups if slow or group in ("simple", "ours")]
        done = [GROUPS[group](comparison, seed, weights) for group in groups]
        frames[seed] = pd.concat([frame for frame in done if frame is not None])
    frame = pd.concat(frames, names=["seed"]).reset_index("seed")
    args.output.mkdir(parents=True, exist_ok=True)
    path = args.output / f"{comparison.table.name}-{args.target}.csv"
    if path.exists():
        old = pd.read_csv(path)
        frame = pd.concat([old[~old["arm"].isin(frame["arm"])], frame])
    frame.round({"mae": 5, "fit_time": 3, "predict_time": 3}).to_csv(path, index=False)
    print(f"\nWrote {path}: {len(frame)} fits")


if __name__ == "__main__":
    main()
