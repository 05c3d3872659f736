"""The loops over pairs, compiled by numba (extra ``[fast]``): what is made for a pair never leaves the cache.

Each takes the site classes ``first`` to ``last - 1``, so that threads can share a batch. Numbers are float32, indices
int64. :mod:`skdim.nn.encoder` and :mod:`skdim.nn.infomax` have the same formulas in torch. Gradients make the hidden
layers anew, which is faster than reading them back.

Shapes as everywhere: C site classes, P pairs, H heads; U rows of distance terms; W columns, of which the first A give
the logits and the others, V, the values.
"""

from __future__ import annotations

import numba
import numpy as np

_F = np.float32
#: Under the square root of a normalisation, as in torch's.
_EPS = _F(1e-5)
_OPTIONS = {"nogil": True, "error_model": "numpy", "fastmath": {"reassoc", "contract", "nsz", "arcp"}}


def _compiled(function):
    try:
        return numba.njit(function, cache=True, **_OPTIONS)
    except RuntimeError:  # no folder that the compiled code could be kept in
        return numba.njit(function, **_OPTIONS)


@numba.njit(inline="always")
def _exp(x):
    """Exponential of a float32, good to its last bit or two; what is left of -87 and right of 20 counts as these.

    2^n times a polynomial (the one of the Cephes library, S. Moshier) instead of a call, so that loops stay vectors.
    """
    x = min(max(x, _F(-87.0)), _F(20.0))
    n = np.floor(x * _F(1.44269504) + _F(0.5))
    r = x - n * _F(0.693359375) + n * _F(2.12194440e-4)
    p = _F(1.9875691500e-4)
    p = p * r + _F(1.3981999507e-3)
    p = p * r + _F(8.3334519073e-3)
    p = p * r + _F(4.1665795894e-2)
    p = p * r + _F(1.6666665459e-1)
    p = p * r + _F(5.0000001201e-1)
    p = p * r * r + r + _F(1.0)
    return p * np.int32((np.int32(n) + np.int32(127)) << np.int32(23)).view(np.float32)


@numba.njit(inline="always")
def _mish(x):
    """x tanh(log(1 + e^x)) = x n / (n + 2) with n = e^x (e^x + 2)."""
    e = _exp(x)
    n = e * (e + _F(2.0))
    return x * (n / (n + _F(2.0)))


@numba.njit(inline="always")
def _mish_and_slope(x):
    e = _exp(x)
    n = e * (e + _F(2.0))
    q = _F(1.0) / (n + _F(2.0))
    t = n * q
    return x * t, t + _F(4.0) * x * e * (e + _F(1.0)) * q * q


# Loops either store or add up. One that did both would add up in another order where its rows lie close together in
# memory, and the last bit of a fit would depend on where.


@numba.njit(inline="always")
def _hidden(a, b, c, value):
    """Activation of a sum of three rows."""
    for k in range(len(value)):
        value[k] = _mish(a[k] + b[k] + c[k])


@numba.njit(inline="always")
def _hidden_and_slope(a, b, c, value, slope):
    for k in range(len(value)):
        value[k], slope[k] = _mish_and_slope(a[k] + b[k] + c[k])


@numba.njit(inline="always")
def _line(a, b, factor, value):
    """Activation of a + factor b."""
    for k in range(len(value)):
        value[k] = _mish(a[k] + factor * b[k])


@numba.njit(inline="always")
def _line_and_slope(a, b, factor, value, slope):
    for k in range(len(value)):
        value[k], slope[k] = _mish_and_slope(a[k] + factor * b[k])


@numba.njit(inline="always")
def _moments(row):
    """Mean and inverse standard deviation of a row."""
    total = squares = _F(0.0)
    for k in range(len(row)):
        total += row[k]
        squares += row[k] * row[k]
    mean = total / _F(len(row))
    return mean, _F(1.0) / np.sqrt(max(squares / _F(len(row)) - mean * mean, _F(0.0)) + _EPS)


@numba.njit(inline="always")
def _dot(a, b):
    total = _F(0.0)
    for k in range(len(a)):
        total += a[k] * b[k]
    return total


@numba.njit(inline="always")
def _add(to, factor, row, shift):
    """Add factor (row - shift) to a row."""
    for k in range(len(to)):
        to[k] += factor * (row[k] - shift)


@numba.njit(inline="always")
def _through(pull, value, slope, mean, scale):
    """Take a gradient through normalisation and activation of one row, in place."""
    width = len(pull)
    along = onto = _F(0.0)
    for k in range(width):
        along += pull[k]
        onto += pull[k] * value[k]
    onto = (onto - mean * along) * scale / _F(width)
    along /= _F(width)
    for k in range(width):
        pull[k] = (pull[k] - along - (value[k] - mean) * scale * onto) * scale * slope[k]


@_compiled
def dense(first, last, x, out):
    """Mish, then layer normalisation, of rows."""
    width = x.shape[1]
    for i in range(first, last):
        row = out[i]
        for k in range(width):
            row[k] = _mish(x[i, k])
        mean, scale = _moments(row)
        for k in range(width):
            row[k] = (row[k] - mean) * scale


@_compiled
def dense_gradient(first, last, x, grad, out):
    """Gradient of :func:`dense` for x."""
    width = x.shape[1]
    value, slope = np.empty(width, np.float32), np.empty(width, np.float32)
    for i in range(first, last):
        for k in range(width):
            value[k], slope[k] = _mish_and_slope(x[i, k])
        for k in range(width):
            out[i, k] = grad[i, k]
        mean, scale = _moments(value)
        _through(out[i], value, slope, mean, scale)


