"""Measure our models on the label draws of a published study, beside what it printed.

Devi, Butler, Sai Gautam, npj Computational Materials 10, 300 (2024): transfer learning with ALIGNN on few labels. The
folder DATA/saimat has the tables, the label draws (five trials of 100, 200, 500 and 800 labels; those that the study
validated on are labels too) and printed.csv, its errors. All cells are used, also those of more than 50 sites. Errors
are in the units of the table. The same command resumes an interrupted run. Writes published-PROPERTY.csv and .json.
"""

from dataclasses import dataclass

import joblib
import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from skdim.model_selection import label_efficiency

from . import comparison, data
from .comparison import Comparison
from .options import add_choices, add_comparison, add_numbers, describe_groups, make_parser, mlip_of, weights_of
from .sources import take
from .targets import BAND_GAP, SHEAR_MODULUS, Target

GROUPS = {name: comparison.GROUPS[name] for name in ("simple", "features", "blocks", "best", "best_mlip")}


@dataclass(frozen=True)
class PublishedTarget(Target):
    """A target of the study, in the units of its table."""

    @property
    def name(self):
        return f"published-{self.table.removeprefix('saimat/')}"


TARGETS = {
    target.name.removeprefix("published-"): target
    for target in (
        PublishedTarget("saimat/ph", "last_phdos_peak", "Highest phonon frequency", "1/cm"),
        PublishedTarget("saimat/dc", "poly_total", "Total dielectric constant", ""),
        PublishedTarget("saimat/gv", "log10_g_vrh", "Shear modulus", "log10(GPa)", known_as=SHEAR_MODULUS),
        PublishedTarget("saimat/ebg", "gap_expt", "Measured band gap", "eV", known_as=BAND_GAP),
    )
}


class PublishedComparison(Comparison):
    """Fits of the models on the published draws of one property."""

    vectors_alone = False

    def __init__(self, target, table, weights, mlip, args):
        draws = pd.read_parquet(args.data / "saimat" / "draws.parquet")
        draws = draws[draws["property"] == target.table.removeprefix("saimat/")]
        row_of = pd.Series(np.arange(len(table.frame)), index=table.frame["id"])
        self.draws = {}
        for key, rows in draws.groupby(["n_labels", "trial"]):
            if key[0] in args.sizes and key[1] <= args.trials:
                is_test = (rows["role"] == "test").to_numpy()
                self.draws[key] = row_of[rows["id"][~is_test]].to_numpy(), row_of[rows["id"][is_test]].to_numpy()
        super().__init__(target, table, weights, mlip, args)

    def _split(self):
        train, test = (np.unique(np.concatenate(rows)) for rows in zip(*self.draws.values(), strict=True))
        return train, test

    def _wanted(self):
        return np.union1d(self.train, self.test)

    def _fits(self, name, seed, models, X):
        print(f"{self.target.name}, seed {seed}, {name}: {', '.join(models)}", flush=True)
        folder = self._results(name, seed, X)
        calls = (delayed(self._fit)(models, X, key, seed, folder) for key in self.draws)
        with joblib.parallel_config("loky", inner_max_num_threads=1):
            return pd.concat(Parallel(self.args.jobs)(calls))

    def _fit(self, models, X, key, seed, folder):
        (n_labels, trial), (train, test) = key, self.draws[key]
        frame = label_efficiency(
            models,
            take(X, train),
            self.y[train],
            X_test=take(X, test),
            y_test=self.y[test],
            train_sizes=[len(train)],  # all rows of the draw
            n_repeats=1,
            random_state=1000 * seed + trial,
            results_file=folder / f"{n_labels}-{trial}.jsonl",
            n_jobs=1,
        )
        return frame.assign(repeat=trial)

    def describe(self):
        printed = pd.read_csv(self.args.data / "saimat" / "printed.csv")
        printed = printed[printed["property"] == self.target.table.removeprefix("saimat/")]
        columns = ["arm", "source", "n_labels", "mae_real", "rel"]
        return {**super().describe(), "printed": printed[columns].to_dict("records")}


def parse(argv=None):
    parser = make_parser(".published", __doc__, describe_groups(GROUPS))
    add_comparison(parser)
    add_choices(parser, "--properties", TARGETS, "tables of DATA/saimat")
    add_choices(parser, "--groups", GROUPS, "groups of models")
    add_numbers(parser, "--sizes", [100, 200, 500, 800], "numbers of labels")
    parser.add_argument("--trials", type=int, default=5, help="number of published draws of each size (%(default)s)")
    return parser.parse_args(argv)


def main(argv=None):
    args = parse(argv)
    weights, mlip = weights_of(args), mlip_of(args)
    for name in args.properties:
        target = TARGETS[name]
        table = data.load(args.data, target.table, args.work, args.jobs, complete=True)
        PublishedComparison(target, table, weights, mlip, args).measure(args.groups)


if __name__ == "__main__":
    main()
