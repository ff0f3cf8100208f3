"""How two variants compare: a ratio, its interval, the noise floor and a verdict.

All of it works on logarithms of times, where twice as slow and twice as fast weigh the same. A
fresh process is a little faster or slower for as long as it lives, so the blocks of one session err
together: sessions are a random effect, and a replicate counts once, however many blocks it has.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Literal

from edgecnn.benchmark.samples import Samples
from edgecnn.stats import Interval

LEAST_FLOOR = 0.01
FEWEST_BLOCKS = 5
FEWEST_REPLICATES = 2
# Stricter than the interval that is shown: a ratio that differs from replicate to replicate widens
# the truth more than so few replicates can tell.
_WINNER_CONFIDENCE = 0.98

Outcome = Literal["faster", "slower", "no difference", "inconclusive"]


@dataclass(frozen=True)
class LatencyComparison:
    """How the latency of a second variant compares with the first's.

    Attributes:
        first: The variant compared with.
        second: The variant compared.
        first_median_seconds: Median of its calls.
        second_median_seconds: The same of the second.
        ratio: The second's time over the first's: the mean of the replicates' median ratios.
        low: Lower end of the ratio's 95 % interval.
        high: Upper end; None if there is none yet.
        noise_floor: What this run would call a difference between a model and itself, as a share:
            with 95 % confidence it is no larger.
        outcome: What the second is: `faster`, `slower`, `no difference` that this machine can
            show, or `inconclusive` where too little was measured.
        verdict: The outcome in words.
        blocks: Blocks that were compared.
        replicates: Rounds of fresh processes, two of each variant, that they come from.
    """

    first: str
    second: str
    first_median_seconds: float
    second_median_seconds: float
    ratio: float
    low: float
    high: float | None
    noise_floor: float
    outcome: Outcome
    verdict: str
    blocks: int
    replicates: int


@dataclass(frozen=True)
class Contrast:
    """What the blocks say of two variants, each replicate summed up as the median of its blocks.

    Attributes:
        ratios: Log ratio of the second's time over the first's, for each replicate.
        nulls: Half the log ratio of one session over the other of the same variant, for each
            replicate and variant. Its true value is nothing; it varies as the mean of the
            variant's two sessions does.
        blocks: How many there were.
    """

    ratios: tuple[float, ...]
    nulls: tuple[float, ...]
    blocks: int

    def variance(self) -> float:
        """Give the variance of one replicate's log ratio, as the nulls alone show it."""
        return 2 * fmean(value**2 for value in self.nulls) if self.nulls else math.inf


def contrast(samples: Samples, first: str, second: str) -> Contrast:
    """Compare two variants block by block."""
    ratios, nulls, blocks = list[float](), list[float](), 0
    for ours, theirs in zip(samples.levels(first), samples.levels(second), strict=True):
        if len(ours) != len(theirs) or not ours:  # one of the two failed meanwhile
            continue
        blocks += len(ours)
        ratios.append(median(fmean(b) - fmean(a) for a, b in zip(ours, theirs, strict=True)))
        nulls += [median((b - a) / 2 for a, b in own) for own in (ours, theirs)]
    return Contrast(tuple(ratios), tuple(nulls), blocks)


def alone(samples: Samples, variant: str) -> Contrast:
    """Give what a variant's sessions say of each other, as a contrast without ratios."""
    levels = [own for own in samples.levels(variant) if own]
    nulls = tuple(median((b - a) / 2 for a, b in own) for own in levels)
    return Contrast((), nulls, sum(map(len, levels)))


def noise_floor(found: Contrast) -> float:
    """Give the difference that a model would show from itself in this run, as a share.

    It is the half width of the 95 % interval of a ratio, computed from the sessions of the same
    variant against each other, and from nothing else. More replicates lower it.
    """
    replicates = len(found.ratios) or len(found.nulls)
    if not replicates:
        return math.inf
    error = math.sqrt(found.variance() / replicates)
    return _expm1(_student(len(found.nulls), 0.95) * error)


