"""Methods that save and load a fitted embedder: folders of weights, and repositories of the Hugging Face hub."""

from __future__ import annotations

from typing import Self

from sklearn.utils.validation import check_is_fitted

# Modules that write or load weights import torch, which takes seconds: the methods import them.


class PersistenceMixin:
    """Methods ``save_pretrained``, ``push_to_hub`` and ``from_pretrained``."""

    def save_pretrained(self, path, *, metadata=None) -> None:
        """Write weights and parameters to a folder that can be loaded without running code.

        ``config.json`` contains the parameters, the site features and a hash of their values, the featurizer's
        settings, the training history and the versions; ``weights.safetensors`` contains the weights, and ``README.md``
        is their model card. The optimiser and the parameters ``callbacks``, ``checkpoint``, ``device``, ``n_jobs``,
        ``verbose`` and ``warm_start`` are not saved. The folder is written atomically.

        Parameters
        ----------
        path : str or Path
            Must not exist.
        metadata : dict, default=None
            Further information in JSON types, for the model card: "data", "licence", "n_held_out", "held_out" (how
            they were chosen), "held_out_loss", and any other entries. None keeps the metadata of the weights that this
            embedder was loaded from.

        Raises
        ------
        FileExistsError
            If ``path`` exists.
        TypeError, ValueError
            If the metadata cannot be written as JSON.

        Examples
        --------
        >>> import tempfile
        >>> from skdim import DeepInfoMaxEmbedder, SiteNetFeaturizer
        >>> from skdim.datasets import make_crystals
        >>> X = SiteNetFeaturizer().fit_transform(make_crystals(20, random_state=0)[0])
        >>> embedder = DeepInfoMaxEmbedder(max_epochs=1, random_state=0).fit(X)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     embedder.save_pretrained(f"{folder}/weights", metadata={"licence": "CC BY 4.0"})
        ...     loaded = DeepInfoMaxEmbedder.from_pretrained(f"{folder}/weights")
        >>> bool((loaded.transform(X) == embedder.transform(X)).all())
        True
        """
        check_is_fitted(self)
        from .weights_folder import write_weights

        write_weights(self, path, metadata)

    def push_to_hub(
        self, repo_id, *, metadata=None, private=None, token=None, message="Upload weights of skdim"
    ) -> str:
        """Upload what :meth:`save_pretrained` writes to a repository of the Hugging Face hub.

        Needs ``pip install "skdim-crystals[hub]"``, and a login or a token that may write. The environment variable
        ``HF_ENDPOINT`` selects another server.

        Parameters
        ----------
        repo_id : str
            "organisation/name". The repository is created unless it exists; its files of these names are replaced.
        metadata : dict, default=None
            As in :meth:`save_pretrained`.
        private : bool, default=None
            Whether a new repository is private; None is the organisation's default.
        token : str, default=None
            None uses the login of this machine.
        message : str, default="Upload weights of skdim"
            Commit message.

        Returns
        -------
        str
            The address for :meth:`from_pretrained`, with the commit and the checksum of ``config.json``.

        Raises
        ------
        ImportError
            If huggingface_hub is not installed.
        OSError
            If the upload fails.
        """
        check_is_fitted(self)
        from .hub import push
        from .weights_folder import write_weights

        options = {"private": private, "token": token, "message": message}
        return push(lambda path: write_weights(self, path, metadata), repo_id, **options)

    @classmethod
    def from_pretrained(cls, path=None, **params) -> Self:
        """Load a fitted embedder: weights of the package, of a folder, or of the Hugging Face hub.

        Loading runs no code: ``config.json`` is JSON, ``weights.safetensors`` holds tensors, and nothing else is read.

        Its vectors are bitwise identical to those of the saved embedder. With ``warm_start=True``, ``fit`` continues
        from its weights.

        Parameters
        ----------
        path : {"structures", "properties"}, str or Path, default=None
            Name of weights of the package, or the folder. "structures", the default, learned from structures alone;
            "properties" learned computed properties as well (``known_properties_``), from the same start. A folder of
            that name is "./structures". "hf://organisation/name" is a repository of the hub (extra ``[hub]``);
            "hf://organisation/name@revision#sha256=digest", as :meth:`push_to_hub` returns it, is always the same
            weights: any other ``config.json``, which holds the checksum of the weights, is refused.
        **params
            Override parameters that do not change the network, such as ``representation`` or ``device``.

        Returns
        -------
        DeepInfoMaxEmbedder
            Fitted; ``pretrained_info_`` has the content of ``config.json``.

        Raises
        ------
        FileNotFoundError
            If the folder does not exist.
        OSError
            If the download fails.
        ValueError
            If the folder is damaged, has another checksum or another schema version, was made with other values of the
            elemental properties, or does not match the parameters.
        """
        from .weights_folder import load_weights

        return load_weights(cls, path, params)
