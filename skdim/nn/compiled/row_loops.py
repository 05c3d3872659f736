"""Loops over rows and over crystals, compiled by numba; see :mod:`skdim.nn.compiled.pair_loops`."""

from __future__ import annotations

import numpy as np

from .products import add_products, multiply
from .row_formulas import (
    F,
    activate,
    activate_and_slope,
    add,
    add_line,
    backpropagate,
    compiled,
    copy,
    fill,
    moments,
    normalize_row,
    transposed,
)

#: Rows of which one step is done before the next: so they overlap, and they stay in the fastest cache. Products take
#: more at a time, as they read a whole matrix.
_BLOCK, _PRODUCT_BLOCK = 16, 64


@compiled
def normalize(first, last, x, relu, out):
    """Activation, then layer normalization, of rows."""
    for start in range(first, last, _BLOCK):
        stop = min(start + _BLOCK, last)
        for i in range(start, stop):
            activate(x[i], relu, out[i])
        for i in range(start, stop):
            mean, scale = moments(out[i])
            normalize_row(out[i], mean, scale)


@compiled
def normalize_gradient(first, last, x, grad, relu, out):
    """Gradient of :func:`normalize` with respect to x."""
    width = x.shape[1]
    value, slope = np.empty((_BLOCK, width), np.float32), np.empty((_BLOCK, width), np.float32)
    for start in range(first, last, _BLOCK):
        stop = min(start + _BLOCK, last)
        for i in range(start, stop):
            activate_and_slope(x[i], relu, value[i - start], slope[i - start])
        for i in range(start, stop):
            copy(out[i], grad[i])
            mean, scale = moments(value[i - start])
            backpropagate(out[i], value[i - start], slope[i - start], mean, scale)


@compiled
def crystal_mean(first, last, values, share, offsets, out):
    """Means of rows with weights ``share``, over the rows ``offsets[k]:offsets[k + 1]`` of each crystal k."""
    for k in range(first, last):
        fill(out[k], F(0.0))
        for i in range(offsets[k], offsets[k + 1]):
            add(out[k], share[i], values[i], F(0.0))


@compiled
def crystal_moments(first, last, values, share, offsets, out):
    """Means, and in further columns standard deviations, of the rows of each crystal."""
    width = values.shape[1]
    for k in range(first, last):
        fill(out[k], F(0.0))
        mean, deviation = out[k, :width], out[k, width:]
        for i in range(offsets[k], offsets[k + 1]):
            add(mean, share[i], values[i], F(0.0))
        for i in range(offsets[k], offsets[k + 1]):
            row = values[i]
            for c in range(width):
                deviation[c] += share[i] * (row[c] - mean[c]) * (row[c] - mean[c])
        # The square root has no slope at 0, see operations.plain.
        for c in range(width):
            deviation[c] = np.sqrt(deviation[c] + F(1e-12)) - F(1e-6)


@compiled
def crystal_moments_gradient(first, last, values, share, offsets, out, grad, to_values):
    """Gradient of :func:`crystal_moments`: fills ``to_values``."""
    width = values.shape[1]
    slope = np.empty(width, np.float32)
    for k in range(first, last):
        mean, deviation, to_mean, to_deviation = out[k, :width], out[k, width:], grad[k, :width], grad[k, width:]
        for c in range(width):
            slope[c] = to_deviation[c] / (deviation[c] + F(1e-6))
        for i in range(offsets[k], offsets[k + 1]):
            row, to_row = values[i], to_values[i]
            for c in range(width):
                to_row[c] = share[i] * (to_mean[c] + slope[c] * (row[c] - mean[c]))


