"""Writing an embedder's weights to a folder, and loading an embedder from it."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from numbers import Integral
from pathlib import Path

from safetensors.torch import save

from .._shared.files import as_json, new_folder, refuse_existing
from .._training.history import epoch_records, history_of
from .._training.train import refuse_changes, run_options, untrained_net
from .._version import __version__
from .hub import PREFIX, download_weights
from .infomax_net import loss_parts, module_settings, net_maker
from .model_card import model_card
from .weights_checks import (
    CONFIG,
    FORMAT,
    NOT_SAVED,
    WEIGHTS,
    check_digest,
    check_override,
    checked_settings,
    checked_site_features,
    features_hash,
    read_config,
    read_weights,
    saved_embedder,
)

#: The folder of the weights that are part of the package, and their names; the first is the default.
INCLUDED_FOLDER = Path(__file__).parents[1] / "weights"
INCLUDED = ("structures", "properties")
CARD = "README.md"


def write_weights(embedder, path, metadata):
    """See :meth:`DeepInfoMaxEmbedder.save_pretrained`."""
    refuse_existing(path)
    if metadata is None:
        metadata = getattr(embedder, "pretrained_info_", {}).get("metadata", {})
    if not isinstance(metadata, dict):
        raise TypeError(f"metadata must be a dict, not a {type(metadata).__name__}")
    settings = module_settings(embedder, embedder.site_features_)
    refuse_changes(embedder, settings, "reset the parameters, or fit again before saving")
    parameters = {k: v for k, v in embedder.get_params(deep=False).items() if k not in NOT_SAVED}
    if not isinstance(embedder.random_state, Integral):
        parameters["random_state"] = None  # a RandomState; "seed" is the number that it drew
    history = epoch_records(embedder.history_)
    validation_losses = [epoch["valid_loss"] for epoch in history if "valid_loss" in epoch]
    tensors = {name: value.detach().cpu().contiguous() for name, value in embedder.net_.module_.state_dict().items()}
    weights = save(tensors)  # safetensors' save_file would write a file that only its owner can read
    config = {
        **FORMAT.header(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "parameters": parameters,
        # With the encoder's defaults, which may change in a later version.
        "network": settings,
        "seed": embedder.net_.seed,
        "site_features": embedder.site_features_,
        "element_table": features_hash(embedder.site_features_),
        "featurizer": embedder.featurizer_settings_,
        "known_properties": embedder.known_properties_,
        "training": {
            "n_crystals": embedder.n_crystals_,
            "n_epochs": embedder.n_iter_,
            "early_stopping_loss": min(validation_losses, default=None),
            "history": history,
        },
        "metadata": metadata,
        "weights_sha256": hashlib.sha256(weights).hexdigest(),
    }
    content = (json.dumps(as_json(config), indent=1, allow_nan=False) + "\n").encode()
    card = model_card(as_json(config), hashlib.sha256(content).hexdigest())
    with new_folder(path) as folder:
        (folder / CONFIG).write_bytes(content)
        (folder / WEIGHTS).write_bytes(weights)
        (folder / CARD).write_bytes(card.encode())


def load_weights(cls, path, params):
    """See :meth:`DeepInfoMaxEmbedder.from_pretrained`."""
    folder = _folder(path)
    config = read_config(folder / CONFIG)
    features = checked_site_features(config, folder)
    saved = saved_embedder(cls, config["parameters"], config["known_properties"], folder)
    settings = checked_settings(saved, config, features, folder)
    embedder = cls(**{**saved.get_params(deep=False), **params})
    embedder.known_properties_ = saved.known_properties_
    embedder._validate_params()
    check_override(module_settings(embedder, features), settings, params)
    weights = read_weights(folder / WEIGHTS, embedder, features, params)
    check_digest(folder / WEIGHTS, config)

    make_net = net_maker(embedder, features, config["seed"])
    net = untrained_net(embedder, make_net, loss_parts(embedder), **run_options(embedder))
    net.module_.load_state_dict(weights)
    net.history = history_of(config["training"]["history"])
    embedder.net_, embedder.history_, embedder.n_iter_ = net, net.history, len(net.history)
    embedder.site_features_ = features
    embedder.featurizer_settings_ = config["featurizer"]
    embedder.n_crystals_ = config["training"]["n_crystals"]
    embedder.pretrained_info_ = config
    return embedder


def _folder(path):
    name = INCLUDED[0] if path is None else path
    if isinstance(name, str) and name.startswith(PREFIX):
        return download_weights(name)
    included = isinstance(name, str) and name in INCLUDED
    folder = INCLUDED_FOLDER / name if included else Path(name)
    if folder.is_dir():
        return folder
    if included:
        raise FileNotFoundError(
            f"this copy of skdim ({__version__}) has no weights (no folder {folder}): train them with `make weights`, "
            "or pass from_pretrained a folder that save_pretrained wrote"
        )
    if folder.exists():
        raise ValueError(f"{folder} is a file: from_pretrained reads a folder that save_pretrained wrote")
    raise FileNotFoundError(f"no such folder: {folder}. The weights included in skdim are {' and '.join(INCLUDED)}")
