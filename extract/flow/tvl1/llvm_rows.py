"""The inner loops of the CPU flow engine: one image row per call, in explicit vectors of 16 floats.

Measured on one core at 256x341: 1.5 ns per pixel and step, against 4.7 for the same loops as plain
numba, both before the rule of the last paragraph.

All fields of a pyramid level are in one buffer, ``plane`` floats apart, in the order of ``FIELDS``.
A row has 16 zeros before its first pixel, and zeros up to a multiple of 16 after its last; a row of
zeros precedes the first. The steps keep these zeros zero, so borders need no special treatment.

Every operation is rounded on its own, as IEEE 754 defines it: no product is fused with a sum, no
quotient or root is approximated. Flow of an occluded or blurred region amplifies a difference in
the last digit to pixels, and only equal rounding makes all machines and engines agree there. It
costs a tenth of the time.
"""

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from extract.machine.llvm_code import VectorCode, compiled_function, whole

LANES = 16
FIELDS = ("u", "v", "ux", "uy", "vx", "vy", "ix", "iy", "rho_c", "inverse")
"""Flow (u, v), dual variables of u and v along x and y, warped image gradient (ix, iy), constant
part of the linearised difference, one over the squared gradient."""

_DOUBLE = ir.DoubleType()
_DOUBLES = ir.VectorType(_DOUBLE, LANES)


class _Vector:
    """Sixteen floats with the arithmetic of the steps below."""

    def __init__(self, code: VectorCode, value: ir.Value) -> None:
        self.code = code
        self.value = value

    def _operand(self, other: "_Vector | float") -> ir.Value:
        return other.value if isinstance(other, _Vector) else self.code.constant(other)

    def __add__(self, other: "_Vector | float") -> "_Vector":
        return self._new(self.code.builder.fadd(self.value, self._operand(other)))

    def __sub__(self, other: "_Vector | float") -> "_Vector":
        return self._new(self.code.builder.fsub(self.value, self._operand(other)))

    def __mul__(self, other: "_Vector | float") -> "_Vector":
        return self._new(self.code.builder.fmul(self.value, self._operand(other)))

    def _new(self, value: ir.Value) -> "_Vector":
        return _Vector(self.code, value)

    def clip(self, low: "_Vector", high: "_Vector") -> "_Vector":
        """Values limited to ``low`` and ``high``."""
        builder = self.code.builder
        over = builder.fcmp_ordered("<", self.value, high.value)
        below = builder.select(over, self.value, high.value)
        under = builder.fcmp_ordered(">", below, low.value)
        return self._new(builder.select(under, below, low.value))

    def shuffled(self, order: list[int]) -> "_Vector":
        """The values in another order."""
        return self._new(self.code.shuffle(self.value, order))

    def reciprocal(self) -> "_Vector":
        """One over the values."""
        return self._new(self.code.builder.fdiv(self._operand(1.0), self.value))

    def root(self) -> "_Vector":
        """Square root."""
        return self._new(self.code.call("sqrt", self.value))


def _row_sum(code: VectorCode, width: ir.Value, body: Callable[[ir.Value], _Vector]) -> ir.Value:
    """Run ``body`` at columns 0, 16, ... below ``width``; the sum of its results.

    The sum is in double precision, where its order affects only the last of 16 digits: the torch
    engine, which adds in another order, comes to the same decisions.
    """
    builder = code.builder

    def add(column: ir.Value, sums: ir.Value) -> list[ir.Value]:
        return [builder.fadd(sums, builder.fpext(body(column).value, _DOUBLES))]

    (total,) = code.loop(width, LANES, add, [ir.Constant(_DOUBLES, [0.0] * LANES)])
    kind = ir.FunctionType(_DOUBLE, [_DOUBLE, _DOUBLES])
    name = f"llvm.vector.reduce.fadd.v{LANES}f64"
    function = cgutils.get_or_insert_function(builder.module, kind, name)
    return builder.call(function, [ir.Constant(_DOUBLE, 0.0), total])


