"""What a pre-trained net gives for crystals: their vectors, those of their sites, and its loss on them."""

from __future__ import annotations

import numpy as np
from sklearn.base import TransformerMixin
from sklearn.utils.validation import check_is_fitted

from .._crystals.checks import check_crystals, usable_rows
from .._shared.progress import progress
from .vectors_file import write_vectors


class EmbeddingMixin(TransformerMixin):
    """Methods of a fitted :class:`DeepInfoMaxEmbedder` with ``net_``, ``site_features_`` and ``representation``."""

    def transform(self, X):
        """Embed crystals.

        Parameters
        ----------
        X : Crystals of shape (n_crystals,)

        Returns
        -------
        ndarray of float32 of shape (n_crystals, n_features_out)
            ``n_components`` columns for the global vector, ``2 * local_dim`` for mean and standard deviation of the
            local ones, or both. NaN for rows that failed to featurize.
        """
        from ..nn.sitenet import embedding_width  # imports torch

        check_is_fitted(self)
        X = check_crystals(X, "DeepInfoMaxEmbedder", like=self)
        width = embedding_width(self.net_.module_.encoder, self.representation)
        vectors = np.full((len(X), width), np.nan, dtype=np.float32)
        for rows, part in self._embed(X):
            vectors[rows] = part
        return vectors

    def transform_to_disk(self, X, path, *, ids=None):
        """Embed crystals, also more than fit into memory, into a file.

        Parameters
        ----------
        X : Crystals of shape (n_crystals,)
            Of a store that is mapped (``Crystals.load(path, mmap_mode="r")``), what was read is given back, so that
            the memory in use stays the same however many there are.
        path : str or Path
            Ends in ".npy" (``numpy.load(path, mmap_mode="r")`` opens it), ".parquet" (a column for each of
            :meth:`get_feature_names_out`; needs ``pip install "skdim-crystals[parquet]"``) or ".csv" (the same as
            text). It must not exist yet, and appears under its name once it is complete.
        ids : sequence of str of shape (n_crystals,), default=None
            Names of the rows, for a first column "id" of a table.

        Returns
        -------
        Path
            Of the file, which holds what :meth:`transform` returns.

        Raises
        ------
        FileExistsError
            If ``path`` exists.
        ValueError
            If it ends otherwise, or there are not as many ids as crystals.

        Examples
        --------
        >>> import tempfile
        >>> import numpy as np
        >>> from skdim import DeepInfoMaxEmbedder, SiteNetFeaturizer
        >>> from skdim.datasets import make_crystals
        >>> structures, y = make_crystals(20, random_state=0)
        >>> X = SiteNetFeaturizer().fit_transform(structures)
        >>> embedder = DeepInfoMaxEmbedder(max_epochs=1, random_state=0).fit(X)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     np.load(embedder.transform_to_disk(X, f"{folder}/vectors.npy")).shape
        (20, 192)
        """
        check_is_fitted(self)
        X = check_crystals(X, "DeepInfoMaxEmbedder", like=self)
        with progress(verbose=self.verbose, total=int((~X.failed).sum()), desc="embed", unit="crystal") as bar:
            return write_vectors(path, self._embed(X, bar), len(X), self.get_feature_names_out(), ids)

    def _embed(self, X, bar=None):
        """Row numbers and vectors of one batch after the other, in order; without rows that failed to featurize."""
        from ..nn.sitenet import embed

        good, done = np.flatnonzero(~X.failed), 0
        for part in self.net_.map_batches(lambda m, batch: embed(m.encoder, batch, self.representation), X, good):
            yield good[done : done + len(part)], part
            done += len(part)
            if bar is not None:
                bar.update(len(part))

    def transform_sites(self, X):
        """Embed every site of every input structure.

        Parameters
        ----------
        X : Crystals of shape (n_crystals,)

        Returns
        -------
        vectors : ndarray of float32 of shape (n_sites_total, local_dim)
            The local vectors, crystal after crystal, in the order of each structure's own sites. Sites that symmetry
            makes equal can differ a little where the supercell is less symmetric than the crystal.
        rows : ndarray of int64 of shape (n_sites_total,)
            Which row of X each belongs to. Rows that failed to featurize have no sites.
        """
        check_is_fitted(self)
        X = check_crystals(X, "DeepInfoMaxEmbedder", like=self)
        rows = np.repeat(np.arange(len(X)), np.diff(X.site_offsets))
        local = np.zeros((0, self.net_.module_.encoder.local_dim), dtype=np.float32)
        good = np.flatnonzero(~X.failed)
        if len(good):
            parts = self.net_.map_batches(lambda module, batch: module.encoder(batch)[0], X, good)
            local = np.concatenate(list(parts))
        # Failed rows have neither classes nor sites, so classes count the same with and without them.
        return local[X.class_offsets[rows] + X.site_class], rows

    def score(self, X, y=None):
        """Minus the Deep InfoMax loss on crystals that were held out, so that more is better.

        Scores of two embedders compare only if they have the same ``objective``, ``negatives``, ``temperature`` and
        Kullback-Leibler term. False partners are drawn the same way at every call.

        Parameters
        ----------
        X : Crystals of shape (n_crystals,)
            At least two.
        y : object, default=None
            Ignored.

        Returns
        -------
        float
        """
        check_is_fitted(self)
        X = check_crystals(X, "DeepInfoMaxEmbedder", like=self, min_crystals=2)
        return -self.net_.evaluate_loss(X, usable_rows(X, "DeepInfoMaxEmbedder.score", least=2))

    def get_feature_names_out(self, input_features=None):
        """Names of the columns of :meth:`transform`.

        Parameters
        ----------
        input_features : object, default=None
            Ignored.

        Returns
        -------
        ndarray of str of shape (n_features_out,)
            "global0", ..., "local_mean0", ..., "local_std0", ...
        """
        check_is_fitted(self)
        encoder = self.net_.module_.encoder
        names = []
        if self.representation in ("global", "both"):
            names += [f"global{k}" for k in range(encoder.n_components)]
        if self.representation in ("local", "both"):
            names += [f"local_{what}{k}" for what in ("mean", "std") for k in range(encoder.local_dim)]
        return np.asarray(names, dtype=object)
