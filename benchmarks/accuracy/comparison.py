"""One target of one table: its rows, labels and sources, and the fits of its models."""

import joblib
import numpy as np
import pandas as pd
from sklearn.frozen import FrozenEstimator

from skdim import PAPER_SITE_FEATURES, DeepInfoMaxEmbedder, SiteNetRegressor
from skdim.model_selection import label_draws, label_efficiency
from skdim.model_selection._arms import untrained_copy

from . import arms, data, records
from .sources import PREDICTED, Sources, as_frame, take


class Comparison:
    """Fits of the models of one target.

    Every fit is kept in a file of the work folder as soon as it is finished, so that the same command resumes after a
    kill.

    ``vectors_alone`` is whether Gaussian processes are also fitted on vectors without statistics.

    Parameters
    ----------
    target : Target
    table : Table
    weights : list of WeightSet
    mlip : transformer of structures, or None
    args : Namespace
        Options of the command line.
    """

    vectors_alone = True

    def __init__(self, target, table, weights, mlip, args):
        self.target, self.table, self.weights, self.mlip, self.args = target, table, weights, mlip, args
        self.y = target.labels(table.frame[target.column])
        self.train, self.test = self._split()
        self.sources = Sources(table, self._wanted(), weights, mlip, args.mlip_features, args.work, args.jobs)

    def measure(self, groups):
        """Fit the models of these groups, seed by seed, so that early results have all models; write the results."""
        frames = {}
        for seed in range(self.args.seeds):
            # Lazily: a group's matrices can be large.
            models = (group for name in groups for group in GROUPS[name](self, seed))
            fits = [self._fits(name, seed, some, X) for name, some, X in models]
            if fits:
                frames[seed] = pd.concat(fits)
        frame = pd.concat(frames, names=["seed"]).reset_index("seed")
        records.write(self.args.output / self.target.name, frame, self.describe())

    def describe(self):
        """What the report says about rows, labels and weights, dict for JSON."""
        y = self.y[self.test]
        return {
            "title": self.target.title,
            "scale": self.target.scale,
            "n_train": len(self.train),
            "n_test": len(self.test),
            "n_larger_cells_left_out": self.table.n_file_rows - len(self.table.file_rows),
            "mean_absolute_deviation": float(np.abs(y - y.mean()).mean()),
            "weights": {w.name: records.of_weights(w, self.target, self.args.keep_out) for w in self.weights},
            "best": [w.name for w in self.weights if w.name not in self.args.controls],
            "mlip": None if self.mlip is None else records.of_mlip(self.mlip, self.target, self.sources),
        }

    def _split(self):
        return data.labelled(self.table, self.y)

    @property
    def _repeats(self):
        """Label draws of each size, for each seed."""
        sizes = [size for size in self.target.sizes if size <= len(self.train)]
        return {size: self.args.repeats_1000 if size >= 1000 else self.args.repeats for size in sizes}

    def _wanted(self):
        """Rows in any label draw of any seed, and the test rows."""
        rows, repeats = [self.test], self._repeats
        for seed in range(self.args.seeds):
            draws = label_draws(
                len(self.train), train_sizes=list(repeats), n_repeats=max(repeats.values()), random_state=seed
            )
            rows += [self.train[draw.rows] for draw in draws if draw.repeat < repeats[draw.n_labels]]
        return np.unique(np.concatenate(rows))

    def _fits(self, name, seed, models, X):
        print(f"\n{self.target.name}, seed {seed}, {name}: {', '.join(models)}", flush=True)
        with joblib.parallel_config("loky", inner_max_num_threads=1):
            return label_efficiency(
                models,
                take(X, self.train),
                self.y[self.train],
                X_test=take(X, self.test),
                y_test=self.y[self.test],
                train_sizes=list(self._repeats),
                n_repeats=self._repeats,
                random_state=seed,
                results_file=self._results(name, seed, X).with_suffix(".jsonl"),
                n_jobs=self.args.jobs,
                verbose=1,
            )

    def _results(self, name, seed, X):
        """Path of finished fits. Those on other features have another path, instead of being refused."""
        digest = joblib.hash(X)[:8] if isinstance(X, np.ndarray | pd.DataFrame) else "crystals"
        return self.args.work / "fits" / f"{self.target.name}-{seed}-{name}-{digest}"

    def simple(self, seed):
        """The mean, and baselines on statistics of composition and structure."""
        yield "simple", arms.simple(), self.table.X

    def features(self, seed):
        """Random forests on features computed from structures."""
        for name in arms.FEATURES if self.target.paper else ("Magpie",):
            matrix = data.features_of(
                self.table, self.sources.wanted, name, arms.FEATURES[name], self.args.work, self.args.jobs
            )
            yield name, {f"{name}, forest": arms.forest()}, matrix

    def blocks(self, seed):
        """Gaussian processes with a kernel for each source of features: statistics, weights, CHGNet."""
        names = [each.name for each in self.weights]
        for combination in arms.combinations(names, self.args.controls, self.mlip is not None, self.vectors_alone):
            if joined := self.sources.join(combination, seed):
                matrix, blocks = joined
                name = " + ".join(combination)
                yield name, {name: arms.block_gp(blocks)}, matrix

    def best(self, seed):
        """make_arm("best") with all sets of weights that are not controls."""
        yield from self._chosen_by_labels(seed, {"best": ()})

    def best_mlip(self, seed):
        """The same with features of CHGNet, in addition to the weights and instead of them."""
        if self.mlip is not None:
            yield from self._chosen_by_labels(seed, {"best with MLIP": ("MLIP",), "best with MLIP, no vectors": None})

    def _chosen_by_labels(self, seed, models):
        """Models of make_arm("best"), by name: their sources beside statistics and vectors, or None for MLIP alone."""
        embedders = {w.name: w.embedder(seed) for w in self.weights if w.name not in self.args.controls}
        if not embedders or None in embedders.values() or seed >= self.args.best_seeds:
            return
        for name, more in models.items():
            others = ("MLIP",) if more is None else (*sources_of(embedders), *more)
            matrix, blocks = self.sources.join((*arms.UNLEARNT, *others), seed)
            yield name, {name: arms.best(list(embedders.values()), self.table.X)}, as_frame(matrix, blocks)

    def networks(self, seed):
        """Whole networks; for the first seeds only, as they take most of the time."""
        embedder = self.weights[0].embedder(seed) if self.weights else None
        if embedder is not None and seed < self.args.network_seeds:
            other = self._other_model() if self.target.other else None
            yield "networks", arms.networks(embedder, other, self.target.activation), self.table.X

    def paper(self, seed):
        """The paper's recipe on its eight site features, from the weights of --paper-weights."""
        folders = self.args.paper_weights
        if self.target.paper and seed < len(folders):
            pretrained = DeepInfoMaxEmbedder.from_pretrained(folders[seed])
            X = self.table.X.with_site_features(PAPER_SITE_FEATURES)
            yield "paper", arms.paper(pretrained, untrained_copy(pretrained, seed), self.target.activation), X

    def _other_model(self):
        """A network supervised on all training labels of the other property, started from the first seed's weights."""
        column = self.target.other
        path = self.args.work / f"{self.table.name}-{column}-model.joblib"
        if not path.exists():
            y = self.table.frame[column].to_numpy(dtype=float)
            train, test = data.labelled(self.table, y)
            model = SiteNetRegressor(
                pretrained=FrozenEstimator(self.weights[0].embedder(0)),
                output_activation="trelu" if column == "band_gap" else "identity",
                batch_sites=600,
                max_epochs=8,
                random_state=0,
                verbose=1,
            ).fit(self.table.X[train], y[train])
            error = np.abs(model.predict(self.table.X[test]) - y[test]).mean()
            print(f"{column} from {len(train)} labels: test MAE {error:.3f}", flush=True)
            half = path.with_suffix(".part")
            joblib.dump(model, half)
            half.replace(path)
        return joblib.load(path)


def sources_of(embedders):
    """Sources of make_arm("best") that come from embedders, a dict by name: vectors, and properties that are known."""
    return (*embedders, *(f"{name}{PREDICTED}" for name, each in embedders.items() if each.known_properties_))


GROUPS = {
    "simple": Comparison.simple,
    "features": Comparison.features,
    "blocks": Comparison.blocks,
    "best": Comparison.best,
    "best_mlip": Comparison.best_mlip,
    "networks": Comparison.networks,
    "paper": Comparison.paper,
}
