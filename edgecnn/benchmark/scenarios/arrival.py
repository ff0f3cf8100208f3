"""Latency of inputs that arrive at a given rate, whether or not the last one was answered.

The times of arrival are drawn beforehand, and a latency counts from there: an input that has to
wait behind a slow one is late, even though its own call is fast. Timing calls back to back leaves
that out (Gil Tene called it coordinated omission). One caller answers in the order of arrival.

Between two arrivals it either sleeps, as a program on a camera does, or watches the clock, which
keeps its core awake: the difference is what waking up costs.
"""

from __future__ import annotations

import ctypes
import random
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from typing import Literal

from edgecnn.benchmark.scenarios.figures import middle, over_sessions, percentiles
from edgecnn.benchmark.scenarios.turns import Cell, Extent, Scenario
from edgecnn.benchmark.scenarios.wanted import Arrival
from edgecnn.stats import Interval, wilson
from edgecnn.worker import Opened, Prepared

Waiting = Literal["sleeping", "watching"]
WAITING: tuple[Waiting, ...] = ("sleeping", "watching")

_FEWEST_ARRIVALS = 3
_MOST_ARRIVALS = 20_000
_MOST_BEHIND_SECONDS = 1.0
_LEAD_NS = 2_000_000
_PR_SET_TIMERSLACK = 29


@dataclass(frozen=True)
class ArrivalTurn:
    """Arrivals at one session; lists hold one number for each that was answered, in order.

    Attributes:
        replicate: Counted from 0.
        latencies_ns: From each arrival to its answer.
        calls_ns: The call itself; what is left was spent waiting.
        given_up: Arrivals that were not answered, as the caller had fallen a second behind.
        wall_ns: From the first arrival to the last answer.
        cpu_ns: CPU time of all the process's threads in that time.
    """

    replicate: int
    latencies_ns: list[int]
    calls_ns: list[int]
    given_up: int
    wall_ns: int
    cpu_ns: int


@dataclass(frozen=True)
class ArrivalLatency:
    """Latency from arrival to answer; times in seconds.

    Attributes:
        variant: What answered.
        arrival: How inputs arrived: `periodic:30`.
        rate: Arrivals in a second.
        waiting: What the caller did between two: `sleeping` or `watching` the clock.
        arrivals: How many there were, in all sessions.
        median_seconds: Median from arrival to answer.
        p90_seconds: 90th percentile; 29 arrivals support it.
        p95_seconds: 95th percentile; 59 arrivals.
        p99_seconds: 99th percentile; 299 arrivals.
        interval: The median's 95 % interval over the sessions.
        call_seconds: Median of the call itself.
        call_interval: Its 95 % interval over the sessions.
        deadline_seconds: When an answer comes too late; None for never.
        missed: Share of arrivals answered later than that or not at all, with Wilson's interval.
        busy_share: Share of the time that was spent in calls; at 1 nothing is left.
        keeps_up: No session fell behind for good; if one did, the latencies grow for as long as
            one measures and mean little.
        cpu_seconds: CPU time for an answer, all threads, what they burn while waiting included.
        turns: All of it, raw.
    """

    variant: str
    arrival: str
    rate: float
    waiting: Waiting
    arrivals: int
    median_seconds: float | None
    p90_seconds: float | None
    p95_seconds: float | None
    p99_seconds: float | None
    interval: Interval | None
    call_seconds: float | None
    call_interval: Interval | None
    deadline_seconds: float | None
    missed: Interval | None
    busy_share: float | None
    keeps_up: bool
    cpu_seconds: float | None
    turns: tuple[ArrivalTurn, ...]


def least_seconds(arrival: Arrival) -> float:
    """Say how long the fewest arrivals take in one replicate, waited for in both ways."""
    return len(WAITING) * _FEWEST_ARRIVALS / arrival.rate


def scenario(names: Sequence[str], arrival: Arrival, extent: Extent) -> Scenario:
    """Time answers to inputs that arrive.

    Args:
        names: Of the variants.
        arrival: How they arrive.
        extent: How much.
    """
    wanted = round(extent.slot_seconds / len(WAITING) * arrival.rate)
    count = min(_MOST_ARRIVALS, max(_FEWEST_ARRIVALS, wanted))

    def cells(opened: Mapping[str, Opened]) -> Sequence[Cell]:
        lasts = 2 * count / arrival.rate + _MOST_BEHIND_SECONDS
        return [
            Cell(
                ("arrival", name, arrival, waiting),
                name,
                partial(_task, arrival, count, waiting),
                lasts,
            )
            for name in opened
            for waiting in WAITING
        ]

    return Scenario(f"inputs arriving {arrival}", names, cells)


