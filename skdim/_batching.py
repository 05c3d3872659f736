"""Crystals -> batches: which rows go together, and their tensors."""

from __future__ import annotations

import numpy as np
import torch

from ._featurizer import site_inputs
from .nn.batch import Batch


def make_batch(crystals):
    """All rows of a Crystals as one Batch of float32 tensors on the CPU.

    Raises
    ------
    ValueError
        If a row failed to featurize: it has no sites.
    """
    n_classes = np.diff(crystals.class_offsets)
    if not n_classes.all():
        raise ValueError(f"row {int(np.argmin(n_classes))} holds no sites: it could not be featurized")
    first_class = np.repeat(crystals.class_offsets[:-1], n_classes)
    row = np.repeat(np.arange(len(crystals.numbers)), np.diff(crystals.row_offsets))
    # Neighbours are counted within their crystal; here, within the batch.
    neighbour = crystals.neighbour + first_class[row]
    return Batch(
        site_inputs=torch.from_numpy(np.ascontiguousarray(site_inputs(crystals))),
        numbers=torch.from_numpy(crystals.numbers.astype(np.int64)),
        multiplicity=torch.from_numpy(crystals.multiplicity.astype(np.float32)),
        crystal=torch.from_numpy(np.repeat(np.arange(len(crystals)), n_classes)),
        class_offsets=torch.from_numpy(np.array(crystals.class_offsets)),
        pair_offsets=torch.from_numpy(np.array(crystals.row_offsets)),
        row=torch.from_numpy(row),
        neighbour=torch.from_numpy(neighbour),
        distance=torch.from_numpy(np.array(crystals.distance, dtype=np.float32)),
        count=torch.from_numpy(crystals.count.astype(np.float32)),
    )


def split_by_sites(n_sites, batch_sites, min_crystals=1):
    """Cut consecutive rows into batches of at most ``batch_sites`` primitive sites.

    Parameters
    ----------
    n_sites : ndarray of int of shape (n,)
    batch_sites : int
    min_crystals : int, default=1
        Deep InfoMax needs 2. Where the limit would leave a batch with fewer, it takes the next row although that
        passes the limit; where it would leave too few for the last batch, the one before hands rows on.

    Returns
    -------
    list of slice
    """
    ends = np.cumsum(n_sites)
    batches, start, used = [], 0, 0
    while start < len(n_sites):
        stop = int(np.searchsorted(ends, used + batch_sites, side="right"))
        stop = min(max(stop, start + min_crystals), len(n_sites))
        if 0 < len(n_sites) - stop < min_crystals:
            shorter = len(n_sites) - min_crystals
            stop = shorter if shorter - start >= min_crystals else len(n_sites)
        batches.append(slice(start, stop))
        start, used = stop, ends[stop - 1]
    return batches


class RaggedLoader:
    """Iterate over (batch, targets) of a dataset of crystals, at most ``batch_sites`` sites at a time.

    Takes the place of torch's DataLoader in skorch: what is batched is a slice of flat arrays, not a list of items.

    Parameters
    ----------
    dataset : CrystalDataset
    batch_sites : int
    min_crystals : int
    shuffle : bool
    generator : torch.Generator or None
        Orders the rows when ``shuffle``.
    """

    def __init__(self, dataset, batch_sites=1200, min_crystals=1, shuffle=False, generator=None):
        self.dataset = dataset
        self.batch_sites = batch_sites
        self.min_crystals = min_crystals
        self.shuffle = shuffle
        self.generator = generator

    def __iter__(self):
        crystals, targets = self.dataset.crystals, self.dataset.targets
        rows = np.arange(len(crystals))
        if self.shuffle:
            rows = torch.randperm(len(crystals), generator=self.generator).numpy()
        for part in split_by_sites(crystals.n_sites[rows], self.batch_sites, self.min_crystals):
            chosen = rows[part]
            yield make_batch(crystals[chosen]), targets[chosen]


class CrystalDataset(torch.utils.data.Dataset):
    """Crystals and a tensor of targets, row by row the same."""

    def __init__(self, crystals, targets=None):
        self.crystals = crystals
        self.targets = torch.zeros(len(crystals)) if targets is None else targets

    def __len__(self):
        return len(self.crystals)
