"""Which rows go together in a batch, and in which order."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal

from skdim import Crystals, DeepInfoMaxEmbedder, SiteNetFeaturizer, SiteNetRegressor
from skdim._training.batches import CrystalDataset, RaggedLoader, make_batch, shuffled, split_by_sites
from skdim._training.checkpoint import digest_of
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


@pytest.fixture
def mapped(X, tmp_path):
    X.save(tmp_path / "store")
    return Crystals.load(tmp_path / "store", mmap_mode="r")


def test_what_fits_a_window_is_shuffled_plainly():
    assert_array_equal(shuffled(1000, 1000, seeded()), torch.randperm(1000, generator=seeded()).numpy())


@pytest.mark.parametrize(("n", "window"), [(10_000, 640), (10_001, 640), (500, 64), (130, 3), (7, 1)])
def test_windows(n, window):
    order = shuffled(n, window, seeded())
    assert_array_equal(np.sort(order), np.arange(n))
    assert_array_equal(order, shuffled(n, window, seeded()))
    assert (order != shuffled(n, window, seeded(1))).any()
    block = max(1, window // 64)
    for start in range(0, n, window):
        places = np.unique(order[start : start + window] // block)
        assert len(places) <= 64 + 2, "a window reads from so many places at most"
    # Both the blocks and the rows in a window are mixed.
    assert abs(np.corrcoef(np.arange(n), order)[0, 1]) < 0.3 or n < 100
    assert n < 100 or np.mean(np.diff(order) == 1) < 0.1


def test_a_dataset_copies_nothing(X):
    targets = torch.arange(40.0)
    rows = np.arange(1, 40, 3)
    data = CrystalDataset(X, rows, targets)
    assert data.crystals is X
    assert len(data) == 13
    assert_array_equal(data.n_sites, X[rows].n_sites)
    for loader in (RaggedLoader(data, 20), RaggedLoader(data, 20, shuffle=True, generator=seeded(), window=5)):
        seen = [(batch.numbers, y) for batch, y in loader]
        order = torch.cat([y for _, y in seen]).numpy().astype(int)
        assert_array_equal(np.sort(order), rows)
        expected = np.concatenate([X[row].numbers for row in order])
        assert_array_equal(torch.cat([numbers for numbers, _ in seen]), expected)


@pytest.mark.parametrize("shuffle", [False, True])
def test_mapped_crystals_give_the_same_batches(shuffle, X, mapped):
    loaders = [RaggedLoader(CrystalDataset(c), 30, 2, shuffle, seeded(), window=16) for c in (X, mapped)]
    for (ours, _), (theirs, _) in zip(*loaders, strict=True):
        assert_array_equal(ours.distance, theirs.distance)


def test_what_was_read_is_given_back_after_a_window(mapped, monkeypatch):
    released = []
    monkeypatch.setattr("skdim._training.batches.release_pages", released.append)
    assert len(list(RaggedLoader(CrystalDataset(mapped), 1, shuffle=True, generator=seeded(), window=10))) == 40
    assert len(released) == 4
    assert all(crystals is mapped for crystals in released)


def test_batches_do_not_depend_on_windows_unless_they_are_shuffled(X):
    sizes = [[len(batch) for batch, _ in RaggedLoader(CrystalDataset(X), 30, window=window)] for window in (1, 1000)]
    assert sizes[0] == sizes[1] == [part.stop - part.start for part in split_by_sites(X.n_sites, 30)]


def test_a_fit_copies_no_rows(X, mapped, monkeypatch):
    """Neither early stopping, nor failed rows, nor weights make another Crystals of any length."""
    with pytest.warns(UserWarning, match="could not be featurized"):
        failed = SiteNetFeaturizer(on_error="warn").transform([None])
    longer = Crystals.concatenate([X, failed, X])
    taken, take = [], Crystals.__getitem__

    def counting(self, key):
        part = take(self, key)
        taken.append(len(part))
        return part

    monkeypatch.setattr(Crystals, "__getitem__", counting)
    settings = {**SMALL, "max_epochs": 1, "early_stopping": True}
    with pytest.warns(UserWarning, match="leaves out 1 of 81"):
        DeepInfoMaxEmbedder(**settings, descriptor_weight=0).fit(longer)
    SiteNetRegressor(**settings).fit(mapped, np.arange(40.0), sample_weight=np.arange(40) % 2)
    assert max(taken) < 15, "batches alone"


def test_where_crystals_are_makes_no_difference(X, mapped):
    models = [DeepInfoMaxEmbedder(**SMALL, max_epochs=2).fit(c) for c in (X, mapped, mapped[:])]
    for model in models[1:]:
        assert_array_equal(model.transform(X), models[0].transform(mapped))


def test_a_digest_is_of_the_rows(X, mapped, monkeypatch):
    rows = np.arange(0, 40, 2)
    expected = digest_of(CrystalDataset(X[rows]))
    assert digest_of(CrystalDataset(mapped, rows)) == expected
    monkeypatch.setattr("skdim._crystals.blocks._BLOCK", 3000)
    assert digest_of(CrystalDataset(mapped, rows)) == expected
    assert digest_of(CrystalDataset(mapped, rows + 1)) != expected
    assert digest_of(CrystalDataset(mapped, rows, torch.ones(40))) != expected


def test_rows_without_sites_are_no_batch(structures):
    with pytest.warns(UserWarning, match="could not be featurized"):
        X = SiteNetFeaturizer(on_error="warn").transform([structures[0], None, structures[1]])
    assert len(make_batch(X[~X.failed])) == 2
    with pytest.raises(ValueError, match="row 1 holds no sites: it could not be featurized"):
        make_batch(X)
