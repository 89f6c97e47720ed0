"""The inner loops of Winograd's convolution as machine code, in explicit vectors.

Here products may be fused with sums. Measured on one core of an AMD Zen 3: the product runs at 97
GFLOP/s, torch's matrix product at 77.

Addresses are in bytes, strides in floats. All functions take one tuple of numbers, return nothing
and check nothing.
"""

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba.core import cgutils

from extract.inference.winograd.transforms import F43, F44, F53, Matrix
from extract.machine.llvm_code import FLOAT, POINTER, VectorCode, compiled_function, whole

COLUMNS = 16
"""Output channels of one product; LLVM splits the vector to the width of the machine's."""
MOST_ROWS = 6
"""Most rows of one product; their sums fill 12 of AVX2's 16 registers."""
LEAST_GROUP = 4
"""Fewest rows of one product."""
LANES = 8
"""Channels transformed at a time."""
UNROLLED = 4
"""Input channels of a product must be a multiple of this."""


def _multiply_add(code: VectorCode, left: ir.Value, right: ir.Value, total: ir.Value) -> ir.Value:
    """``left * right + total``, fused if the machine can."""
    return code.call("fmuladd", left, right, total)


def _weighted(code: VectorCode, weights: Sequence[float], values: Sequence[ir.Value]) -> ir.Value:
    """Sum of the values times their weights; weights of 0 are skipped."""
    builder, total = code.builder, None
    # Begin with a value that needs no product.
    for weight, value in sorted(
        zip(weights, values, strict=True), key=lambda pair: abs(pair[0]) != 1
    ):
        if not weight:
            continue
        if total is None:
            total = value if weight == 1 else builder.fmul(value, code.constant(weight))
        elif abs(weight) == 1:
            total = (builder.fadd if weight == 1 else builder.fsub)(total, value)
        else:
            total = _multiply_add(code, value, code.constant(weight), total)
    assert total is not None
    return total


def _pairs(rows: Sequence[Sequence[float]]) -> list[tuple[int, int]]:
    """Pairs of rows (i, j) that are e + o and e - o with disjoint e and o; single rows as (i, i).

    A pair belongs to two points of opposite sign, whose even and odd powers are computed once.
    """
    found: list[tuple[int, int]] = []
    left = list(range(len(rows)))
    while left:
        first = left.pop(0)
        mirror = [
            other
            for other in left
            if rows[first] != rows[other]
            and all(abs(a) == abs(b) for a, b in zip(rows[first], rows[other], strict=True))
        ]
        found.append((first, mirror[0] if mirror else first))
        if mirror:
            left.remove(mirror[0])
    return found


