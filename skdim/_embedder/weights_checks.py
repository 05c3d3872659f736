"""What :meth:`DeepInfoMaxEmbedder.from_pretrained` reads, and every check of it before a network is made."""

from __future__ import annotations

import json

import torch
from safetensors import SafetensorError, safe_open

from .._chemistry.elements import OXIDATION_FEATURE, check_features, table_hash
from .._shared.files import as_json
from .._version import __version__
from ..nn.infomax import DeepInfoMax
from .infomax_net import module_settings

FORMAT = "skdim.DeepInfoMaxEmbedder"
SCHEMA_VERSION = 1
CONFIG, WEIGHTS = "config.json", "weights.safetensors"
#: Parameters of a machine or a session, which say nothing about the weights.
NOT_SAVED = {"callbacks", "checkpoint", "device", "n_jobs", "verbose", "warm_start"}
#: Bytes of config.json, and characters of its parameters: no network is described by more.
_MOST_BYTES, _MOST_TEXT = 10_000_000, 10_000
#: Entries of config.json.
_ENTRIES = {
    "date": str,
    "parameters": dict,
    "network": dict,
    "seed": int,
    "site_features": list,
    "element_table": str,
    "featurizer": dict,
    "training": dict,
    "metadata": dict,
}


def read_config(file):
    """The content of config.json, of this schema version and with entries of the right types.

    Raises
    ------
    ValueError
        As all functions here, where it is not so; the message says what to do.
    """
    try:
        if file.stat().st_size > _MOST_BYTES:
            raise ValueError(f"it has more than {_MOST_BYTES} bytes")
        config = json.loads(file.read_text(encoding="utf-8"))
        known = config["format"] == FORMAT
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"{file.parent} holds no pre-trained weights: {file.name} cannot be read ({error})") from error
    if not known:
        raise ValueError(f"{file.parent} holds no pre-trained weights: {file.name} says {config['format']!r}")
    version = config.get("schema_version")
    if version != SCHEMA_VERSION:
        raise ValueError(
            f"{file.parent} has schema version {version}, and this skdim ({__version__}) reads version "
            f"{SCHEMA_VERSION}: use skdim {config.get('skdim_version', '?')}, or pre-train again"
        )
    # bool is an int to isinstance, and to nothing else here.
    wrong = [k for k, kind in _ENTRIES.items() if not isinstance(config.get(k), kind) or isinstance(config[k], bool)]
    if not wrong:
        right = {
            "seed": 0 <= config["seed"] < 2**32,
            "network": isinstance(config["network"].get("encoder"), dict),
            "training": _is_training(config["training"]),
        }
        wrong = [name for name, is_right in right.items() if not is_right]
    if wrong:
        raise ValueError(f"{file} is damaged: {', '.join(wrong)} cannot be what save_pretrained wrote")
    return config


def _is_training(training):
    history, n = training.get("history"), training.get("n_crystals")
    if not isinstance(n, int) or not isinstance(history, list):
        return False
    return all(isinstance(e, dict) and not any(isinstance(v, (dict, list)) for v in e.values()) for e in history)


def checked_site_features(config, folder):
    """Site features that the weights read; this package must have the same values of them."""
    features = tuple(config["site_features"])
    try:
        check_features([name for name in features if name != OXIDATION_FEATURE])
        known = len(set(features)) == len(features)
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"{folder} was trained on site features that this skdim ({__version__}) does not know: {error}"
        ) from error
    if not known:
        raise ValueError(f"{folder / CONFIG} is damaged: site_features names a feature twice")
    if config["element_table"] != features_hash(features):
        raise ValueError(
            f"{folder} was trained with other values of the site features {list(features)} than this skdim "
            f"({__version__}) has: use skdim {config.get('skdim_version', '?')}, or pre-train again"
        )
    return features


def features_hash(features):
    """Fingerprint of the elemental properties among the site features."""
    return table_hash([name for name in features if name != OXIDATION_FEATURE])


