"""Loops over pairs, compiled by numba: the intermediate values of a pair never leave the cache.

Each processes the site classes ``first`` to ``last - 1``, so that threads can share a batch. Numbers are float32,
indices int64. :mod:`skdim.nn.operations.plain` has the same formulas in torch. Gradients recompute the hidden layers,
which is faster than storing them.

Shapes as everywhere: C site classes, P pairs, H heads; U rows of pair terms; W columns, of which the first A give the
logits and the other V the values.
"""

from __future__ import annotations

import numpy as np

from .row_formulas import (
    F,
    activate,
    activate_and_slope,
    activate_line,
    activate_line_and_slope,
    activate_sum,
    activate_sum_and_slope,
    add,
    backpropagate,
    compiled,
    dot,
    exp,
    moments,
)


@compiled
def distinct_distances(offsets, distance, values, which):
    """Distances of each crystal without repetition; returns their total number.

    Crystal k has the pairs ``offsets[k]:offsets[k + 1]``. Fills ``values``, in order of appearance, and ``which``
    (P,).
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
            # Multiplicative hashing (Knuth), then the next free place.
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
def normalize(first, last, x, relu, out):
    """Activation, then layer normalization, of rows."""
    width = x.shape[1]
    for i in range(first, last):
        row = out[i]
        activate(x[i], relu, row)
        mean, scale = moments(row)
        for k in range(width):
            row[k] = (row[k] - mean) * scale


@compiled
def normalize_gradient(first, last, x, grad, relu, out):
    """Gradient of :func:`normalize` with respect to x."""
    width = x.shape[1]
    value, slope = np.empty(width, np.float32), np.empty(width, np.float32)
    for i in range(first, last):
        activate_and_slope(x[i], relu, value, slope)
        for k in range(width):
            out[i, k] = grad[i, k]
        mean, scale = moments(value)
        backpropagate(out[i], value, slope, mean, scale)


@compiled
def attend(first, last, centre, near, far, offsets, neighbour, which, relu, log_count, weight, summed, attention):
    """Attention of rows: fills ``summed`` (H, C, V) and ``attention`` (P, H).

    The hidden layer of a pair is the activation of centre[i] + near[neighbour] + far[which]; ``weight`` (H, A) gives
    its logits.
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
            activate_sum(centre[i], near[neighbour[p]], far[which[p]], relu, row)
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
    relu,
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
    score, to_hidden = np.empty((longest, heads), np.float32), np.empty(width, np.float32)
    for i in range(first, last):
        start, length = offsets[i], offsets[i + 1] - offsets[i]
        for r in range(length):
            j, u = neighbour[start + r], which[start + r]
            v = value[r]
            activate_sum_and_slope(centre[i], near[j], far[u], relu, v, slope[r])
            stats[r, 0], stats[r, 1] = moments(v[:wide])
            stats[r, 2], stats[r, 3] = moments(v[wide:])
        # Softmax: the gradient of each weight, less the weighted mean of these gradients.
        for h in range(heads):
            total, average = grad[h, i].sum(), F(0.0)
            for r in range(length):
                to_weight_of_pair = (dot(grad[h, i], value[r, wide:]) - stats[r, 2] * total) * stats[r, 3]
                score[r, h] = to_weight_of_pair
                average += attention[start + r, h] * to_weight_of_pair
            for r in range(length):
                score[r, h] = attention[start + r, h] * (score[r, h] - average)
        for r in range(length):
            j, u = neighbour[start + r], which[start + r]
            v = value[r]
            to_hidden[:] = F(0.0)
            for h in range(heads):
                s = score[r, h]
                add(to_hidden[:wide], s, weight[h], F(0.0))
                add(to_weight[h], s * stats[r, 1], v[:wide], stats[r, 0])
                add(to_hidden[wide:], attention[start + r, h], grad[h, i], F(0.0))
            backpropagate(to_hidden[:wide], v[:wide], slope[r, :wide], stats[r, 0], stats[r, 1])
            backpropagate(to_hidden[wide:], v[wide:], slope[r, wide:], stats[r, 2], stats[r, 3])
            add(to_centre[i], F(1.0), to_hidden, F(0.0))
            add(to_near[j], F(1.0), to_hidden, F(0.0))
            add(to_far[u], F(1.0), to_hidden, F(0.0))


