"""Attention weights between the sites of crystals, as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from .._chemistry.elements import SYMBOLS
from .._crystals.checks import check_crystals
from .._shared.ragged import offsets_of

if TYPE_CHECKING:
    from .net import CrystalNet


_COLUMNS = (
    "crystal",
    "block",
    "head",
    "site",
    "neighbour",
    "element",
    "neighbour_element",
    "distance",
    "multiplicity",
    "count",
    "supercell_sites",
    "attention",
)


class AttentionMixin:
    """Method ``attention`` of estimators with a Site-Net encoder."""

    net_: CrystalNet
    site_features_: tuple[str, ...]
    featurizer_settings_: dict

    def attention(self, X) -> pd.DataFrame:
        """Attention weights of each site for its neighbours.

        A row is a distinct pair of sites in one head of one block. Equivalent neighbours at the same distance are one
        pair with a ``count``. Each site is also a neighbour of itself, at distance 0.

        Parameters
        ----------
        X : Crystals of shape (n_crystals,)

        Returns
        -------
        DataFrame with (number of pairs) * ``n_blocks`` * ``n_heads`` rows and the columns
            crystal
                Row of X. Rows that failed to featurize are omitted.
            block, head
                Counted from 0.
            site, neighbour
                Site indices in the input structure, counted from 0; the first of equivalent sites.
            element, neighbour_element
                Their element symbols, as categories.
            distance
                In angstrom.
            multiplicity
                Number of equivalent sites in the primitive cell.
            count
                Number of equivalent neighbours in the supercell.
            supercell_sites
                Number of sites in the supercell. Uniform attention is 1 / supercell_sites for each of them.
            attention
                Sum over the ``count`` neighbours. In each head of a block, the rows of a site sum to 1.

        Notes
        -----
        The table takes 42 bytes per row. For very many crystals, call it on parts: ``embedder.attention(X[:1000])``.

        Examples
        --------
        >>> from skdim import DeepInfoMaxEmbedder, SiteNetFeaturizer
        >>> from skdim.datasets import make_crystals
        >>> X = SiteNetFeaturizer().fit_transform(make_crystals(20, random_state=0)[0])
        >>> embedder = DeepInfoMaxEmbedder(max_epochs=1, n_heads=2, random_state=0).fit(X)
        >>> table = embedder.attention(X[:5])
        >>> sums = table.groupby(["crystal", "block", "head", "site"])["attention"].sum()
        >>> bool(((sums - 1).abs() < 1e-5).all())
        True
        """
        check_is_fitted(self)
        X = check_crystals(X, type(self).__name__, like=self)
        encoder = self.net_.module_.encoder
        n_blocks, n_heads = len(encoder.blocks), encoder.blocks[0].n_heads
        weights, usable = np.zeros((0, n_blocks * n_heads), dtype=np.float32), np.flatnonzero(~X.failed)
        if len(usable):
            parts = self.net_.map_batches(lambda module, batch: module.encoder.attention(batch), X, usable)
            weights = np.concatenate(list(parts))
        # Failed rows have no pairs, so that pairs are counted alike with and without them.
        pairs = {name: np.repeat(values, n_blocks * n_heads) for name, values in _pairs(X).items()}
        blocks, heads = np.divmod(np.arange(n_blocks * n_heads, dtype=np.int32), n_heads)
        table = {
            **pairs,
            "block": np.tile(blocks, len(weights)),
            "head": np.tile(heads, len(weights)),
            **_symbols(pairs["element"], pairs["neighbour_element"]),
            "attention": weights.ravel(),
        }
        return pd.DataFrame({name: table[name] for name in _COLUMNS})


def _pairs(X):
    """The distinct pairs of Crystals, in order, as columns; elements as atomic numbers."""
    n_classes = np.diff(X.class_offsets)
    crystal = np.repeat(np.arange(len(X)), n_classes)
    # The first input site of each class: the last assignment to an index is kept, so sites are assigned in reverse.
    crystal_of_site = np.repeat(np.arange(len(X)), np.diff(X.site_offsets))
    first_site = np.zeros(len(X.numbers), dtype=np.int32)
    site = np.arange(len(crystal_of_site)) - X.site_offsets[crystal_of_site]
    first_site[(X.class_offsets[crystal_of_site] + X.site_class)[::-1]] = site[::-1]

    site_class = np.repeat(np.arange(len(X.numbers)), np.diff(X.pair_offsets))
    neighbour_class = X.class_offsets[crystal[site_class]] + X.neighbour
    total = offsets_of(X.count)
    n_sites = total[X.pair_offsets[1:]] - total[X.pair_offsets[:-1]]
    return {
        "crystal": crystal[site_class].astype(np.int32),
        "site": first_site[site_class],
        "neighbour": first_site[neighbour_class],
        "element": X.numbers[site_class],
        "neighbour_element": X.numbers[neighbour_class],
        "distance": np.array(X.distance),
        "multiplicity": X.multiplicity[site_class].astype(np.int32),
        "count": X.count.astype(np.int32),
        "supercell_sites": n_sites[site_class].astype(np.int32),
    }


def _symbols(element, neighbour_element):
    """Element symbols as categories, the same for both columns, in the order of the periodic table."""
    present = np.unique(element)
    categories = [SYMBOLS[z] for z in present]
    return {
        name: pd.Categorical.from_codes(np.searchsorted(present, numbers), categories)
        for name, numbers in (("element", element), ("neighbour_element", neighbour_element))
    }
