"""The operations of :mod:`skdim.nn.operations` by the compiled loops of this package.

For float32 on the CPU, where numba can be imported (:func:`supports`). :mod:`skdim.nn.compiled.parallel` shares a batch
between threads crystal by crystal, as no pair reaches beyond its crystal.
"""

from __future__ import annotations

import os
import warnings
from functools import cache
from types import SimpleNamespace

import torch
from torch import Tensor

from .parallel import arrays, on_crystals, on_row_parts, on_rows
from .parallel import n_threads as n_threads
from .parallel import threads as threads

#: Environment variable that switches the compiled loops off when set to 1.
_OFF = "SKDIM_NO_NUMBA"


@cache
def _loops():
    """The loops; None, with a warning, if numba cannot be imported."""
    try:
        import numba  # noqa: F401
    except (ImportError, OSError) as error:  # OSError: its library cannot be loaded
        warnings.warn(
            f"numba cannot be imported ({error}), and skdim computes with torch alone: on one core, about "
            f"half as fast. Install numba, or set {_OFF}=1 to silence this warning.",
            stacklevel=2,
        )
        return None
    from . import pair_loops, row_loops

    return SimpleNamespace(**vars(row_loops), **{k: v for k, v in vars(pair_loops).items() if k not in vars(row_loops)})


def supports(values: Tensor) -> bool:
    """Whether the compiled loops can process these values."""
    return (
        values.dtype == torch.float32
        and values.is_cpu
        and not torch.is_autocast_enabled("cpu")
        and os.environ.get(_OFF) != "1"
        and _loops() is not None
    )


def normalize(x: Tensor, activation: str = "mish") -> Tensor:
    return _Normalize.apply(x, activation == "relu")


def dense(x: Tensor, parameters, n_activated: int, activation: str = "mish") -> Tensor:
    return _Dense.apply(x, activation == "relu", n_activated, torch.is_grad_enabled(), *parameters)


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    return dense(x, (weight, weight.new_zeros(len(weight)) if bias is None else bias), 0)


def distinct_distances(batch) -> tuple[Tensor, Tensor]:
    offsets, distance = batch.pair_offsets[batch.class_offsets], batch.distance.contiguous()
    values, which = torch.empty_like(distance), torch.empty(len(distance), dtype=torch.int64)
    n = _loops().distinct_distances(*arrays(offsets, distance, values, which))
    return values[:n], which


def distance_term(
    distance: Tensor, weight: Tensor, bias: Tensor, pair_weight: Tensor, activation: str = "mish"
) -> Tensor:
    return _DistanceTerm.apply(distance, weight, bias, pair_weight, activation == "relu")


def attend(centre, near, far, which, logit_weight, batch, log_count, activation="mish") -> tuple[Tensor, Tensor]:
    return _Attend.apply(centre, near, far, logit_weight, which, batch, log_count, activation == "relu")


def pair_hidden(centre, near, far, which, batch, activation="mish") -> Tensor:
    return _PairHidden.apply(centre, near, far, which, batch, activation == "relu")


def crystal_mean(values: Tensor, batch) -> Tensor:
    return _CrystalMean.apply(values, batch)


def crystal_moments(values: Tensor, batch) -> Tensor:
    return _CrystalMoments.apply(values, batch)


def pair_scores(near, step, queries, batch, activation="mish", normalized=True) -> Tensor:
    return _PairScores.apply(near, step, queries, batch, activation == "relu", normalized)


class _Normalize(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, relu):
        x = x.contiguous()
        ctx.save_for_backward(x)
        ctx.relu = relu
        out = torch.empty_like(x)
        on_rows(_loops().normalize, len(x), x, relu, out)
        return out

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        out = torch.empty_like(x)
        on_rows(_loops().normalize_gradient, len(x), x, grad.contiguous(), ctx.relu, out)
        return out, None


class _Dense(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, relu, n_activated, keep, *parameters):
        weights, biases = [each.contiguous() for each in parameters[::2]], parameters[1::2]
        inputs, hidden_layers = [], []
        for k, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
            x, out = x.contiguous(), x.new_empty(len(x), len(weight))
            activated = k < n_activated
            hidden = x.new_empty(len(x) if activated and keep else 0, len(weight))
            on_rows(_loops().dense, len(x), x, weight, bias, activated, relu, hidden, out)
            inputs.append(x)
            hidden_layers.append(hidden)
            x = out
        ctx.save_for_backward(*weights, *inputs, *hidden_layers)
        ctx.options = relu, n_activated
        return x

    @staticmethod
    def backward(ctx, grad):
        n = len(ctx.saved_tensors) // 3
        weights, inputs, hidden_layers = (ctx.saved_tensors[k * n : (k + 1) * n] for k in range(3))
        relu, n_activated = ctx.options
        needed_x, _, _, _, *needed = ctx.needs_input_grad
        gradients = []
        for k in reversed(range(n)):
            x, weight, grad = inputs[k], weights[k], grad.contiguous()
            to_x = x.new_empty(len(x) if k or needed_x else 0, x.shape[1])
            shared = (weight if needed[2 * k] else weight[:0], weight[: len(weight) * needed[2 * k + 1], 0])
            to_weight, to_bias = on_row_parts(
                _loops().dense_gradient,
                len(x),
                *(x, weight, hidden_layers[k], k < n_activated, relu, grad, to_x),
                shared=shared,
            )
            gradients += [to_bias if needed[2 * k + 1] else None, to_weight if needed[2 * k] else None]
            grad = to_x
        return grad if needed_x else None, None, None, None, *reversed(gradients)