@compiled
def pair_hidden(first, last, centre, near, far, offsets, neighbour, which, relu, out):
    """Normalized hidden layer of each pair: fills ``out`` (P, W)."""
    width = centre.shape[1]
    for i in range(first, last):
        for p in range(offsets[i], offsets[i + 1]):
            row = out[p]
            activate_sum(centre[i], near[neighbour[p]], far[which[p]], relu, row)
            mean, scale = moments(row)
            for k in range(width):
                row[k] = (row[k] - mean) * scale


@compiled
def pair_hidden_gradient(
    first, last, centre, near, far, offsets, neighbour, which, relu, grad, to_centre, to_near, to_far
):
    """Gradient of :func:`pair_hidden`: adds to ``to_*``, given that of its output."""
    width = centre.shape[1]
    value, slope, to_hidden = np.empty(width, np.float32), np.empty(width, np.float32), np.empty(width, np.float32)
    for i in range(first, last):
        for p in range(offsets[i], offsets[i + 1]):
            j, u = neighbour[p], which[p]
            activate_sum_and_slope(centre[i], near[j], far[u], relu, value, slope)
            mean, scale = moments(value)
            to_hidden[:] = grad[p]
            backpropagate(to_hidden, value, slope, mean, scale)
            add(to_centre[i], F(1.0), to_hidden, F(0.0))
            add(to_near[j], F(1.0), to_hidden, F(0.0))
            add(to_far[u], F(1.0), to_hidden, F(0.0))


@compiled
def scores(first, last, near, step, distance, offsets, neighbour, relu, normalized, queries, out):
    """Products of the hidden layer of each pair with the queries (n, C, W) of its row.

    The hidden layer is the activation of near[neighbour] + distance step, with layer normalization if ``normalized``.
    Fills ``out`` (n, P).
    """
    n, _, width = queries.shape
    row, total_query = np.empty(width, np.float32), np.empty(n, np.float32)
    for i in range(first, last):
        for q in range(n):
            total_query[q] = queries[q, i].sum()
        for p in range(offsets[i], offsets[i + 1]):
            activate_line(near[neighbour[p]], step, distance[p], relu, row)
            mean, scale = F(0.0), F(1.0)
            if normalized:
                mean, scale = moments(row)
            for q in range(n):
                out[q, p] = (dot(row, queries[q, i]) - mean * total_query[q]) * scale


@compiled
def scores_gradient(
    first, last, near, step, distance, offsets, neighbour, relu, normalized, queries, grad, to_queries, to_near, to_step
):
    """Gradient of :func:`scores`: adds to ``to_*``, given that of its output."""
    n, _, width = queries.shape
    value, slope, to_hidden = np.empty(width, np.float32), np.empty(width, np.float32), np.empty(width, np.float32)
    for i in range(first, last):
        for p in range(offsets[i], offsets[i + 1]):
            j, d = neighbour[p], distance[p]
            activate_line_and_slope(near[j], step, d, relu, value, slope)
            mean, scale = F(0.0), F(1.0)
            if normalized:
                mean, scale = moments(value)
            to_hidden[:] = F(0.0)
            for q in range(n):
                add(to_hidden, grad[q, p], queries[q, i], F(0.0))
                add(to_queries[q, i], grad[q, p] * scale, value, mean)
            if normalized:
                backpropagate(to_hidden, value, slope, mean, scale)
            else:
                for k in range(width):
                    to_hidden[k] *= slope[k]
            add(to_near[j], F(1.0), to_hidden, F(0.0))
            add(to_step, d, to_hidden, F(0.0))
