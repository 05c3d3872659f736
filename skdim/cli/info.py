"""``skdim info``: describe the installation, or a file or folder."""

from __future__ import annotations

import json
import platform
from importlib import metadata, util
from pathlib import Path

from ._terminal import DONE, printable

_DESCRIPTION = """\
Describe the installation, or what a path holds: structures, a store of `skdim featurize`, weights of `skdim pretrain`,
or a model of `skdim fit`. No code in a file is run.
"""
_EPILOG = """\
examples:
  skdim info
  skdim info crystals
  skdim info my_weights
  skdim info model.skops
"""
_EXTRAS = {
    "parquet": "pyarrow",
    "skops": "skops",
    "ase": "ase",
    "plot": "matplotlib",
    "baselines": "matminer",
    "mlip": "chgnet",
}


def add(commands):
    parser = commands.add_parser(
        "info", help="describe the installation, or what a path holds", description=_DESCRIPTION, epilog=_EPILOG
    )
    parser.add_argument("path", nargs="?", type=Path, metavar="PATH", help="file or folder (default: the installation)")
    parser.add_argument("--verify", action="store_true", help="read the whole store and compare it with its checksums")
    return parser


def run(args):
    path = args.path
    if args.verify and (path is None or not (path / "header.json").is_file()):
        raise ValueError("--verify is for a store of `skdim featurize`")
    if path is None:
        lines = _installed()
    elif (path / "header.json").is_file():
        lines = _store(path, args.verify)
    elif (path / "config.json").is_file():
        lines = _weights(path)
    elif path.suffix == ".skops":
        lines = _model(path)
    elif path.suffix == ".joblib" and path.exists():
        lines = [
            f"a pickle of {path.stat().st_size / 1e6:.2f} MB, which was not loaded",
            "Loading a pickle can run any code, so its content cannot be shown safely. `skdim predict --trust` loads "
            "it. .skops models of `skdim fit` do not need --trust.",
        ]
    else:
        lines = _source(path)
    for line in lines:
        print(line)
    return DONE


def _installed():
    from .._version import __version__

    names = ("torch", "numba", "scikit-learn", "skorch", "pymatgen", "numpy", "pandas")
    versions = ", ".join(f"{name} {_version(name)}" for name in names)
    missing = [extra for extra, module in _EXTRAS.items() if util.find_spec(module) is None]
    lines = [f"skdim {__version__}", f"Python {platform.python_version()}, {versions}"]
    if missing:
        lines.append(f'not installed: {", ".join(missing)} (pip install "skdim-crystals[{",".join(missing)}]")')
    from .._embedder.weights_folder import INCLUDED, INCLUDED_FOLDER

    for name in INCLUDED:
        lines += ["", f"Weights included in skdim: {name}", *_weights(INCLUDED_FOLDER / name)]
    return lines


def _version(name):
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "missing"


def _store(path, verify):
    from .. import Crystals
    from ._inputs.crystals import has_names, stored_ids

    X = Crystals.load(path, mmap_mode="r", verify=verify)
    ids = stored_ids(path, len(X))
    settings = ", ".join(f"{name} {value}" for name, value in X.settings.items() if value is not None)
    lines = [
        f"a store of featurized crystals, {X!r}",
        f"names: {', '.join(ids[:3])}{', ...' if len(ids) > 3 else ''}" if has_names(path) else "no names",
        f"settings: {settings}",
        f"site features: {', '.join(X.site_features)}",
    ]
    if X.errors_:
        row = next(iter(X.errors_))
        n = len(X.errors_)
        empty = "1 row is empty, as its structure" if n == 1 else f"{n} rows are empty, as their structures"
        lines.append(f"{empty} failed; the first: {_text(X.errors_[row])}")
    if verify:
        lines.append("all checksums match")
    return lines


def _weights(path):
    from .. import DeepInfoMaxEmbedder

    embedder = DeepInfoMaxEmbedder.from_pretrained(path, device="cpu")
    about, notes = embedder.pretrained_info_, embedder.pretrained_info_["metadata"]
    n_weights = sum(value.numel() for value in embedder.net_.module_.encoder.parameters())
    lines = [
        f"weights pre-trained on {about['training']['n_crystals']} crystals for {about['training']['n_epochs']} "
        f"epochs, {about['date'][:10]}, skdim {about.get('skdim_version', '?')}",
        f"encoder: {n_weights} weights; vectors of {len(embedder.get_feature_names_out())} numbers per crystal",
        f"site features: {', '.join(embedder.site_features_)}",
        "featurized with: " + ", ".join(f"{k} {v}" for k, v in about["featurizer"].items() if v is not None),
    ]
    if embedder.known_properties_:
        lines.append(f"known properties: {', '.join(embedder.known_properties_)}")
    return lines + [
        f"{name}: {_text(notes[name])}" for name in ("data", "licence", "held_out", "held_out_loss") if name in notes
    ]


def _model(path):
    from ._model_file import describe_model

    about = describe_model(path)
    return [
        f"a model of {about.get('target')}: {about.get('arm')}, fitted to {about.get('n_labels')} labels with skdim "
        f"{about.get('skdim_version')}",
        _labels(about),
        *([f"weights: {_text(about['weights'])}"] if about.get("weights") else []),
        "(From the description in the file; the model was not loaded.)",
    ]


def _labels(about):
    if isinstance(counts := about.get("classes"), dict):
        return "classes: " + ", ".join(f"{_text(name)} ({_text(count)} labels)" for name, count in counts.items())
    return f"labels: mean {_text(about.get('label_mean'))}, standard deviation {_text(about.get('label_std'))}"


def _source(path):
    from .._structures.sources.open_source import open_source

    source = open_source(path)
    n_rows = sum(1 for _ in source.read()) if source.n_rows is None else source.n_rows
    ids = [name for _, (name, _) in zip(range(3), source.read(), strict=False)]
    lines = [f"{n_rows} {source.what} with structures"]
    if source.has_names and ids:
        lines.append(f"names: {', '.join(ids)}{', ...' if n_rows > 3 else ''}")
    return [*lines, "(The structures are checked when they are featurized.)"]


def _text(value):
    return printable(
        f"{value:.4g}" if isinstance(value, float) else value if isinstance(value, str) else json.dumps(value)
    )
