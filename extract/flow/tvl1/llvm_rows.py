"""The inner loops of the CPU flow engine: one image row per call, in explicit vectors of 16 floats.

Written against LLVM through numba, because a loop over ten arrays is beyond what the compiler will
vectorise by itself: it would have to prove, at every row, that no two of them overlap. LLVM splits
the vectors to whatever the machine has (AVX-512, AVX2, NEON). Measured on one core at 256x341:
1.5 ns per pixel and step against 4.7 for the same loops written as plain numba, both before the
rule of the last paragraph.

All fields of a pyramid level lie in one buffer, ``plane`` floats apart, in the order of ``FIELDS``.
A row has 16 floats of zeros before its first pixel and zeros up to a multiple of 16 behind its
last one; a row of zeros stands above the first. The steps keep these zeros zero, so there are no
borders to treat.

Every operation is rounded by itself, as IEEE 754 says: no product is fused with a sum, no quotient
or root estimated. Flow of an occluded or blurred region amplifies a difference in the last digit to
pixels, and only equal rounding makes all machines and both engines agree there. It costs a tenth of
the time.
"""

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

LANES = 16
FIELDS = ("u", "v", "ux", "uy", "vx", "vy", "ix", "iy", "rho_c", "inverse")
"""Flow (u, v), dual variables of u and v along x and y, warped image gradient (ix, iy), constant
part of the linearised difference, one over the squared gradient."""

_FLOAT = ir.FloatType()
_INT = ir.IntType(64)
_VECTOR = ir.VectorType(_FLOAT, LANES)
_BITS = ir.VectorType(ir.IntType(32), LANES)
_DOUBLE = ir.DoubleType()
_DOUBLES = ir.VectorType(_DOUBLE, LANES)


class _Vector:
    """Sixteen floats with the arithmetic that the steps below are written in."""

    def __init__(self, builder: ir.IRBuilder, value: ir.Value) -> None:
        self.builder = builder
        self.value = value

    def _operand(self, other: "_Vector | float") -> ir.Value:
        if isinstance(other, _Vector):
            return other.value
        return ir.Constant(_VECTOR, [float(other)] * LANES)

    def __add__(self, other: "_Vector | float") -> "_Vector":
        return self._new(self.builder.fadd(self.value, self._operand(other)))

    def __sub__(self, other: "_Vector | float") -> "_Vector":
        return self._new(self.builder.fsub(self.value, self._operand(other)))

    def __mul__(self, other: "_Vector | float") -> "_Vector":
        return self._new(self.builder.fmul(self.value, self._operand(other)))

    def _new(self, value: ir.Value) -> "_Vector":
        return _Vector(self.builder, value)

    def clip(self, low: "_Vector", high: "_Vector") -> "_Vector":
        """Values limited to ``low`` and ``high``."""
        over = self.builder.fcmp_ordered("<", self.value, high.value)
        below = self._new(self.builder.select(over, self.value, high.value))
        under = self.builder.fcmp_ordered(">", below.value, low.value)
        return self._new(self.builder.select(under, below.value, low.value))

    def shuffled(self, order: list[int]) -> "_Vector":
        """The values in another order."""
        empty = ir.Constant(_VECTOR, ir.Undefined)
        return self._new(self.builder.shuffle_vector(self.value, empty, ir.Constant(_BITS, order)))

    def reciprocal(self) -> "_Vector":
        """One over the values."""
        return self._new(self.builder.fdiv(self._operand(1.0), self.value))

    def root(self) -> "_Vector":
        """Square root."""
        kind = ir.FunctionType(_VECTOR, [_VECTOR])
        function = cgutils.get_or_insert_function(
            self.builder.module, kind, f"llvm.sqrt.v{LANES}f32"
        )
        return self._new(self.builder.call(function, [self.value]))


def _splat(builder: ir.IRBuilder, value: ir.Value) -> _Vector:
    empty = ir.Constant(_VECTOR, ir.Undefined)
    first = builder.insert_element(empty, value, ir.Constant(ir.IntType(32), 0))
    zeros = ir.Constant(_BITS, [0] * LANES)
    return _Vector(builder, builder.shuffle_vector(first, empty, zeros))


def _total(builder: ir.IRBuilder, doubles: ir.Value) -> ir.Value:
    """Sum of sixteen doubles, in one fixed order."""
    kind = ir.FunctionType(_DOUBLE, [_DOUBLE, _DOUBLES])
    name = f"llvm.vector.reduce.fadd.v{LANES}f64"
    function = cgutils.get_or_insert_function(builder.module, kind, name)
    return builder.call(function, [ir.Constant(_DOUBLE, 0.0), doubles])


