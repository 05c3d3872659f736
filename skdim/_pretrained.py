"""Pre-trained weights as a folder: a config in JSON and the weights in safetensors. Loading it runs no code."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from numbers import Integral
from pathlib import Path

from safetensors.torch import save
from sklearn.utils.validation import check_is_fitted

from ._checkpoint import epoch_records, restored_history
from ._files import as_json, new_folder, refuse_existing
from ._infomax_net import loss_parts, module_settings, net_maker
from ._training import untrained_net
from ._version import __version__
from ._weights import (
    CONFIG,
    FORMAT,
    NOT_SAVED,
    SCHEMA_VERSION,
    WEIGHTS,
    check_override,
    checked_settings,
    checked_site_features,
    features_hash,
    read_config,
    read_weights,
    saved_embedder,
)

#: The weights that come with the package.
DEFAULT_WEIGHTS = Path(__file__).with_name("weights") / "default"


class PretrainedMixin:
    """Saves a fitted :class:`DeepInfoMaxEmbedder` in a form that is safe to share, and loads it."""

    def save_pretrained(self, path, *, metadata=None):
        """Write weights and parameters to a folder that runs no code when it is loaded.

        ``config.json`` has the parameters, the site features and a hash of their values, the featurizer's settings, the
        history of the losses and the versions; ``weights.safetensors`` the weights. Not saved are the optimiser, and
        the parameters ``callbacks``, ``checkpoint``, ``device``, ``n_jobs``, ``verbose`` and ``warm_start``. The folder
        appears under its name only once it is complete.

        Parameters
        ----------
        path : str or Path
            Must not exist yet.
        metadata : dict, default=None
            What else should be known, in values that JSON can hold: the data, their licence, a held-out loss. None
            keeps that of the weights which this embedder was loaded from.

        Raises
        ------
        FileExistsError
            If ``path`` exists.
        TypeError, ValueError
            If JSON cannot hold the metadata.

        Examples
        --------
        >>> import tempfile
        >>> from skdim import DeepInfoMaxEmbedder, SiteNetFeaturizer
        >>> from skdim.datasets import make_crystals
        >>> X = SiteNetFeaturizer().fit_transform(make_crystals(20, random_state=0)[0])
        >>> embedder = DeepInfoMaxEmbedder(max_epochs=1, random_state=0).fit(X)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     embedder.save_pretrained(f"{folder}/mine", metadata={"licence": "CC BY 4.0"})
        ...     loaded = DeepInfoMaxEmbedder.from_pretrained(f"{folder}/mine")
        >>> bool((loaded.transform(X) == embedder.transform(X)).all())
        True
        """
        check_is_fitted(self)
        refuse_existing(path)
        if metadata is None:
            metadata = getattr(self, "pretrained_info_", {}).get("metadata", {})
        if not isinstance(metadata, dict):
            raise TypeError(f"metadata must be a dict, not a {type(metadata).__name__}")
        parameters = {k: v for k, v in self.get_params(deep=False).items() if k not in NOT_SAVED}
        if not isinstance(self.random_state, Integral):
            parameters["random_state"] = None  # an instance, which goes on from fit to fit; "seed" is what it gave
        history = epoch_records(self.history_)
        held_out = [epoch["valid_loss"] for epoch in history if "valid_loss" in epoch]
        config = {
            "format": FORMAT,
            "schema_version": SCHEMA_VERSION,
            "skdim_version": __version__,
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "parameters": parameters,
            # What the parameters stood for: defaults of the encoder may change.
            "network": module_settings(self, self.site_features_),
            "seed": self.net_.seed,
            "site_features": self.site_features_,
            "element_table": features_hash(self.site_features_),
            "featurizer": self.featurizer_settings_,
            "training": {
                "n_crystals": self.n_crystals_,
                "n_epochs": self.n_iter_,
                "early_stopping_loss": min(held_out, default=None),
                "history": history,
            },
            "metadata": metadata,
        }
        text = json.dumps(as_json(config), indent=1, allow_nan=False) + "\n"
        weights = {name: value.detach().cpu().contiguous() for name, value in self.net_.module_.state_dict().items()}
        with new_folder(path) as folder:
            (folder / CONFIG).write_text(text, encoding="utf-8")
            # save_file would make a file that only its owner may read.
            (folder / WEIGHTS).write_bytes(save(weights))

    @classmethod
    def from_pretrained(cls, path=None, **params):
        """Load a fitted embedder from what :meth:`save_pretrained` wrote.

        It embeds to the bit as the one that was saved. With ``warm_start=True``, ``fit`` goes on from its weights.

        Parameters
        ----------
        path : str or Path, default=None
            The folder. None stands for the weights that come with the package.
        **params
            Override parameters that do not belong to the trained network, such as ``representation`` or ``device``.

        Returns
        -------
        DeepInfoMaxEmbedder
            Fitted; ``pretrained_info_`` has what ``config.json`` says.

        Raises
        ------
        FileNotFoundError
            If there is no such folder.
        ValueError
            If the folder is damaged, is of another schema version, was made with other elemental properties, or does
            not fit the parameters.
        """
        folder = _folder(path)
        config = read_config(folder / CONFIG)
        features = checked_site_features(config, folder)
        saved = saved_embedder(cls, config["parameters"], folder)
        settings = checked_settings(saved, config, features, folder)
        embedder = cls(**{**saved.get_params(deep=False), **params})
        embedder._validate_params()
        check_override(module_settings(embedder, features), settings, params)
        weights = read_weights(folder / WEIGHTS, embedder, features, params)

        net = untrained_net(embedder, net_maker(embedder, features, config["seed"]), [], loss_parts(embedder))
        net.module_.load_state_dict(weights)
        net.history = restored_history(config["training"]["history"])
        embedder.net_, embedder.history_, embedder.n_iter_ = net, net.history, len(net.history)
        embedder.site_features_ = features
        embedder.featurizer_settings_ = config["featurizer"]
        embedder.n_crystals_ = config["training"]["n_crystals"]
        embedder.pretrained_info_ = config
        return embedder


def _folder(path):
    folder = DEFAULT_WEIGHTS if path is None else Path(path)
    if folder.is_dir():
        return folder
    if path is None:
        raise FileNotFoundError(
            f"this copy of skdim ({__version__}) comes without weights (no folder {folder}): train them with `make "
            "weights`, or give from_pretrained the folder that save_pretrained wrote"
        )
    if folder.exists():
        raise ValueError(f"{folder} is a file: from_pretrained reads the folder that save_pretrained wrote")
    raise FileNotFoundError(f"no such folder: {folder}")