class _Rows:
    """Loads and stores of sixteen pixels of a field."""

    def __init__(self, code: VectorCode, base: ir.Value, plane: ir.Value) -> None:
        self.code = code
        self.base = code.pointer(base)
        self.plane = plane

    def _index(self, field: str, row: ir.Value, column: ir.Value, shift: int = 0) -> ir.Value:
        builder = self.code.builder
        start = builder.mul(self.plane, whole(FIELDS.index(field)))
        return builder.add(builder.add(builder.add(start, row), column), whole(shift))

    def load(self, field: str, row: ir.Value, column: ir.Value, shift: int = 0) -> _Vector:
        return self.at(self._index(field, row, column, shift))

    def at(self, index: ir.Value) -> _Vector:
        return _Vector(self.code, self.code.load(self.base, index))

    def store(self, field: str, row: ir.Value, column: ir.Value, value: _Vector) -> None:
        self.code.store(value.value, self.base, self._index(field, row, column))

    def update_dual(
        self,
        name: str,
        place: tuple[ir.Value, ir.Value],
        flow: _Vector,
        below: _Vector,
        down: _Vector,
        has_right: _Vector,
        step: _Vector,
    ) -> None:
        """Dual step of u or v at (row, column), from its flow there and below."""
        slope_x = (self.load(name, *place, 1) - flow) * has_right
        slope_y = below - flow
        length = (slope_x * slope_x + slope_y * slope_y).root()
        shrink = (step * length + 1.0).reciprocal()
        across = self.load(f"{name}x", *place) + step * slope_x
        self.store(f"{name}x", *place, across * shrink)
        self.store(f"{name}y", *place, (down + step * slope_y) * shrink)


# Keys' cubic kernel with a = -0.5: the weights of the neighbours at -1, 0, 1, 2 of a position at
# offset t in [0, 1) are these polynomials in t, highest power first.
CUBIC = (
    (-0.5, 1.0, -0.5, 0.0),
    (1.5, -2.5, 0.0, 1.0),
    (-1.5, 2.0, 0.5, 0.0),
    (0.5, -0.5, 0.0, 0.0),
)


def _cubic_weights(code: VectorCode, offset: ir.Value) -> _Vector:
    """Weights of the four neighbours at ``offset``, each four times."""
    place = _Vector(code, code.splat(offset))
    powers = [
        _Vector(code, ir.Constant(code.kind, [CUBIC[lane // 4][n] for lane in range(LANES)]))
        for n in range(4)
    ]
    total = powers[0]
    for power in powers[1:]:
        total = total * place + power
    return total


def _cubic_taps(
    builder: ir.IRBuilder,
    base: ir.Value,
    pixel: ir.Value,
    stride: ir.Value,
    across: ir.Value,
    down: ir.Value,
) -> ir.Value:
    code = VectorCode(builder, LANES)
    start, rows = code.pointer(base), _cubic_weights(code, down)
    # The sixteen floats are four neighbours of four channels.
    total = _Vector(code, code.constant(0))
    for n in range(4):
        weights = rows.shuffled([4 * n + lane % 4 for lane in range(LANES)])
        total = total + _Vector(code, code.load(start, pixel)) * weights
        pixel = builder.add(pixel, stride)
    total = total * _cubic_weights(code, across)
    for half in (8, 4):
        total = total + total.shuffled([(lane + half) % LANES for lane in range(LANES)])
    return cgutils.pack_array(builder, [code.element(total.value, n) for n in range(4)])


cubic_taps = compiled_function(_cubic_taps, types.UniTuple(types.float32, 4))
"""The four channels at a position: ``cubic_taps((base, pixel, stride, across, down))``.

``base`` is the address of the interleaved image, ``pixel`` the index in floats of the upper left of
the 4x4 neighbours, ``stride`` the floats from row to row, ``across`` and ``down`` the offsets in
[0, 1) from the second neighbour.
"""


def _step(primal: bool, dual: bool) -> Callable[..., Any]:
    """Code of a step on a row: primal on the row, dual on the row above it, or both in one pass."""

    def generate(
        builder: ir.IRBuilder,
        base: ir.Value,
        plane: ir.Value,
        row: ir.Value,
        above: ir.Value,
        inner: ir.Value,
        width: ir.Value,
        *numbers: ir.Value,
    ) -> ir.Value:
        code = VectorCode(builder, LANES)
        rows = _Rows(code, base, plane)
        high, coupling, step = (_Vector(code, code.splat(number)) for number in numbers)
        low = _Vector(code, code.splat(builder.fneg(numbers[0])))

        def body(x: ir.Value) -> _Vector:
            change = _Vector(code, code.constant(0))
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
                rows.update_dual("u", (above, x), u, below_u, down_u, has_right, step)
                rows.update_dual("v", (above, x), v, below_v, down_v, has_right, step)
            return change

        return _row_sum(code, width, body)

    return compiled_function(generate, types.float64)


primal_row = _step(primal=True, dual=False)
"""Primal step on ``row``, without the dual step above it, for the first row:
``primal_row((base, plane, row, above, inner, width, threshold, theta, tau_over_theta))``.

``base`` is the address of the fields; the others are in floats from there. ``inner`` is the row
that is 1 where a pixel has a right neighbour.
"""
fused_row = _step(primal=True, dual=True)
"""Primal step on ``row``, then dual step on the row ``above`` it."""
dual_row = _step(primal=False, dual=True)
"""Dual step on ``above``, which has no row below it, for the last row."""
