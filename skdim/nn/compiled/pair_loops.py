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
    add,
    add_line,
    add_terms,
    add_to_each,
    backpropagate,
    compiled,
    copy,
    dot,
    exp,
    fill,
    longest_row,
    moments,
    normalize_row,
    scale_or_add,
    total,
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
def attend(first, last, centre, near, far, offsets, neighbour, which, relu, log_count, weight, summed, attention):
    """Attention of rows: fills ``summed`` (H, C, V) and ``attention`` (P, H).

    The hidden layer of a pair is the activation of centre[i] + near[neighbour] + far[which]; ``weight`` (H, A) gives
    its logits.
    """
    heads, wide = weight.shape
    width, longest = centre.shape[1], longest_row(first, last, offsets)
    hidden = np.empty((longest, width), np.float32)
    shift, scale = np.empty(longest, np.float32), np.empty(longest, np.float32)
    total_weight = np.empty(heads, np.float32)
    for h in range(heads):
        total_weight[h] = total(weight[h])
    for i in range(first, last):
        start, length = offsets[i], offsets[i + 1] - offsets[i]
        for r in range(length):
            p = start + r
            add_terms(centre[i], near[neighbour[p]], far[which[p]], hidden[r])
        for r in range(length):
            activate(hidden[r], relu, hidden[r])
        for r in range(length):
            p, row = start + r, hidden[r]
            mean, inverse = moments(row[:wide])
            for h in range(heads):
                attention[p, h] = (dot(row[:wide], weight[h]) - mean * total_weight[h]) * inverse + log_count[p]
            shift[r], scale[r] = moments(row[wide:])
        for h in range(heads):
            top = attention[start, h]
            for r in range(1, length):
                top = max(top, attention[start + r, h])
            powers = F(0.0)
            for r in range(length):
                a = exp(attention[start + r, h] - top)
                attention[start + r, h] = a
                powers += a
            fill(summed[h, i], F(0.0))
            for r in range(length):
                a = attention[start + r, h] / powers
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
    width, longest = centre.shape[1], longest_row(first, last, offsets)
    value = np.empty((longest, width), np.float32)
    slope = np.empty((longest, width), np.float32)
    stats = np.empty((longest, 4), np.float32)  # mean and scale of the logits' part, and of the values'
    score, to_hidden = np.empty((longest, heads), np.float32), np.empty(width, np.float32)
    for i in range(first, last):
        start, length = offsets[i], offsets[i + 1] - offsets[i]
        for r in range(length):
            p = start + r
            add_terms(centre[i], near[neighbour[p]], far[which[p]], value[r])
        for r in range(length):
            activate_and_slope(value[r], relu, value[r], slope[r])
        for r in range(length):
            stats[r, 0], stats[r, 1] = moments(value[r, :wide])
            stats[r, 2], stats[r, 3] = moments(value[r, wide:])
        # Softmax: the gradient of each weight, less the weighted mean of these gradients.
        for h in range(heads):
            total_grad, average = total(grad[h, i]), F(0.0)
            for r in range(length):
                to_weight_of_pair = (dot(grad[h, i], value[r, wide:]) - stats[r, 2] * total_grad) * stats[r, 3]
                score[r, h] = to_weight_of_pair
                average += attention[start + r, h] * to_weight_of_pair
            for r in range(length):
                score[r, h] = attention[start + r, h] * (score[r, h] - average)
        for r in range(length):
            j, u = neighbour[start + r], which[start + r]
            v = value[r]
            for h in range(heads):
                s = score[r, h]
                scale_or_add(to_hidden[:wide], h == 0, s, weight[h])
                add(to_weight[h], s * stats[r, 1], v[:wide], stats[r, 0])
                scale_or_add(to_hidden[wide:], h == 0, attention[start + r, h], grad[h, i])
            backpropagate(to_hidden[:wide], v[:wide], slope[r, :wide], stats[r, 0], stats[r, 1])
            backpropagate(to_hidden[wide:], v[wide:], slope[r, wide:], stats[r, 2], stats[r, 3])
            a, b, c = to_centre[i], to_near[j], to_far[u]
            for k in range(width):
                number = to_hidden[k]
                a[k] += number
                b[k] += number
                c[k] += number