class _DistanceTerm(torch.autograd.Function):
    @staticmethod
    def forward(ctx, distance, weight, bias, pair_weight, relu):
        weight, pair_weight = weight[:, 0].contiguous(), pair_weight.contiguous()
        out = distance.new_empty(len(distance), len(pair_weight))
        inputs = distance, weight, bias, pair_weight
        on_rows(_loops().distance_term, len(distance), *inputs, relu, out)
        ctx.save_for_backward(*inputs)
        ctx.relu = relu
        return out

    @staticmethod
    def backward(ctx, grad):
        distance, *shared = ctx.saved_tensors
        to_weight, to_bias, to_pair_weight = on_row_parts(
            _loops().distance_term_gradient,
            len(distance),
            *(distance, *shared, ctx.relu, grad.contiguous()),
            shared=shared,
        )
        return None, to_weight[:, None], to_bias, to_pair_weight, None


class _Attend(torch.autograd.Function):
    @staticmethod
    def forward(ctx, centre, near, far, weight, which, batch, log_count, relu):
        centre, near, far, weight = (part.contiguous() for part in (centre, near, far, weight))
        heads, wide = weight.shape
        summed = centre.new_empty(heads, len(centre), centre.shape[1] - wide)
        attention = centre.new_empty(len(batch.row), heads)
        inputs = centre, near, far, batch.pair_offsets, batch.neighbour, which, relu
        on_crystals(_loops().attend, batch, *inputs, log_count, weight, summed, attention)
        ctx.save_for_backward(centre, near, far, weight, which, attention)
        ctx.batch, ctx.relu = batch, relu
        ctx.mark_non_differentiable(attention)
        return summed, attention

    @staticmethod
    def backward(ctx, grad, _):
        centre, near, far, weight, which, attention = ctx.saved_tensors
        batch = ctx.batch
        inputs = centre, near, far, batch.pair_offsets, batch.neighbour, which, ctx.relu
        to_parts = [torch.zeros_like(part) for part in (centre, near, far)]
        others = weight, attention, grad.contiguous(), *to_parts
        (to_weight,) = on_crystals(_loops().attend_gradient, batch, *inputs, *others, shared=(weight,))
        return *to_parts, to_weight, None, None, None, None


class _PairHidden(torch.autograd.Function):
    @staticmethod
    def forward(ctx, centre, near, far, which, batch, relu):
        centre, near, far = (part.contiguous() for part in (centre, near, far))
        out = centre.new_empty(len(batch.row), centre.shape[1])
        inputs = centre, near, far, batch.pair_offsets, batch.neighbour, which, relu
        on_crystals(_loops().pair_hidden, batch, *inputs, out)
        ctx.save_for_backward(centre, near, far, which)
        ctx.batch, ctx.relu = batch, relu
        return out

    @staticmethod
    def backward(ctx, grad):
        centre, near, far, which = ctx.saved_tensors
        batch = ctx.batch
        inputs = centre, near, far, batch.pair_offsets, batch.neighbour, which, ctx.relu
        to_parts = [torch.zeros_like(part) for part in (centre, near, far)]
        on_crystals(_loops().pair_hidden_gradient, batch, *inputs, grad.contiguous(), *to_parts)
        return *to_parts, None, None, None


class _CrystalMean(torch.autograd.Function):
    @staticmethod
    def forward(ctx, values, batch):
        values = values.contiguous()
        out = values.new_empty(len(batch), values.shape[1])
        on_rows(_loops().crystal_mean, len(batch), values, batch.site_share, batch.class_offsets, out)
        ctx.batch = batch
        return out

    @staticmethod
    def backward(ctx, grad):
        batch = ctx.batch
        return grad.index_select(0, batch.crystal).mul_(batch.site_share[:, None]), None


class _CrystalMoments(torch.autograd.Function):
    @staticmethod
    def forward(ctx, values, batch):
        values = values.contiguous()
        out = values.new_empty(len(batch), 2 * values.shape[1])
        on_rows(_loops().crystal_moments, len(batch), values, batch.site_share, batch.class_offsets, out)
        ctx.save_for_backward(values, out)
        ctx.batch = batch
        return out

    @staticmethod
    def backward(ctx, grad):
        values, out = ctx.saved_tensors
        batch, to_values = ctx.batch, torch.empty_like(values)
        inputs = values, batch.site_share, batch.class_offsets, out, grad.contiguous()
        on_rows(_loops().crystal_moments_gradient, len(batch), *inputs, to_values)
        return to_values, None


class _PairScores(torch.autograd.Function):
    @staticmethod
    def forward(ctx, near, step, queries, batch, relu, normalized):
        near, step, queries = (part.contiguous() for part in (near, step, queries))
        out = near.new_empty(len(queries), len(batch.row))
        inputs = near, step, batch.distance, batch.pair_offsets, batch.neighbour, relu, normalized
        on_crystals(_loops().scores, batch, *inputs, queries, out)
        ctx.save_for_backward(near, step, queries)
        ctx.batch, ctx.options = batch, (relu, normalized)
        return out

    @staticmethod
    def backward(ctx, grad):
        near, step, queries = ctx.saved_tensors
        batch = ctx.batch
        inputs = near, step, batch.distance, batch.pair_offsets, batch.neighbour, *ctx.options
        to_queries = torch.zeros_like(queries)
        others = queries, grad.contiguous(), to_queries
        # Neighbours may belong to other crystals, as negatives do.
        loop = _loops().scores_gradient
        to_near, to_step = on_crystals(loop, batch, *inputs, *others, shared=(near, step))
        return to_near, to_step, to_queries, None, None, None
