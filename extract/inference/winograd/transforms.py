"""Winograd's minimal filtering: which one for which convolution, and its three matrices.

F(m, r) gives m neighbouring outputs of an r-tap filter by m + r - 1 products instead of m * r:
``y = A ((G g) * (B x))``, with B and A sums of few terms (S. Winograd, "Arithmetic Complexity of
Computations", 1980; for pictures A. Lavin and S. Gray, "Fast Algorithms for Convolutional Neural
Networks", CVPR 2016). The matrices follow from m + r - 2 numbers at which polynomials are evaluated
(and infinity). Which numbers only moves the rounding: these were the best of a search over simple
fractions, with 0.4e-6 (6 products a side) and 1.5e-6 (7) of the outputs' size, where a plain sum in
float32 has 0.15e-6.
"""

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

Matrix = tuple[tuple[Fraction, ...], ...]

SIX = tuple(map(Fraction, ("0", "2/3", "-2/3", "3/2", "-3/2")))
SEVEN = tuple(map(Fraction, ("0", "1/2", "-1/2", "1", "-1", "5/2")))


@dataclass(frozen=True)
class Form:
    """F(outputs, taps) along one axis, used along both axes of a picture.

    Attributes:
        outputs: neighbouring outputs of a tile's side.
        taps: of the filter's side.
        points: where the polynomials are evaluated, besides infinity.
    """

    outputs: int
    taps: int
    points: tuple[Fraction, ...]

    @property
    def side(self) -> int:
        """Inputs of a tile's side, and products of an axis."""
        return self.outputs + self.taps - 1

    @cached_property
    def inputs_matrix(self) -> Matrix:
        """B ``[side, side]``: inputs to factors."""
        rows = [
            (*_product(self.points[:n] + self.points[n + 1 :]), Fraction(0))
            for n in range(len(self.points))
        ]
        return (*rows, _product(self.points))

    @cached_property
    def filter_matrix(self) -> Matrix:
        """G ``[side, taps]``: taps to factors."""
        rows = []
        for n, point in enumerate(self.points):
            scale = Fraction(1)
            for other in self.points[:n] + self.points[n + 1 :]:
                scale *= point - other
            rows.append(tuple(point**power / scale for power in range(self.taps)))
        return (*rows, tuple(Fraction(power == self.taps - 1) for power in range(self.taps)))

    @cached_property
    def outputs_matrix(self) -> Matrix:
        """A ``[outputs, side]``: products to outputs."""
        last = self.outputs - 1
        return tuple(
            (*(point**power for point in self.points), Fraction(power == last))
            for power in range(self.outputs)
        )


def _product(points: tuple[Fraction, ...]) -> tuple[Fraction, ...]:
    """Coefficients of the product of (x - point), lowest power first."""
    found = [Fraction(1)]
    for point in points:
        lower, higher = [*found, Fraction(0)], [Fraction(0), *found]
        found = [above - point * below for below, above in zip(lower, higher, strict=True)]
    return tuple(found)


F43 = Form(4, 3, SIX)
F53 = Form(5, 3, SEVEN)
F44 = Form(4, 4, SEVEN)


def tiles(form: Form, height: int, width: int) -> int:
    """Tiles that cover a picture of outputs."""
    return -(-height // form.outputs) * -(-width // form.outputs)


def form_of_three_taps(height: int, width: int) -> Form:
    """Of the forms for 3x3 taps that with fewer products for a picture of outputs.

    F(5, 3) saves more where its tiles fit, as at 14x14; of equals F(4, 3) has the smaller error.
    """
    return min((F43, F53), key=lambda form: form.side**2 * tiles(form, height, width))