def _row_loop(
    builder: ir.IRBuilder, width: ir.Value, body: Callable[[ir.Value], _Vector]
) -> ir.Value:
    """Run ``body`` at columns 0, 16, ... below ``width``; the sum of what it returns.

    The sum is taken in double precision, where its order shows in the last of 16 digits only: the
    torch engine, which adds in another order, comes to the same decisions.
    """
    before = builder.block
    loop = builder.append_basic_block("row")
    after = builder.append_basic_block("row.end")
    builder.branch(loop)
    builder.position_at_end(loop)
    column, sums = builder.phi(_INT), builder.phi(_DOUBLES)
    column.add_incoming(ir.Constant(_INT, 0), before)
    sums.add_incoming(ir.Constant(_DOUBLES, [0.0] * LANES), before)
    total = builder.fadd(sums, builder.fpext(body(column).value, _DOUBLES))
    following = builder.add(column, ir.Constant(_INT, LANES))
    column.add_incoming(following, builder.block)
    sums.add_incoming(total, builder.block)
    builder.cbranch(builder.icmp_signed("<", following, width), loop, after)
    builder.position_at_end(after)
    return _total(builder, total)


class _Rows:
    """Loads and stores of sixteen pixels of a field."""

    def __init__(self, builder: ir.IRBuilder, base: ir.Value, plane: ir.Value) -> None:
        self.builder = builder
        self.base = builder.inttoptr(base, _FLOAT.as_pointer())
        self.plane = plane

    def _place(self, field: str, row: ir.Value, column: ir.Value, shift: int) -> ir.Value:
        builder = self.builder
        start = builder.mul(self.plane, ir.Constant(_INT, FIELDS.index(field)))
        index = builder.add(builder.add(start, row), column)
        index = builder.add(index, ir.Constant(_INT, shift))
        return builder.bitcast(builder.gep(self.base, [index]), _VECTOR.as_pointer())

    def load(self, field: str, row: ir.Value, column: ir.Value, shift: int = 0) -> _Vector:
        place = self._place(field, row, column, shift)
        return _Vector(self.builder, self.builder.load(place, align=4))

    def at(self, index: ir.Value) -> _Vector:
        place = self.builder.bitcast(self.builder.gep(self.base, [index]), _VECTOR.as_pointer())
        return _Vector(self.builder, self.builder.load(place, align=4))

    def store(self, field: str, row: ir.Value, column: ir.Value, value: _Vector) -> None:
        self.builder.store(value.value, self._place(field, row, column, 0), align=4)


# Keys' cubic kernel with a = -0.5: the weights of the neighbours at -1, 0, 1, 2 of a place at
# offset t in [0, 1) are these polynomials in t, highest power first.
CUBIC = (
    (-0.5, 1.0, -0.5, 0.0),
    (1.5, -2.5, 0.0, 1.0),
    (-1.5, 2.0, 0.5, 0.0),
    (0.5, -0.5, 0.0, 0.0),
)


