"""Batches: which rows they have, in which order, and how they are read."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal

from skdim import Crystals, DeepInfoMaxEmbedder, SiteNetFeaturizer, SiteNetRegressor
from skdim._training.batches import CrystalDataset, RaggedLoader, Targets, make_batch, shuffled, split_by_sites
from skdim._training.checkpoint import dataset_digest
from tests.helpers.small_estimators import NARROW

SMALL = {
    "n_components": 4,
    "local_dim": 4,
    "encoder_params": NARROW,
    "batch_sites": 60,
    "random_state": 0,
    "device": "cpu",
}


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def targets_of(values):
    """Targets (n, 1) with these values, and weights 1."""
    return Targets(values[:, None], torch.ones(len(values)))


@pytest.fixture
def mapped(X, tmp_path):
    X.save(tmp_path / "store")
    return Crystals.load(tmp_path / "store", mmap_mode="r")


def test_rows_within_one_window_are_a_plain_permutation():
    assert_array_equal(shuffled(1000, 1000, seeded()), torch.randperm(1000, generator=seeded()).numpy())


@pytest.mark.parametrize(("n", "window"), [(10_000, 640), (10_001, 640), (500, 64), (130, 3), (7, 1)])
def test_shuffled_rows_are_a_permutation_that_reads_few_blocks_per_window(n, window):
    order = shuffled(n, window, seeded())
    assert_array_equal(np.sort(order), np.arange(n))
    assert_array_equal(order, shuffled(n, window, seeded()))
    assert (order != shuffled(n, window, seeded(1))).any()
    block = max(1, window // 64)
    for start in range(0, n, window):
        blocks = np.unique(order[start : start + window] // block)
        assert len(blocks) <= 64 + 2


@pytest.mark.parametrize(("n", "window"), [(10_000, 640), (10_001, 640), (500, 64), (130, 3)])
def test_blocks_and_the_rows_within_them_are_shuffled(n, window):
    order = shuffled(n, window, seeded())
    assert abs(np.corrcoef(np.arange(n), order)[0, 1]) < 0.3
    assert np.mean(np.diff(order) == 1) < 0.1


def test_a_dataset_copies_nothing(X):
    targets = targets_of(torch.arange(40.0))
    rows = np.arange(1, 40, 3)
    data = CrystalDataset(X, rows, targets)
    assert data.crystals is X
    assert len(data) == 13
    assert_array_equal(data.n_sites, X[rows].n_sites)
    for loader in (RaggedLoader(data, 20), RaggedLoader(data, 20, shuffle=True, generator=seeded(), window=5)):
        batches = [(batch.numbers, part.y[:, 0]) for batch, part in loader]
        order = torch.cat([y for _, y in batches]).numpy().astype(int)
        assert_array_equal(np.sort(order), rows)
        expected = np.concatenate([X[row].numbers for row in order])
        assert_array_equal(torch.cat([numbers for numbers, _ in batches]), expected)


def test_targets_and_weights_stay_with_their_crystals(X):
    targets = Targets(torch.arange(40.0)[:, None], 100 + torch.arange(40.0))
    for _, part in RaggedLoader(CrystalDataset(X, None, targets), 30, shuffle=True, generator=seeded()):
        assert torch.equal(part.weight, 100 + part.y[:, 0])


@pytest.mark.parametrize("shuffle", [False, True])
def test_memory_mapped_crystals_give_the_same_batches(shuffle, X, mapped):
    loaders = [RaggedLoader(CrystalDataset(c), 30, 2, shuffle, seeded(), window=16) for c in (X, mapped)]
    for (batch, _), (mapped_batch, _) in zip(*loaders, strict=True):
        assert_array_equal(batch.distance, mapped_batch.distance)


def test_mapped_pages_are_released_after_each_window(mapped, monkeypatch):
    released = []
    monkeypatch.setattr("skdim._training.batches.release_pages", released.append)
    assert len(list(RaggedLoader(CrystalDataset(mapped), 1, shuffle=True, generator=seeded(), window=10))) == 40
    assert len(released) == 4
    assert all(crystals is mapped for crystals in released)


def test_unshuffled_batches_do_not_depend_on_the_window(X):
    sizes = [[len(batch) for batch, _ in RaggedLoader(CrystalDataset(X), 30, window=window)] for window in (1, 1000)]
    assert sizes[0] == sizes[1] == [part.stop - part.start for part in split_by_sites(X.n_sites, 30)]


def test_fit_copies_no_more_than_batches(X, mapped, monkeypatch):
    """Early stopping, failed rows and sample weights must not copy the crystals."""
    with pytest.warns(UserWarning, match="could not be featurized"):
        failed = SiteNetFeaturizer(on_error="warn").transform([None])
    longer = Crystals.concatenate([X, failed, X])
    lengths, getitem = [], Crystals.__getitem__

    def counting(self, key):
        part = getitem(self, key)
        lengths.append(len(part))
        return part

    monkeypatch.setattr(Crystals, "__getitem__", counting)
    settings = {**SMALL, "max_epochs": 1, "early_stopping": True}
    with pytest.warns(UserWarning, match="leaves out 1 of 81"):
        DeepInfoMaxEmbedder(**settings, descriptor_weight=0).fit(longer)
    SiteNetRegressor(**settings).fit(mapped, np.arange(40.0), sample_weight=np.arange(40) % 2)
    assert max(lengths) < 15, "the size of a batch"


def test_memory_mapped_crystals_give_the_same_fit(X, mapped):
    models = [DeepInfoMaxEmbedder(**SMALL, max_epochs=2).fit(c) for c in (X, mapped, mapped[:])]
    for model in models[1:]:
        assert_array_equal(model.transform(X), models[0].transform(mapped))


def test_dataset_digest_depends_on_rows_and_targets_and_not_on_blocks(X, mapped, monkeypatch):
    rows = np.arange(0, 40, 2)
    expected = dataset_digest(CrystalDataset(X[rows]))
    assert dataset_digest(CrystalDataset(mapped, rows)) == expected
    monkeypatch.setattr("skdim._crystals.blocks._BLOCK", 3000)
    assert dataset_digest(CrystalDataset(mapped, rows)) == expected
    assert dataset_digest(CrystalDataset(mapped, rows + 1)) != expected
    ones = targets_of(torch.ones(40))
    digests = {
        dataset_digest(CrystalDataset(mapped, rows, targets))
        for targets in (ones, ones._replace(weight=2 * ones.weight), targets_of(torch.zeros(40)))
    }
    assert len({expected, *digests}) == 4


def test_rows_without_sites_are_refused(structures):
    with pytest.warns(UserWarning, match="could not be featurized"):
        X = SiteNetFeaturizer(on_error="warn").transform([structures[0], None, structures[1]])
    assert len(make_batch(X[~X.failed])) == 2
    with pytest.raises(ValueError, match="row 1 has no sites: it could not be featurized"):
        make_batch(X)
