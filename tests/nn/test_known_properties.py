"""The readout of known properties: unknown values change nothing, and gradients reach the whole encoder."""

import pytest
import torch
from torch.testing import assert_close

from skdim.nn.known_properties import KnownProperties
from tests.helpers.small_networks import generator, make_model, toy_batch


@pytest.fixture
def layer():
    torch.manual_seed(0)
    layer = KnownProperties(3, 2)
    vectors = torch.randn(50, 3, generator=generator()) * torch.tensor([100.0, 1.0, 0.01])
    layer.standardize(vectors, torch.tensor([2.0, -1.0]), torch.tensor([3.0, 0.5]))
    return layer, vectors


def test_unknown_values_have_neither_loss_nor_gradient(layer):
    layer, vectors = layer
    known = torch.tensor([[0.5, -4.0], [1.5, 0.2]])
    partly = torch.tensor([[0.5, torch.nan], [torch.nan, 0.2]])
    expected = torch.nn.functional.smooth_l1_loss(layer(vectors[:2]), known, reduction="none").diagonal().sum()
    loss = layer.loss(vectors[:2], partly)
    assert_close(loss, expected)
    assert loss > 0
    loss.backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in layer.parameters())
    assert layer.loss(vectors[:2], torch.full((2, 2), torch.nan)) == 0


def test_properties_in_units_are_rescaled_predictions(layer):
    layer, vectors = layer
    assert_close(layer.in_units(vectors), layer(vectors) * torch.tensor([3.0, 0.5]) + torch.tensor([2.0, -1.0]))


def test_vectors_are_standardized_and_constant_components_are_not_amplified():
    layer = KnownProperties(2, 1)
    vectors = torch.stack([torch.linspace(0, 1000, 20), torch.full((20,), 3.0)], dim=1)
    layer.standardize(vectors, torch.zeros(1), torch.ones(1))
    changed = vectors + torch.tensor([0.0, 1e-4])
    assert (layer(changed) - layer(vectors)).abs().max() < 1e-6


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_gradient_reaches_encoder_and_readout(dtype):
    model = make_model("infonce", dtype, property_weight=2.0, n_properties=2)
    batch = toy_batch([[6, 8], [11, 17], [26]], [[1, 2], [1, 1], [2]]).to(dtype)
    without = model(batch, generator())
    assert "properties" not in without
    batch.properties = torch.tensor([[1.0, torch.nan], [torch.nan, torch.nan], [-2.0, 0.5]], dtype=dtype)
    losses = model(batch, generator())
    assert_close(losses["loss"], without["loss"] + 2 * losses["properties"])
    losses["properties"].backward()
    for name in ("lift_pair", "bottleneck", "pre_pool", "post_pool"):
        gradients = [p.grad for n, p in model.encoder.named_parameters() if n.startswith(name)]
        assert any(gradient.abs().max() > 0 for gradient in gradients), name
    assert model.properties.linear.weight.grad.abs().amax(dim=1).min() > 0
