"""Written-out gradients and ragged reductions agree with torch's operations."""

import pytest
import torch
from torch.autograd import gradcheck
from torch.nn import functional

from skdim.nn.layers import BondLinear, Dense, dense_stack
from skdim.nn.operations.functional import mish, moments, segment_max, segment_softmax, segment_sum, segment_total

LENGTHS = [3, 1, 5, 2]
OFFSETS = torch.tensor([0, 3, 4, 9, 11])
SEGMENT = torch.repeat_interleave(torch.arange(4), torch.tensor(LENGTHS))


@pytest.fixture
def values():
    return torch.randn(11, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def weights():
    return torch.rand(11, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) + 0.1


def in_parts(values):
    return values.split(LENGTHS)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_mish_and_its_gradient_agree_with_torch(dtype):
    x = torch.linspace(-40, 40, 2001, dtype=dtype)
    x1, x2 = x.clone().requires_grad_(), x.clone().requires_grad_()
    tol = 1e-12 if dtype == torch.float64 else 2e-6
    torch.testing.assert_close(mish(x1), functional.mish(x2), rtol=tol, atol=tol)
    mish(x1).sum().backward()
    functional.mish(x2).sum().backward()
    torch.testing.assert_close(x1.grad, x2.grad, rtol=tol, atol=tol)


def test_mish_of_extreme_values_is_finite():
    x = torch.tensor([-1e30, -200.0, -0.0, 200.0, 1e30], requires_grad=True)
    result = mish(x)
    result.sum().backward()
    assert result.tolist() == [0, 0, 0, 200.0, pytest.approx(1e30)]
    assert x.grad.tolist() == pytest.approx([0, 0, 0.6, 1, 1])


def test_gradients_agree_with_finite_differences(values, weights):
    values, weights = values.requires_grad_(), weights.requires_grad_()
    assert gradcheck(mish, values)
    assert gradcheck(lambda v, w: segment_sum(v, w, OFFSETS, SEGMENT), (values, weights))
    assert gradcheck(lambda v: segment_total(v, SEGMENT, 4), values)
    assert gradcheck(lambda v: segment_softmax(v, SEGMENT, 4), values)
    assert gradcheck(lambda v: segment_max(v, SEGMENT, 4), values)
    assert gradcheck(moments, values)


@pytest.mark.parametrize("which", ["values", "weights"])
def test_segment_sum_with_one_gradient_only(which, values, weights):
    tensor = {"values": values, "weights": weights}[which].requires_grad_()
    segment_sum(values, weights, OFFSETS, SEGMENT).square().sum().backward()
    gradient, tensor.grad = tensor.grad, None
    sum((w @ v).square().sum() for v, w in zip(in_parts(values), in_parts(weights), strict=True)).backward()
    torch.testing.assert_close(gradient, tensor.grad)


def test_backward_does_not_change_the_incoming_gradient(values, weights):
    x = values.requires_grad_()
    for output in (mish(x), segment_sum(x, weights, OFFSETS, SEGMENT)):
        grad = torch.ones_like(output)
        torch.autograd.grad(output, x, grad)
        assert (grad == 1).all()


def test_segment_reductions_are_loops_over_segments(values, weights):
    expected = torch.stack([w @ v for v, w in zip(in_parts(values), in_parts(weights), strict=True)])
    torch.testing.assert_close(segment_sum(values, weights, OFFSETS, SEGMENT), expected)
    expected = torch.stack([v.sum(dim=0) for v in in_parts(values)])
    torch.testing.assert_close(segment_total(values, SEGMENT, 4), expected)
    expected = torch.cat([torch.softmax(v, dim=0) for v in in_parts(values)])
    torch.testing.assert_close(segment_softmax(values, SEGMENT, 4), expected)
    expected = torch.stack([v.amax(dim=0) for v in in_parts(values)])
    torch.testing.assert_close(segment_max(values, SEGMENT, 4), expected)


def test_segment_sum_takes_values_that_are_not_contiguous(values, weights):
    half = values[:, 1:3]
    expected = segment_sum(half.clone(), weights, OFFSETS, SEGMENT)
    torch.testing.assert_close(segment_sum(half, weights, OFFSETS, SEGMENT), expected)


def test_segment_softmax_stays_in_range_for_huge_logits(values):
    shifted = values * 1e3 + 1e6
    expected = torch.cat([torch.softmax(v, dim=0) for v in in_parts(shifted)])
    torch.testing.assert_close(segment_softmax(shifted, SEGMENT, 4), expected)


def test_moments_are_those_of_layer_norm(values):
    mean, scale = moments(values)
    torch.testing.assert_close((values - mean[:, None]) * scale[:, None], functional.layer_norm(values, (4,)))
    # Of equal values the variance is 0, or negative by rounding.
    assert torch.isfinite(moments(torch.full((3, 7), 0.1))[1]).all()


def test_dense_is_linear_mish_layer_norm(values):
    layer = Dense(4, 6).double()
    expected = functional.layer_norm(functional.mish(layer.linear(values)), (6,))
    torch.testing.assert_close(layer(values), expected)
    assert [tuple(p.shape) for p in dense_stack(4, (6, 5), 3).parameters()] == [
        (6, 4),
        (6,),
        (5, 6),
        (5,),
        (3, 5),
        (3,),
    ]


def test_bond_linear_is_one_layer_on_the_joined_vectors():
    row, neighbour = torch.tensor([0, 0, 1, 2]), torch.tensor([0, 2, 1, 0])
    layer = BondLinear(3, 2, 5).double()
    sites, pairs = torch.randn(3, 3, dtype=torch.float64), torch.randn(4, 2, dtype=torch.float64)
    weight = torch.cat([layer.centre.weight, layer.neighbour.weight, layer.pair.weight], dim=1)
    joined = torch.cat([sites[row], sites[neighbour], pairs], dim=1)
    expected = functional.linear(joined, weight, layer.centre.bias)
    parts = layer.centre(sites)[row] + layer.neighbour(sites)[neighbour] + layer.pair(pairs)
    torch.testing.assert_close(parts, expected)
