"""A histogram that grows with what it sees and needs the same memory for any number of images."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_MOST_BINS = 4096
# Of a tensor of one run no more values than this are counted, evenly spread; the ends of its range
# are those of all.
_MOST_COUNTED = 1 << 18


@dataclass(frozen=True, eq=False)
class Histogram:
    """Values of one tensor, counted in bins whose width is a power of two; zero is a bin's edge.

    Attributes:
        low: The smallest value seen.
        high: The largest.
        width: Width of a bin.
        first: Number of the first bin: it begins at `first * width`.
        counts: How many values were counted in each bin; int64 [bins].
    """

    low: float
    high: float
    width: float
    first: int
    counts: NDArray[np.int64]

    @property
    def edges(self) -> NDArray[np.float64]:
        """Where the bins begin and end; float64 [bins + 1]."""
        import numpy as np

        return (self.first + np.arange(len(self.counts) + 1, dtype=np.float64)) * self.width


def count(values: NDArray[np.float32]) -> Histogram:
    """Count the values of a tensor.

    Args:
        values: Finite, of any shape, at least one.
    """
    import numpy as np

    flat = values.reshape(-1)
    low, high = float(flat.min()), float(flat.max())
    width = _width(low, high)
    first = math.floor(low / width)
    step = -(-flat.size // _MOST_COUNTED)
    bins = np.floor(flat[::step] / np.float32(width)).astype(np.int64) - first
    last = math.floor(high / width) - first
    return Histogram(low, high, width, first, np.bincount(bins, minlength=last + 1))


def merge(one: Histogram, other: Histogram) -> Histogram:
    """Put two histograms of the same tensor together."""
    import numpy as np

    low, high = min(one.low, other.low), max(one.high, other.high)
    width = max(_width(low, high), one.width, other.width)
    parts = [_coarsened(each, width) for each in (one, other)]
    first = min(part.first for part in parts)
    counts = np.zeros(max(p.first + len(p.counts) for p in parts) - first, np.int64)
    for part in parts:
        start = part.first - first
        counts[start : start + len(part.counts)] += part.counts
    return Histogram(low, high, width, first, counts)


def _width(low: float, high: float) -> float:
    reach = max(high - low, abs(low), abs(high)) / (_MOST_BINS / 2)
    return 2.0 ** math.ceil(math.log2(reach)) if reach > 1e-30 else 1e-30


def _coarsened(one: Histogram, width: float) -> Histogram:
    import numpy as np

    factor = round(width / one.width)
    if factor <= 1:
        return one
    first = one.first // factor
    places = (one.first + np.arange(len(one.counts))) // factor - first
    counts = np.bincount(places, weights=one.counts).astype(np.int64)
    return Histogram(one.low, one.high, width, first, counts)
