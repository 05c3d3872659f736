"""Loops over rows and over crystals, compiled by numba; see :mod:`skdim.nn.compiled.pair_loops`."""

from __future__ import annotations

import numpy as np

from .row_formulas import (
    F,
    activate,
    activate_and_slope,
    add,
    backpropagate,
    compiled,
    copy,
    fill,
    moments,
    normalize_row,
)

#: Rows of which one step is done before the next: so they overlap, and they stay in the fastest cache.
_BLOCK = 16


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
