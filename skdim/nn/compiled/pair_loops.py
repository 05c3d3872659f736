"""The loops over pairs, compiled by numba (extra ``[fast]``): what is made for a pair never leaves the cache.

Each takes the site classes ``first`` to ``last - 1``, so that threads can share a batch. Numbers are float32, indices
int64. :mod:`skdim.nn.encoder` and :mod:`skdim.nn.infomax` have the same formulas in torch. Gradients make the hidden
layers anew, which is faster than reading them back.

Shapes as everywhere: C site classes, P pairs, H heads; U rows of distance terms; W columns, of which the first A give
the logits and the others, V, the values.
"""

from __future__ import annotations

import numpy as np

from .row_formulas import (
    F,
    activated_line,
    activated_line_and_slope,
    activated_sum,
    activated_sum_and_slope,
    add,
    compiled,
    dot,
    exp,
    mish,
    mish_and_slope,
    moments,
    through,
)


@compiled
def distinct(offsets, distance, values, which):
    """Distances of each crystal without repetition; returns how many there are in all.

    Crystal k has the pairs ``offsets[k]:offsets[k + 1]``. Fills ``values``, in the order in which they come, and
    ``which`` (P,).
    """
    bits = distance.view(np.uint32)
    n, largest = 0, 1
    for k in range(len(offsets) - 1):
        largest = max(largest, offsets[k + 1] - offsets[k])
    size = 2
    while size < 2 * largest:
        size *= 2
    place = np.empty(size, np.int64)
    for k in range(len(offsets) - 1):
        first, last = offsets[k], offsets[k + 1]
        mask = 1
        while mask < 2 * (last - first):
            mask *= 2
        mask -= 1
        place[: mask + 1] = -1
        for p in range(first, last):
            # Multiplicative hashing (Knuth), and the next free place.
            h = (np.int64(bits[p]) * 2654435761 >> 12) & mask
            while place[h] >= 0 and values[place[h]] != distance[p]:
                h = (h + 1) & mask
            if place[h] < 0:
                place[h] = n
                values[n] = distance[p]
                n += 1
            which[p] = place[h]
    return n


@compiled
def dense(first, last, x, out):
    """Mish, then layer normalisation, of rows."""
    width = x.shape[1]
    for i in range(first, last):
        row = out[i]
        for k in range(width):
            row[k] = mish(x[i, k])
        mean, scale = moments(row)
        for k in range(width):
            row[k] = (row[k] - mean) * scale


@compiled
def dense_gradient(first, last, x, grad, out):
    """Gradient of :func:`dense` for x."""
    width = x.shape[1]
    value, slope = np.empty(width, np.float32), np.empty(width, np.float32)
    for i in range(first, last):
        for k in range(width):
            value[k], slope[k] = mish_and_slope(x[i, k])
        for k in range(width):
            out[i, k] = grad[i, k]
        mean, scale = moments(value)
        through(out[i], value, slope, mean, scale)


@compiled
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
            activated_sum(centre[i], near[neighbour[p]], far[which[p]], row)
            mean, inverse = moments(row[:wide])
            for h in range(heads):
                attention[p, h] = (dot(row[:wide], weight[h]) - mean * total_weight[h]) * inverse + log_count[p]
            shift[r], scale[r] = moments(row[wide:])
        for h in range(heads):
            top = attention[start, h]
            for r in range(1, length):
                top = max(top, attention[start + r, h])
            total = F(0.0)
            for r in range(length):
                a = exp(attention[start + r, h] - top)
                attention[start + r, h] = a
                total += a
            summed[h, i] = F(0.0)
            for r in range(length):
                a = attention[start + r, h] / total
                attention[start + r, h] = a
                add(summed[h, i], a * scale[r], hidden[r, wide:], shift[r])


@compiled
def attend_gradient(
    first,
    last,
    centre,
    near,
    far,
    offsets,
    neighbour,
    which,
    weight,
    attention,
    grad,
    to_centre,
    to_near,
    to_far,
    to_weight,
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
            activated_sum_and_slope(centre[i], near[j], far[u], v, slope[r])
            stats[r, 0], stats[r, 1] = moments(v[:wide])
            stats[r, 2], stats[r, 3] = moments(v[wide:])
        # Softmax: what each weight is worth, less what they are worth on average.
        for h in range(heads):
            total, average = grad[h, i].sum(), F(0.0)
            for r in range(length):
                worth = (dot(grad[h, i], value[r, wide:]) - stats[r, 2] * total) * stats[r, 3]
                score[r, h] = worth
                average += attention[start + r, h] * worth
            for r in range(length):
                score[r, h] = attention[start + r, h] * (score[r, h] - average)
        for r in range(length):
            j, u = neighbour[start + r], which[start + r]
            v = value[r]
            pull[:] = F(0.0)
            for h in range(heads):
                s = score[r, h]
                add(pull[:wide], s, weight[h], F(0.0))
                add(to_weight[h], s * stats[r, 1], v[:wide], stats[r, 0])
                add(pull[wide:], attention[start + r, h], grad[h, i], F(0.0))
            through(pull[:wide], v[:wide], slope[r, :wide], stats[r, 0], stats[r, 1])
            through(pull[wide:], v[wide:], slope[r, wide:], stats[r, 2], stats[r, 3])
            add(to_centre[i], F(1.0), pull, F(0.0))
            add(to_near[j], F(1.0), pull, F(0.0))
            add(to_far[u], F(1.0), pull, F(0.0))


@compiled
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
            activated_line(near[neighbour[p]], step, distance[p], row)
            mean, scale = moments(row)
            for q in range(n):
                out[q, p] = (dot(row, queries[q, i]) - mean * total_query[q]) * scale


@compiled
def scores_gradient(first, last, near, step, distance, offsets, neighbour, queries, grad, to_near, to_queries, to_step):
    """Gradient of :func:`scores`: adds to ``to_*``, given that of its output."""
    n, _, width = queries.shape
    value, slope, pull = np.empty(width, np.float32), np.empty(width, np.float32), np.empty(width, np.float32)
    for i in range(first, last):
        for p in range(offsets[i], offsets[i + 1]):
            j, d = neighbour[p], distance[p]
            activated_line_and_slope(near[j], step, d, value, slope)
            mean, scale = moments(value)
            pull[:] = F(0.0)
            for q in range(n):
                add(pull, grad[q, p], queries[q, i], F(0.0))
                add(to_queries[q, i], grad[q, p] * scale, value, mean)
            through(pull, value, slope, mean, scale)
            add(to_near[j], F(1.0), pull, F(0.0))
            add(to_step, d, pull, F(0.0))
