"""How two variants compare: a ratio, its interval, the noise floor and a verdict.

All of it works on logarithms of ratios, where twice as slow and twice as fast weigh the same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Literal

from edgecnn.benchmark.samples import Block
from edgecnn.stats import Interval

LEAST_FLOOR = 0.02
FEWEST_BLOCKS = 5
FEWEST_REPLICATES = 2
# The median of many normal values strays from their centre this much more than their mean does:
# the square root of pi / 2.
_MEDIAN_COST = 1.2533

Outcome = Literal["faster", "slower", "no difference", "inconclusive"]


@dataclass(frozen=True)
class LatencyComparison:
    """How the latency of a second variant compares with the first's.

    Attributes:
        first: The variant compared with.
        second: The variant compared.
        first_median_seconds: Median of its calls.
        second_median_seconds: The same of the second.
        ratio: The second's time over the first's: the median of the blocks' ratios.
        low: Lower end of the ratio's 95 % interval.
        high: Upper end; None if there is none yet.
        noise_floor: Largest false difference of the first variant from itself, as a share.
        outcome: What the second is: `faster`, `slower`, `no difference` that this machine can
            show, or `inconclusive` where too little was measured.
        verdict: The outcome in words.
        blocks: Blocks that were compared.
        replicates: Fresh pairs of processes that they come from.
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


def log_ratio(block: Block) -> float:
    """Give the logarithm of the second's time over the first's in a complete block.

    Each turn counts with the median of its calls; a drift that is steady over the four turns
    cancels out.
    """
    first = fmean(math.log(median(leg)) for leg in block.first_ns)
    second = fmean(math.log(median(leg)) for leg in block.second_ns)
    return second - first


def noise_floor(null: Sequence[Sequence[float]]) -> float:
    """Give the largest false difference of a variant from itself, as a share.

    Args:
        null: Log ratios of blocks that compare a variant with itself, by replicate.
    """
    return max((math.expm1(abs(median(logs))) for logs in null), default=math.inf)


def ratio_interval(
    logs: Sequence[Sequence[float]], null: Sequence[Sequence[float]], confidence: float = 0.95
) -> Interval:
    """Give the ratio of two variants with an interval that takes each replicate as one unit.

    A fresh process is a little faster or slower for as long as it lives, so that blocks of one
    replicate err together. The estimate is the median of all blocks. Its error is Student's t of
    the replicates' medians, with the variance pooled over this comparison and the one of the first
    variant with itself, whose true value is known to be nothing; both are taken to vary alike.

    Args:
        logs: Log ratios of blocks, by replicate.
        null: The same for the first variant against itself.
        confidence: Two-sided confidence.

    Returns:
        Ratios. The interval's upper end is infinite if nothing bounds it.
    """
    from scipy.special import stdtrit

    centres, zeros = [median(own) for own in logs], [median(own) for own in null]
    estimate = median([value for own in logs for value in own])
    freedom = len(centres) - 1 + len(zeros)
    if freedom == 0:
        return Interval(math.exp(estimate), 0.0, math.inf, confidence)
    mean = fmean(centres)
    squares = sum((value - mean) ** 2 for value in centres) + sum(value**2 for value in zeros)
    cost = _MEDIAN_COST if len(centres) > 2 else 1.0
    error = cost * math.sqrt(squares / freedom / len(centres))
    half = float(stdtrit(freedom, (1 + confidence) / 2)) * error
    return Interval(
        math.exp(estimate), math.exp(estimate - half), math.exp(estimate + half), confidence
    )


def outcome(logs: Sequence[Sequence[float]], ratio: Interval, floor: float) -> Outcome:
    """Say whether the second is faster or slower.

    There is a winner only if the estimate lies beyond the noise floor and beyond 2 %, the interval
    does not hold 1, and all replicates agree.

    Args:
        logs: Log ratios of blocks, by replicate.
        ratio: The estimate with its interval.
        floor: The noise floor, as a share.
    """
    if len(logs) < FEWEST_REPLICATES or sum(map(len, logs)) < FEWEST_BLOCKS:
        return "inconclusive"
    inside = abs(math.log(ratio.estimate)) <= math.log1p(max(floor, LEAST_FLOOR))
    signs = {median(own) > 0 for own in logs}
    if inside or ratio.low <= 1 <= ratio.high or len(signs) > 1:
        return "no difference"
    return "faster" if ratio.estimate < 1 else "slower"


def compare(
    first: str,
    second: str,
    medians: tuple[float, float],
    blocks: Sequence[Sequence[Block]],
    null: Sequence[Sequence[float]],
) -> LatencyComparison:
    """Compare two variants.

    Args:
        first: Name of the variant compared with.
        second: Name of the variant compared.
        medians: Median time of a call of each, in seconds.
        blocks: Their complete blocks by replicate, at least one.
        null: Log ratios of blocks of the first variant with itself, by replicate.
    """
    logs = [[log_ratio(block) for block in own] for own in blocks]
    ratio, floor = ratio_interval(logs, null), noise_floor(null)
    found = outcome(logs, ratio, floor)
    return LatencyComparison(
        first=first,
        second=second,
        first_median_seconds=medians[0],
        second_median_seconds=medians[1],
        ratio=ratio.estimate,
        low=ratio.low,
        high=ratio.high if math.isfinite(ratio.high) else None,
        noise_floor=floor,
        outcome=found,
        verdict=_in_words(first, second, found, ratio, floor),
        blocks=sum(map(len, blocks)),
        replicates=len(blocks),
    )


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
