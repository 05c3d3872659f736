"""Checks of the files that :meth:`DeepInfoMaxEmbedder.from_pretrained` reads, made before any network is built.

All functions raise ValueError with a message that says what is wrong and what to do.
"""

from __future__ import annotations

import hashlib
import json

import torch
from safetensors import SafetensorError, safe_open

from .._chemistry.elements import OXIDATION_FEATURE, check_features, table_hash
from .._shared.files import as_json
from .._shared.headers import FileFormat
from .._version import __version__
from ..nn.infomax import DeepInfoMax
from .infomax_net import module_settings

FORMAT = FileFormat("skdim.DeepInfoMaxEmbedder", 1, "a folder of pre-trained weights", "pre-train again")
CONFIG, WEIGHTS = "config.json", "weights.safetensors"
#: Parameters that depend on the machine or the session, or that the weights make superfluous.
NOT_SAVED = {"callbacks", "checkpoint", "device", "n_jobs", "pretrained", "verbose", "warm_start"}
#: Maximum size of config.json in bytes, and of its parameters in characters.
_MAX_BYTES, _MAX_TEXT = 10_000_000, 10_000
#: Entries of config.json and their types.
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
    """Return the content of config.json, which must have this schema version and entries of the right types."""
    config = FORMAT.read(file, file.parent, max_bytes=_MAX_BYTES)
    # isinstance takes a bool for an int.
    wrong = [k for k, kind in _ENTRIES.items() if not isinstance(config.get(k), kind) or isinstance(config[k], bool)]
    if not wrong:
        valid = {
            "seed": 0 <= config["seed"] < 2**32,
            "network": isinstance(config["network"].get("encoder"), dict),
            "training": _is_training(config["training"]),
        }
        valid["known_properties"] = _are_names(config.setdefault("known_properties", []))
        wrong = [name for name, is_valid in valid.items() if not is_valid]
    if wrong:
        raise ValueError(f"{file} is damaged: invalid {', '.join(wrong)}")
    return config


def _are_names(names):
    return isinstance(names, list) and all(isinstance(name, str) for name in names) and len(set(names)) == len(names)


def _is_training(training):
    history, n = training.get("history"), training.get("n_crystals")
    if not isinstance(n, int) or not isinstance(history, list):
        return False
    return all(isinstance(e, dict) and not any(isinstance(v, (dict, list)) for v in e.values()) for e in history)


def checked_site_features(config, folder):
    """Return the site features that the weights were trained on; their values must be those of this package."""
    features = tuple(config["site_features"])
    try:
        check_features([name for name in features if name != OXIDATION_FEATURE])
        known = len(set(features)) == len(features)
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"{folder} was trained on site features that are unknown to this skdim ({__version__}): {error}"
        ) from error
    if not known:
        raise ValueError(f"{folder / CONFIG} is damaged: site_features has duplicates")
    if config["element_table"] != features_hash(features):
        raise ValueError(
            f"{folder} was trained with other values of the site features {list(features)} than this skdim "
            f"({__version__}) has: use skdim {config.get('skdim_version', '?')}, or pre-train again"
        )
    return features


def features_hash(features):
    """Hash of the values of the elemental properties among the site features."""
    return table_hash([name for name in features if name != OXIDATION_FEATURE])


def saved_embedder(cls, parameters, known_properties, folder):
    """Return an embedder with the saved parameters and known properties, without a network."""
    if len(json.dumps(parameters)) > _MAX_TEXT:
        raise ValueError(f"{folder / CONFIG} is damaged: its parameters have more than {_MAX_TEXT} characters")
    unknown = sorted((parameters.keys() - cls().get_params(deep=False).keys()) | (parameters.keys() & NOT_SAVED))
    if unknown:
        raise ValueError(
            f"{folder / CONFIG} has parameters that this skdim ({__version__}) does not read from a file: {unknown}; "
            "a newer skdim may support them"
        )
    embedder = cls(**_tuples(parameters))
    embedder.known_properties_ = tuple(known_properties)
    try:
        embedder._validate_params()
    except (ValueError, TypeError) as error:
        raise ValueError(f"{folder / CONFIG} has an invalid parameter: {error}") from error
    return embedder


