"""How the range of an activation is taken from what was observed of it.

A range that is wider than need be makes all roundings coarser; one that is narrower cuts off its
largest values. Zero lies in every range: padding and ReLU give it exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from edgecnn.errors import InputError
from edgecnn.quantization.calibration.histogram import Histogram, fold
from edgecnn.quantization.calibration.losses import divergence, squared_error

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgecnn.quantization.calibration.losses import Loss

    Floats = NDArray[np.float64]

Range = tuple[float, float]
# Takes what was seen and the number of steps between the two ends of the range.
Method = Callable[[Histogram, int], Range]

_NARROWEST = 1 / 128  # of the range seen; an end that lies further in was an outlier, if at all
_COARSE, _FINE = 36, 13  # ends tried in the first round and in the second


def minmax(seen: Histogram, steps: int) -> Range:
    """Take the smallest and the largest value."""
    return seen.low, seen.high


def percentile(share: float) -> Method:
    """Give the method that leaves out a share of the values.

    Where there are values on both sides of zero, half of it at each end.

    Args:
        share: What is left in, such as 0.9999.
    """
    return partial(_percentile, share)


def _percentile(share: float, seen: Histogram, steps: int) -> Range:
    import numpy as np

    cut = (1 - share) / (2 if seen.low < 0 < seen.high else 1)
    below = np.concatenate([[0], np.cumsum(seen.counts)]) / seen.counts.sum()
    low, high = np.interp([cut, 1 - cut], below, seen.edges)
    return max(float(low), seen.low), min(float(high), seen.high)


def entropy(seen: Histogram, steps: int) -> Range:
    """Take the range that loses the least information: the least Kullback-Leibler divergence.

    Source: S. Migacz, 8-bit inference with TensorRT, GPU Technology Conference 2017, S7310. There
    the range is symmetric, or begins at zero; here each end is searched for itself.
    """
    return _search(seen, divergence(seen, steps))


def mse(seen: Histogram, steps: int) -> Range:
    """Take the range whose mean squared error is the least, of rounding and cutting together.

    Source: R. Banner, Y. Nahshan, D. Soudry, Post training 4-bit quantization of convolutional
    networks for rapid-deployment, NeurIPS 2019: there of a Laplace or normal distribution, here of
    the histogram.
    """
    return _search(seen, squared_error(seen, steps))


METHODS: dict[str, Method] = {
    "minmax": minmax,
    "percentile-99.9": percentile(0.999),
    "percentile-99.99": percentile(0.9999),
    "percentile-99.999": percentile(0.99999),
    "entropy": entropy,
    "mse": mse,
}


def take_ranges(
    observed: Mapping[str, Histogram], method: str, *, symmetric: bool = False
) -> dict[str, Range]:
    """Give the range of each tensor by one method; zero lies in each.

    Args:
        observed: What was seen of each tensor, by its name.
        method: A name in `METHODS`.
        symmetric: Activations are int8 around zero, not uint8.

    Raises:
        InputError: There is no such method.
    """
    if method not in METHODS:
        raise InputError(
            f"No calibration is called '{method}'.", f"Use one of {', '.join(METHODS)}."
        )
    take = _symmetric if symmetric else _asymmetric
    return {name: take(METHODS[method], seen) for name, seen in observed.items()}


def _asymmetric(method: Method, seen: Histogram) -> Range:
    low, high = method(seen, 255)
    return min(low, 0.0), max(high, 0.0)


def _symmetric(method: Method, seen: Histogram) -> Range:
    _, far = method(fold(seen), 127)
    return -far, far


def _search(seen: Histogram, loss: Loss) -> Range:
    """Find the range of the least loss, both ends at once: coarsely, then near the best."""
    import numpy as np

    shares = np.geomspace(_NARROWEST, 1, _COARSE)
    low, high = _best(loss, min(seen.low, 0.0) * shares, max(seen.high, 0.0) * shares)
    near = np.geomspace(shares[-2], 1 / shares[-2], _FINE)
    lows = np.maximum(low * near, min(seen.low, 0.0))
    return _best(loss, lows, np.minimum(high * near, max(seen.high, 0.0)))


def _best(loss: Loss, lows: Floats, highs: Floats) -> Range:
    import numpy as np

    # Of equals the widest is taken: with the last shares first, argmin stops there.
    every_low, every_high = np.meshgrid(np.unique(lows), np.unique(highs)[::-1])
    each_low, each_high = every_low.ravel(), every_high.ravel()
    best = int(np.argmin(loss(each_low, each_high)))
    return float(each_low[best]), float(each_high[best])
