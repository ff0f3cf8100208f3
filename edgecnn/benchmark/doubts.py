"""What makes a bench doubtful: too little, noise, drift, the machine, threads that spin."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean

from edgecnn.benchmark.estimate import (
    FEWEST_BLOCKS,
    FEWEST_REPLICATES,
    LEAST_FLOOR,
    Contrast,
    noise_floor,
)
from edgecnn.benchmark.report import VariantLatency
from edgecnn.benchmark.samples import Samples
from edgecnn.benchmark.warmup import unsteady
from edgecnn.conditions import Conditions, Doubt
from edgecnn.conditions import doubts as doubts_of

LARGEST_FLOOR = 0.10
_QUIET = "Close what else is running, then try again, with `--pin` and a longer --duration."
_LONGER = "Measure longer, such as with `--duration 10s`."
# Fewer replicates show a trend by chance; then one run in 100 does.
_FEWEST_FOR_DRIFT = 4
_DRIFT_CONFIDENCE = 0.99
_SPIN_SECONDS = 0.002  # looking whether threads are idle takes some tenths of a millisecond


def find_doubts(
    samples: Samples,
    found: Sequence[Contrast],
    rows: Sequence[VariantLatency],
    conditions: Conditions | None = None,
    *,
    interrupted: bool,
) -> list[Doubt]:
    """Say why the figures may not be believed, or should be read with care.

    Args:
        samples: What was measured.
        found: What is compared, or each variant with itself.
        rows: Each variant, summed up.
        conditions: What the machine was like; None if nobody looked.
        interrupted: It was stopped.

    Returns:
        Doubts, those that make the run not valid first.
    """
    floors = [noise_floor(one) for one in found if one.nulls]
    every = [*_too_little(samples, found, interrupted=interrupted), *_unsettled(samples, floors)]
    every += _drifted(samples, max(floors, default=0.0))
    if conditions:
        threads = [row.threads for row in rows if row.place.endswith("/cpu")]
        every += doubts_of(conditions, max(threads, default=1))
    every += _spinning(rows)
    return sorted(every, key=lambda doubt: not doubt.invalid)


@dataclass(frozen=True)
class Drift:
    """A steady trend over the run.

    Attributes:
        change: By how much longer a call takes at the end than at the beginning, as a share.
        seconds: How long the run was.
    """

    change: float
    seconds: float


def drift(samples: Samples) -> Drift | None:
    """Find whether calls became slower or faster all the time: a line through the replicates.

    A replicate is one point, as its sessions err together: the mean of its blocks, each variant
    taken as it differs from its own mean.

    Returns:
        The trend, where Student's t excludes chance by 99 %; None where there is none, or fewer
        than four replicates.
    """
    names = dict.fromkeys(session.variant for session in samples.sessions)
    levels = [samples.levels(name) for name in names]
    replicates = min(map(len, levels), default=0)
    whole = [n for n in range(replicates) if all(own[n] for own in levels)]
    if len(whole) < _FEWEST_FOR_DRIFT:
        return None
    points = [fmean(fmean(fmean(pair) for pair in own[n]) for own in levels) for n in whole]
    legs = [[leg for b in samples.blocks if b.replicate == n for leg in b.legs] for n in whole]
    times = [fmean(leg.at_seconds for leg in own) for own in legs]
    slope = _slope(times, points)
    if slope is None:
        return None
    seconds = max(leg.at_seconds for leg in legs[-1]) - min(leg.at_seconds for leg in legs[0])
    return Drift(math.expm1(slope * seconds), seconds)


def _slope(times: Sequence[float], points: Sequence[float]) -> float | None:
    """Give the slope of a line of least squares, if it is not chance."""
    from scipy.special import stdtrit

    middle, level, freedom = fmean(times), fmean(points), len(times) - 2
    spread = sum((time - middle) ** 2 for time in times)
    if not spread:  # reports of the first version do not say when
        return None
    both = list(zip(times, points, strict=True))
    slope = sum((time - middle) * (point - level) for time, point in both) / spread
    rest = sum((point - level - slope * (time - middle)) ** 2 for time, point in both)
    error = math.sqrt(rest / freedom / spread)
    return (
        slope if abs(slope) > float(stdtrit(freedom, (1 + _DRIFT_CONFIDENCE) / 2)) * error else None
    )


def _too_little(
    samples: Samples, found: Sequence[Contrast], *, interrupted: bool
) -> Iterator[Doubt]:
    if interrupted:
        yield Doubt("it was interrupted", "Let it end.")
    for failure in samples.failures:
        yield Doubt(f"{failure.variant} failed", failure.remedy)
    if min((one.blocks for one in found), default=0) < FEWEST_BLOCKS:
        yield Doubt(f"fewer than {FEWEST_BLOCKS} blocks of each comparison", _LONGER)
    replicates = [len(one.ratios) or len(one.nulls) for one in found]
    if min(replicates, default=0) < FEWEST_REPLICATES:
        yield Doubt(f"fewer than {FEWEST_REPLICATES} replicates", _LONGER)


def _unsettled(samples: Samples, floors: Sequence[float]) -> Iterator[Doubt]:
    if max(floors, default=0) > LARGEST_FLOOR:
        floor = f"the noise floor is {100 * max(floors):.0f} %, above {100 * LARGEST_FLOOR:.0f} %"
        yield Doubt(floor, _QUIET)
    restless = {one.variant for one in samples.sessions if one.warmup.steady is False}
    yield from map(unsteady, sorted(restless))
    if not all(leg.idle for block in samples.blocks for leg in block.legs):
        remedy = "Use `--threads 1`, whose process has no thread that could go on."
        yield Doubt("a worker kept using the CPU after its turn", remedy)


def _drifted(samples: Samples, floor: float) -> Iterator[Doubt]:
    found = drift(samples)
    if found is None or abs(found.change) <= max(floor, LEAST_FLOOR):
        return
    became = "slower" if found.change > 0 else "faster"
    what = (
        f"calls became {100 * abs(found.change):.1f} % {became} over the {found.seconds:.0f} s "
        "of the run, steadily"
    )
    remedy = (
        "Let the machine come to rest, hold its clock with "
        "`sudo cpupower frequency-set -g performance`, or measure longer."
    )
    yield Doubt(what, remedy, abs(found.change) > LARGEST_FLOOR)


def _spinning(rows: Sequence[VariantLatency]) -> Iterator[Doubt]:
    spins = [row for row in rows if (row.spin_seconds or 0.0) >= _SPIN_SECONDS and row.threads > 1]
    if not spins:
        return
    worst = max(spins, key=lambda row: row.spin_seconds or 0.0)
    spent = 1e3 * (worst.spin_seconds or 0.0)
    what = f"the threads of {worst.variant} spin {spent:.0f} ms of CPU time after a call"
    if worst.median_seconds:
        what += f", as long as {spent / 1e3 / worst.median_seconds:,.0f} calls take"
    remedy = (
        "With pauses between calls it is lost each time: `--concurrency 1` also measures without "
        "spinning, and `--threads 1` has no thread that spins."
    )
    yield Doubt(what, remedy, invalid=False)