def saved_embedder(cls, parameters, folder):
    """The unfitted embedder of the saved parameters."""
    if len(json.dumps(parameters)) > _MOST_TEXT:
        raise ValueError(f"{folder / CONFIG} is damaged: its parameters are longer than any network's")
    unknown = sorted((parameters.keys() - cls().get_params(deep=False).keys()) | (parameters.keys() & NOT_SAVED))
    if unknown:
        raise ValueError(
            f"{folder / CONFIG} has parameters that this skdim ({__version__}) does not take from a file: {unknown}; "
            "a newer skdim may know them"
        )
    embedder = cls(**_tuples(parameters))
    try:
        embedder._validate_params()
    except (ValueError, TypeError) as error:
        raise ValueError(f"{folder / CONFIG} has a parameter of no use: {error}") from error
    return embedder


def checked_settings(saved, config, features, folder):
    """Arguments of the module for the saved parameters; they must be those that the weights were trained with."""
    try:
        settings = module_settings(saved, features)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{folder / CONFIG} has a parameter of no use: {error}") from error
    ours, theirs = _flat(as_json(settings)), _flat(config["network"])
    changed = [f"{k}={theirs[k]!r} (here {ours.get(k, 'unknown')!r})" for k in theirs if ours.get(k) != theirs[k]]
    if changed:
        raise ValueError(
            f"{folder} was trained with {', '.join(changed)}, which is not what its parameters stand for in this skdim "
            f"({__version__}): use skdim {config.get('skdim_version', '?')}"
        )
    return settings


def check_override(settings, saved, params):
    """Refuse overrides that change the encoder, also where its weights would fit."""
    ours, theirs = as_json(settings["encoder"]), as_json(saved["encoder"])
    different = [f"{name}={theirs[name]!r}, not {ours[name]!r}" for name in ours if ours[name] != theirs[name]]
    if different:
        raise ValueError(
            f"{sorted(params)} would change the trained network, which has {'; '.join(different)}: leave them out, or "
            "fit a new DeepInfoMaxEmbedder"
        )


def read_weights(file, embedder, features, params):
    """The tensors of a file, once its header says that they are those of the embedder's network."""
    try:
        with safe_open(file, framework="pt", device="cpu") as tensors:
            slices = {name: tensors.get_slice(name) for name in tensors.keys()}  # noqa: SIM118 (no mapping)
            found = {name: (list(part.get_shape()), part.get_dtype()) for name, part in slices.items()}
            _check_shapes(found, _expected(module_settings(embedder, features), len(found), file), file, params)
            weights = {name: tensors.get_tensor(name) for name in found}
    except (OSError, SafetensorError) as error:
        raise ValueError(f"{file} is damaged or missing ({error})") from error
    for name, value in weights.items():
        if not torch.isfinite(value).all():
            raise ValueError(f"{file} is damaged: {name} has values that are not finite")
    return weights


def _expected(settings, n_tensors, file):
    """Shapes of the network's weights; made without memory for them, so that no config can ask for much."""
    if settings["encoder"]["n_blocks"] > n_tensors:
        raise ValueError(f"{file} does not fit its {CONFIG}: it holds less than n_blocks tensors")
    try:
        with torch.device("meta"):
            return {name: list(value.shape) for name, value in DeepInfoMax(**settings).state_dict().items()}
    except Exception as error:  # whatever torch says of widths that are none
        raise ValueError(f"{file.with_name(CONFIG)} describes no network ({error})") from error


def _check_shapes(found, expected, file, params):
    wrong = [f"{name} is missing" for name in expected.keys() - found.keys()]
    wrong += [f"{name} is of no use" for name in found.keys() - expected.keys()]
    wrong += [
        f"{name} is {dtype} {shape}, not F32 {expected[name]}"
        for name, (shape, dtype) in found.items()
        if name in expected and (shape, dtype) != (expected[name], "F32")
    ]
    if wrong:
        to_blame = f"{sorted(params)} or its {CONFIG}" if params else f"its {CONFIG}"
        more = f", and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise ValueError(f"{file} does not fit {to_blame}: {'; '.join(sorted(wrong)[:3])}{more}")


def _flat(settings):
    """Nested settings as one dict."""
    return {**settings, **settings.get("encoder", {}), "encoder": None}


def _tuples(value):
    """Lists of JSON as the tuples that they were."""
    if isinstance(value, dict):
        return {name: _tuples(part) for name, part in value.items()}
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