def _cubic_weights(builder: ir.IRBuilder, offset: ir.Value) -> _Vector:
    """Weights of the four neighbours at ``offset``, each four times."""
    place = _splat(builder, offset)
    powers = [
        _Vector(builder, ir.Constant(_VECTOR, [CUBIC[lane // 4][n] for lane in range(LANES)]))
        for n in range(4)
    ]
    total = powers[0]
    for power in powers[1:]:
        total = total * place + power
    return total


def _cubic_taps() -> Callable[..., Any]:
    """Code of the bicubic interpolation of four interleaved channels at one place."""
    whole, real = types.intp, types.float32
    kind = types.UniTuple(real, 4)
    signature = kind(whole, whole, whole, real, real)

    def generate(context: Any, builder: ir.IRBuilder, _: Any, arguments: Any) -> ir.Value:
        base, pixel, stride, across, down = arguments
        start = builder.inttoptr(base, _FLOAT.as_pointer())
        rows = _cubic_weights(builder, down)
        # The sixteen floats are four neighbours of four channels.
        total = _Vector(builder, ir.Constant(_VECTOR, [0.0] * LANES))
        for n in range(4):
            place = builder.bitcast(builder.gep(start, [pixel]), _VECTOR.as_pointer())
            line = _Vector(builder, builder.load(place, align=4))
            total = total + line * rows.shuffled([4 * n + lane % 4 for lane in range(LANES)])
            pixel = builder.add(pixel, stride)
        total = total * _cubic_weights(builder, across)
        for half in (8, 4):
            total = total + total.shuffled([(lane + half) % LANES for lane in range(LANES)])
        channels = [
            builder.extract_element(total.value, ir.Constant(ir.IntType(32), n)) for n in range(4)
        ]
        return context.make_tuple(builder, kind, channels)

    def typed(typing: Any, base: Any, pixel: Any, stride: Any, across: Any, down: Any) -> Any:
        return signature, generate

    return intrinsic(typed)


cubic_taps = _cubic_taps()
"""The four channels at one place: ``cubic_taps(base, pixel, stride, across, down)``.

``base`` is the address of the interleaved image, ``pixel`` the index in floats of the upper left of
the 4x4 neighbours, ``stride`` the floats from row to row, ``across`` and ``down`` the offsets in
[0, 1) from the second neighbour.
"""


def _step(primal: bool, dual: bool) -> Callable[..., Any]:
    """Code of one row step: primal on a row, dual on the row above it, or both in one pass."""
    whole, real = types.intp, types.float32
    signature = types.float64(whole, whole, whole, whole, whole, whole, real, real, real)

    def generate(context: Any, builder: ir.IRBuilder, _: Any, arguments: Any) -> ir.Value:
        base, plane, row, above, inner, width, threshold, theta, tau_over_theta = arguments
        rows = _Rows(builder, base, plane)
        high, low = _splat(builder, threshold), _splat(builder, builder.fneg(threshold))
        coupling, step = _splat(builder, theta), _splat(builder, tau_over_theta)

        def body(x: ir.Value) -> _Vector:
            change = _Vector(builder, ir.Constant(_VECTOR, [0.0] * LANES))
            down_u, down_v = rows.load("uy", above, x), rows.load("vy", above, x)
            if primal:
                u, v = rows.load("u", row, x), rows.load("v", row, x)
                ix, iy = rows.load("ix", row, x), rows.load("iy", row, x)
                residual = rows.load("rho_c", row, x) + ix * u + iy * v
                move = (residual * rows.load("inverse", row, x)).clip(low, high)
                div_u = rows.load("ux", row, x) - rows.load("ux", row, x, -1)
                div_u = div_u + (rows.load("uy", row, x) - down_u)
                div_v = rows.load("vx", row, x) - rows.load("vx", row, x, -1)
                div_v = div_v + (rows.load("vy", row, x) - down_v)
                du, dv = coupling * div_u - move * ix, coupling * div_v - move * iy
                below_u, below_v = u + du, v + dv
                rows.store("u", row, x, below_u)
                rows.store("v", row, x, below_v)
                change = du * du + dv * dv
            if dual:
                # The last column has no right neighbour, the last row none below it.
                has_right = rows.at(builder.add(inner, x))
                u, v = rows.load("u", above, x), rows.load("v", above, x)
                if not primal:
                    below_u, below_v = u, v
                for flow, name, below, held in (
                    (u, "u", below_u, down_u),
                    (v, "v", below_v, down_v),
                ):
                    slope_x = (rows.load(name, above, x, 1) - flow) * has_right
                    slope_y = below - flow
                    length = (slope_x * slope_x + slope_y * slope_y).root()
                    shrink = (step * length + 1.0).reciprocal()
                    across = rows.load(f"{name}x", above, x) + step * slope_x
                    rows.store(f"{name}x", above, x, across * shrink)
                    rows.store(f"{name}y", above, x, (held + step * slope_y) * shrink)
            return change

        return _row_loop(builder, width, body)

    def typed(
        typing: Any,
        base: Any,
        plane: Any,
        row: Any,
        above: Any,
        inner: Any,
        width: Any,
        threshold: Any,
        theta: Any,
        tau_over_theta: Any,
    ) -> Any:
        return signature, generate

    return intrinsic(typed)


primal_row = _step(primal=True, dual=False)
"""Primal step on ``row``, without the dual step above it: for the first row."""
fused_row = _step(primal=True, dual=True)
"""Primal step on ``row``, then the dual step on the row ``above`` it."""
dual_row = _step(primal=False, dual=True)
"""Dual step on ``above``, which has no row below it: for the last row."""
