"""Products of matrices are those of NumPy in double precision, for all sizes."""

import os
import subprocess
import sys
from itertools import product

import numpy as np
import pytest

from skdim.nn.compiled.products import add_products, multiply

#: Around the sizes of tiles: groups of rows, wide tiles, vectors, short vectors and single numbers.
SIZES = [1, 3, 4, 6, 15, 16, 25, 64, 71, 130]


def random(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("width", SIZES)
def test_rows_times_a_matrix(width):
    for n, depth in product([1, 2, 4, 7, 70], [1, 5, 64]):
        x, matrix, bias = random(n + 5, depth), random(depth, width, seed=1), random(width, seed=2)
        out = np.full((n + 7, width), 7, np.float32)
        multiply(n, x, 2, matrix, bias, out, 3)
        expected = x[2 : n + 2].astype(np.float64) @ matrix + bias
        np.testing.assert_allclose(out[3 : n + 3], expected, rtol=0, atol=1e-5 * np.sqrt(depth))
        assert (np.delete(out, range(3, n + 3), axis=0) == 7).all(), "other rows are not changed"


@pytest.mark.parametrize("width", SIZES)
def test_sums_of_products_of_rows(width):
    for n, height in product([1, 5, 64, 200], [1, 4, 6, 25]):
        x, y, before = random(n + 5, height), random(n + 3, width, seed=1), random(height, width, seed=2)
        out = before.copy()
        add_products(n, x, 2, y, 1, out)
        expected = before + x[2 : n + 2].T.astype(np.float64) @ y[1 : n + 1]
        np.testing.assert_allclose(out, expected, rtol=0, atol=1e-5 * np.sqrt(n))


def test_a_row_does_not_depend_on_other_rows():
    x, matrix, bias = random(70, 30), random(30, 90, seed=1), random(90, seed=2)
    out, alone = np.empty((70, 90), np.float32), np.empty((1, 90), np.float32)
    multiply(70, x, 0, matrix, bias, out, 0)
    for k in range(70):
        multiply(1, x, k, matrix, bias, alone, 0)
        np.testing.assert_array_equal(alone[0], out[k])


def test_nothing_to_multiply():
    out = random(3, 4)
    before = out.copy()
    multiply(0, random(0, 2), 0, random(2, 4), random(4), out, 0)
    add_products(0, random(0, 3), 0, random(0, 4), 0, out)
    np.testing.assert_array_equal(out, before)
    multiply(3, random(3, 0), 0, random(0, 4), before[0], out, 0)
    np.testing.assert_array_equal(out, before[[0, 0, 0]])


def test_tiles_of_processors_with_short_vectors(tmp_path):
    script = """
import llvmlite.binding
features = llvmlite.binding.get_host_cpu_features()
features.update({name: False for name in features if name.startswith("avx512")})
llvmlite.binding.get_host_cpu_features = lambda: features
from skdim.nn.compiled import products
from tests.nn.compiled.test_products import test_rows_times_a_matrix, test_sums_of_products_of_rows
assert products._LANES == 8
for width in (1, 4, 25, 71):
    test_rows_times_a_matrix(width)
    test_sums_of_products_of_rows(width)
"""
    run, environment = [sys.executable, "-c", script], {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    done = subprocess.run(run, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
