"""Operations on rows that torch can differentiate: dense layers, lifted distances, and means over crystals.

Several layers are one operation: torch takes longer to record an operation than these loops to compute a small layer.
Tensors become arrays once per pass, and between the layers of an operation there are only arrays.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch

from .availability import loops
from .parallel import array, on_row_parts, on_rows

#: Hidden layer that is not kept.
_NONE = np.empty((0, 0), np.float32)


class Layer(NamedTuple):
    """Arrays of a linear layer, and whether activation and normalization follow."""

    weight: Any
    bias: Any
    activated: bool


def once(ctx):
    """Check at the start of a backward pass: parameters have not changed, and no second derivative is wanted."""
    if torch.is_grad_enabled():
        raise RuntimeError("the compiled operations have no second derivatives: set SKDIM_NO_NUMBA=1")
    return ctx.saved_tensors


def _layers(parameters, activated):
    layers = []
    for weight, bias, is_activated in zip(parameters[::2], parameters[1::2], activated, strict=True):
        of_bias = np.zeros(weight.shape[0], np.float32) if bias is None else array(bias)
        layers.append(Layer(array(weight.contiguous()), of_bias, is_activated))
    return layers


def _forward(x, layers, relu, keep):
    """Rows after some layers, and the input and the hidden layer of each, which gradients need."""
    loop, kept = loops().dense, []
    for weight, bias, activated in layers:
        out = np.empty((len(x), len(weight)), np.float32)
        hidden = np.empty_like(out) if activated and keep else _NONE
        on_rows(loop, len(x), x, weight, bias, activated, relu, hidden, out)
        kept.append((x, hidden))
        x = out
    return x, kept


def _backward(grad, layers, kept, relu, needed, needs_x=True):
    """Gradients with respect to the input (if needed) and to the parameters, given that of the output.

    ``needed`` has two booleans for each layer, for its weight and its bias.
    """
    loop, gradients = loops().dense_gradient, []
    for k in reversed(range(len(layers))):
        (weight, _, activated), (x, hidden) = layers[k], kept[k]
        needs_weight, needs_bias = needed[2 * k : 2 * k + 2]
        to_x = np.empty((len(x) if k or needs_x else 0, x.shape[1]), np.float32)
        shapes = (len(weight) * needs_weight, x.shape[1]), (len(weight) * needs_bias,)
        arguments = x, weight, hidden, activated, relu, grad, to_x
        to_weight, to_bias = on_row_parts(loop, len(x), *arguments, shapes=shapes)
        gradients.append(torch.from_numpy(to_bias) if needs_bias else None)
        gradients.append(torch.from_numpy(to_weight) if needs_weight else None)
        grad = to_x
    return grad, gradients[::-1]


class Dense(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, relu, activated, keep, *parameters):
        ctx.layers, ctx.relu = _layers(parameters, activated), relu
        out, ctx.kept = _forward(array(x.contiguous()), ctx.layers, relu, keep)
        ctx.save_for_backward(x, *parameters)
        return torch.from_numpy(out)

    @staticmethod
    def backward(ctx, grad):
        once(ctx)
        needs_x, _, _, _, *needed = ctx.needs_input_grad
        to_x, gradients = _backward(array(grad.contiguous()), ctx.layers, ctx.kept, ctx.relu, needed, needs_x)
        return torch.from_numpy(to_x) if needs_x else None, None, None, None, *gradients


class SiteTerms(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, relu, keep, *parameters):
        lift, *outputs = ctx.layers = _layers((*parameters, None), (True, False, False))
        lifted, kept = _forward(array(x.contiguous()), [lift], relu, keep)
        ctx.kept, ctx.relu = [*kept, (lifted, _NONE), (lifted, _NONE)], relu
        ctx.save_for_backward(x, *parameters)
        return tuple(torch.from_numpy(_forward(lifted, [layer], relu, False)[0]) for layer in outputs)

    @staticmethod
    def backward(ctx, *grads):
        once(ctx)
        needs_x, _, _, *needed = ctx.needs_input_grad
        needed.append(False)  # neighbours have no bias
        gradients, to_lifted = [], 0
        for k, grad in enumerate(grads, 1):
            part = slice(k, k + 1), slice(2 * k, 2 * k + 2)
            to_part, of_part = _backward(
                array(grad.contiguous()), ctx.layers[part[0]], ctx.kept[part[0]], ctx.relu, needed[part[1]]
            )
            to_lifted += to_part
            gradients += of_part
        to_x, of_lift = _backward(to_lifted, ctx.layers[:1], ctx.kept[:1], ctx.relu, needed[:2], needs_x)
        return torch.from_numpy(to_x) if needs_x else None, None, None, *of_lift, *gradients[:-1]


class Pool(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, relu, activated, n_before, batch, keep, *parameters):
        layers = ctx.layers = _layers(parameters, activated)
        sites, before = _forward(array(x.contiguous()), layers[:n_before], relu, keep)
        pooled = np.empty((len(batch), sites.shape[1]), np.float32)
        on_rows(loops().crystal_mean, len(batch), sites, batch.site_share, batch.class_offsets, pooled)
        out, after = _forward(pooled, layers[n_before:], relu, keep)
        ctx.kept, ctx.relu, ctx.n_before, ctx.batch = before + after, relu, n_before, batch
        ctx.save_for_backward(x, *parameters)
        return torch.from_numpy(out)

    @staticmethod
    def backward(ctx, grad):
        once(ctx)
        needs_x, _, _, _, _, _, *needed = ctx.needs_input_grad
        n, layers, kept, batch = ctx.n_before, ctx.layers, ctx.kept, ctx.batch
        to_pooled, of_after = _backward(array(grad.contiguous()), layers[n:], kept[n:], ctx.relu, needed[2 * n :])
        to_sites = to_pooled.take(array(batch.crystal), axis=0)
        to_sites *= array(batch.site_share)[:, None]
        to_x, of_before = _backward(to_sites, layers[:n], kept[:n], ctx.relu, needed[: 2 * n], needs_x)
        return torch.from_numpy(to_x) if needs_x else None, *[None] * 5, *of_before, *of_after


class DistanceTerm(torch.autograd.Function):
    @staticmethod
    def forward(ctx, distance, weight, bias, pair_weight, relu):
        ctx.save_for_backward(distance, weight, bias, pair_weight)
        ctx.inputs = [array(each.contiguous()) for each in (distance, weight[:, 0], bias, pair_weight)]
        out, ctx.relu = np.empty((len(distance), len(pair_weight)), np.float32), relu
        on_rows(loops().distance_term, len(out), *ctx.inputs, relu, out)
        return torch.from_numpy(out)

    @staticmethod
    def backward(ctx, grad):
        once(ctx)
        arguments = *ctx.inputs, ctx.relu, grad.contiguous()
        shapes = [each.shape for each in ctx.inputs[1:]]
        sums = on_row_parts(loops().distance_term_gradient, len(grad), *arguments, shapes=shapes)
        to_weight, to_bias, to_pair_weight = (torch.from_numpy(each) for each in sums)
        return None, to_weight[:, None], to_bias, to_pair_weight, None


class Normalize(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, relu):
        x = x.contiguous()
        ctx.save_for_backward(x)
        ctx.relu = relu
        out = torch.empty_like(x)
        on_rows(loops().normalize, len(x), x, relu, out)
        return out

    @staticmethod
    def backward(ctx, grad):
        (x,) = once(ctx)
        out = torch.empty_like(x)
        on_rows(loops().normalize_gradient, len(x), x, grad.contiguous(), ctx.relu, out)
        return out, None


class CrystalMean(torch.autograd.Function):
    @staticmethod
    def forward(ctx, values, batch):
        values = values.contiguous()
        out = values.new_empty(len(batch), values.shape[1])
        on_rows(loops().crystal_mean, len(batch), values, batch.site_share, batch.class_offsets, out)
        ctx.batch = batch
        return out

    @staticmethod
    def backward(ctx, grad):
        batch = ctx.batch
        return grad.index_select(0, batch.crystal).mul_(batch.site_share[:, None]), None


class CrystalMoments(torch.autograd.Function):
    @staticmethod
    def forward(ctx, values, batch):
        values = values.contiguous()
        out = values.new_empty(len(batch), 2 * values.shape[1])
        on_rows(loops().crystal_moments, len(batch), values, batch.site_share, batch.class_offsets, out)
        ctx.save_for_backward(values, out)
        ctx.batch = batch
        return out

    @staticmethod
    def backward(ctx, grad):
        values, out = once(ctx)
        batch, to_values = ctx.batch, torch.empty_like(values)
        inputs = values, batch.site_share, batch.class_offsets, out, grad.contiguous()
        on_rows(loops().crystal_moments_gradient, len(batch), *inputs, to_values)
        return to_values, None
