"""Latency after a pause: caches are cold by then, clocks low and threads asleep.

The worker sleeps, then calls at once; the calls that follow show how soon it is back to normal.
Several variants may pause at the same time: their calls fall far from one another, evenly spread
over the pause, and each is preceded by a pause of its own.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median

from edgecnn.benchmark.scenarios.figures import middle, over_sessions, percentiles
from edgecnn.benchmark.scenarios.turns import Cell, Extent, Scenario
from edgecnn.stats import Interval
from edgecnn.units import time_text
from edgecnn.worker import Opened, Prepared

_BURST_SECONDS = 0.03
_FEWEST_CALLS = 6
_MOST_PAUSES = 25
_LEAST_OFFSET_SECONDS = 0.15  # between the calls of two variants that pause side by side
_RECOVERED = 1.1


@dataclass(frozen=True)
class IdleTurn:
    """Pauses of one session, and the calls after each.

    Attributes:
        replicate: Counted from 0.
        pauses_ns: How long each pause was: from the end of a call to the beginning of the next.
        calls_ns: After each pause the times of the calls, one right after the other.
    """

    replicate: int
    pauses_ns: list[int]
    calls_ns: list[list[int]]


@dataclass(frozen=True)
class IdleLatency:
    """How long the first call after a pause takes; times in seconds.

    Attributes:
        variant: What was called.
        pause_seconds: How long it paused.
        pauses: How often, in all sessions.
        first_seconds: Median of the first call after a pause.
        first_p90_seconds: 90th percentile; 29 pauses support it.
        first_largest_seconds: The longest.
        first_interval: The median's 95 % interval over the sessions.
        steady_seconds: Median of a call once they are back to normal: the later half of those
            after each pause.
        ratio: The first call over a steady one, with its 95 % interval over the sessions.
        recovery_calls: How many calls it took, median, until one was within 10 % of a steady one.
        turns: All of it, raw.
    """

    variant: str
    pause_seconds: float
    pauses: int
    first_seconds: float | None
    first_p90_seconds: float | None
    first_largest_seconds: float | None
    first_interval: Interval | None
    steady_seconds: float | None
    ratio: Interval | None
    recovery_calls: int | None
    turns: tuple[IdleTurn, ...]


def scenario(names: Sequence[str], pause: float, extent: Extent) -> Scenario:
    """Time calls after a pause.

    Args:
        names: Of the variants.
        pause: In seconds.
        extent: How much; each session pauses once at least.
    """
    each = pause + _BURST_SECONDS
    pauses = min(_MOST_PAUSES, max(1, math.ceil(extent.slot_seconds / each)))

    def cells(opened: Mapping[str, Opened]) -> Sequence[Cell]:
        task = partial(_task, pause, pauses)
        return [Cell(("idle", name, pause), name, task, pauses * (each + 1)) for name in opened]

    apart = pause / 2 >= _LEAST_OFFSET_SECONDS
    return Scenario(
        f"after {time_text(pause)} idle",
        names,
        cells,
        (lambda count: each / count) if apart else None,
    )


def latency(variant: str, pause: float, turns: Sequence[IdleTurn]) -> IdleLatency:
    """Sum up one variant's calls after pauses of one length."""
    bursts = [burst for turn in turns for burst in turn.calls_ns]
    first = [burst[0] for burst in bursts]
    steady = [time for burst in bursts for time in _steady(burst)]
    recoveries = [_recovery(burst) for burst in bursts]
    own_first = [middle([burst[0] for burst in turn.calls_ns]) for turn in turns]
    ratios = [median(burst[0] / median(_steady(burst)) for burst in t.calls_ns) for t in turns]
    return IdleLatency(
        variant=variant,
        pause_seconds=pause,
        pauses=len(first),
        first_seconds=middle(first),
        first_p90_seconds=percentiles(first)[0],
        first_largest_seconds=max(first) / 1e9 if first else None,
        first_interval=over_sessions(own_first),
        steady_seconds=middle(steady),
        ratio=over_sessions(ratios),
        recovery_calls=int(median(recoveries)) if recoveries else None,
        turns=tuple(turns),
    )


def pause_and_call(held: Prepared, *, pause: float, pauses: int, replicate: int) -> IdleTurn:
    """Sleep, then call for a while, again and again; in the worker."""
    clock = time.perf_counter_ns
    paused, bursts = list[int](), list[list[int]]()
    next(held.calls)()
    for _ in range(pauses):
        asleep = clock()
        time.sleep(pause)
        woken, burst = clock(), list[int]()
        for call in held.calls:
            start = clock()
            call()
            end = clock()
            burst.append(end - start)
            if end - woken > _BURST_SECONDS * 1e9 and len(burst) >= _FEWEST_CALLS:
                break
        paused.append(woken - asleep)
        bursts.append(burst)
    return IdleTurn(replicate, paused, bursts)


def _task(pause: float, pauses: int, replicate: int) -> partial[IdleTurn]:
    return partial(pause_and_call, pause=pause, pauses=pauses, replicate=replicate)


def _steady(burst: Sequence[int]) -> Sequence[int]:
    return burst[len(burst) // 2 :]


def _recovery(burst: Sequence[int]) -> int:
    normal = median(_steady(burst)) * _RECOVERED
    return next(number for number, time in enumerate(burst) if time <= normal)
