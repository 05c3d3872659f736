"""The encoder: gradients, independence of the batch, settings."""

import pytest
import torch
from torch.autograd import gradcheck
from torch.nn import functional

from skdim import SiteNetFeaturizer
from skdim._training.batches import make_batch
from skdim.datasets import make_crystals
from skdim.nn import operations
from skdim.nn.encoder import LOG_VAR_LIMIT, Gaussian, SiteNetEncoder
from skdim.nn.layers import ElementEmbedding
from skdim.nn.losses import kl_reference
from skdim.nn.sampling.overlay import with_pairs
from tests.helpers.small_networks import SMALL


@pytest.fixture(scope="module")
def crystals():
    structures, _ = make_crystals(12, random_state=3)
    return SiteNetFeaturizer(max_sites=30).fit_transform(structures)


#: The networks of the two papers, with small widths.
PAPER_2025 = {"value_network": "dense", "site_network": False}
SITENET_2023 = {
    "n_blocks": 2,
    "n_heads": 3,
    "local_dim": None,
    "value_network": "single",
    "shared_values": True,
    "gains": True,
    "output_layer": "dense",
    "element_embedding": 3,
    "element_norm_limit": 1.0,
    "log_coulomb": True,
    "spread": False,
}


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
        PAPER_2025,
        {**PAPER_2025, "local_activation": "relu", "n_heads": 2, "shared_values": True},
        # The scale of long element vectors counts as constant.
        {**SITENET_2023, "element_norm_limit": 100.0},
        {**SITENET_2023, "element_norm_limit": None, "shared_values": False, "log_coulomb": False},
        {"n_heads": 2, "shared_values": True, "gains": True, "input_scale": [(2.0, 0.5)] * SMALL["n_site_inputs"]},
        {"n_blocks": 2, "n_heads": 3, "value_network": "dense", "gains": True, "cutoff": 4.0},
    ],
    ids=str,
)
def test_gradients_agree_with_finite_differences(settings, crystals):
    encoder = make_encoder(**settings).double()
    batch = make_batch(crystals[:2]).to(torch.float64)
    parameters = dict(encoder.named_parameters())

    def outputs(*values):
        local, crystal = torch.func.functional_call(encoder, dict(zip(parameters, values, strict=True)), (batch,))
        return crystal, local, operations.crystal_moments(local, batch)

    values = tuple(p.detach().clone().requires_grad_() for p in parameters.values())
    # Fast mode compares along random directions: every parameter takes part, at the cost of a few passes.
    assert gradcheck(outputs, values, fast_mode=True, atol=1e-4)


@pytest.mark.parametrize(
    "settings",
    [{"n_blocks": 2, "n_heads": 2, "element_embedding": 3, "log_coulomb": True}, PAPER_2025, SITENET_2023],
    ids=["all inputs", "2025", "2023"],
)
def test_every_parameter_is_used(settings, crystals):
    encoder = make_encoder(**settings)
    batch = make_batch(crystals)
    local = encoder.local(batch, encoder.site_terms(batch), encoder.pair_term(batch))
    crystal = encoder.pool(batch, local.mean)
    # Weights that are not all equal: the squares of normalized vectors have a constant sum.
    parts = [part for part in (*local, *crystal) if part is not None]
    sum((part.square() * torch.rand_like(part)).sum() for part in parts).backward()
    unused = {name for name, p in encoder.named_parameters() if p.grad is None or not p.grad.abs().sum()}
    # An offset of all logits of a row changes no weight.
    assert unused == {name for name in unused if name.endswith("logit_norm.bias")}


