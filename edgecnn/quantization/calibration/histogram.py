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
_SMALLEST_WIDTH = -100  # as a power of two; what is smaller is a denormal number or next to one


@dataclass(frozen=True, eq=False)
class Histogram:
    """Values of one tensor, counted in bins whose width is a power of two; zero is a bin's edge.

    Attributes:
        low: The smallest value seen.
        high: The largest.
        width: Width of a bin.
        first: Number of the first bin: it begins at `first * width`.
        counts: How many values were counted in each bin; int64 [bins].
        zeros: How many of them are zero, which every quantized range holds exactly.
    """

    low: float
    high: float
    width: float
    first: int
    counts: NDArray[np.int64]
    zeros: int

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
    first, last = math.floor(low / width), math.floor(high / width)
    step = _step(flat.size)
    some = flat[::step]
    bins = np.floor(some / np.float32(width)).astype(np.int64) - first
    counts = np.bincount(bins, minlength=last - first + 1) * step
    zeros = (some.size - int(np.count_nonzero(some))) * step
    return Histogram(low, high, width, first, counts, zeros)


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
    return Histogram(low, high, width, first, counts, one.zeros + other.zeros)


def fold(seen: Histogram) -> Histogram:
    """Give the histogram of the absolute values."""
    import numpy as np

    places = seen.first + np.arange(len(seen.counts))
    places = np.where(places < 0, -1 - places, places)
    counts = np.bincount(places, weights=seen.counts).astype(np.int64)
    far = max(-seen.low, seen.high)
    near = 0.0 if seen.low <= 0 <= seen.high else min(abs(seen.low), abs(seen.high))
    return Histogram(near, far, seen.width, 0, counts, seen.zeros)


def _step(size: int) -> int:
    # Without a common divisor, or the values would all be of the same columns of the maps.
    step = -(-size // _MOST_COUNTED)
    while math.gcd(step, size) > 1:
        step += 1
    return step


def _width(low: float, high: float) -> float:
    reach = max(high - low, abs(low), abs(high)) / _MOST_BINS
    return 2.0 ** (max(math.ceil(math.log2(reach)), _SMALLEST_WIDTH) if reach else _SMALLEST_WIDTH)


def _coarsened(one: Histogram, width: float) -> Histogram:
    import numpy as np

    if width == one.width:
        return one
    # Powers of two: nothing is rounded.
    places = np.floor((one.first + np.arange(len(one.counts))) * (one.width / width))
    first = int(places[0])
    counts = np.bincount((places - first).astype(np.int64), weights=one.counts).astype(np.int64)
    return Histogram(one.low, one.high, width, first, counts, one.zeros)
