"""Crystals -> batches: which rows go together, and their tensors."""

from __future__ import annotations

import numpy as np
import torch

from .._chemistry.elements import site_inputs
from .._crystals.blocks import release_pages, rows_within
from .._crystals.columns import offsets_fault, values_fault
from ..nn.batch import Batch

#: Bytes of crystals that are shuffled among each other, at most: 100 000 and more, of at most 50 sites.
_WINDOW = 2**28


def make_batch(crystals):
    """All rows of a Crystals as one Batch of float32 tensors on the CPU.

    Raises
    ------
    ValueError
        If a row failed to featurize, and so has no sites; or if the store that the rows are mapped from is damaged.
    """
    if fault := offsets_fault(crystals) or values_fault(crystals):
        # The compiled loops would follow a wrong index to anywhere in memory.
        raise ValueError(f"the crystals are damaged: {fault}; Crystals.load(path, verify=True) tells more of a store")
    n_classes = np.diff(crystals.class_offsets)
    if not n_classes.all():
        raise ValueError(f"row {int(np.argmin(n_classes))} holds no sites: it could not be featurized")
    first_class = np.repeat(crystals.class_offsets[:-1], n_classes)
    row = np.repeat(np.arange(len(crystals.numbers)), np.diff(crystals.pair_offsets))
    # Neighbours are counted within their crystal; here, within the batch.
    neighbour = crystals.neighbour + first_class[row]
    return Batch(
        site_inputs=torch.from_numpy(np.ascontiguousarray(site_inputs(crystals))),
        numbers=torch.from_numpy(crystals.numbers.astype(np.int64)),
        multiplicity=torch.from_numpy(crystals.multiplicity.astype(np.float32)),
        crystal=torch.from_numpy(np.repeat(np.arange(len(crystals)), n_classes)),
        class_offsets=torch.from_numpy(np.array(crystals.class_offsets)),
        pair_offsets=torch.from_numpy(np.array(crystals.pair_offsets)),
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


def shuffled(n, window, generator=None):
    """Rows 0 to n - 1 in random order, such that any ``window`` of them in turn are read from few places.

    Parameters
    ----------
    n : int
    window : int
        Where all rows fit in it, every order is as likely as any other. Otherwise blocks of consecutive rows, 64 to a
        window, are put in random order, and then the rows of each window of blocks.
    generator : torch.Generator, default=None

    Returns
    -------
    ndarray of int64 of shape (n,)
    """
    if n <= window:
        return torch.randperm(n, generator=generator).numpy()
    block = max(1, window // 64)
    starts = torch.randperm(-(-n // block), generator=generator).numpy() * block
    order = np.concatenate([np.arange(start, min(start + block, n)) for start in starts])
    for start in range(0, n, window):
        part = order[start : start + window]
        part[:] = part[torch.randperm(len(part), generator=generator).numpy()]
    return order


class RaggedLoader:
    """Iterate over (batch, targets) of a dataset of crystals, at most ``batch_sites`` sites at a time.

    Takes the place of torch's DataLoader in skorch: what is batched is a slice of flat arrays, not a list of items.
    Of crystals that are mapped from files, what was read is given back after each window of rows.

    Parameters
    ----------
    dataset : CrystalDataset
    batch_sites : int
    min_crystals : int
    shuffle : bool
    generator : torch.Generator or None
        Orders the rows when ``shuffle``.
    window : int
        Rows to shuffle among each other; None takes those of 128 to 256 MB.
    """

    def __init__(self, dataset, batch_sites=1200, min_crystals=1, shuffle=False, generator=None, window=None):
        self.dataset = dataset
        self.batch_sites = batch_sites
        self.min_crystals = min_crystals
        self.shuffle = shuffle
        self.generator = generator
        self.window = rows_within(dataset.crystals, _WINDOW) if window is None else window

    def __iter__(self):
        crystals, targets, rows = self.dataset.crystals, self.dataset.targets, self.dataset.rows
        window, n_sites = self.window, self.dataset.n_sites
        if self.shuffle:
            order = shuffled(len(rows), window, self.generator)
            rows, n_sites = rows[order], n_sites[order]
        else:
            window = max(1, window // 64)
        read = 0
        for part in split_by_sites(n_sites, self.batch_sites, self.min_crystals):
            if part.start // window > read:
                read = part.start // window
                release_pages(crystals)
            chosen = rows[part]
            yield make_batch(crystals[chosen]), targets[chosen]
        release_pages(crystals)


class CrystalDataset(torch.utils.data.Dataset):
    """Rows of crystals with their targets, none of them copied.

    Parameters
    ----------
    crystals : Crystals of shape (n,)
    rows : ndarray of int of shape (k,), default=None
        Those that belong to the data set; None takes all.
    targets : Tensor of shape (n, ...), default=None
        Of all crystals.
    """

    def __init__(self, crystals, rows=None, targets=None):
        self.crystals = crystals
        self.rows = np.arange(len(crystals)) if rows is None else rows
        self.targets = torch.zeros(len(crystals)) if targets is None else targets

    def __len__(self):
        return len(self.rows)

    @property
    def n_sites(self):
        """Sites of each primitive cell, ndarray of int64 of shape (k,)."""
        return self.crystals.n_sites[self.rows]
