"""Winograd's minimal filtering: the transforms and which one to use for a convolution.

F(m, r) gives m neighbouring outputs of an r-tap filter by m + r - 1 products instead of m * r:
``y = A ((G g) * (B x))``, where A and B have few terms per row (S. Winograd, "Arithmetic Complexity
of Computations", 1980; for pictures A. Lavin and S. Gray, "Fast Algorithms for Convolutional Neural
Networks", CVPR 2016). The matrices follow from m + r - 2 interpolation points and infinity. The
choice of points only affects rounding: a search over simple fractions found these, with errors of
0.4e-6 (6 products per side) and 1.5e-6 (7) of the outputs' size; a plain float32 sum has 0.15e-6.
"""

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

Matrix = tuple[tuple[Fraction, ...], ...]

SIX = tuple(map(Fraction, ("0", "2/3", "-2/3", "3/2", "-3/2")))
SEVEN = tuple(map(Fraction, ("0", "1/2", "-1/2", "1", "-1", "5/2")))


@dataclass(frozen=True)
class Transform:
    """F(outputs, taps) along one axis, used along both axes of a picture.

    Attributes:
        outputs: outputs per side of a tile.
        taps: taps per side of the filter.
        points: interpolation points, besides infinity.
    """

    outputs: int
    taps: int
    points: tuple[Fraction, ...]

    @property
    def side(self) -> int:
        """Inputs per side of a tile, and products per axis."""
        return self.outputs + self.taps - 1

    @cached_property
    def input_matrix(self) -> Matrix:
        """B ``[side, side]``, which transforms inputs."""
        rows = [
            (*_product(self.points[:n] + self.points[n + 1 :]), Fraction(0))
            for n in range(len(self.points))
        ]
        return (*rows, _product(self.points))

    @cached_property
    def filter_matrix(self) -> Matrix:
        """G ``[side, taps]``, which transforms the filter."""
        rows = []
        for n, point in enumerate(self.points):
            scale = Fraction(1)
            for other in self.points[:n] + self.points[n + 1 :]:
                scale *= point - other
            rows.append(tuple(point**power / scale for power in range(self.taps)))
        return (*rows, tuple(Fraction(power == self.taps - 1) for power in range(self.taps)))

    @cached_property
    def output_matrix(self) -> Matrix:
        """A ``[outputs, side]``, which transforms products to outputs."""
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


F43 = Transform(4, 3, SIX)
F53 = Transform(5, 3, SEVEN)
F44 = Transform(4, 4, SEVEN)


def tiles(transform: Transform, height: int, width: int) -> int:
    """Number of tiles that cover a picture of outputs."""
    return -(-height // transform.outputs) * -(-width // transform.outputs)


def transform_3x3(height: int, width: int) -> Transform:
    """The transform for 3x3 taps with fewer products for a picture of outputs.

    F(5, 3) has fewer if its tiles fit, as at 14x14; F(4, 3), with the smaller error, wins a tie.
    """
    return min(
        (F43, F53), key=lambda transform: transform.side**2 * tiles(transform, height, width)
    )