def checked_settings(saved, config, features, folder):
    """Return the module's arguments for the saved parameters; the weights must have been trained with the same."""
    try:
        settings = module_settings(saved, features)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{folder / CONFIG} has an invalid parameter: {error}") from error
    current, trained = _flat(as_json(settings)), _flat(config["network"])
    changed = [
        f"{name}={trained[name]!r} (here {current.get(name, 'unknown')!r})"
        for name in trained
        if current.get(name) != trained[name]
    ]
    if changed:
        raise ValueError(
            f"{folder} was trained with {', '.join(changed)}: defaults of this skdim ({__version__}) differ; use skdim "
            f"{config.get('skdim_version', '?')}"
        )
    return settings


def check_override(settings, saved, params):
    """Refuse overrides that change the encoder, even if the weights have the right shapes."""
    current, trained = as_json(settings["encoder"]), as_json(saved["encoder"])
    different = [
        f"{name}={trained[name]!r}, not {current[name]!r}" for name in current if current[name] != trained[name]
    ]
    if different:
        raise ValueError(
            f"{sorted(params)} would change the trained network, which has {'; '.join(different)}: omit them, or fit a "
            "new DeepInfoMaxEmbedder"
        )


def read_weights(file, embedder, features, params):
    """Return the tensors of a file, after checking by its header that they match the embedder's network."""
    try:
        with safe_open(file, framework="pt", device="cpu") as tensors:
            slices = {name: tensors.get_slice(name) for name in tensors.keys()}  # noqa: SIM118 (no mapping)
            shapes = {name: (list(part.get_shape()), part.get_dtype()) for name, part in slices.items()}
            expected = _expected_shapes(module_settings(embedder, features), len(shapes), file)
            _check_shapes(shapes, expected, file, params)
            weights = {name: tensors.get_tensor(name) for name in shapes}
    except (OSError, SafetensorError) as error:
        raise ValueError(f"{file} is damaged or missing ({error})") from error
    for name, value in weights.items():
        if not torch.isfinite(value).all():
            raise ValueError(f"{file} is damaged: {name} has non-finite values")
    return weights


def check_digest(file, config):
    """Refuse weights that are not those that config.json was written with."""
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    if config.get("weights_sha256", digest) != digest:
        raise ValueError(
            f"{file} has sha256 {digest}, not the one in its {CONFIG}: the weights were replaced after they were saved"
        )


def _expected_shapes(settings, n_tensors, file):
    """Shapes of the network's weights, computed without allocating them, so that no config can exhaust the memory."""
    if settings["encoder"]["n_blocks"] > n_tensors:
        raise ValueError(f"{file} does not match its {CONFIG}: it has fewer than n_blocks tensors")
    try:
        with torch.device("meta"):
            return {name: list(value.shape) for name, value in DeepInfoMax(**settings).state_dict().items()}
    except Exception as error:  # any error of torch for invalid widths
        raise ValueError(f"{file.with_name(CONFIG)} does not describe a network ({error})") from error


def _check_shapes(shapes, expected, file, params):
    wrong = [f"{name} is missing" for name in expected.keys() - shapes.keys()]
    wrong += [f"{name} is unexpected" for name in shapes.keys() - expected.keys()]
    wrong += [
        f"{name} is {dtype} {shape}, not F32 {expected[name]}"
        for name, (shape, dtype) in shapes.items()
        if name in expected and (shape, dtype) != (expected[name], "F32")
    ]
    if wrong:
        source = f"{sorted(params)} or its {CONFIG}" if params else f"its {CONFIG}"
        more = f", and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise ValueError(f"{file} does not match {source}: {'; '.join(sorted(wrong)[:3])}{more}")


def _flat(settings):
    """Nested settings as a flat dict."""
    return {**settings, **settings.get("encoder", {}), "encoder": None}


def _tuples(value):
    """Convert lists, as read from JSON, to tuples."""
    if isinstance(value, dict):
        return {name: _tuples(part) for name, part in value.items()}
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