@compiled
def dense(first, last, x, weight, bias, activated, relu, hidden, out):
    """Linear layer and, if ``activated``, activation and layer normalization, of rows.

    Fills ``out`` and, if it has rows, ``hidden``, the rows before the activation.
    """
    matrix = transposed(weight)
    for start in range(first, last, _PRODUCT_BLOCK):
        stop = min(start + _PRODUCT_BLOCK, last)
        multiply(stop - start, x, start, matrix, bias, out, start)
        if not activated:
            continue
        if len(hidden):
            for i in range(start, stop):
                copy(hidden[i], out[i])
        for i in range(start, stop):
            activate(out[i], relu, out[i])
        for i in range(start, stop):
            mean, scale = moments(out[i])
            normalize_row(out[i], mean, scale)


@compiled
def dense_gradient(first, last, x, weight, hidden, activated, relu, grad, to_x, to_weight, to_bias):
    """Gradient of :func:`dense`: fills ``to_x`` and adds to the others; those of no length are not wanted."""
    width, no_bias = grad.shape[1], np.zeros(x.shape[1], np.float32)
    back = np.empty((_PRODUCT_BLOCK, width), np.float32)
    value, slope = np.empty((_BLOCK, width), np.float32), np.empty((_BLOCK, width), np.float32)
    for start in range(first, last, _PRODUCT_BLOCK):
        n = min(_PRODUCT_BLOCK, last - start)
        for i in range(n):
            copy(back[i], grad[start + i])
        if activated:
            for i in range(0, n, _BLOCK):
                end = min(i + _BLOCK, n)
                for r in range(i, end):
                    activate_and_slope(hidden[start + r], relu, value[r - i], slope[r - i])
                for r in range(i, end):
                    mean, scale = moments(value[r - i])
                    backpropagate(back[r], value[r - i], slope[r - i], mean, scale)
        if len(to_bias):
            for i in range(n):
                add(to_bias, F(1.0), back[i], F(0.0))
        if len(to_weight):
            add_products(n, back, 0, x, start, to_weight)
        if len(to_x):
            multiply(n, back, 0, weight, no_bias, to_x, start)


@compiled
def distance_term(first, last, distance, weight, bias, pair_weight, relu, out):
    """Lifted distances, the normalized activation of distance weight + bias, times the matrix of a linear layer."""
    matrix, no_bias = transposed(pair_weight), np.zeros(len(pair_weight), np.float32)
    lifted = np.empty((_PRODUCT_BLOCK, len(weight)), np.float32)
    for start in range(first, last, _PRODUCT_BLOCK):
        n = min(_PRODUCT_BLOCK, last - start)
        for i in range(n):
            add_line(bias, weight, distance[start + i], lifted[i])
        for i in range(n):
            activate(lifted[i], relu, lifted[i])
        for i in range(n):
            mean, scale = moments(lifted[i])
            normalize_row(lifted[i], mean, scale)
        multiply(n, lifted, 0, matrix, no_bias, out, start)


@compiled
def distance_term_gradient(
    first, last, distance, weight, bias, pair_weight, relu, grad, to_weight, to_bias, to_pair_weight
):
    """Gradient of :func:`distance_term`: adds to ``to_*``."""
    width = len(weight)
    no_bias = np.zeros(width, np.float32)
    back, lifted = np.empty((_PRODUCT_BLOCK, width), np.float32), np.empty((_PRODUCT_BLOCK, width), np.float32)
    slope = np.empty(width, np.float32)
    for start in range(first, last, _PRODUCT_BLOCK):
        n = min(_PRODUCT_BLOCK, last - start)
        multiply(n, grad, start, pair_weight, no_bias, back, 0)
        for i in range(n):
            add_line(bias, weight, distance[start + i], lifted[i])
            activate_and_slope(lifted[i], relu, lifted[i], slope)
            mean, scale = moments(lifted[i])
            backpropagate(back[i], lifted[i], slope, mean, scale)
            normalize_row(lifted[i], mean, scale)
        for i in range(n):
            add(to_bias, F(1.0), back[i], F(0.0))
            add(to_weight, distance[start + i], back[i], F(0.0))
        add_products(n, grad, start, lifted, 0, to_pair_weight)
