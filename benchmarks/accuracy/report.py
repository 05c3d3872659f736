"""Make tables and figures from the results of `python -m benchmarks.accuracy` and `.published`.

Writes for each TABLE-COLUMN.csv in a folder a page TABLE-COLUMN.md (errors of all models, and paired differences
between selected models) and a figure TABLE-COLUMN.png (box plots of the main models, like the paper's figure S1); and
from all published-PROPERTY.csv one page published.md.
"""

import json
from pathlib import Path

import pandas as pd

from skdim.model_selection import paired_difference, summarize
from skdim.plotting import LabelEfficiencyDisplay

from . import published_report
from .markdown import in_order, knowledge, table, weights_lines
from .options import make_parser

#: Pairs of models whose difference answers a question: what each source adds to the statistics, and to these with an
#: interatomic potential; what the pre-training on structures adds to the one on properties; what the head adds; what
#: pre-training adds to the vectors alone and to the whole network; our recipe or the paper's.
COMPARISONS = (
    *((f"statistics + {name}", "statistics") for name in ("structures", "properties", "MLIP")),
    ("statistics + density", "statistics"),
    ("statistics + density + structures", "statistics + density"),
    ("statistics + density + properties", "statistics + density"),
    ("statistics + density + MLIP", "statistics + density"),
    ("statistics + MLIP + properties", "statistics + MLIP"),
    ("best", "statistics + MLIP"),
    ("best", "best with MLIP, no vectors"),
    ("best with MLIP", "statistics + MLIP"),
    ("best with MLIP", "best with MLIP, no vectors"),
    ("statistics + properties", "statistics + properties from random weights"),
    ("statistics", "statistics, fixed GP"),
    ("structures", "untrained"),
    ("transfer", "supervised"),
    ("representation, MLP", "paper: representation, MLP"),
    ("transfer", "paper: transfer"),
)
#: Models in the figure, in this order, with fill and hatch; the table has all. A model looks the same in every figure.
#: The colours of Okabe and Ito (2008), one for each source; hatches differ where two are equally light.
SHOWN = {
    "composition, trees": ("#CCCCCC", ""),
    "Magpie, forest": ("#999999", "---"),
    "statistics": ("#0072B2", ""),
    "statistics + structures": ("#56B4E9", "..."),
    "statistics + properties": ("#D55E00", "\\\\\\"),
    "statistics + other properties": ("#F3B391", "\\\\"),
    "statistics + MLIP": ("#009E73", "///"),
    "statistics + density + properties": ("#D55E00", "xxx"),
    "statistics + density + MLIP": ("#009E73", "++"),
    "transfer": ("#F0E442", "|||"),
    "best": ("#CC79A7", ""),
    "best with MLIP": ("#FFFFFF", ""),
}
_STAR, _TO = " *", "\N{EN DASH}"


def error_table(frame, about):
    """Markdown: median (quartiles) for each model and size, the smallest median of each size in bold.

    Further columns have the medians over the mean absolute deviation of the test labels, the standard deviation of the
    medians of the seeds, the number of draws, and whether the model has learned the property from other data.
    """
    summary = summarize(frame)
    sizes = sorted(summary["n_labels"].unique())
    smallest = summary.groupby("n_labels")["median"].min()
    of_seed = frame.groupby(["arm", "n_labels", "seed"])["mae"].median().groupby(["arm", "n_labels"])
    spread = of_seed.std().unstack()
    rows = {}
    for arm, part in summary.groupby("arm", sort=False):
        part = part.set_index("n_labels").reindex(sizes)
        cells = []
        for row in part.itertuples():
            bold = "**" if row.median == smallest[row.Index] else ""
            cells.append(f"{bold}{row.median:.3f}{bold} ({row.q25:.3f}{_TO}{row.q75:.3f})" if row.median > 0 else "-")
        relative = " / ".join(_number(value / about["mean_absolute_deviation"], 2) for value in part["median"])
        seeds = " / ".join(_number(spread.loc[arm].get(size), 3) for size in sizes)
        draws = [str(int(n)) if n == n else "-" for n in part["n_repeats"]]
        draws = draws[0] if len(set(draws)) == 1 else " / ".join(draws)
        rows[arm] = [*cells, relative, seeds, draws, knowledge(arm, about)]
    head = [*(f"{n} labels" for n in sizes), "error / deviation", "std of seeds", "draws", "property known"]
    return table(["", *head], rows)


