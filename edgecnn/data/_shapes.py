"""Ten shapes as signed distances: below zero inside, above zero outside, about 1 across.

Only operations that IEEE 754 rounds in one way are used, for the reason given in synthetic.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.floating[Any]]
Shape: TypeAlias = Callable[[Floats, Floats], Floats]

# Sine and cosine of 90, 18, -54, -126 and 162 degrees.
_FIVE_DIRECTIONS = (
    (0.0, 1.0),
    (0.951057, 0.309017),
    (0.587785, -0.809017),
    (-0.587785, -0.809017),
    (-0.951057, 0.309017),
)


def both(a: Floats, b: Floats) -> Floats:
    """Give what two shapes have in common."""
    common: Floats = np.maximum(a, b)
    return common


def either(a: Floats, b: Floats) -> Floats:
    """Join two shapes."""
    union: Floats = np.minimum(a, b)
    return union


def box(x: Floats, y: Floats, width: float | Floats, height: float | Floats) -> Floats:
    """Give a rectangle by half its width and half its height."""
    return both(np.abs(x) - width, np.abs(y) - height)


def disc(x: Floats, y: Floats, radius: float) -> Floats:
    """Give a disc around the origin."""
    distance: Floats = np.sqrt(x * x + y * y) - radius
    return distance


def _arrow(x: Floats, y: Floats) -> Floats:
    head = both(0.8 * np.abs(x) + 0.6 * y - 0.55, -y)
    return either(head, box(x, y + 0.45, 0.25, 0.5))


def _circle(x: Floats, y: Floats) -> Floats:
    return disc(x, y, 0.85)


def _crescent(x: Floats, y: Floats) -> Floats:
    return both(disc(x, y, 0.85), -disc(x - 0.45, y, 0.7))


def _cross(x: Floats, y: Floats) -> Floats:
    return either(box(x, y, 0.9, 0.28), box(x, y, 0.28, 0.9))


def _heart(x: Floats, y: Floats) -> Floats:
    side, up = np.abs(x), y + 0.2
    diamond = (side + np.abs(up)) * 0.7071 - 0.58
    return either(diamond, disc(side - 0.41, up - 0.41, 0.58))


def _hourglass(x: Floats, y: Floats) -> Floats:
    between_diagonals = (np.abs(x) - np.abs(y)) * 0.7 - 0.05
    return both(between_diagonals, box(x, y, 0.7, 0.8))


def _ring(x: Floats, y: Floats) -> Floats:
    band: Floats = np.abs(disc(x, y, 0.65)) - 0.22
    return band


def _square(x: Floats, y: Floats) -> Floats:
    return box(x, y, 0.72, 0.72)


def _star(x: Floats, y: Floats) -> Floats:
    # Inside a five-pointed star one is beyond at most one of its five lines.
    first = np.full_like(x, -9)
    second = first
    for across, up in _FIVE_DIRECTIONS:
        edge = across * x + up * y
        second = both(second, either(first, edge))
        first = both(first, edge)
    return second - 0.32


def _triangle(x: Floats, y: Floats) -> Floats:
    return both(np.abs(x) * 0.866 + y * 0.5, -y) - 0.48


SHAPES: dict[str, Shape] = {
    "arrow": _arrow,
    "circle": _circle,
    "crescent": _crescent,
    "cross": _cross,
    "heart": _heart,
    "hourglass": _hourglass,
    "ring": _ring,
    "square": _square,
    "star": _star,
    "triangle": _triangle,
}
