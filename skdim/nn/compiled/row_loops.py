"""Loops over rows and over crystals, compiled by numba; see :mod:`skdim.nn.compiled.pair_loops`."""

from __future__ import annotations

import numpy as np

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
    rows_and_numbers,
)

#: Rows whose activation is one loop: many numbers, but few enough to stay in the fastest cache.
_BLOCK = 16


@compiled
def normalize(first, last, x, relu, out):
    """Activation, then layer normalization, of rows."""
    width = x.shape[1]
    for start in range(first, last, _BLOCK):
        stop = min(start + _BLOCK, last)
        activate(x[start:stop].reshape((stop - start) * width), relu, out[start:stop].reshape((stop - start) * width))
        for i in range(start, stop):
            mean, scale = moments(out[i])
            normalize_row(out[i], mean, scale)


@compiled
def normalize_gradient(first, last, x, grad, relu, out):
    """Gradient of :func:`normalize` with respect to x."""
    width = x.shape[1]
    value, values = rows_and_numbers(_BLOCK, width)
    slope, slopes = rows_and_numbers(_BLOCK, width)
    for start in range(first, last, _BLOCK):
        stop = min(start + _BLOCK, last)
        n = (stop - start) * width
        activate_and_slope(x[start:stop].reshape(n), relu, values[:n], slopes[:n])
        for i in range(start, stop):
            copy(out[i], grad[i])
            mean, scale = moments(value[i - start])
            backpropagate(out[i], value[i - start], slope[i - start], mean, scale)


@compiled
def lift(first, last, distance, weight, bias, relu, value, slope):
    """Lifted distances: activation of distance ``weight`` + ``bias``, then layer normalization, of rows.

    Fills ``value`` from its start; and ``slope``, the derivative of the activation times the scale of the
    normalization, unless it is empty.
    """
    width = len(bias)
    line = weight.reshape(width)
    for start in range(first, last, _BLOCK):
        stop = min(start + _BLOCK, last)
        block = value[start - first : stop - first]
        for i in range(start, stop):
            add_line(bias, line, distance[i], block[i - start])
        numbers = block.reshape((stop - start) * width)
        if len(slope):
            activate_and_slope(numbers, relu, numbers, slope[start:stop].reshape(len(numbers)))
        else:
            activate(numbers, relu, numbers)
        for i in range(start, stop):
            mean, scale = moments(block[i - start])
            normalize_row(block[i - start], mean, scale)
            if len(slope):
                row = slope[i]
                for k in range(width):
                    row[k] *= scale


@compiled
def lift_gradient(first, last, distance, value, slope, grad, to_weight, to_bias):
    """Gradient of :func:`lift`: adds to ``to_weight`` and ``to_bias``; ``grad`` starts at row ``first``."""
    width = len(to_bias)
    line = to_weight.reshape(width)
    for i in range(first, last):
        row, v, s = grad[i - first], value[i], slope[i]
        along = onto = F(0.0)
        for k in range(width):
            along += row[k]
            onto += row[k] * v[k]
        along /= F(width)
        onto /= F(width)
        for k in range(width):
            row[k] = (row[k] - along - v[k] * onto) * s[k]
        add(to_bias, F(1.0), row, F(0.0))
        add(line, distance[i], row, F(0.0))


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
