"""Matrix products of rows, compiled by numba from tiles of vector instructions.

The matrices of a network are narrow, and every batch has another number of rows. On processors of AMD, torch's MKL
uses half the width of the vector units; oneDNN compiles a kernel for every number of rows, which takes longer than the
product. These products reach nine tenths of the rate of the units from 100 rows on, and loops can compute them while
their operands are in the cache. Numbers are summed in order, so no row of a product depends on other rows.
"""

from __future__ import annotations

from typing import Any

import llvmlite.binding
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .row_formulas import compiled

#: Numbers in a vector, and vectors in a row of the largest tile: its sums and operands fit into the registers.
_LANES, _VECTORS = (16, 4) if llvmlite.binding.get_host_cpu_features().get("avx512f") else (8, 2)
#: Rows of a tile, and columns of the largest one.
_ROWS, _COLUMNS = 4, _LANES * _VECTORS
#: Rows of operands after which a sum over rows continues, so that they stay in the cache.
_DEPTH = 64


def _tile(n_rows: int, n_vectors: int, lanes: int) -> Any:
    """Intrinsic: out = init + a b for a tile of ``n_rows`` rows and ``n_vectors`` vectors of columns.

    Operands are arrays of float32, each followed by the position of its first number in memory and by the distances
    between rows, ``a`` also by that between columns. ``depth`` is the number of summands.
    """
    vector, index, place_in_vector = ir.VectorType(ir.FloatType(), lanes), ir.IntType(64), ir.IntType(32)
    first_lane = ir.Constant(place_in_vector, 0)
    all_lanes = ir.Constant(ir.VectorType(place_in_vector, lanes), [0] * lanes)
    undefined = ir.Constant(vector, ir.Undefined)
    sizes = (types.int64,) * 3

    @intrinsic
    def tile(typing_context, a, a_at, a_row, a_column, b, b_at, b_row, depth, init, init_at, init_row, out, at, row):
        signature = types.void(a, *sizes, b, *sizes, init, *sizes[:2], out, *sizes[:2])

        def generate(context, builder, signature, arguments):
            def data(k):
                return context.make_array(signature.args[k])(context, builder, arguments[k]).data

            def place(start, position, step, steps, column=0):
                steps = index(steps) if isinstance(steps, int) else steps
                return builder.gep(start, [builder.add(builder.add(position, builder.mul(step, steps)), index(column))])

            def as_vector(pointer):
                return builder.bitcast(pointer, vector.as_pointer())

            a, b, init, out = (data(k) for k in (0, 4, 8, 11))
            a_at, a_row, a_column, b_at, b_row, depth = (arguments[k] for k in (1, 2, 3, 5, 6, 7))
            init_at, init_row, at, row = (arguments[k] for k in (9, 10, 12, 13))
            sums = {(r, v): cgutils.alloca_once(builder, vector) for r in range(n_rows) for v in range(n_vectors)}
            for (r, v), place_of_sum in sums.items():
                first = place(init, init_at, init_row, r, lanes * v)
                builder.store(builder.load(as_vector(first), align=4), place_of_sum)
            with cgutils.for_range(builder, depth) as loop:
                columns = [
                    builder.load(as_vector(place(b, b_at, b_row, loop.index, lanes * v)), align=4)
                    for v in range(n_vectors)
                ]
                of_column = builder.add(a_at, builder.mul(a_column, loop.index))
                for r in range(n_rows):
                    value = builder.load(place(a, of_column, a_row, r))
                    value = builder.insert_element(undefined, value, first_lane)
                    value = builder.shuffle_vector(value, undefined, all_lanes)
                    for v in range(n_vectors):
                        product = builder.fmul(value, columns[v], flags=["contract"])
                        place_of_sum = sums[r, v]
                        total = builder.fadd(builder.load(place_of_sum), product, flags=["contract"])
                        builder.store(total, place_of_sum)
            for (r, v), place_of_sum in sums.items():
                builder.store(builder.load(place_of_sum), as_vector(place(out, at, row, r, lanes * v)), align=4)
            return context.get_dummy_value()

        return signature, generate

    return tile


# Columns are divided into wide tiles, vectors, short vectors and single numbers; rows into groups and single rows.
_wide, _wide_row = _tile(_ROWS, _VECTORS, _LANES), _tile(1, _VECTORS, _LANES)
_vectors, _vector_row = _tile(_ROWS, 1, _LANES), _tile(1, 1, _LANES)
_short, _short_row = _tile(_ROWS, 1, 4), _tile(1, 1, 4)
_numbers, _number = _tile(_ROWS, 1, 1), _tile(1, 1, 1)


@compiled
def _product(n, width, depth, a, a_at, a_row, a_column, b, b_at, init, init_row, out, at):
    """n rows: out = init + a b; rows of ``b``, ``init`` and ``out`` have the width of the product."""
    column = 0
    while column < width:
        left = width - column
        b_column, init_at, to = b_at + column, column, at + column
        grouped = n - n % _ROWS
        for i in range(0, grouped, _ROWS):
            x, y, z = a_at + i * a_row, init_at + i * init_row, to + i * width
            if left >= _COLUMNS:
                _wide(a, x, a_row, a_column, b, b_column, width, depth, init, y, init_row, out, z, width)
            elif left >= _LANES:
                _vectors(a, x, a_row, a_column, b, b_column, width, depth, init, y, init_row, out, z, width)
            elif left >= 4:
                _short(a, x, a_row, a_column, b, b_column, width, depth, init, y, init_row, out, z, width)
            else:
                _numbers(a, x, a_row, a_column, b, b_column, width, depth, init, y, init_row, out, z, width)
        for i in range(grouped, n):
            x, y, z = a_at + i * a_row, init_at + i * init_row, to + i * width
            if left >= _COLUMNS:
                _wide_row(a, x, a_row, a_column, b, b_column, width, depth, init, y, init_row, out, z, width)
            elif left >= _LANES:
                _vector_row(a, x, a_row, a_column, b, b_column, width, depth, init, y, init_row, out, z, width)
            elif left >= 4:
                _short_row(a, x, a_row, a_column, b, b_column, width, depth, init, y, init_row, out, z, width)
            else:
                _number(a, x, a_row, a_column, b, b_column, width, depth, init, y, init_row, out, z, width)
        column += _COLUMNS if left >= _COLUMNS else _LANES if left >= _LANES else 4 if left >= 4 else 1


@compiled
def multiply(n, x, first, matrix, bias, out, to):
    """Fill n rows of ``out``, from ``to`` on, with bias + x matrix for the n rows of ``x`` from ``first`` on."""
    depth, width = matrix.shape
    _product(n, width, depth, x, first * depth, depth, 1, matrix, 0, bias, 0, out, to * width)


@compiled
def add_products(n, x, first, y, start, out):
    """Add the products of the columns of n rows of ``x``, from ``first`` on, and of ``y``, from ``start`` on: x' y."""
    height, width = out.shape
    for done in range(0, n, _DEPTH):
        depth = min(_DEPTH, n - done)
        at = (first + done) * height
        _product(height, width, depth, x, at, 1, height, y, (start + done) * width, out, width, out, 0)
