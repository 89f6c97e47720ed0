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
"""Output channels of one product: LLVM splits the vector to whatever the machine has."""
MOST_ROWS = 6
"""Rows of one product: sums that fill 12 of AVX2's 16 registers."""
LEAST_GROUP = 4
"""The fewest."""
LANES = 8
"""Channels that are transformed at a time."""
UNROLLED = 4
"""The input channels of a product come in fours."""


def _multiply_add(code: VectorCode, left: ir.Value, right: ir.Value, total: ir.Value) -> ir.Value:
    """Fused where the machine can."""
    return code.call("fmuladd", left, right, total)


def _weighted(code: VectorCode, weights: Sequence[float], values: Sequence[ir.Value]) -> ir.Value:
    """Sum of the values times their weights, those of weight 0 left out."""
    builder, total = code.builder, None
    # A value that needs no product begins.
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
    """Rows (i, j) that are e + o and e - o, with e and o of disjoint support; singles (i, i).

    They belong to two points of opposite sign, whose even and odd powers are computed once.
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


def _factors(code: VectorCode, matrix: Matrix, values: Sequence[ir.Value]) -> list[ir.Value]:
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


def _outputs(code: VectorCode, matrix: Matrix, values: Sequence[ir.Value]) -> list[ir.Value]:
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
    """Code of the matrix product of some rows with 16 columns, all sums kept in registers."""

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


product_of_4, product_of_5, product_of_6 = (_product(rows) for rows in (4, 5, 6))
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
    """Transform the columns of a square, then the rows of what results.

    Both are loops over code of one line, which is a seventh of the code and of the time that
    compiling takes.

    Args:
        code: builder.
        side: of the square.
        read: the value of (row, column).
        write: what becomes of a row.
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


def _into_products(matrix: Matrix) -> Callable[..., Any]:
    """Code of the transform of a tile's inputs."""
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
            # The last eight channels may overlap those before them.
            channel = builder.select(builder.icmp_signed("<", first, last), first, last)

            def read(line: ir.Value, column: ir.Value) -> ir.Value:
                place = builder.add(builder.mul(line, row), builder.mul(column, pixel))
                return code.load(begin, builder.add(place, channel))

            def write(line: ir.Value, values: list[ir.Value]) -> None:
                for n, value in enumerate(values):
                    at = builder.add(builder.mul(line, whole(side)), whole(n))
                    code.store(value, end, builder.add(builder.mul(at, plane), channel))

            _square(code, side, read, write, lambda line: _factors(code, matrix, line))
            return ()

        code.loop(channels, LANES, some)

    return compiled_function(generate)


inputs_of_six, inputs_of_seven = (_into_products(form.inputs_matrix) for form in (F43, F53))
"""A tile's inputs to factors: ``inputs((source, target, row, pixel, plane, channels))``.

``source[row * y + pixel * x + c]`` becomes ``target[plane * (side * v + u) + c]`` for each of the
eight or more channels c.
"""


def _from_products(matrix: Matrix) -> Callable[..., Any]:
    """Code of the transform to a tile's outputs, with bias and ReLU."""
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

            _square(code, side, read, write, lambda line: _outputs(code, matrix, line))
            return ()

        code.loop(whole(COLUMNS), LANES, some)

    return compiled_function(generate)


outputs_of_f43, outputs_of_f53, outputs_of_f44 = (
    _from_products(form.outputs_matrix) for form in (F43, F53, F44)
)
"""Products to a tile's outputs: ``outputs((source, target, bias, plane, row, pixel))``.

``source[plane * (side * v + u) + c]`` becomes ``target[row * y + pixel * x + c]`` for 16 channels,
``bias[c]`` added and what is negative 0.
"""


def _fill(builder: ir.IRBuilder, target: ir.Value, count: ir.Value) -> None:
    code = VectorCode(builder, UNROLLED)
    end = code.pointer(target)

    def some(index: ir.Value) -> Sequence[ir.Value]:
        code.store(code.constant(0), end, index)
        return ()

    code.loop(count, UNROLLED, some)


def _move(builder: ir.IRBuilder, source: ir.Value, target: ir.Value, count: ir.Value) -> None:
    code = VectorCode(builder, UNROLLED)
    begin, end = code.pointer(source), code.pointer(target)

    def some(index: ir.Value) -> Sequence[ir.Value]:
        code.store(code.load(begin, index), end, index)
        return ()

    code.loop(count, UNROLLED, some)


fill = compiled_function(_fill)
"""Zeros: ``fill((target, count))``, a multiple of four floats."""
move = compiled_function(_move)
"""A copy: ``move((source, target, count))``, a multiple of four floats."""
