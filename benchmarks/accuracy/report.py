"""Make tables and figures from the results of `python -m benchmarks.accuracy`.

Writes for each NAME-TARGET.csv in a folder NAME-TARGET.md (errors of all models, and paired differences between
selected models) and NAME-TARGET.png (box plots of the main models, like the paper's figure S1).
"""

import argparse
from pathlib import Path

import pandas as pd

from skdim.model_selection import paired_difference, summarize
from skdim.plotting import LabelEfficiencyDisplay

from .arms import SIMPLE

UNITS = {"formation_energy_per_atom": "eV/atom", "band_gap": "eV", "n": ""}
#: Pairs of models whose difference answers a question: what pre-training adds to the frozen vector under each small
#: model, and to the whole network; what the vector adds to composition and to statistics; our recipe or the paper's.
COMPARISONS = (
    *((f"representation, {head}", f"untrained, {head}") for head in ("GP", "trees", "ridge", "MLP")),
    ("transfer", "supervised"),
    ("representation, GP", "composition, trees"),
    ("representation + statistics, GP", "structure statistics, GP"),
    ("representation + statistics, block GP", "representation + statistics, GP"),
    ("structure statistics, block GP", "structure statistics, GP"),
    ("representation, MLP", "paper: representation, MLP"),
    ("transfer", "paper: transfer"),
)
#: Models in the figure; the table has all.
SHOWN = (
    "composition, trees",
    "representation, GP",
    "untrained, GP",
    "representation + statistics, GP",
    "representation + statistics, block GP",
    "transfer",
    "supervised",
    "transfer from the other property",
    "average of GP, trees and transfer",
    "average of GP, trees and transfer from the other property",
)


def error_table(frame):
    """Markdown: median (quartiles) for each model and size, the smallest median of each size in bold."""
    summary = summarize(frame)
    best = summary.groupby("n_labels")["median"].transform("min") == summary["median"]
    cells = [
        f"{'**' if is_best else ''}{row.median:.3f}{'**' if is_best else ''} ({row.q25:.3f} - {row.q75:.3f})"
        for row, is_best in zip(summary.itertuples(), best, strict=True)
    ]
    return _markdown(summary.assign(text=cells), "arm", summary["arm"].unique())


def difference_table(frame):
    """Markdown: median [95 % interval] of the difference of two models; None without such a pair."""
    present = set(frame["arm"])
    parts = [
        paired_difference(frame, arm, reference).assign(arm=f"{arm} - {reference}")
        for arm, reference in COMPARISONS
        if {arm, reference} <= present
    ]
    if not parts:
        return None
    rows = pd.concat(parts)
    text = [f"{r.median_difference:+.3f} [{r.low:+.3f}, {r.high:+.3f}]" for r in rows.itertuples()]
    return _markdown(rows.assign(text=text), "arm", rows["arm"].unique())


def best_arms(frame):
    """Markdown: the best simple model and the best of all, at each size."""
    summary = summarize(frame).set_index("arm")
    lines = ["| labels | best simple model | best model | below |", "|---|---|---|---|"]
    for n, rows in summary.groupby("n_labels"):
        simple, best = (part["median"].idxmin() for part in (rows[rows.index.isin(SIMPLE)], rows))
        low, high = rows.loc[best, "median"], rows.loc[simple, "median"]
        lines.append(f"| {n} | {simple} {high:.3f} | {best} {low:.3f} | {1 - low / high:.0%} |")
    return "\n".join(lines)


def _markdown(cells, index, order):
    table = cells.pivot(index=index, columns="n_labels", values="text").loc[list(order)].fillna("-")
    head = ["| |" + "|".join(f" {n} labels " for n in table.columns) + "|", "|---" * (1 + table.shape[1]) + "|"]
    rows = [" | ".join(["", name, *row, ""]).strip() for name, row in zip(table.index, table.to_numpy(), strict=True)]
    return "\n".join([*head, *rows])


def write(path):
    frame = pd.read_csv(path)
    target = path.stem.split("-", 1)[1]
    units, n_seeds = UNITS.get(target, ""), frame["seed"].nunique()
    per_size = frame[["n_labels", "seed", "repeat"]].drop_duplicates().groupby("n_labels").size()
    draws = ", ".join(f"{n} at {size}" for size, n in per_size.items())
    text = [
        f"Test mean absolute error{' in ' + units if units else ''}: median (quartiles) over label draws ({draws} "
        f"labels), of {n_seeds} pre-training seed{'s' * (n_seeds > 1)} together.",
        error_table(frame),
    ]
    if differences := difference_table(frame):
        text += [
            "Differences on the same draws, median [95 % bootstrap interval over seeds and draws]; negative where the "
            "first model is better.",
            differences,
        ]
    text.append(best_arms(frame))
    path.with_suffix(".md").write_text("\n\n".join(text) + "\n", encoding="utf-8")
    shown = [arm for arm in SHOWN if arm in set(frame["arm"])]
    # Pass only the models in the figure: styles would repeat over all models of the results.
    display = LabelEfficiencyDisplay.from_results(frame[frame["arm"].isin(shown)], units=units or None, arms=shown)
    display.figure_.savefig(path.with_suffix(".png"), dpi=150)
    print(f"{path.with_suffix('.md')} and .png")


def main(argv=None):
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.accuracy.report",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path, nargs="?", default=Path("docs/accuracy"), help="of the csv files")
    folder = parser.parse_args(argv).folder
    for path in sorted(folder.glob("*.csv")):
        write(path)


if __name__ == "__main__":
    main()