def difference_table(frame):
    """Markdown: median [95 % interval] of the difference of two models; None without such a pair."""
    present, rows = set(frame["arm"]), {}
    sizes = sorted(frame["n_labels"].unique())
    for arm, reference in COMPARISONS:
        if not {arm, reference} <= present:
            continue
        difference = paired_difference(frame, arm, reference).set_index("n_labels").reindex(sizes)
        rows[f"{arm} - {reference}"] = [
            f"{r.median_difference:+.3f} [{r.low:+.3f}, {r.high:+.3f}]" if r.n_repeats > 0 else "-"
            for r in difference.itertuples()
        ]
    return table(["", *(f"{n} labels" for n in sizes)], rows) if rows else None


def figure(frame, about):
    """Box plots of the models of ``SHOWN``; a star marks those that have learned the property from other data."""
    names = _names(frame, about)
    # Pass only the models in the figure: styles are those of the models of the results.
    results = frame[frame["arm"].isin(names)]
    styles = [SHOWN[arm] for arm in pd.unique(results["arm"])]
    display = LabelEfficiencyDisplay.from_results(
        results.assign(arm=results["arm"].map(names)), arms=list(names.values()), styles=styles
    )
    unit = f" ({about['scale']})" if about["scale"] else ""
    display.ax_.set_ylabel(f"{about['title'].split(':')[0]}, test MAE{unit}")
    return display.figure_


def write(path):
    """Write the page and the figure of a file of results."""
    frame, about = in_order(pd.read_csv(path)), json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    left_out = about["n_larger_cells_left_out"]
    scale = f" in {about['scale']}" if about["scale"] else ""
    text = [
        f"# {about['title']}",
        f"Mean absolute error{scale} of {about['n_test']} test crystals, whose formulas are in no training row: median "
        f"(quartiles) over label draws, of all seeds together. Labels are drawn from {about['n_train']} crystals. The "
        f"mean absolute deviation of the test labels is {about['mean_absolute_deviation']:.3f}."
        + (f" {left_out} crystals of more than 50 sites are left out." if left_out else ""),
        f"![Box plots of the test error against the number of labels]({path.stem}.png)",
        *(
            ["\\*: has learned this property from other data."]
            if _STAR in "".join(_names(frame, about).values())
            else []
        ),
        error_table(frame, about),
    ]
    if differences := difference_table(frame):
        text += [
            "Differences on the same draws, median [95 % bootstrap interval over seeds and draws]; negative where the "
            "first model is better.",
            differences,
        ]
    text.append("\n".join(weights_lines(about)))
    path.with_suffix(".md").write_text("\n\n".join(text) + "\n", encoding="utf-8")
    figure(frame, about).savefig(path.with_suffix(".png"), dpi=150)
    print(f"{path.with_suffix('.md')} and .png")


def main(argv=None):
    parser = make_parser(".report", __doc__)
    parser.add_argument(
        "folder", type=Path, nargs="?", default=Path("docs/accuracy"), help="folder of the csv files (%(default)s)"
    )
    folder = parser.parse_args(argv).folder
    published = sorted(folder.glob("published-*.csv"))
    others = {folder / "calibration.csv", folder / "fine_tuning.csv"}  # their commands write their tables
    for path in sorted(set(folder.glob("*.csv")) - {*published, *others}):
        write(path)
    if published:
        published_report.write(folder / "published.md", published)


def _names(frame, about):
    """Names in the figure by model."""
    return {arm: arm + _STAR * (knowledge(arm, about) == "yes") for arm in SHOWN if arm in set(frame["arm"])}


def _number(value, digits):
    return f"{value:.{digits}f}" if pd.notna(value) else "-"


if __name__ == "__main__":
    main()