def ratio_interval(found: Contrast, confidence: float = 0.95) -> Interval:
    """Give the ratio of two variants with an interval that takes each replicate as one unit.

    The estimate is the mean of the replicates. Its error is Student's t, with the variance pooled
    over the spread of the replicates and the differences between sessions of the same variant.

    Args:
        found: At least one replicate.
        confidence: Two-sided confidence.

    Returns:
        Ratios. The interval's upper end is infinite if nothing bounds it.
    """
    count, estimate = len(found.ratios), fmean(found.ratios)
    freedom = count - 1 + len(found.nulls)
    if not found.nulls:
        return Interval(math.exp(estimate), 0.0, math.inf, confidence)
    spread = sum((value - estimate) ** 2 for value in found.ratios)
    variance = (spread + len(found.nulls) * found.variance()) / freedom
    half = _student(freedom, confidence) * math.sqrt(variance / count)
    low, high = estimate - half, estimate + half
    return Interval(math.exp(estimate), math.exp(low), _expm1(high) + 1, confidence)


def session_interval(values: Sequence[float], confidence: float = 0.95) -> Interval | None:
    """Give the mean of a figure over sessions, with an interval that holds for another session.

    Args:
        values: One positive figure for each session.
        confidence: Two-sided confidence.

    Returns:
        The geometric mean and its interval, in the figures' unit; None of fewer than two.
    """
    if len(values) < 2:
        return None
    logs = [math.log(value) for value in values]
    middle, freedom = fmean(logs), len(logs) - 1
    error = math.sqrt(sum((log - middle) ** 2 for log in logs) / freedom / len(logs))
    half = min(_student(freedom, confidence) * error, 300.0)
    return Interval(math.exp(middle), math.exp(middle - half), math.exp(middle + half), confidence)


def outcome(found: Contrast) -> Outcome:
    """Say whether the second is faster or slower.

    There is a winner only if the estimate lies beyond the noise floor and beyond 1 %, and the 98 %
    interval does not hold 1.
    """
    if len(found.ratios) < FEWEST_REPLICATES or found.blocks < FEWEST_BLOCKS:
        return "inconclusive"
    strict = ratio_interval(found, _WINNER_CONFIDENCE)
    inside = abs(math.log(strict.estimate)) <= math.log1p(max(noise_floor(found), LEAST_FLOOR))
    if inside or strict.low <= 1 <= strict.high:
        return "no difference"
    return "faster" if strict.estimate < 1 else "slower"


def compare(
    first: str, second: str, medians: tuple[float, float], found: Contrast
) -> LatencyComparison:
    """Compare two variants.

    Args:
        first: Name of the variant compared with.
        second: Name of the variant compared.
        medians: Median time of a call of each, in seconds.
        found: What their blocks say, of at least one replicate.
    """
    ratio, floor, winner = ratio_interval(found), noise_floor(found), outcome(found)
    return LatencyComparison(
        first=first,
        second=second,
        first_median_seconds=medians[0],
        second_median_seconds=medians[1],
        ratio=ratio.estimate,
        low=ratio.low,
        high=ratio.high if math.isfinite(ratio.high) else None,
        noise_floor=floor,
        outcome=winner,
        verdict=_in_words(first, second, winner, ratio, floor),
        blocks=found.blocks,
        replicates=len(found.ratios),
    )


def _student(freedom: int, confidence: float) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(freedom, (1 + confidence) / 2))


def _expm1(value: float) -> float:
    return math.expm1(value) if value < 700 else math.inf


def _in_words(first: str, second: str, found: Outcome, ratio: Interval, floor: float) -> str:
    figures = (
        f"ratio {ratio.estimate:.2f} [{ratio.low:.2f}, {ratio.high:.2f}], "
        f"noise floor {100 * floor:.1f} %"
    )
    if found == "no difference":
        return f"{second} against {first}: no difference that this machine can show; {figures}"
    if found == "inconclusive":
        return f"{second} against {first}: too little was measured to tell; {figures}"
    factor = max(ratio.estimate, 1 / ratio.estimate)
    if factor >= 1.2:
        return f"{second} is {factor:.1f} times {found} than {first}: {figures}"
    more = "less" if found == "faster" else "more"
    change = 100 * abs(ratio.estimate - 1)
    return f"{second} takes {change:.1f} % {more} time than {first}: {figures}"