@compiled
def pair_hidden(first, last, centre, near, far, offsets, neighbour, which, relu, out):
    """Normalized hidden layer of each pair: fills ``out`` (P, W)."""
    for i in range(first, last):
        start, stop = offsets[i], offsets[i + 1]
        for p in range(start, stop):
            add_terms(centre[i], near[neighbour[p]], far[which[p]], out[p])
        for p in range(start, stop):
            activate(out[p], relu, out[p])
        for p in range(start, stop):
            mean, scale = moments(out[p])
            normalize_row(out[p], mean, scale)


@compiled
def pair_hidden_gradient(
    first, last, centre, near, far, offsets, neighbour, which, relu, grad, to_centre, to_near, to_far
):
    """Gradient of :func:`pair_hidden`: adds to ``to_*``, given that of its output."""
    width, longest = centre.shape[1], longest_row(first, last, offsets)
    value = np.empty((longest, width), np.float32)
    slope = np.empty((longest, width), np.float32)
    to_hidden = np.empty(width, np.float32)
    for i in range(first, last):
        start, length = offsets[i], offsets[i + 1] - offsets[i]
        for r in range(length):
            p = start + r
            add_terms(centre[i], near[neighbour[p]], far[which[p]], value[r])
        for r in range(length):
            activate_and_slope(value[r], relu, value[r], slope[r])
        for r in range(length):
            p = start + r
            mean, scale = moments(value[r])
            copy(to_hidden, grad[p])
            backpropagate(to_hidden, value[r], slope[r], mean, scale)
            add_to_each(to_centre[i], to_near[neighbour[p]], to_far[which[p]], to_hidden)


@compiled
def scores(first, last, near, step, distance, offsets, neighbour, relu, normalized, queries, out):
    """Products of the hidden layer of each pair with the queries (n, C, W) of its row.

    The hidden layer is the activation of near[neighbour] + distance step, with layer normalization if ``normalized``.
    Fills ``out`` (n, P).
    """
    n, _, width = queries.shape
    hidden = np.empty((longest_row(first, last, offsets), width), np.float32)
    total_query = np.empty(n, np.float32)
    for i in range(first, last):
        start, length = offsets[i], offsets[i + 1] - offsets[i]
        for r in range(length):
            add_line(near[neighbour[start + r]], step, distance[start + r], hidden[r])
        for r in range(length):
            activate(hidden[r], relu, hidden[r])
        for q in range(n):
            total_query[q] = total(queries[q, i])
        for r in range(length):
            mean, scale = F(0.0), F(1.0)
            if normalized:
                mean, scale = moments(hidden[r])
            for q in range(n):
                out[q, start + r] = (dot(hidden[r], queries[q, i]) - mean * total_query[q]) * scale


@compiled
def scores_gradient(
    first, last, near, step, distance, offsets, neighbour, relu, normalized, queries, grad, to_queries, to_near, to_step
):
    """Gradient of :func:`scores`: adds to ``to_*``, given that of its output."""
    n, _, width = queries.shape
    longest = longest_row(first, last, offsets)
    value = np.empty((longest, width), np.float32)
    slope = np.empty((longest, width), np.float32)
    to_hidden = np.empty(width, np.float32)
    for i in range(first, last):
        start, length = offsets[i], offsets[i + 1] - offsets[i]
        for r in range(length):
            add_line(near[neighbour[start + r]], step, distance[start + r], value[r])
        for r in range(length):
            activate_and_slope(value[r], relu, value[r], slope[r])
        for r in range(length):
            p, v = start + r, value[r]
            mean, scale = F(0.0), F(1.0)
            if normalized:
                mean, scale = moments(v)
            for q in range(n):
                scale_or_add(to_hidden, q == 0, grad[q, p], queries[q, i])
                add(to_queries[q, i], grad[q, p] * scale, v, mean)
            if normalized:
                backpropagate(to_hidden, v, slope[r], mean, scale)
            else:
                for k in range(width):
                    to_hidden[k] *= slope[r, k]
            to_row, d = to_near[neighbour[p]], distance[p]
            for k in range(width):
                to_row[k] += to_hidden[k]
                to_step[k] += d * to_hidden[k]
