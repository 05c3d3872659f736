"""Pre-trained weights as a folder: a config in JSON and the weights in safetensors. Loading it runs no code."""

from __future__ import annotations

from sklearn.utils.validation import check_is_fitted


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
        from .weights_folder import write_weights  # imports torch

        write_weights(self, path, metadata)

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
        from .weights_folder import load_weights  # imports torch

        return load_weights(cls, path, params)