@pytest.mark.parametrize("pooling", ["mean", "max"])
def test_embedding_does_not_depend_on_the_batch(pooling, crystals):
    encoder = make_encoder(n_blocks=2, n_heads=2, pooling=pooling)
    with torch.no_grad():
        together = encoder(make_batch(crystals))[1]
        alone = torch.cat([encoder(make_batch(crystals[k]))[1] for k in range(len(crystals))])
        reversed_order = encoder(make_batch(crystals[::-1]))[1].flip(0)
    torch.testing.assert_close(alone, together, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(reversed_order, together, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("pooling", ["mean", "max"])
def test_compression_does_not_change_vectors(pooling, crystals):
    structures, _ = make_crystals(12, random_state=3)
    uncompressed = SiteNetFeaturizer(max_sites=30, compress=False).fit_transform(structures)
    assert len(uncompressed.numbers) > len(crystals.numbers)
    encoder = make_encoder(n_blocks=2, n_heads=3, pooling=pooling)
    with torch.no_grad():
        vectors = [encoder(make_batch(c))[1] for c in (crystals, uncompressed)]
    torch.testing.assert_close(*vectors, rtol=0, atol=2e-3)


def test_attention_sums_to_one_for_every_site_and_head(crystals):
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
    result = operations.crystal_moments(local, batch)
    for k in range(len(batch)):
        chosen = batch.crystal == k
        sites = local[chosen].repeat_interleave(batch.multiplicity[chosen].long(), dim=0)
        expected = torch.cat([sites.mean(dim=0), sites.std(dim=0, correction=0)])
        torch.testing.assert_close(result[k], expected, rtol=1e-4, atol=1e-5)


def test_pooled_moments_of_equal_sites_have_a_finite_gradient(crystals):
    batch = make_batch(crystals)
    local = torch.ones(len(batch.numbers), 3, requires_grad=True)
    result = operations.crystal_moments(local, batch)
    result.sum().backward()
    assert torch.isfinite(local.grad).all()
    assert result[:, 3:].abs().max() < 1e-5


def test_sample_without_log_variance_is_the_mean():
    mean = torch.randn(4, 3)
    assert Gaussian(mean, None).sample(torch.ones(4, 3)) is mean
    assert Gaussian(mean, mean).sample(None) is mean
    encoder = make_encoder(spread=False)
    assert encoder.bottleneck.out_features == SMALL["local_dim"]


def test_samples_have_the_given_mean_and_variance():
    n = 100_000
    distribution = Gaussian(torch.tensor([[1.0, -2.0]]).expand(n, 2), torch.tensor([[0.0, -2.0]]).expand(n, 2))
    drawn = distribution.sample(torch.randn(n, 2, generator=torch.Generator().manual_seed(0)))
    torch.testing.assert_close(drawn.mean(dim=0), distribution.mean[0], rtol=0, atol=0.02)
    torch.testing.assert_close(drawn.var(dim=0), torch.exp(distribution.log_var[0]), rtol=0.02, atol=0)


def test_log_variances_are_bounded_and_can_return(crystals):
    encoder, batch = make_encoder(), make_batch(crystals)
    with torch.no_grad():
        encoder.bottleneck.bias[SMALL["local_dim"] :] = torch.tensor([1e4, -1e4, 50.0, 0.0])
    local = encoder.local(batch, encoder.site_terms(batch), encoder.pair_term(batch))
    assert local.log_var[:, :3].unique().tolist() == [-LOG_VAR_LIMIT, LOG_VAR_LIMIT]
    assert local.log_var[:, 3].abs().max() < LOG_VAR_LIMIT
    kl_reference(local).sum().backward()
    slopes = encoder.bottleneck.bias.grad[SMALL["local_dim"] :]
    assert slopes[0] > 0 > slopes[1], "gradients point back into the allowed range"
    assert torch.isfinite(slopes).all()


def test_pairs_beyond_the_cutoff_have_no_attention(crystals):
    batch = make_batch(crystals)
    attention = make_encoder(n_heads=2, cutoff=3.0).attention(batch)
    beyond = batch.distance > 3.0
    assert 0 < beyond.sum() < len(beyond)
    assert (attention[beyond] < 1e-30).all()
    near = with_pairs(batch, *(x[~beyond] for x in (batch.row, batch.neighbour, batch.distance, batch.count)))
    torch.testing.assert_close(attention[~beyond], make_encoder(n_heads=2).attention(near))
    torch.testing.assert_close(make_encoder(n_heads=2, cutoff=1e3)(batch), make_encoder(n_heads=2)(batch))


def test_long_element_vectors_are_scaled_to_the_limit():
    limited = ElementEmbedding(104, 5, norm_limit=1.0)
    with torch.no_grad():
        limited.weight[8] = 0.1
    table = limited.weight.detach().clone()
    numbers = torch.tensor([8, 26, 26, 79])
    limited.eval()
    vectors = limited(numbers)
    torch.testing.assert_close(vectors[0], table[8])
    torch.testing.assert_close(vectors[1:], functional.normalize(table[numbers[1:]], dim=1))
    assert torch.equal(limited.weight, table), "reading does not change the table"
    limited.train()
    torch.testing.assert_close(limited(numbers), vectors)
    torch.testing.assert_close(limited.weight[numbers], vectors)


def test_idle_weights_change_no_result(crystals):
    settings = {**SITENET_2023, "gains": False}
    encoder, more = make_encoder(**settings), make_encoder(**settings, idle_weights=True)
    extra = more.state_dict().keys() - encoder.state_dict().keys()
    assert extra == {"blocks.0.logit.bias", "blocks.1.logit.bias"}
    state = more.state_dict()
    for name, value in encoder.state_dict().items():  # the last bond layer has further rows
        state[name][: len(value)] = value
    more.load_state_dict(state)
    batch = make_batch(crystals)
    torch.testing.assert_close(more(batch), encoder(batch))
