"""Throughput of several callers on one session: what a server does with it.

The callers are threads of one process, each of which calls as soon as it has its answer. Python
lets one thread run at a time outside the engine, so that with very short calls they wait for one
another; a C program would not. Spinning is measured on and off, where there is more than one thread
to spin: threads that wait for work by spinning take the cores from the other callers.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import cycle, islice
from typing import TYPE_CHECKING, Literal

from edgecnn.benchmark.engine import Subject
from edgecnn.benchmark.scenarios.figures import middle, over_sessions, percentiles
from edgecnn.benchmark.scenarios.turns import (
    Cell,
    Extent,
    Extra,
    Scenario,
    without_spinning,
)
from edgecnn.runtime import load_runtime
from edgecnn.stats import Interval
from edgecnn.worker import Opened, Prepared

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgecnn.runtime import Arrays

    Outputs = Mapping[str, NDArray[np.generic]]

Spinning = Literal["on", "off", "-"]

_LEAST_SECONDS = 0.05
_FEWEST_CALLS = 3
_LEAD_CALLS = 3
_CHECKED_CALLS = 3
_CLOSE = 1e-3


@dataclass(frozen=True)
class CallersTurn:
    """Several callers on one session, for a while.

    Attributes:
        replicate: Counted from 0.
        times_ns: Times of each caller's calls, in order.
        walls_ns: From the common beginning to the end of each caller's last call.
        cpu_ns: CPU time of all the process's threads in that time.
        agrees: While all were calling, every answer was what it is alone.
    """

    replicate: int
    times_ns: list[list[int]]
    walls_ns: list[int]
    cpu_ns: int
    agrees: bool

    @property
    def per_second(self) -> float:
        """Calls in a second: each caller's own rate, added up."""
        pairs = zip(self.times_ns, self.walls_ns, strict=True)
        return sum(len(times) / wall * 1e9 for times, wall in pairs)


@dataclass(frozen=True)
class Throughput:
    """What a number of callers get out of one session.

    Attributes:
        variant: What was called.
        callers: How many at once.
        spinning: Whether the engine's threads wait by spinning; `-` where there is but one, or the
            runtime has no such option.
        calls: Timed calls in all.
        images_per_second: Images in a second, all callers together, with the 95 % interval over
            the sessions.
        gain: Throughput over that of one caller in the same session, with its 95 % interval.
        median_seconds: Median time of a call, as each caller sees it.
        p90_seconds: 90th percentile; 29 calls support it.
        p99_seconds: 99th percentile; 299 calls.
        cores: Cores' worth of CPU time that it took.
        cpu_seconds: CPU time for a call, all threads.
        agrees: Every answer was what it is alone.
        turns: All of it, raw.
    """

    variant: str
    callers: int
    spinning: Spinning
    calls: int
    images_per_second: Interval | None
    gain: Interval | None
    median_seconds: float | None
    p90_seconds: float | None
    p99_seconds: float | None
    cores: float | None
    cpu_seconds: float | None
    agrees: bool
    turns: tuple[CallersTurn, ...]


def scenario(subjects: Sequence[Subject], callers: Sequence[int], extent: Extent) -> Scenario:
    """Time several callers at once.

    Args:
        subjects: What they call.
        callers: How many; one is added.
        extent: How much.
    """
    counts = sorted({1, *callers})
    names = {subject.name: (subject.name, _spinning(subject)) for subject in subjects}
    names |= {without_spinning(each).name: (each.name, "off") for each in subjects}

    def cells(opened: Mapping[str, Opened]) -> Sequence[Cell]:
        each = extent.slot_seconds * len(subjects) / (len(opened) * len(counts))
        lasts = max(_LEAST_SECONDS, each)
        found = []
        for lane, what in opened.items():
            variant, spinning = names[lane]
            shown = spinning if what.threads > 1 else "-"
            for count in counts:
                key = ("callers", variant, shown, count)
                found.append(Cell(key, lane, partial(_task, count, lasts), 2 * lasts))
        return found

    return Scenario(f"{' and '.join(map(str, counts))} callers at once", list(names), cells)


def extras(subjects: Sequence[Subject]) -> list[Extra]:
    """Give what else to open: the same without spinning, where threads could spin."""
    return [
        Extra(without_spinning(subject), subject.name, lambda opened: opened.threads > 1)
        for subject in subjects
        if _spinning(subject) == "on"
    ]


