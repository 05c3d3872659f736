"""Parts of the pages of results."""

import pandas as pd

#: Order of the models on the pages, by the beginning of their names; those in the middle have other names.
_FIRST = ("mean", "composition", "Magpie", "orbital", "X-ray", "statistics, fixed", "untrained", "structures")
_LAST = ("supervised", "transfer", "average", "paper", "best")


def in_order(frame):
    """Rows of results, sorted by model: baselines, Gaussian processes on the sources, networks, the best."""

    def rank(arm):
        for k, name in enumerate(_FIRST):
            if arm.startswith(name):
                return k - len(_FIRST)
        return next((k for k, name in enumerate(_LAST, 1) if arm.startswith(name)), 0)

    arms = sorted(pd.unique(frame["arm"]), key=rank)
    return frame.sort_values("arm", key=lambda column: column.map(arms.index), kind="stable", ignore_index=True)


def table(head, rows):
    """Markdown table; ``rows`` is a dict of the first cell to the other cells."""
    lines = [head, ["---"] * len(head), *([name, *cells] for name, cells in rows.items())]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def knowledge(arm, about):
    """Whether a model has learned the property of the page from other data: "yes", "no", or "" if it learned nothing.

    The sources of a model are in its name: "statistics + MLIP". The best models have those of ``about``.
    """
    sources = arm.split(" + ")
    if arm.startswith("best") and "no vectors" not in arm:
        sources = about["best"]
    known = [each["knows_target"] for name, each in about["weights"].items() if name in sources]
    if about["mlip"] is not None and "MLIP" in arm:
        known.append(about["mlip"]["knows_target"])
    return ("yes" if any(known) else "no") if known else ""


def weights_lines(about):
    """Markdown list of what each set of weights, and the potential, were trained on."""
    lines = []
    for name, each in about["weights"].items():
        seeds = len(each["sha256"])
        known = (name.replace("_", " ").replace(" optb88", " (OptB88vdW)") for name in each["known_properties"])
        properties = ", ".join(known)
        text = f"- Weights *{name}*, {seeds} seed{'s' * (seeds > 1)}: "
        text += f"trained on {properties}. " if properties else "trained on structures only, without labels. "
        if each["n_left_out"] is None:
            text += "There is no record that crystals with formulas of keep_out.txt were left out in training."
        else:
            text += f"{each['n_left_out'][0]} crystals with formulas of keep_out.txt were left out in training."
        lines.append(text)
    if mlip := about["mlip"]:
        text = f"- MLIP: `{mlip['features']}`. "
        if mlip["n_failed"]:
            text += (
                f"It failed for {mlip['n_failed']} of {mlip['n_rows']} crystals, whose features are the medians of the "
                "labelled ones. "
            )
        if mlip["knows_target"]:
            text += "It was trained on this property, also of test crystals: its errors are too low."
        lines.append(text.strip())
    return lines
