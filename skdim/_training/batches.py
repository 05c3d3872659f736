"""Crystals -> batches: which rows form a batch, and their tensors."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from .._chemistry.elements import site_inputs
from .._crystals.blocks import release_pages, rows_within
from .._crystals.columns import offsets_fault, values_fault
from ..nn.batch import Batch
from ..nn.compiled import autograd as compiled
from .threads import map_ahead

#: Maximum size in bytes of a window of rows that are shuffled together: over 100 000 crystals of at most 50 sites.
_WINDOW_BYTES = 2**28
#: Inference takes this many training batches at a time, or fewer to have so many parts. With more, memory is returned
#: to the system and got again for every part.
_INFERENCE_BATCHES, _INFERENCE_PARTS = 3, 4


def make_batch(crystals, properties=None):
    """Convert all rows of Crystals, and their known properties if given, to one Batch of float32 tensors on the CPU.

    Raises
    ------
    ValueError
        If a row failed to featurize, or if the store that the rows are mapped from is damaged.
    """
    if fault := offsets_fault(crystals) or values_fault(crystals):
        # The compiled loops do not check indices: an invalid one would read arbitrary memory.
        raise ValueError(f"the crystals are damaged: {fault}; for a store, see Crystals.load(path, verify=True)")
    n_classes = np.diff(crystals.class_offsets)
    if not n_classes.all():
        raise ValueError(f"row {int(np.argmin(n_classes))} has no sites: it could not be featurized")
    first_class = np.repeat(crystals.class_offsets[:-1], n_classes)
    row = np.repeat(np.arange(len(crystals.numbers)), np.diff(crystals.pair_offsets))
    # Crystals count neighbours within each crystal, a batch within the batch.
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
        properties=properties,
    )


def split_by_sites(n_sites, batch_sites, min_crystals=1):
    """Split consecutive rows into batches of at most ``batch_sites`` primitive sites.

    Parameters
    ----------
    n_sites : ndarray of int of shape (n,)
        Number of primitive sites of each row.
    batch_sites : int
    min_crystals : int, default=1
        Minimum number of crystals in a batch, which takes precedence over ``batch_sites``. Deep InfoMax needs 2. If too
        few rows remain for the last batch, it takes rows from the one before.

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


def inference_sites(n_sites, batch_sites):
    """Limit of :func:`split_by_sites` for inference: up to three training batches at a time, in equal parts.

    Fewer, larger operations leave more time to other threads, which wait for each other in Python. Few crystals are
    divided all the same, so that several threads have work. The parts do not depend on the number of threads, as
    products of matrices of other sizes may differ by rounding.

    Parameters
    ----------
    n_sites : ndarray of int of shape (n,)
        Number of primitive sites of each row.
    batch_sites : int

    Returns
    -------
    int
    """
    total, parts = int(n_sites.sum()), _INFERENCE_PARTS
    n_parts = max(min(parts, -(-total // batch_sites)), -(-total // (_INFERENCE_BATCHES * batch_sites)))
    return -(-total // max(1, n_parts)) + int(n_sites.max(initial=0))


def shuffled(n, window, generator=None):
    """Rows 0 to n - 1 in random order, such that each ``window`` of consecutive entries reads few parts of a file.

    Parameters
    ----------
    n : int
    window : int
        If n <= window, all permutations are equally likely. Otherwise, blocks of consecutive rows (64 per window) are
        shuffled, and then the rows within each window of blocks.
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
    """Iterate over (batch, targets) of a dataset of crystals, with at most ``batch_sites`` sites per batch.

    Replaces torch's DataLoader in skorch: a batch is a slice of flat arrays, not a list of items. Memory-mapped pages
    are released after each window of rows.

    Parameters
    ----------
    dataset : CrystalDataset
    batch_sites : int
    min_crystals : int
    shuffle : bool
    generator : torch.Generator or None
        Determines the order of the rows if ``shuffle``.
    window : int
        Number of rows that are shuffled together; None takes as many as 128 to 256 MB hold.
    prepare : callable, default=None
        Called with each batch; returns it. With several threads the next batch is made and prepared while one is used.
    """

    def __init__(
        self, dataset, batch_sites=1200, min_crystals=1, shuffle=False, generator=None, window=None, prepare=None
    ):
        self.dataset = dataset
        self.batch_sites = batch_sites
        self.min_crystals = min_crystals
        self.shuffle = shuffle
        self.generator = generator
        self.prepare = prepare
        self.window = rows_within(dataset.crystals, _WINDOW_BYTES) if window is None else window

    def __iter__(self):
        return map_ahead(self.load, self.rows(), compiled.n_threads())

    def rows(self):
        """Yield the rows of each batch."""
        crystals, rows = self.dataset.crystals, self.dataset.rows
        window, n_sites = self.window, self.dataset.n_sites
        if self.shuffle:
            order = shuffled(len(rows), window, self.generator)
            rows, n_sites = rows[order], n_sites[order]
        else:
            window = max(1, window // 64)
        n_windows_read = 0
        for part in split_by_sites(n_sites, self.batch_sites, self.min_crystals):
            if part.start // window > n_windows_read:
                n_windows_read = part.start // window
                release_pages(crystals)
            yield rows[part]
        release_pages(crystals)

    def load(self, rows):
        """The batch and the targets of some rows."""
        targets, properties = self.dataset.targets, self.dataset.properties
        batch = make_batch(self.dataset.crystals[rows], None if properties is None else properties[rows])
        if self.prepare is not None:
            batch = self.prepare(batch)
        return batch, None if targets is None else targets.take(rows)


class Targets(NamedTuple):
    """Targets of crystals and their sample weights.

    Parameters
    ----------
    y : Tensor of float32 of shape (n, n_targets)
    weight : Tensor of float32 of shape (n,)
    """

    y: torch.Tensor
    weight: torch.Tensor

    def take(self, rows):
        """Targets of some rows."""
        return Targets(self.y[rows], self.weight[rows])

    def to(self, device):
        """Targets on a device."""
        return Targets(self.y.to(device), self.weight.to(device))


class CrystalDataset(torch.utils.data.Dataset):
    """Rows of crystals with their targets; nothing is copied.

    Parameters
    ----------
    crystals : Crystals of shape (n,)
    rows : ndarray of int of shape (k,), default=None
        Rows of ``crystals`` in the dataset; None takes all.
    targets : Targets of n crystals, default=None
        Targets of all ``crystals``, not only of ``rows``; None for training without labels.
    properties : Tensor of float32 of shape (n, n_properties), default=None
        Standardized known properties of all ``crystals``, which become part of the batches.
    """

    def __init__(self, crystals, rows=None, targets=None, properties=None):
        self.crystals = crystals
        self.rows = np.arange(len(crystals)) if rows is None else rows
        self.targets = targets
        self.properties = properties

    def __len__(self):
        return len(self.rows)

    @property
    def n_sites(self):
        """Number of sites of each primitive cell, ndarray of int64 of shape (k,)."""
        return self.crystals.n_sites[self.rows]
