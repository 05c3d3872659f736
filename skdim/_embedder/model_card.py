"""The model card of weights: a README.md that says what they learned from, and what they must not be judged on."""

from __future__ import annotations

import json

#: Licences as the hub names them.
_LICENCES = {
    "CC BY 4.0": "cc-by-4.0",
    "CC0": "cc0-1.0",
    "CC0 1.0": "cc0-1.0",
    "MIT": "mit",
    "BSD-3-Clause": "bsd-3-clause",
}
#: Entries of the metadata that have a place of their own in the card.
_PLACED = {
    "data",
    "licence",
    "held_out",
    "n_held_out",
    "held_out_loss",
    "untrained_held_out_loss",
    "held_out_properties",
    "sources",
    "command",
    "start",
}


def model_card(config, sha256):
    """Text of a card, in Markdown with the header that the hub reads.

    Parameters
    ----------
    config : dict
        Content of ``config.json``.
    sha256 : str
        Its checksum.
    """
    parts = (_header, _title, _use, _data, _training, _held_out, _known, _limits)
    return "\n".join(part(config, sha256) for part in parts)


def _header(config, _):
    licence = config["metadata"].get("licence")
    lines = ["library_name: skdim", "tags: [materials-science, crystal-structures, scikit-learn]"]
    if isinstance(licence, str) and licence in _LICENCES:
        lines.append(f"license: {_LICENCES[licence]}")
    elif licence:
        lines += ["license: other", f"license_name: {json.dumps(_text(licence))}"]
    return "\n".join(["---", *lines, "---", ""])


def tasks_of(network, known_properties):
    """What a network with these settings learns, list of str."""
    tasks = ["Deep InfoMax"] if network.get("objective") is not None else []
    tasks += ["known properties"] if known_properties else []
    statistics = network.get("descriptor_weight") or network.get("radial_weight")
    return tasks + (["statistics of the structure"] if statistics else [])


def _starts(notes):
    """The metadata's entries of earlier trainings whose weights were the first ones, the earliest last."""
    starts = []
    while isinstance(notes := notes.get("start"), dict):
        starts.append(notes)
    return starts


def _title(config, _):
    encoder = config["network"]["encoder"]
    earlier = [task for start in reversed(_starts(config["metadata"])) for task in start.get("tasks", [])]
    learned = list(dict.fromkeys([*earlier, *tasks_of(config["network"], config["known_properties"])]))
    return (
        f"# Site-Net encoder, pre-trained by {_listed(learned or ['nothing: random weights'])}\n\n"
        "It turns a crystal structure into a vector. "
        f"`n_components={encoder['n_components']}`, `local_dim={encoder['local_dim']}`, "
        f"`n_blocks={encoder['n_blocks']}`, {len(config['site_features'])} site features.\n"
    )


def _use(config, sha256):
    settings = {k: v for k, v in config["featurizer"].items() if v is not None and k in ("max_sites", "supercell")}
    arguments = ", ".join(f"{name}={json.dumps(value)}" for name, value in settings.items())
    return f"""## Use

```python
from skdim import DeepInfoMaxEmbedder, SiteNetFeaturizer

embedder = DeepInfoMaxEmbedder.from_pretrained(path)  # this folder, or hf://organisation/name
X = SiteNetFeaturizer({arguments}).fit_transform(structures)
vectors = embedder.transform(X)
```

Loading runs no code: `config.json` is JSON, `weights.safetensors` holds tensors. `config.json` contains the sha256 of
the weights; its own is `{sha256}`.
"""


def _data(config, _):
    notes = config["metadata"]
    lines = [
        "## Training data",
        "",
        f"{_text(notes.get('data') or 'Not described.')}",
        "",
        f"Licence of the data: {_text(notes.get('licence') or 'not given')}.",
        "",
    ]
    if isinstance(notes.get("sources"), list):
        names = ("name", "n_rows", "n_used", "n_failed", "n_test_left_out", "n_formula_left_out", "sha256")
        lines += [
            "| source | rows | used (with held-out) | failed | test rows left out | formulas left out | sha256 |",
            "|" + "---|" * len(names),
            *("| " + " | ".join(_text(source.get(name, "")) for name in names) + " |" for source in notes["sources"]),
            "",
        ]
    lines += [f"- {name}: {_text(value)}" for name, value in notes.items() if name not in _PLACED]
    return "\n".join(lines)


def _training(config, _):
    training = config["training"]
    command = config["metadata"].get("command")
    return "\n".join(
        [
            "## Training",
            "",
            f"{training['n_crystals']} crystals, {len(training['history'])} epochs, seed {config['seed']}, "
            f"{config['date'][:10]}, skdim {config['skdim_version']}.",
            "",
            *(["```", _text(command), "```", ""] if command else []),
            *_earlier(config["metadata"]),
        ]
    )


def _earlier(notes):
    """Lines about the earlier trainings, the latest first."""
    lines = []
    for start in _starts(notes):
        lines += [f"It continued from the weights {_text(start.get('name', ''))}, which were trained by", ""]
        lines += ["```", _text(start.get("command", "")), "```", ""]
    return lines


def _held_out(config, _):
    notes = config["metadata"]
    lines = ["## Held-out results", ""]
    if "held_out_loss" in notes:
        untrained = notes.get("untrained_held_out_loss")
        lines.append(
            f"Loss {_number(notes['held_out_loss'])}"
            + (f" (untrained: {_number(untrained)})" if untrained is not None else "")
            + "."
        )
    if notes.get("n_held_out") is not None:
        lines.append(f"{notes['n_held_out']} crystals were held out: `{_text(notes.get('held_out', ''))}`.")
    errors = notes.get("held_out_properties")
    if isinstance(errors, dict):
        lines += ["", "| property | crystals | mean absolute error | mean absolute deviation |", "|---|---|---|---|"]
        lines += [
            f"| {_text(name)} | {e.get('n')} | {_number(e.get('mae'))} | {_number(e.get('mean_absolute_deviation'))} |"
            for name, e in errors.items()
        ]
    return "\n".join([*lines, ""] if len(lines) > 2 else [*lines, "None given.", ""])


def _known(config, _):
    known = config["known_properties"]
    text = ", ".join(f"`{_text(name)}`" for name in known) + "." if known else "None: it learned from structures alone."
    return f"## Known properties\n\n{text}\n"


def _limits(config, _):
    notes, known = config["metadata"], config["known_properties"]
    sources = notes["sources"] if isinstance(notes.get("sources"), list) else []
    left_out = [sum(source.get(name) or 0 for source in sources) for name in ("n_test_left_out", "n_formula_left_out")]
    lines = [
        "## What it must not be judged on",
        "",
        "- Crystals of the training data, or others with the same reduced formula: they have been seen.",
    ]
    if any(left_out):
        lines.append(
            f"- Judge it on crystals that were left out: {left_out[0]} test rows of the sources, and {left_out[1]} "
            "rows of listed formulas, which no training crystal has."
        )
    if known:
        lines.append(
            "- A benchmark of a known property, or of one that follows from it, must say that the property was known."
        )
    lines.append(
        "- Crystals featurized with other settings, or unlike the training data (other elements, molecules, surfaces)."
    )
    return "\n".join([*lines, ""])


def _text(value):
    """A value in one line, without characters that end a table cell."""
    text = value if isinstance(value, str) else json.dumps(value)
    return " ".join(text.split()).replace("|", "\\|")


def _number(value):
    return f"{value:.4g}" if isinstance(value, int | float) else _text(value)


def _listed(words):
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))
