"""The encoder: gradients, independence of the batch, settings."""

import pytest
import torch
from torch.autograd import gradcheck

from skdim import SiteNetFeaturizer
from skdim._training.batches import make_batch
from skdim.datasets import make_crystals
from skdim.nn.encoder import Gaussian, SiteNetEncoder, pooled_moments
from tests.helpers.small_networks import SMALL


@pytest.fixture(scope="module")
def crystals():
    structures, _ = make_crystals(12, random_state=3)
    return SiteNetFeaturizer(max_sites=30).fit_transform(structures)


def make_encoder(**settings):
    torch.manual_seed(0)
    return SiteNetEncoder(**{**SMALL, **settings})


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"n_blocks": 2, "n_heads": 3},
        {"pooling": "max"},
        {"n_blocks": 2, "local_dim": None, "element_embedding": 3, "log_coulomb": True, "spread": False},
    ],
    ids=["compact", "blocks and heads", "max", "2023"],
)
def test_gradients_agree_with_finite_differences(settings, crystals):
    encoder = make_encoder(**settings).double()
    batch = make_batch(crystals[:2]).to(torch.float64)
    parameters = dict(encoder.named_parameters())

    def outputs(*values):
        local, crystal = torch.func.functional_call(encoder, dict(zip(parameters, values, strict=True)), (batch,))
        return crystal, local, pooled_moments(batch, local)

    values = tuple(p.detach().clone().requires_grad_() for p in parameters.values())
    # Fast mode compares along random directions: every parameter takes part, at the cost of a few passes.
    assert gradcheck(outputs, values, fast_mode=True, atol=1e-4)


def test_every_parameter_is_used(crystals):
    encoder = make_encoder(n_blocks=2, n_heads=2, element_embedding=3, log_coulomb=True)
    batch = make_batch(crystals)
    local = encoder.local(batch, encoder.site_terms(batch), encoder.pair_term(batch))
    crystal = encoder.pool(batch, local.mean)
    sum(part.square().sum() for part in (*local, *crystal)).backward()
    assert [name for name, p in encoder.named_parameters() if p.grad is None or not p.grad.abs().sum()] == []


@pytest.mark.parametrize("pooling", ["mean", "max"])
def test_a_crystal_embeds_the_same_in_any_batch(pooling, crystals):
    encoder = make_encoder(n_blocks=2, n_heads=2, pooling=pooling)
    with torch.no_grad():
        together = encoder(make_batch(crystals))[1]
        alone = torch.cat([encoder(make_batch(crystals[k]))[1] for k in range(len(crystals))])
        turned = encoder(make_batch(crystals[::-1]))[1].flip(0)
    torch.testing.assert_close(alone, together, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(turned, together, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("pooling", ["mean", "max"])
def test_compression_changes_nothing(pooling, crystals):
    structures, _ = make_crystals(12, random_state=3)
    in_full = SiteNetFeaturizer(max_sites=30, compress=False).fit_transform(structures)
    assert len(in_full.numbers) > len(crystals.numbers)
    encoder = make_encoder(n_blocks=2, n_heads=3, pooling=pooling)
    with torch.no_grad():
        vectors = [encoder(make_batch(c))[1] for c in (crystals, in_full)]
    torch.testing.assert_close(*vectors, rtol=0, atol=2e-3)


def test_attention_adds_up_to_one_for_every_site_and_head(crystals):
    encoder, batch = make_encoder(n_blocks=2, n_heads=3), make_batch(crystals)
    attention = []
    encoder.local(batch, encoder.site_terms(batch), encoder.pair_term(batch), attention)
    assert [a.shape for a in attention] == [(len(batch.row), 3)] * 2
    for weights in attention:
        total = torch.zeros(len(batch.numbers), 3).index_add_(0, batch.row, weights)
        torch.testing.assert_close(total, torch.ones_like(total))


def test_pooled_moments_are_those_over_all_primitive_sites(crystals):
    batch = make_batch(crystals)
    local = torch.randn(len(batch.numbers), 3)
    result = pooled_moments(batch, local)
    for k in range(len(batch)):
        own = batch.crystal == k
        sites = local[own].repeat_interleave(batch.multiplicity[own].long(), dim=0)
        expected = torch.cat([sites.mean(dim=0), sites.std(dim=0, correction=0)])
        torch.testing.assert_close(result[k], expected, rtol=1e-4, atol=1e-5)


def test_pooled_moments_of_equal_sites_have_a_finite_gradient(crystals):
    batch = make_batch(crystals)
    local = torch.ones(len(batch.numbers), 3, requires_grad=True)
    result = pooled_moments(batch, local)
    result.sum().backward()
    assert torch.isfinite(local.grad).all()
    assert result[:, 3:].abs().max() < 1e-5


def test_a_gaussian_without_spread_is_its_mean():
    mean = torch.randn(4, 3)
    assert Gaussian(mean, None).sample(torch.Generator()) is mean
    encoder = make_encoder(spread=False)
    assert encoder.bottleneck.out_features == SMALL["local_dim"]


def test_a_sample_has_the_mean_and_the_variance_it_says():
    n = 100_000
    distribution = Gaussian(torch.tensor([[1.0, -2.0]]).expand(n, 2), torch.tensor([[0.0, -2.0]]).expand(n, 2))
    drawn = distribution.sample(torch.Generator().manual_seed(0))
    torch.testing.assert_close(drawn.mean(dim=0), distribution.mean[0], rtol=0, atol=0.02)
    torch.testing.assert_close(drawn.var(dim=0), torch.exp(distribution.log_var[0]), rtol=0.02, atol=0)
    torch.testing.assert_close(drawn, distribution.sample(torch.Generator().manual_seed(0)))