def _split(
    first: Sequence[float], second: Sequence[float]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Half the sum and half the difference."""
    both = list(zip(first, second, strict=True))
    return tuple((a + b) / 2 for a, b in both), tuple((a - b) / 2 for a, b in both)


def _transform_rows(code: VectorCode, matrix: Matrix, values: Sequence[ir.Value]) -> list[ir.Value]:
    """``matrix @ values`` for a matrix whose rows come in pairs."""
    rows = [tuple(map(float, row)) for row in matrix]
    found: dict[int, ir.Value] = {}
    for first, second in _pairs(rows):
        if first == second:
            found[first] = _weighted(code, rows[first], values)
            continue
        even, odd = (_weighted(code, part, values) for part in _split(rows[first], rows[second]))
        found[first] = code.builder.fadd(even, odd)
        found[second] = code.builder.fsub(even, odd)
    return [found[n] for n in range(len(rows))]


def _transform_columns(
    code: VectorCode, matrix: Matrix, values: Sequence[ir.Value]
) -> list[ir.Value]:
    """``matrix @ values`` for a matrix whose columns come in pairs."""
    columns = [tuple(map(float, column)) for column in zip(*matrix, strict=True)]
    weights: list[tuple[float, ...]] = []
    terms: list[ir.Value] = []
    for first, second in _pairs(columns):
        if first == second:
            weights.append(columns[first])
            terms.append(values[first])
            continue
        weights += _split(columns[first], columns[second])
        terms.append(code.builder.fadd(values[first], values[second]))
        terms.append(code.builder.fsub(values[first], values[second]))
    return [_weighted(code, row, terms) for row in zip(*weights, strict=True)]


def _product(rows: int) -> Callable[..., Any]:
    """The matrix product of some rows with 16 columns, all sums kept in registers."""

    def generate(
        builder: ir.IRBuilder,
        source: ir.Value,
        weights: ir.Value,
        target: ir.Value,
        row: ir.Value,
        tap: ir.Value,
        taps: ir.Value,
        channels: ir.Value,
    ) -> None:
        code = VectorCode(builder, COLUMNS)
        width = builder.mul(channels, whole(COLUMNS))
        end = code.pointer(target)

        def one_tap(_: ir.Value, place: ir.Value, panel: ir.Value, *sums: ir.Value) -> Any:
            starts = [place]
            for _n in range(1, rows):
                starts.append(builder.gep(starts[-1], [row]))

            def channel(first: ir.Value, *sums: ir.Value) -> Sequence[ir.Value]:
                found = list(sums)
                for n in range(UNROLLED):
                    index = builder.add(first, whole(n))
                    weight = code.load(panel, builder.mul(index, whole(COLUMNS)))
                    for m, start in enumerate(starts):
                        value = code.splat(builder.load(builder.gep(start, [index])))
                        found[m] = _multiply_add(code, value, weight, found[m])
                return found

            sums = tuple(code.loop(channels, UNROLLED, channel, sums))
            return [builder.gep(place, [tap]), builder.gep(panel, [width]), *sums]

        begin = [code.pointer(source), code.pointer(weights), *[code.constant(0)] * rows]
        for n, total in enumerate(code.loop(taps, 1, one_tap, begin)[2:]):
            code.store(total, end, whole(n * COLUMNS))

    return compiled_function(generate)


product_4, product_5, product_6 = (_product(rows) for rows in (4, 5, 6))
"""Sums over taps and channels: ``product((source, weights, target, row, tap, taps, channels))``.

``target [rows, 16]`` becomes the sum over t and c of ``source[row * n + tap * t + c]`` times
``weights[t, c, 16]``. ``channels`` is a multiple of four.
"""


def _square(
    code: VectorCode,
    side: int,
    read: Callable[[ir.Value, ir.Value], ir.Value],
    write: Callable[[ir.Value, list[ir.Value]], None],
    transform: Callable[[Sequence[ir.Value]], list[ir.Value]],
) -> None:
    """Transform the columns of a square, then the rows of the result.

    Both are loops over the code of one line: a seventh of the code and of the compile time.

    Args:
        code: the builder.
        side: of the square.
        read: gives the value at (row, column).
        write: stores a transformed row.
        transform: a line of ``side`` values to a line.
    """
    builder = code.builder
    lines = len(transform([code.constant(0)] * side))
    size = ir.ArrayType(FLOAT, lines * side * code.lanes)
    between = builder.bitcast(cgutils.alloca_once(builder, size), POINTER)

    def place(line: ir.Value, column: ir.Value) -> ir.Value:
        index = builder.add(builder.mul(line, whole(side)), column)
        return builder.mul(index, whole(code.lanes))

    def column(index: ir.Value) -> Sequence[ir.Value]:
        for n, value in enumerate(transform([read(whole(n), index) for n in range(side)])):
            code.store(value, between, place(whole(n), index))
        return ()

    def row(index: ir.Value) -> Sequence[ir.Value]:
        values = [code.load(between, place(index, whole(n))) for n in range(side)]
        write(index, transform(values))
        return ()

    code.loop(whole(side), 1, column)
    code.loop(whole(lines), 1, row)


def _input_transform(matrix: Matrix) -> Callable[..., Any]:
    """The transform of a tile's inputs."""
    side = len(matrix)

    def generate(
        builder: ir.IRBuilder,
        source: ir.Value,
        target: ir.Value,
        row: ir.Value,
        pixel: ir.Value,
        plane: ir.Value,
        channels: ir.Value,
    ) -> None:
        code = VectorCode(builder, LANES)
        begin, end = code.pointer(source), code.pointer(target)
        last = builder.sub(channels, whole(LANES))

        def some(first: ir.Value) -> Sequence[ir.Value]:
            # The last eight channels may overlap the previous ones.
            channel = builder.select(builder.icmp_signed("<", first, last), first, last)

            def read(line: ir.Value, column: ir.Value) -> ir.Value:
                place = builder.add(builder.mul(line, row), builder.mul(column, pixel))
                return code.load(begin, builder.add(place, channel))

            def write(line: ir.Value, values: list[ir.Value]) -> None:
                for n, value in enumerate(values):
                    at = builder.add(builder.mul(line, whole(side)), whole(n))
                    code.store(value, end, builder.add(builder.mul(at, plane), channel))

            _square(code, side, read, write, lambda line: _transform_rows(code, matrix, line))
            return ()

        code.loop(channels, LANES, some)

    return compiled_function(generate)


input_transform_6, input_transform_7 = (
    _input_transform(transform.input_matrix) for transform in (F43, F53)
)
"""Input transform of a tile: ``input_transform((source, target, row, pixel, plane, channels))``.

``source[row * y + pixel * x + c]`` becomes ``target[plane * (side * v + u) + c]`` for each channel
c, of which there are at least eight.
"""


def _output_transform(matrix: Matrix) -> Callable[..., Any]:
    """The transform to a tile's outputs, with bias and ReLU."""
    side = len(matrix[0])

    def generate(
        builder: ir.IRBuilder,
        source: ir.Value,
        target: ir.Value,
        bias: ir.Value,
        plane: ir.Value,
        row: ir.Value,
        pixel: ir.Value,
    ) -> None:
        code = VectorCode(builder, LANES)
        begin, end, biases = code.pointer(source), code.pointer(target), code.pointer(bias)

        def some(channel: ir.Value) -> Sequence[ir.Value]:
            added = code.load(biases, channel)

            def read(line: ir.Value, column: ir.Value) -> ir.Value:
                at = builder.add(builder.mul(line, whole(side)), column)
                return code.load(begin, builder.add(builder.mul(at, plane), channel))

            def write(line: ir.Value, values: list[ir.Value]) -> None:
                for n, value in enumerate(values):
                    found, zero = builder.fadd(value, added), code.constant(0)
                    above = builder.fcmp_ordered(">", found, zero)
                    place = builder.add(builder.mul(line, row), builder.mul(pixel, whole(n)))
                    found = builder.select(above, found, zero)
                    code.store(found, end, builder.add(place, channel))

            _square(code, side, read, write, lambda line: _transform_columns(code, matrix, line))
            return ()

        code.loop(whole(COLUMNS), LANES, some)

    return compiled_function(generate)


output_transform_f43, output_transform_f53, output_transform_f44 = (
    _output_transform(transform.output_matrix) for transform in (F43, F53, F44)
)
"""Output transform of a tile: ``output_transform((source, target, bias, plane, row, pixel))``.

``source[plane * (side * v + u) + c]`` becomes ``target[row * y + pixel * x + c]`` for 16 channels,
plus ``bias[c]``, and at least 0.
"""


def _fill(builder: ir.IRBuilder, target: ir.Value, count: ir.Value) -> None:
    code = VectorCode(builder, UNROLLED)
    end = code.pointer(target)

    def some(index: ir.Value) -> Sequence[ir.Value]:
        code.store(code.constant(0), end, index)
        return ()

    code.loop(count, UNROLLED, some)


def _copy(builder: ir.IRBuilder, source: ir.Value, target: ir.Value, count: ir.Value) -> None:
    code = VectorCode(builder, UNROLLED)
    begin, end = code.pointer(source), code.pointer(target)

    def some(index: ir.Value) -> Sequence[ir.Value]:
        code.store(code.load(begin, index), end, index)
        return ()

    code.loop(count, UNROLLED, some)


fill = compiled_function(_fill)
"""Write zeros: ``fill((target, count))``; ``count`` is a multiple of four."""
copy = compiled_function(_copy)
"""Copy floats: ``copy((source, target, count))``; ``count`` is a multiple of four."""
