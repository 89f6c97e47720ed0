"""Machine code in explicit vectors of floats, written against LLVM for functions of numba.

Compilers do not vectorise loops over many arrays that may overlap, and compiling C on a user's
machine is not an option. LLVM splits the vectors to whatever the machine has (AVX-512, AVX2, NEON).
Nothing is fused or reordered unless the code says so.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

FLOAT = ir.FloatType()
INT = ir.IntType(64)
POINTER = FLOAT.as_pointer()
_INDEX = ir.IntType(32)


LINE = 16
"""Floats of a cache line."""


def aligned(size: int) -> NDArray[np.float32]:
    """An uninitialised array that begins on a cache line: vectors across two lines cost twice."""
    buffer = np.empty(size + LINE, np.float32)
    return buffer[-buffer.ctypes.data // 4 % LINE :][:size]


def whole(value: int) -> ir.Constant:
    """A constant index."""
    return ir.Constant(INT, value)


class VectorCode:
    """A builder of code with vectors of ``lanes`` floats; indices and strides are in floats."""

    def __init__(self, builder: ir.IRBuilder, lanes: int) -> None:
        self.builder = builder
        self.lanes = lanes
        self.kind = ir.VectorType(FLOAT, lanes)

    def pointer(self, address: ir.Value) -> ir.Value:
        """Pointer to floats at an address in bytes."""
        return self.builder.inttoptr(address, POINTER)

    def constant(self, value: float) -> ir.Value:
        """A vector of equal constants."""
        return ir.Constant(self.kind, [float(value)] * self.lanes)

    def _place(self, pointer: ir.Value, index: ir.Value) -> ir.Value:
        return self.builder.bitcast(self.builder.gep(pointer, [index]), self.kind.as_pointer())

    def load(self, pointer: ir.Value, index: ir.Value) -> ir.Value:
        """The vector that begins at an index."""
        return self.builder.load(self._place(pointer, index), align=4)

    def store(self, value: ir.Value, pointer: ir.Value, index: ir.Value) -> None:
        """Write a vector at an index."""
        self.builder.store(value, self._place(pointer, index), align=4)

    def splat(self, value: ir.Value) -> ir.Value:
        """A vector of equal values."""
        empty = ir.Constant(self.kind, ir.Undefined)
        first = self.builder.insert_element(empty, value, ir.Constant(_INDEX, 0))
        return self.shuffle(first, [0] * self.lanes)

    def shuffle(self, value: ir.Value, order: Sequence[int]) -> ir.Value:
        """The elements of a vector in another order."""
        empty = ir.Constant(self.kind, ir.Undefined)
        mask = ir.Constant(ir.VectorType(_INDEX, self.lanes), list(order))
        return self.builder.shuffle_vector(value, empty, mask)

    def element(self, value: ir.Value, index: int) -> ir.Value:
        """One element of a vector."""
        return self.builder.extract_element(value, ir.Constant(_INDEX, index))

    def call(self, name: str, *values: ir.Value) -> ir.Value:
        """LLVM's intrinsic function of that name on vectors, such as ``sqrt``."""
        kind = ir.FunctionType(self.kind, [self.kind] * len(values))
        name = f"llvm.{name}.v{self.lanes}f32"
        function = cgutils.get_or_insert_function(self.builder.module, kind, name)
        return self.builder.call(function, values)

    def loop(
        self,
        end: ir.Value,
        step: int,
        body: Callable[..., Sequence[ir.Value]],
        carried: Sequence[ir.Value] = (),
    ) -> list[ir.Value]:
        """Run ``body(index, *carried)`` at 0, step, ... below ``end``, but at least once.

        Returns:
            The result of the last ``body``; each but the first is given that of the one before.
        """
        builder, before = self.builder, self.builder.block
        inside, after = builder.append_basic_block("loop"), builder.append_basic_block("loop.end")
        builder.branch(inside)
        builder.position_at_end(inside)
        index, values = builder.phi(INT), [builder.phi(value.type) for value in carried]
        index.add_incoming(whole(0), before)
        for value, first in zip(values, carried, strict=True):
            value.add_incoming(first, before)
        found = list(body(index, *values))
        following = builder.add(index, whole(step))
        index.add_incoming(following, builder.block)
        for value, new in zip(values, found, strict=True):
            value.add_incoming(new, builder.block)
        builder.cbranch(builder.icmp_signed("<", following, end), inside, after)
        builder.position_at_end(after)
        return found


def compiled_function(
    generate: Callable[..., ir.Value | None], result: types.Type = types.void
) -> Callable[..., Any]:
    """A function of one tuple of numbers, for functions that numba compiles.

    Args:
        generate: writes the code with a builder and the numbers; gives the result, if there is one.
        result: its type.
    """

    def write(context: Any, builder: ir.IRBuilder, _: Any, arguments: Any) -> ir.Value:
        found = generate(builder, *cgutils.unpack_tuple(builder, arguments[0]))
        return context.get_dummy_value() if found is None else found

    def typed(typing: Any, numbers: Any) -> Any:
        kinds = [types.float32 if isinstance(n, types.Float) else types.intp for n in numbers]
        return result(types.Tuple(kinds)), write

    return intrinsic(typed)
