"""How times are spread, in one line of characters for each variant, on one axis."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence

from edgecnn.cli._terminal import encodes

_BARS, _PLAIN_BARS = " ▁▂▃▄▅▆▇█", " .:-=+*#@"
# A few calls take a hundred times as long; on an axis that held them nothing else would show.
_SHOWN, _LARGEST_RANGE = 0.95, 4.0
_BEYOND = "  100 % beyond"


def histograms(
    samples: Mapping[str, Sequence[float]], width: int, write: Callable[[float], str]
) -> list[tuple[str, str]]:
    """Draw the spread of each variant's times, side by side on one logarithmic axis.

    The axis ends at the longest 95th percentile, or sooner at four times the longest median; which
    share of the times lies beyond is said.

    Args:
        samples: Times of each variant, in seconds; none may be empty.
        width: Characters for a line.
        write: How an end of the axis is written.

    Returns:
        A name and a line for each, and under an empty name the axis.
    """
    import numpy as np

    arrays = {name: np.asarray(times, float) for name, times in samples.items()}
    low = min(times.min() for times in arrays.values())
    longest = _LARGEST_RANGE * max(np.median(times) for times in arrays.values())
    high = min(longest, max(np.quantile(times, _SHOWN) for times in arrays.values()))
    bars = width - len(_BEYOND)
    edges = np.geomspace(low, max(high, low * 1.01), bars + 1)
    edges[0] = low  # rounding may put it above
    rows = []
    for name, times in arrays.items():
        line = sparkline(np.histogram(times, edges)[0].tolist())
        beyond = np.mean(times > edges[-1])
        rows.append((name, f"{line}  {100 * beyond:3.0f} % beyond" if beyond else line))
    ends = write(low), write(float(edges[-1]))
    return [*rows, ("", ends[0] + " " * max(1, bars - sum(map(len, ends))) + ends[1])]


def sparkline(counts: Sequence[int]) -> str:
    """Draw counts as bars of one character; what is not nothing shows.

    >>> sparkline([0, 1, 50, 100])
    ' ▁▄█'
    """
    bars = _BARS if encodes(sys.stdout, _BARS) else _PLAIN_BARS
    most = max(counts, default=0) or 1
    highest = len(bars) - 1
    return "".join(bars[max(bool(count), round(highest * count / most))] for count in counts)
