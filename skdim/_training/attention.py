"""The attention that the sites of crystals pay to their neighbours, as a table."""

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


class AttentionMixin:
    """The method of a fitted estimator with a Site-Net encoder, which has these attributes."""

    net_: CrystalNet
    site_features_: tuple[str, ...]
    featurizer_settings_: dict

    def attention(self, X):
        """How much attention each site pays to its neighbours.

        A row is a distinct pair of sites in one head of one block. Neighbours of one class at one distance are one pair
        that stands for ``count`` of them. A site is its own neighbour too, at distance 0.

        Parameters
        ----------
        X : Crystals of shape (n_crystals,)

        Returns
        -------
        DataFrame of (number of pairs) * ``n_blocks`` * ``n_heads`` rows, with the columns
            crystal
                Row of X. Rows that failed to featurize have no sites and are not there.
            block, head
                Counted from 0.
            site, neighbour
                Which sites, counted from 0 in the structure that was featurized; of equal sites the first.
            element, neighbour_element
                Their symbols, categories.
            distance
                In angstrom.
            multiplicity
                How many sites of the primitive cell are such a site.
            count
                How many sites of the supercell are such a neighbour.
            supercell_sites
                How many sites the supercell has. A site that minds all alike pays each 1 / supercell_sites.
            attention
                Of all ``count`` neighbours together: over the rows of a site it adds up to 1 in each head of a block.

        Notes
        -----
        The networks run batch by batch; the table takes 42 bytes a row. Of very many crystals ask for some at a
        time: ``embedder.attention(X[:1000])``.

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
        weights, good = np.zeros((0, n_blocks * n_heads), dtype=np.float32), np.flatnonzero(~X.failed)
        if len(good):
            parts = self.net_.map_batches(lambda module, batch: module.encoder.attention(batch), X, good)
            weights = np.concatenate(list(parts))
        # Failed rows have no pairs, so pairs count the same with and without them.
        pairs = {name: np.repeat(values, n_blocks * n_heads) for name, values in _pairs(X).items()}
        blocks, heads = np.divmod(np.arange(n_blocks * n_heads, dtype=np.int32), n_heads)
        what = ("crystal", "block", "head", "site", "neighbour", "element", "neighbour_element", "distance")
        columns = (*what, "multiplicity", "count", "supercell_sites", "attention")
        table = {
            **pairs,
            "block": np.tile(blocks, len(weights)),
            "head": np.tile(heads, len(weights)),
            **_symbols(pairs["element"], pairs["neighbour_element"]),
            "attention": weights.ravel(),
        }
        return pd.DataFrame({name: table[name] for name in columns})


def _pairs(X):
    """The distinct pairs of Crystals in order, column by column; elements as atomic numbers."""
    n_classes = np.diff(X.class_offsets)
    crystal = np.repeat(np.arange(len(X)), n_classes)
    # The first input site of each class. Later assignments win, so the first one comes last.
    of_site = np.repeat(np.arange(len(X)), np.diff(X.site_offsets))
    first = np.zeros(len(X.numbers), dtype=np.int32)
    place = np.arange(len(of_site)) - X.site_offsets[of_site]
    first[(X.class_offsets[of_site] + X.site_class)[::-1]] = place[::-1]

    row = np.repeat(np.arange(len(X.numbers)), np.diff(X.pair_offsets))
    near = X.class_offsets[crystal[row]] + X.neighbour
    total = offsets_of(X.count)
    n_sites = total[X.pair_offsets[1:]] - total[X.pair_offsets[:-1]]
    return {
        "crystal": crystal[row].astype(np.int32),
        "site": first[row],
        "neighbour": first[near],
        "element": X.numbers[row],
        "neighbour_element": X.numbers[near],
        "distance": np.array(X.distance),
        "multiplicity": X.multiplicity[row].astype(np.int32),
        "count": X.count.astype(np.int32),
        "supercell_sites": n_sites[row].astype(np.int32),
    }


def _symbols(element, neighbour_element):
    """Atomic numbers as categories, the same for both columns, in the order of the periodic table."""
    present = np.unique(element)
    categories = [SYMBOLS[z] for z in present]
    return {
        name: pd.Categorical.from_codes(np.searchsorted(present, numbers), categories)
        for name, numbers in (("element", element), ("neighbour_element", neighbour_element))
    }