def schedule(arrival: Arrival, count: int, replicate: int) -> list[int]:
    """Give when inputs arrive, in nanoseconds from the beginning.

    Every variant gets the same times; another replicate gets others, where they are random.
    """
    draw = random.Random(replicate)
    if arrival.process == "periodic":
        gaps = [1 / arrival.rate] * count
    else:
        gaps = [draw.expovariate(arrival.rate) for _ in range(count)]
    return [round(moment * 1e9) for moment in accumulate(gaps)]


def answer_arrivals(
    held: Prepared, *, moments: Sequence[int], waiting: Waiting, replicate: int
) -> ArrivalTurn:
    """Answer inputs as they arrive, in order; in the worker."""
    clock, wait = time.perf_counter_ns, _sleep_until if waiting == "sleeping" else _watch_until
    latencies, times, most = list[int](), list[int](), int(_MOST_BEHIND_SECONDS * 1e9)
    _lead(held)
    with _sharp_timer():
        began, cpu = clock(), time.process_time_ns()
        for moment, call in zip(moments, held.calls, strict=False):
            due = began + moment
            if clock() - due > most:
                break
            wait(due)
            start = clock()
            call()
            end = clock()
            latencies.append(end - due)
            times.append(end - start)
        cpu = time.process_time_ns() - cpu
        wall = clock() - began - moments[0]
    return ArrivalTurn(replicate, latencies, times, len(moments) - len(times), wall, cpu)


def latency(
    variant: str,
    arrival: Arrival,
    waiting: Waiting,
    turns: Sequence[ArrivalTurn],
    deadline: float | None = None,
) -> ArrivalLatency:
    """Sum up the answers of one variant to inputs that arrived in one way."""
    every = [latency for turn in turns for latency in turn.latencies_ns]
    calls = [time for turn in turns for time in turn.calls_ns]
    p90, p95, p99 = percentiles(every)
    if deadline is None and arrival.process == "periodic":
        deadline = 1 / arrival.rate
    wall = sum(turn.wall_ns for turn in turns)
    return ArrivalLatency(
        variant=variant,
        arrival=str(arrival),
        rate=arrival.rate,
        waiting=waiting,
        arrivals=len(every) + sum(turn.given_up for turn in turns),
        median_seconds=middle(every),
        p90_seconds=p90,
        p95_seconds=p95,
        p99_seconds=p99,
        interval=over_sessions(middle(turn.latencies_ns) for turn in turns),
        call_seconds=middle(calls),
        call_interval=over_sessions(middle(turn.calls_ns) for turn in turns),
        deadline_seconds=deadline,
        missed=_missed(turns, deadline),
        busy_share=sum(calls) / wall if wall else None,
        keeps_up=not any(map(_falls_behind, turns)),
        cpu_seconds=sum(turn.cpu_ns for turn in turns) / len(every) / 1e9 if every else None,
        turns=tuple(turns),
    )


def _task(arrival: Arrival, count: int, waiting: Waiting, replicate: int) -> partial[ArrivalTurn]:
    moments = schedule(arrival, count, replicate)
    return partial(answer_arrivals, moments=moments, waiting=waiting, replicate=replicate)


def _missed(turns: Sequence[ArrivalTurn], deadline: float | None) -> Interval | None:
    if deadline is None:
        return None
    late = sum(time > deadline * 1e9 for turn in turns for time in turn.latencies_ns)
    given_up = sum(turn.given_up for turn in turns)
    count = given_up + sum(len(turn.latencies_ns) for turn in turns)
    return wilson(late + given_up, count) if count else None


def _falls_behind(turn: ArrivalTurn) -> bool:
    # A queue that comes and goes is what random arrivals make; one that only grows is no queue.
    return turn.given_up > 0 or sum(turn.calls_ns) >= 0.98 * turn.wall_ns


def _lead(held: Prepared) -> None:
    # The session has waited for its turn: the first call after that is another thing to measure.
    end = time.perf_counter_ns() + _LEAD_NS
    for call in held.calls:
        call()
        if time.perf_counter_ns() > end:
            return


def _sleep_until(due: int) -> None:
    left = due - time.perf_counter_ns()
    if left > 0:
        time.sleep(left / 1e9)


def _watch_until(due: int) -> None:
    while time.perf_counter_ns() < due:
        pass


@contextmanager
def _sharp_timer() -> Iterator[None]:
    """Have sleeps end on time: Linux lets them last 50 µs longer, and a camera's signal does not.

    Source: prctl(2), PR_SET_TIMERSLACK; 0 sets it back to what it was at first.
    """
    if not sys.platform.startswith("linux"):
        yield
        return
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_TIMERSLACK, ctypes.c_ulong(1), 0, 0, 0)
    try:
        yield
    finally:
        libc.prctl(_PR_SET_TIMERSLACK, ctypes.c_ulong(0), 0, 0, 0)
