"""Arithmetic of one row of numbers, inlined into the loops of :mod:`skdim.nn.compiled.pair_loops`."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

#: All numbers have this type; a Python literal would be a double.
F = np.float32
#: Added to the variance by layer normalization, as in torch.
_EPS = F(1e-5)
_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": {"reassoc", "contract", "nsz", "arcp"}}


def compiled(function):
    """Compile a loop; the machine code is cached on disk, next to the package or in the user's cache folder."""
    try:
        return numba.njit(function, cache=True, **_OPTIONS)
    except RuntimeError:  # no folder can be written
        return numba.njit(function, **_OPTIONS)


@numba.njit(inline="always")
def exp(x):
    """Exponential of a float32, accurate to one or two units in the last place; x is clipped to [-87, 20].

    2^n times a polynomial (from the Cephes library, S. Moshier) instead of a function call, so that loops vectorize.
    """
    x = min(max(x, F(-87.0)), F(20.0))
    n = np.floor(x * F(1.44269504) + F(0.5))
    r = x - n * F(0.693359375) + n * F(2.12194440e-4)
    p = F(1.9875691500e-4)
    p = p * r + F(1.3981999507e-3)
    p = p * r + F(8.3334519073e-3)
    p = p * r + F(4.1665795894e-2)
    p = p * r + F(1.6666665459e-1)
    p = p * r + F(5.0000001201e-1)
    p = p * r * r + r + F(1.0)
    return p * np.int32((np.int32(n) + np.int32(127)) << np.int32(23)).view(np.float32)


@numba.njit(inline="always")
def mish(x):
    """x tanh(log(1 + e^x)) = x n / (n + 2) with n = e^x (e^x + 2)."""
    e = exp(x)
    n = e * (e + F(2.0))
    return x * (n / (n + F(2.0)))


@numba.njit(inline="always")
def mish_and_slope(x):
    e = exp(x)
    n = e * (e + F(2.0))
    q = F(1.0) / (n + F(2.0))
    t = n * q
    return x * t, t + F(4.0) * x * e * (e + F(1.0)) * q * q


# A loop either stores or accumulates. One that did both would accumulate in another order when its rows are close
# together in memory, and the last bit of a fit would depend on addresses.
# ``relu`` selects max(x, 0) instead of Mish; it is tested once a row, outside the loops that vectorize.


@numba.njit(inline="always")
def activate(x, relu, value):
    """Activation; ``value`` may be x."""
    if relu:
        for k in range(len(value)):
            value[k] = max(x[k], F(0.0))
    else:
        for k in range(len(value)):
            value[k] = mish(x[k])


@numba.njit(inline="always")
def activate_and_slope(x, relu, value, slope):
    """Activation and its derivative; ``value`` may be x."""
    if relu:
        for k in range(len(value)):
            slope[k] = F(1.0) if x[k] > F(0.0) else F(0.0)
            value[k] = max(x[k], F(0.0))
    else:
        for k in range(len(value)):
            value[k], slope[k] = mish_and_slope(x[k])


@numba.njit(inline="always")
def longest_row(first, last, offsets):
    """Largest number of pairs of a row, at least 1."""
    longest = 1
    for i in range(first, last):
        longest = max(longest, offsets[i + 1] - offsets[i])
    return longest


# numba's own assignment of rows, to[:] = row, is several times slower than these loops.


@numba.njit(inline="always")
def fill(to, number):
    """Set all numbers of a row."""
    for k in range(len(to)):
        to[k] = number


@numba.njit(inline="always")
def copy(to, row):
    """Copy a row."""
    for k in range(len(to)):
        to[k] = row[k]


@numba.njit(inline="always")
def add_terms(a, b, c, out):
    """a + b + c."""
    for k in range(len(out)):
        out[k] = a[k] + b[k] + c[k]


@numba.njit(inline="always")
def add_line(a, b, factor, out):
    """a + factor b."""
    for k in range(len(out)):
        out[k] = a[k] + factor * b[k]


@numba.njit(inline="always")
def moments(row):
    """Mean and inverse standard deviation of a row."""
    total = squares = F(0.0)
    for k in range(len(row)):
        total += row[k]
        squares += row[k] * row[k]
    mean = total / F(len(row))
    return mean, F(1.0) / np.sqrt(max(squares / F(len(row)) - mean * mean, F(0.0)) + _EPS)


@numba.njit(inline="always")
def normalize_row(row, mean, scale):
    """Layer normalization of a row, in place."""
    for k in range(len(row)):
        row[k] = (row[k] - mean) * scale


@numba.njit(inline="always")
def dot(a, b):
    total = F(0.0)
    for k in range(len(a)):
        total += a[k] * b[k]
    return total


@numba.njit(inline="always")
def add(to, factor, row, shift):
    """Add factor (row - shift) to a row."""
    for k in range(len(to)):
        to[k] += factor * (row[k] - shift)


@numba.njit(inline="always")
def scale_or_add(to, is_first, factor, row):
    """Set a row to factor row the first time, and add that later."""
    if is_first:
        for k in range(len(to)):
            to[k] = factor * row[k]
    else:
        for k in range(len(to)):
            to[k] += factor * row[k]


@numba.njit(inline="always")
def add_to_each(a, b, c, row):
    """Add a row to three others; one loop takes a quarter of the time of three."""
    for k in range(len(row)):
        number = row[k]
        a[k] += number
        b[k] += number
        c[k] += number


@numba.njit(inline="always")
def total(row):
    sum_ = F(0.0)
    for k in range(len(row)):
        sum_ += row[k]
    return sum_


@numba.njit(inline="always")
def backpropagate(grad, value, slope, mean, scale):
    """Take a gradient through normalization and activation of one row, in place."""
    width = len(grad)
    along = onto = F(0.0)
    for k in range(width):
        along += grad[k]
        onto += grad[k] * value[k]
    onto = (onto - mean * along) * scale / F(width)
    along /= F(width)
    for k in range(width):
        grad[k] = (grad[k] - along - (value[k] - mean) * scale * onto) * scale * slope[k]


@numba.njit(inline="always")
def transposed(matrix):
    """The transposed matrix, contiguous."""
    height, width = matrix.shape
    out = np.empty((width, height), np.float32)
    for start in range(0, height, 16):  # as many numbers as a cache line has
        for k in range(width):
            for i in range(start, min(start + 16, height)):
                out[k, i] = matrix[i, k]
    return out
