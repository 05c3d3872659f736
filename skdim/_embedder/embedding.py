"""Methods of a fitted embedder that compute vectors and properties of crystals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from sklearn.base import TransformerMixin
from sklearn.utils.validation import check_is_fitted

from .._crystals.checks import check_crystals
from .._shared.index import KeepIndexMixin
from .._shared.progress import progress
from .vectors_file import write_vectors

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from .._training.net import CrystalNet

# torch takes seconds to import: modules that need it are imported by the methods that embed.


class EmbeddingMixin(KeepIndexMixin, TransformerMixin):
    """Methods ``transform``, ``transform_to_disk``, ``transform_sites`` and ``predict_properties``.

    They apply the trained encoder to crystals, batch by batch; rows that failed to featurize get NaN.
    """

    net_: CrystalNet
    known_properties_: tuple[str, ...]
    representation: str
    verbose: int

    def transform(self, X) -> np.ndarray:
        """Embed crystals.

        Parameters
        ----------
        X : Crystals of shape (n_crystals,)

        Returns
        -------
        ndarray of float32 of shape (n_crystals, n_features_out)
            ``n_components`` columns for the global vector, ``2 * local_dim`` for mean and standard deviation of the
            local vectors, or both. NaN for rows that failed to featurize.
        """
        from ..nn.sitenet import embedding_width

        check_is_fitted(self)
        X = check_crystals(X, "DeepInfoMaxEmbedder", like=self)
        width = embedding_width(self.net_.module_.encoder, self.representation)
        vectors = np.full((len(X), width), np.nan, dtype=np.float32)
        for rows, part in self._embed(X):
            vectors[rows] = part
        return vectors

    def transform_to_disk(self, X, path, *, ids=None) -> Path:
        """Embed crystals into a file, in constant memory.

        Parameters
        ----------
        X : Crystals of shape (n_crystals,)
            With a memory-mapped store (``Crystals.load(path, mmap_mode="r")``), pages that were read are released, so
            that the memory in use does not depend on the number of crystals.
        path : str or Path
            New file, written atomically. Its suffix selects the format: ".npy" (opened by ``numpy.load(path,
            mmap_mode="r")``), ".parquet" (one column for each of :meth:`get_feature_names_out`; needs ``pip install
            "skdim-crystals[parquet]"``) or ".csv" (the same as text).
        ids : sequence of str of shape (n_crystals,), default=None
            Row names, written as the first column "id" of a table.

        Returns
        -------
        Path
            The file, which contains what :meth:`transform` returns.

        Raises
        ------
        FileExistsError
            If ``path`` exists.
        ValueError
            If the suffix is unknown, or the number of ids is not the number of crystals.

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

    def transform_sites(self, X) -> tuple[np.ndarray, np.ndarray]:
        """Embed every site of every input structure.

        Parameters
        ----------
        X : Crystals of shape (n_crystals,)

        Returns
        -------
        vectors : ndarray of float32 of shape (n_sites_total, local_dim)
            Local vectors, crystal by crystal, in the order of the sites of each input structure. Vectors of
            symmetry-equivalent sites can differ slightly where the supercell is less symmetric than the crystal.
        rows : ndarray of int64 of shape (n_sites_total,)
            Row of X that each vector belongs to. Rows that failed to featurize have no sites.
        """
        check_is_fitted(self)
        X = check_crystals(X, "DeepInfoMaxEmbedder", like=self)
        rows = np.repeat(np.arange(len(X)), np.diff(X.site_offsets))
        local = np.zeros((0, self.net_.module_.encoder.local_dim), dtype=np.float32)
        usable = np.flatnonzero(~X.failed)
        if len(usable):
            parts = self.net_.map_batches(lambda module, batch: module.encoder(batch)[0], X, usable)
            local = np.concatenate(list(parts))
        # Failed rows have no site classes, so that classes are counted alike with and without them.
        return local[X.class_offsets[rows] + X.site_class], rows

    def predict_properties(self, X) -> pd.DataFrame:
        """Predict the properties that were known during training, also of crystals without any.

        Parameters
        ----------
        X : Crystals of shape (n_crystals,)

        Returns
        -------
        DataFrame of float32 of shape (n_crystals, n_properties)
            In the units of the training data, with the columns ``known_properties_`` and the index of ``X`` if it has
            one. NaN for rows that failed to featurize.

        Raises
        ------
        ValueError
            If the embedder was trained without properties.
        """
        import pandas as pd

        from ..nn.sitenet import embed

        check_is_fitted(self)
        if not self.known_properties_:
            raise ValueError(
                "this DeepInfoMaxEmbedder was trained without known properties: take from_pretrained('properties'), or "
                "fit(X, Y) with property_weight=1.0"
            )
        X = check_crystals(X, "DeepInfoMaxEmbedder", like=self)
        values = np.full((len(X), len(self.known_properties_)), np.nan, dtype=np.float32)
        usable = np.flatnonzero(~X.failed)
        if len(usable):
            parts = self.net_.map_batches(lambda m, b: m.properties.in_units(embed(m.encoder, b, "both")), X, usable)
            values[usable] = np.concatenate(list(parts))
        return pd.DataFrame(values, columns=list(self.known_properties_), index=X.index)

    def get_feature_names_out(self, input_features=None) -> np.ndarray:
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
            names += [f"local_{statistic}{k}" for statistic in ("mean", "std") for k in range(encoder.local_dim)]
        return np.asarray(names, dtype=object)

    def _embed(self, X, bar=None):
        """Yield row numbers and vectors batch by batch, in order, without rows that failed to featurize."""
        from ..nn.sitenet import embed

        usable, done = np.flatnonzero(~X.failed), 0
        for part in self.net_.map_batches(lambda m, batch: embed(m.encoder, batch, self.representation), X, usable):
            yield usable[done : done + len(part)], part
            done += len(part)
            if bar is not None:
                bar.update(len(part))
