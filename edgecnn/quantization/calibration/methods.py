"""How the range of an activation is taken from what was observed of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from edgecnn.errors import InputError
from edgecnn.quantization.calibration.histogram import Histogram

Range = tuple[float, float]


def minmax(seen: Histogram) -> Range:
    """Take the smallest and the largest value."""
    return seen.low, seen.high


METHODS: dict[str, Callable[[Histogram], Range]] = {"minmax": minmax}


def take_ranges(observed: Mapping[str, Histogram], method: str) -> dict[str, Range]:
    """Give the range of each tensor by one method.

    Args:
        observed: What was seen of each tensor, by its name.
        method: A name in `METHODS`.

    Raises:
        InputError: There is no such method.
    """
    if method not in METHODS:
        raise InputError(
            f"No calibration is called '{method}'.", f"Use one of {', '.join(METHODS)}."
        )
    return {name: METHODS[method](seen) for name, seen in observed.items()}
