"""Intervals and percentiles that say how much a count of images or samples can prove."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from edgecnn.errors import InputError

_MOST_IMAGES = 1e9


@dataclass(frozen=True)
class Interval:
    """An estimate and the interval around it, all in the estimate's own unit."""

    estimate: float
    low: float
    high: float
    confidence: float = 0.95


def wilson(successes: float, n: float, confidence: float = 0.95) -> Interval:
    """Give Wilson's score interval of a proportion.

    Source: E. B. Wilson, Probable inference, the law of succession, and statistical inference,
    JASA 22 (1927), 209-212.

    Args:
        successes: How many of the n succeeded.
        n: How many there were, at least 1.
        confidence: Two-sided confidence, between 0 and 1.

    Raises:
        InputError: The counts cannot be.
    """
    _check_counts(n, successes=successes)
    z2 = _z(confidence) ** 2
    share = successes / n
    middle = (successes + z2 / 2) / (n + z2)
    half = math.sqrt(z2 * (share * (1 - share) + z2 / (4 * n)) / n) / (1 + z2 / n)
    low = 0.0 if successes == 0 else max(0.0, middle - half)
    high = 1.0 if successes == n else min(1.0, middle + half)
    return Interval(share, low, high, confidence)


def tango(b: float, c: float, n: float, confidence: float = 0.95) -> Interval:
    """Give Tango's score interval of the difference between two paired proportions.

    The difference is the first's share minus the second's, `(b - c) / n`: how far the second falls
    below the first. It holds where no pair differs, where Wald's interval shrinks to nothing.

    Source: T. Tango, Equivalence test and confidence interval for the difference in proportions
    for the paired-sample design, Statistics in Medicine 17 (1998), 891-908.

    Args:
        b: Pairs in which the first is right and the second wrong.
        c: Pairs in which the first is wrong and the second right.
        n: All pairs, at least 1. Counts may be fractions, for planning.
        confidence: Two-sided confidence, between 0 and 1.

    Raises:
        InputError: The counts cannot be.
    """
    _check_counts(n, b=b, c=c)
    if b + c > n:
        raise InputError(f"{b} and {c} discordant pairs are more than all {n} pairs.")
    estimate, z2 = (b - c) / n, _z(confidence) ** 2

    def excess(difference: float) -> float:
        return n * (estimate - difference) ** 2 - z2 * _paired_variance(b, c, n, difference)

    low, high = _outward_root(excess, estimate, -1.0), _outward_root(excess, estimate, 1.0)
    return Interval(estimate, low, high, confidence)


def smallest_provable_drop(n: int, discordant_share: float, confidence: float = 0.95) -> float:
    """Give the smallest drop (0 to 1) that n paired images can rule out if none is there.

    Args:
        n: Images.
        discordant_share: Share (0 to 1) of them on which one of the two is right and the other
            wrong, in equal parts.
        confidence: Two-sided confidence of the interval whose upper end is taken.
    """
    half = discordant_share * n / 2
    return tango(half, half, n, confidence).high


def images_to_settle(b: float, c: float, n: float, limit: float) -> int | None:
    """Give how many pairs would settle on which side of a limit a difference lies.

    Args:
        b: Pairs of n in which the first is right and the second wrong.
        c: Pairs of n in which the first is wrong and the second right.
        n: All pairs, at least 1.
        limit: Of the difference, the first's share minus the second's; between -1 and 1.

    Returns:
        The least number at which an end of Tango's 95 % interval meets the limit if both shares
        stay as they are, `n` itself where it does already; None where a thousand million would not
        do.
    """
    from scipy.optimize import brentq

    below = (b - c) / n < limit

    def excess(images: float) -> float:
        found = tango(b / n * images, c / n * images, images)
        return found.high - limit if below else limit - found.low

    if excess(n) <= 0:
        return math.ceil(n)
    if excess(_MOST_IMAGES) > 0:
        return None
    return math.ceil(float(brentq(excess, n, _MOST_IMAGES, rtol=1e-9)))


def median_interval(samples: Sequence[float], confidence: float = 0.95) -> Interval | None:
    """Give the median with an interval that asks nothing of how the samples are spread.

    Its ends are order statistics: of the n samples below or above the true median there are
    binomially many, with probability 1/2.

    Args:
        samples: Independent, in any unit and order.
        confidence: Two-sided confidence, at least.

    Returns:
        None where the samples are too few: with 95 % confidence fewer than 6.
    """
    from scipy.special import bdtr

    ordered, count = sorted(samples), len(samples)
    outside = [k for k in range((count + 1) // 2) if bdtr(k, count, 0.5) <= (1 - confidence) / 2]
    if not outside:
        return None
    low, high = ordered[outside[-1]], ordered[count - 1 - outside[-1]]
    return Interval(statistics.median(ordered), low, high, confidence)


def samples_for_percentile(share: float, confidence: float = 0.95) -> int:
    """Give the least samples whose largest exceeds a percentile with some confidence.

    The largest of n lies below the percentile with probability `share ** n`.

    Args:
        share: The percentile as a share, such as 0.99.
        confidence: Such as 0.95.

    >>> samples_for_percentile(0.99), samples_for_percentile(0.999)
    (299, 2995)
    """
    return math.ceil(math.log(1 - confidence) / math.log(share))


def percentile(samples: Sequence[float], share: float, confidence: float = 0.95) -> float | None:
    """Give a percentile of samples; None where they are too few to support it.

    Args:
        samples: In any unit and order.
        share: The percentile as a share, such as 0.99; above a half.
        confidence: As in `samples_for_percentile`.
    """
    import numpy as np

    if len(samples) < samples_for_percentile(share, confidence):
        return None
    return float(np.quantile(np.asarray(samples, np.float64), share))


def _paired_variance(b: float, c: float, n: float, difference: float) -> float:
    # n times the variance of the estimate, at the most likely share of c for this difference:
    # the root q of a*q^2 + p*q + r with a = 2n, written so that nothing cancels.
    p = (2 * n - b + c) * difference - b - c
    r = -c * difference * (1 - difference)
    root = math.sqrt(max(p * p - 8 * n * r, 0.0))
    q = (root - p) / (4 * n) if p < 0 else (-2 * r / (root + p) if root + p else 0.0)
    return max(2 * q + difference * (1 - difference), 0.0)


def _outward_root(excess: Callable[[float], float], estimate: float, end: float) -> float:
    from scipy.optimize import brentq

    # At the estimate itself the variance may be zero, which is a root but not the limit.
    start = estimate + math.copysign(1e-12, end)
    if abs(start) >= 1:
        return end
    return float(brentq(excess, start, end, xtol=1e-14))


def _z(confidence: float) -> float:
    from scipy.special import ndtri

    if not 0 < confidence < 1:
        raise InputError(f"A confidence of {confidence} is not between 0 and 1.")
    return float(ndtri((1 + confidence) / 2))


def _check_counts(n: float, **counts: float) -> None:
    if not n >= 1:
        raise InputError(f"{n} images prove nothing.", "Give at least one.")
    for name, count in counts.items():
        if not 0 <= count <= n:
            raise InputError(f"{name} is {count}, but there are {n} in all.")
