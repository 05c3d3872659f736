"""The page of the published label draws: our errors beside those that the study printed."""

import json

import pandas as pd

from .markdown import in_order, knowledge, table, weights_lines

#: Models of the study, as in its files of predictions.
PRINTED = {
    "scratch": "ALIGNN from random weights",
    "best_pairwise_941": "ALIGNN, best transfer from a small source",
    "best_large": "ALIGNN, best transfer of all sources",
    "multi_property": "ALIGNN, pre-trained on several properties",
}
BEST = ("best", "best with MLIP", "best with MLIP, no vectors")


def relative_errors(frame, about):
    """Mean error over the draws, divided by the deviation of the test labels: ours and printed, and errors in units.

    Returns
    -------
    relative, absolute : DataFrame with a row per model and a column per number of labels
    """
    absolute = frame.groupby(["arm", "n_labels"], sort=False)["mae"].mean().unstack()
    printed = pd.DataFrame(about["printed"])
    printed = printed[printed["n_labels"].isin(absolute.columns)].assign(arm=printed["arm"].map(PRINTED))
    theirs = printed.pivot(index="arm", columns="n_labels", values="mae_real").loc[list(PRINTED.values())]
    relative = printed.pivot(index="arm", columns="n_labels", values="rel").loc[theirs.index]
    return (
        pd.concat([relative, absolute / about["mean_absolute_deviation"]]),
        pd.concat([theirs, absolute]),
    )


def _three_digits(value):
    return f"{value:#.3g}".rstrip(".")


def section(frame, about):
    """Markdown of one property."""
    relative, absolute = relative_errors(frame, about)
    smallest, printed = relative.min(), relative.loc[list(PRINTED.values())].min()
    rows = {}
    for arm, row in relative.iterrows():
        bold = ["**" if value == smallest[n] else "" for n, value in row.items()]
        cells = [
            f"{b}{v:.3f}{b} ({_three_digits(absolute.loc[arm, n])})" if v == v else "-"  # not measured
            for b, (n, v) in zip(bold, row.items(), strict=True)
        ]
        rows[arm] = [*cells, "" if arm in PRINTED.values() else knowledge(arm, about)]
    for arm in BEST:
        if arm in relative.index:
            ratio = relative.loc[arm] / printed
            rows[f"*{arm} / best printed*"] = [*(f"{value:.2f}" if value == value else "-" for value in ratio), ""]
    unit = f" ({about['scale']})" if about["scale"] else ""
    return "\n\n".join(
        [
            f"## {about['title']}{unit}",
            table(["", *(f"{n} labels" for n in relative.columns), "property known"], rows),
        ]
    )


def write(path, files):
    """Write the page from the result files of the properties."""
    results = [
        (in_order(pd.read_csv(file)), json.loads(file.with_suffix(".json").read_text("utf-8"))) for file in files
    ]
    cells = [relative_errors(*result)[0] for result in results]
    lines = []
    for arm in BEST:
        ratios = pd.concat(
            [some.loc[arm] / some.loc[list(PRINTED.values())].min() for some in cells if arm in some.index]
            or [pd.Series(dtype=float)]
        ).dropna()  # sizes that were not measured
        if len(ratios):
            lines.append(f"*{arm}* is below the best printed error in {(ratios < 1).sum()} of {len(ratios)} cells.")
    text = [
        "# Published label draws",
        "Devi, Butler, Sai Gautam (npj Computational Materials 10, 300, 2024) transferred ALIGNN, a graph network, to "
        "properties with few labels. These are our models on the same labels and test crystals: mean absolute error "
        "over the mean absolute deviation of the test labels, and in parentheses the error in the unit of the heading. "
        "Both are means over five trials, as printed there; ours are also means over the seeds of the weights. Labels "
        "that the study validated on are labels here too. Its best transfers were selected among many sources by their "
        "test errors. All crystals are used, also those of more than 50 sites. Trees, forests and the mean learn the "
        "labels as they are; for the other models the labels choose a transformation.",
        *([" ".join(lines)] if lines else []),
        *(section(*result) for result in results),
        "## Weights",
        *_weights([about for _, about in results]),
    ]
    path.write_text("\n\n".join(text) + "\n", encoding="utf-8")
    print(path)


def _weights(abouts):
    """Markdown lists of what the weights were trained on: once if it is the same for all properties."""
    lists = {about["title"]: "\n".join(weights_lines(about)) for about in abouts}
    if len(set(lists.values())) == 1:
        return [next(iter(lists.values()))]
    return [f"{title}:\n\n{text}" for title, text in lists.items()]
