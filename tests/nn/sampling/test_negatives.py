"""Draws of negatives: from where, how often, and never from the same crystal."""

import math

import pytest
import torch

from skdim import SiteNetFeaturizer
from skdim._training.batches import make_batch
from skdim.datasets import make_crystals
from skdim.nn.choices import NEGATIVES
from skdim.nn.sampling import negatives as draw
from skdim.nn.sampling.draws import draw_all
from skdim.nn.sampling.wrong_crystals import wrong_crystals
from skdim.nn.shared_batch import Whole
from tests.helpers.small_networks import generator, make_model, toy_batch


@pytest.fixture(scope="module")
def batch():
    structures, _ = make_crystals(12, random_state=3)
    return make_batch(SiteNetFeaturizer(max_sites=30).fit_transform(structures))


@pytest.mark.parametrize("n", [2, 3, 7])
def test_other_crystal_is_a_cycle_through_all_crystals(n):
    batch = toy_batch([[8 + k] for k in range(n)], [[1]] * n)
    seen = torch.zeros(n, n)
    for seed in range(300):
        other = draw.other_crystal(batch, generator(seed))
        assert sorted(other.tolist()) == list(range(n))
        seen[torch.arange(n), other] += 1
    assert (seen.diagonal() == 0).all()
    off_diagonal = seen[~torch.eye(n, dtype=torch.bool)]
    expected = 300 / (n - 1)
    assert ((off_diagonal - expected).abs() <= 5 * math.sqrt(expected)).all()


def test_one_crystal_is_an_error():
    single = toy_batch([[3, 8]], [[1, 1]])
    for negatives in (NEGATIVES, ("batch",), ("composition",)):
        with pytest.raises(ValueError, match="at least two"):
            make_model(negatives=negatives)(single, generator())
    pair = toy_batch([[3, 8], [11, 17]], [[1, 1], [1, 1]])
    for objective in ("jsd", "infonce"):
        assert all(torch.isfinite(v) for v in make_model(objective)(pair, generator()).values())


def test_sites_are_drawn_by_multiplicity():
    batch = toy_batch([[3, 8, 9], [11, 17]], [[1, 3, 6], [2, 2]])
    asked = torch.tensor([0, 1]).repeat(20_000)
    drawn = draw.draw_class(batch, asked, generator())
    assert torch.equal(batch.crystal[drawn], asked)
    share = torch.bincount(drawn, minlength=5) / 20_000
    torch.testing.assert_close(share, torch.tensor([0.1, 0.3, 0.6, 0.5, 0.5]), rtol=0, atol=0.015)


def test_pairs_are_drawn_by_weight_from_their_row():
    batch = toy_batch([[3], [8]], [[1], [1]])
    weights = torch.tensor([0.0, 0.25, 0.75, 1.0, 0.0, 0.0])
    drawn = torch.stack([draw.draw_pair(batch, weights, generator(seed)) for seed in range(4000)])
    share = torch.bincount(drawn[:, 0], minlength=6) / 4000
    torch.testing.assert_close(share, torch.tensor([0, 0.25, 0.75, 0, 0, 0]), rtol=0, atol=0.03)
    assert (drawn[:, 1] == 3).all()


def test_chimera_has_the_species_of_another_crystal(batch):
    for seed in range(50):
        chimera = draw.draw_chimera(batch, generator(seed))
        assert (chimera.species_of != torch.arange(len(batch))).all()
        assert torch.equal(batch.crystal[chimera.species_class], chimera.species_of[batch.crystal])


def test_permutation_keeps_the_distances_of_a_row_and_moves_each(batch):
    for seed in range(50):
        turn = draw.permute_pairs(batch, generator(seed))
        assert torch.equal(batch.row[turn], batch.row)
        assert torch.equal(turn.sort().values, torch.arange(len(turn)))
        alone = (batch.pair_offsets[1:] - batch.pair_offsets[:-1] == 1)[batch.row]
        assert ((turn != torch.arange(len(turn))) | alone).all()
    # All other places of a row are equally frequent.
    toy = toy_batch([[3], [8]], [[1], [1]], n_pairs=5)
    first = torch.stack([draw.permute_pairs(toy, generator(seed))[0] for seed in range(2000)])
    share = torch.bincount(first, minlength=5) / 2000
    torch.testing.assert_close(share, torch.tensor([0, 0.25, 0.25, 0.25, 0.25]), rtol=0, atol=0.05)


def test_crystal_of_one_element_gives_no_permuted_negative():
    batch = toy_batch([[3, 3], [11, 17], [8]], [[1, 1], [1, 1], [2]])
    assert draw.of_one_element(batch).tolist() == [True, False, True]
    model = make_model(negatives=("permuted",))
    sites, term = model.encoder.site_terms(batch), model.encoder.pair_term(batch)
    ((_, crystal, weight),) = wrong_crystals(model, Whole(batch), sites, term, draw_all(model, batch, generator()))
    assert torch.equal(crystal, batch.crystal)
    assert weight.tolist() == [0, 0, 0.5, 0.5, 0]
    # With only such crystals the loss of the negatives is 0, not NaN.
    pure = toy_batch([[3, 3], [8]], [[1, 1], [2]])
    for objective in ("jsd", "infonce"):
        assert torch.isfinite(make_model(objective, negatives=("permuted",))(pure, generator())["loss"])