def throughput(
    variant: str,
    callers: int,
    spinning: Spinning,
    turns: Sequence[CallersTurn],
    alone: Sequence[CallersTurn],
    batch_size: int,
) -> Throughput:
    """Sum up what a number of callers got out of a variant.

    Args:
        variant: What was called.
        callers: How many called.
        spinning: As in Throughput.
        turns: Their turns.
        alone: Turns of one caller in the same sessions.
        batch_size: Images in one call.
    """
    times = [time for turn in turns for own in turn.times_ns for time in own]
    single = {turn.replicate: turn.per_second for turn in alone}
    pairs = [(turn, single[turn.replicate]) for turn in turns if turn.replicate in single]
    p90, _, p99 = percentiles(times)
    wall, cpu = sum(max(turn.walls_ns) for turn in turns), sum(turn.cpu_ns for turn in turns)
    return Throughput(
        variant=variant,
        callers=callers,
        spinning=spinning,
        calls=len(times),
        images_per_second=over_sessions(turn.per_second * batch_size for turn in turns),
        gain=over_sessions(turn.per_second / one for turn, one in pairs) if callers > 1 else None,
        median_seconds=middle(times),
        p90_seconds=p90,
        p99_seconds=p99,
        cores=cpu / wall if wall else None,
        cpu_seconds=cpu / len(times) / 1e9 if times else None,
        agrees=all(turn.agrees for turn in turns),
        turns=tuple(turns),
    )


def call_at_once(held: Prepared, *, callers: int, seconds: float, replicate: int) -> CallersTurn:
    """Call from several threads; in the worker."""
    agrees = _agrees(held, callers)
    gate = threading.Barrier(callers)
    times: list[list[int]] = [[] for _ in range(callers)]
    walls = [0] * callers
    cpus = [0] * callers

    def go_on(caller: int) -> None:
        calls = cycle([held.session.prepare(batch) for batch in _from(held.batches, caller)])
        for call in islice(calls, _LEAD_CALLS):
            call()
        gate.wait()
        clock, own = time.perf_counter_ns, times[caller]
        began, cpus[caller] = clock(), time.process_time_ns()
        deadline = began + int(seconds * 1e9)
        for call in calls:
            start = clock()
            call()
            end = clock()
            own.append(end - start)
            if end >= deadline and len(own) >= _FEWEST_CALLS:
                break
        walls[caller] = end - began

    _all_at_once(go_on, callers, gate)
    cpu = time.process_time_ns() - min(cpus)
    return CallersTurn(replicate, times, walls, cpu, agrees)


def _task(callers: int, seconds: float, replicate: int) -> partial[CallersTurn]:
    return partial(call_at_once, callers=callers, seconds=seconds, replicate=replicate)


def _agrees(held: Prepared, callers: int) -> bool:
    """Say whether the answers are the same while others call: an engine might share a buffer."""
    if callers == 1:
        return True
    alone = [held.session.run(batch) for batch in held.batches]
    found = [True] * callers

    def compare(caller: int) -> None:
        for number in range(_CHECKED_CALLS):
            at = (caller + number) % len(alone)
            found[caller] &= _alike(held.session.run(held.batches[at]), alone[at])

    _all_at_once(compare, callers)
    return all(found)


def _alike(answer: Outputs, alone: Outputs) -> bool:
    import numpy as np

    for name, value in alone.items():
        far = _CLOSE * float(np.abs(np.asarray(value, np.float64)).max(initial=0.0))
        if not np.allclose(answer[name], value, rtol=0, atol=far):
            return False
    return True


def _all_at_once(
    work: Callable[[int], None], callers: int, gate: threading.Barrier | None = None
) -> None:
    """Do something in so many threads; what fails in one is raised here."""
    errors: list[BaseException] = []

    def guarded(caller: int) -> None:
        try:
            work(caller)
        except BaseException as error:
            errors.append(error)
            if gate:
                gate.abort()  # the others would wait for it for good

    with ThreadPoolExecutor(callers) as threads:
        list(threads.map(guarded, range(callers)))
    if errors:
        raise errors[0]


def _from(batches: Sequence[Arrays], caller: int) -> list[Arrays]:
    at = caller % len(batches)
    return [*batches[at:], *batches[:at]]


def _spinning(subject: Subject) -> Spinning:
    given = (subject.place.options or {}).get("spinning")
    if given is None and "spinning" not in getattr(
        load_runtime(subject.place.runtime), "OPTIONS", {}
    ):
        return "-"
    return "off" if given == "off" else "on"