@_compiled
def attend(first, last, centre, near, far, offsets, neighbour, which, log_count, weight, summed, attention):
    """Attention of rows: fills ``summed`` (H, C, V) and ``attention`` (P, H).

    The hidden layer of a pair is mish(centre[i] + near[neighbour] + far[which]); ``weight`` (H, A) makes its logits.
    """
    heads, wide = weight.shape
    width = centre.shape[1]
    longest = 1
    for i in range(first, last):
        longest = max(longest, offsets[i + 1] - offsets[i])
    hidden = np.empty((longest, width), np.float32)
    shift, scale = np.empty(longest, np.float32), np.empty(longest, np.float32)
    total_weight = np.empty(heads, np.float32)
    for h in range(heads):
        total_weight[h] = weight[h].sum()
    for i in range(first, last):
        start, length = offsets[i], offsets[i + 1] - offsets[i]
        for r in range(length):
            p = start + r
            row = hidden[r]
            _hidden(centre[i], near[neighbour[p]], far[which[p]], row)
            mean, inverse = _moments(row[:wide])
            for h in range(heads):
                attention[p, h] = (_dot(row[:wide], weight[h]) - mean * total_weight[h]) * inverse + log_count[p]
            shift[r], scale[r] = _moments(row[wide:])
        for h in range(heads):
            top = attention[start, h]
            for r in range(1, length):
                top = max(top, attention[start + r, h])
            total = _F(0.0)
            for r in range(length):
                a = _exp(attention[start + r, h] - top)
                attention[start + r, h] = a
                total += a
            summed[h, i] = _F(0.0)
            for r in range(length):
                a = attention[start + r, h] / total
                attention[start + r, h] = a
                _add(summed[h, i], a * scale[r], hidden[r, wide:], shift[r])


@_compiled
def attend_gradient(
    first, last, centre, near, far, offsets, neighbour, which, weight, attention, grad,
    to_centre, to_near, to_far, to_weight,
):
    """Gradient of :func:`attend`: adds to ``to_*``, given that of ``summed``."""
    heads, wide = weight.shape
    width = centre.shape[1]
    longest = 1
    for i in range(first, last):
        longest = max(longest, offsets[i + 1] - offsets[i])
    value, slope = np.empty((longest, width), np.float32), np.empty((longest, width), np.float32)
    stats = np.empty((longest, 4), np.float32)  # mean and scale of the logits' part, and of the values'
    score, pull = np.empty((longest, heads), np.float32), np.empty(width, np.float32)
    for i in range(first, last):
        start, length = offsets[i], offsets[i + 1] - offsets[i]
        for r in range(length):
            j, u = neighbour[start + r], which[start + r]
            v = value[r]
            _hidden_and_slope(centre[i], near[j], far[u], v, slope[r])
            stats[r, 0], stats[r, 1] = _moments(v[:wide])
            stats[r, 2], stats[r, 3] = _moments(v[wide:])
        # Softmax: what each weight is worth, less what they are worth on average.
        for h in range(heads):
            total, average = grad[h, i].sum(), _F(0.0)
            for r in range(length):
                worth = (_dot(grad[h, i], value[r, wide:]) - stats[r, 2] * total) * stats[r, 3]
                score[r, h] = worth
                average += attention[start + r, h] * worth
            for r in range(length):
                score[r, h] = attention[start + r, h] * (score[r, h] - average)
        for r in range(length):
            j, u = neighbour[start + r], which[start + r]
            v = value[r]
            pull[:] = _F(0.0)
            for h in range(heads):
                s = score[r, h]
                _add(pull[:wide], s, weight[h], _F(0.0))
                _add(to_weight[h], s * stats[r, 1], v[:wide], stats[r, 0])
                _add(pull[wide:], attention[start + r, h], grad[h, i], _F(0.0))
            _through(pull[:wide], v[:wide], slope[r, :wide], stats[r, 0], stats[r, 1])
            _through(pull[wide:], v[wide:], slope[r, wide:], stats[r, 2], stats[r, 3])
            _add(to_centre[i], _F(1.0), pull, _F(0.0))
            _add(to_near[j], _F(1.0), pull, _F(0.0))
            _add(to_far[u], _F(1.0), pull, _F(0.0))


@_compiled
def scores(first, last, near, step, distance, offsets, neighbour, queries, out):
    """Normalised hidden layer of each pair, mish(near[neighbour] + distance step), times queries (n, C, W) of its row.

    Fills ``out`` (n, P).
    """
    n, _, width = queries.shape
    row, total_query = np.empty(width, np.float32), np.empty(n, np.float32)
    for i in range(first, last):
        for q in range(n):
            total_query[q] = queries[q, i].sum()
        for p in range(offsets[i], offsets[i + 1]):
            _line(near[neighbour[p]], step, distance[p], row)
            mean, scale = _moments(row)
            for q in range(n):
                out[q, p] = (_dot(row, queries[q, i]) - mean * total_query[q]) * scale


@_compiled
def scores_gradient(first, last, near, step, distance, offsets, neighbour, queries, grad, to_near, to_queries, to_step):
    """Gradient of :func:`scores`: adds to ``to_*``, given that of its output."""
    n, _, width = queries.shape
    value, slope, pull = np.empty(width, np.float32), np.empty(width, np.float32), np.empty(width, np.float32)
    for i in range(first, last):
        for p in range(offsets[i], offsets[i + 1]):
            j, d = neighbour[p], distance[p]
            _line_and_slope(near[j], step, d, value, slope)
            mean, scale = _moments(value)
            pull[:] = _F(0.0)
            for q in range(n):
                _add(pull, grad[q, p], queries[q, i], _F(0.0))
                _add(to_queries[q, i], grad[q, p] * scale, value, mean)
            _through(pull, value, slope, mean, scale)
            _add(to_near[j], _F(1.0), pull, _F(0.0))
            _add(to_step, d, pull, _F(0.0))
