"""What a quantized range loses of what was observed: a number for each pair of ends.

Each loss reads sums over the histogram at a few places only, so that a thousand ranges are tried in
the time that one pass over the bins for each would take for ten.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from edgecnn.quantization.calibration.histogram import Histogram

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    # Takes the lower and the upper ends of some ranges, float64 [K] each, and gives float64 [K].
    Loss = Callable[[Floats, Floats], Floats]


def squared_error(seen: Histogram, steps: int) -> Loss:
    """Give the loss: the sum of the squares of what each value is rounded and cut by.

    A value that is cut errs by what is missing, one that is rounded to zero by itself, and all
    others by a twelfth of a step's square in the mean.

    Args:
        seen: What was observed.
        steps: Of the quantized range.
    """
    import numpy as np

    counts = _without_zeros(seen)
    values = np.clip((seen.edges[:-1] + seen.edges[1:]) / 2, seen.low, seen.high)
    sums = [_running(counts * values**power) for power in range(3)]

    def squares(start: NDArray[np.int64], end: NDArray[np.int64], centre: Floats) -> Floats:
        zeroth, first, second = (each[end] - each[start] for each in sums)
        total: Floats = second - 2 * centre * first + centre**2 * zeroth
        return total

    def loss(lows: Floats, highs: Floats) -> Floats:
        step = (highs - lows) / steps
        ends = [lows, np.maximum(-step / 2, lows), np.minimum(step / 2, highs), highs]
        low, inner_low, inner_high, high = (np.searchsorted(values, end) for end in ends)
        first, last = np.zeros_like(low), np.full_like(low, len(values))
        cut = squares(first, low, lows) + squares(high, last, highs)
        number = sums[0]
        rounded = number[high] - number[inner_high] + number[inner_low] - number[low]
        lost: Floats = cut + squares(inner_low, inner_high, 0 * lows) + rounded * step**2 / 12
        return lost

    return loss


def divergence(seen: Histogram, steps: int) -> Loss:
    """Give the loss: the Kullback-Leibler divergence of what is left from what was seen.

    What was seen has its cut values in the outermost bins of the range. What is left has the same
    share in all the bins of a level that are not empty; an outermost level with nothing but cut
    values has one value, or no range would end before an outlier that lies far out. Zeros are left
    out, since they lose nothing; they would otherwise be most of what comes out of a ReLU. A range
    has at least as many bins as levels: with fewer, nothing seems lost.

    Args:
        seen: What was observed.
        steps: Of the quantized range; it has one level more.
    """
    import numpy as np

    counts = _without_zeros(seen).astype(np.float64)
    number, filled, own = (_running(each) for each in (counts, counts > 0, _times_log(counts)))
    total, bins = number[-1], len(counts)

    def loss(lows: Floats, highs: Floats) -> Floats:
        start = np.clip(np.rint(lows / seen.width) - seen.first, 0, bins - 1)
        end = np.clip(np.rint(highs / seen.width) - seen.first, start + 1, bins)
        shares = np.arange(steps + 2) / (steps + 1)
        places = np.rint(start[:, None] + (end - start)[:, None] * shares).astype(np.int64)
        masses, spread = np.diff(number[places], axis=1), np.diff(filled[places], axis=1)
        first, last = places[:, 0], places[:, -1]
        reference, own_sum = masses.copy(), own[last] - own[first]
        for level, outermost, cut in (
            (0, first, number[first]),
            (-1, last - 1, total - number[last]),
        ):
            edge = counts[outermost]
            reference[:, level] += cut
            spread[:, level] += (edge == 0) & (cut > 0)
            masses[:, level] += (masses[:, level] == 0) & (cut > 0)
            own_sum += _times_log(edge + cut) - _times_log(edge)
        with np.errstate(divide="ignore", invalid="ignore"):
            each = np.log(masses / spread)
            cross = np.where(reference > 0, reference * each, 0).sum(axis=1)
            lost: Floats = (own_sum - cross) / total - np.log(total / masses.sum(axis=1))
        enough = end - start >= min(steps + 1, bins)
        return np.where(enough & np.isfinite(lost), lost, np.inf)

    return loss


def _without_zeros(seen: Histogram) -> NDArray[np.int64]:
    counts = seen.counts.copy()
    if seen.zeros:
        counts[-seen.first] -= seen.zeros
    return counts


def _running(values: NDArray[np.generic]) -> Floats:
    import numpy as np

    return np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])


def _times_log(values: Floats) -> Floats:
    import numpy as np

    return values * np.log(np.maximum(values, 1))
