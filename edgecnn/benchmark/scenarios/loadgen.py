"""The four scenarios of MLPerf Inference: MLCommons' LoadGen asks, the session of a worker answers.

LoadGen (package mlcommons-loadgen) decides when a query comes and which samples it holds, and
judges the run; its figures are taken from its own log. A sample is what one call takes: a batch of
the bench's images. A query of several samples is answered call after call, by one caller.

SingleStream is the one that must agree with the steady state, so that calls are timed in our own
way too, in the same session, before and after. What LoadGen's way into Python costs is measured
with a callback that has nothing to do.

Source: V. J. Reddi et al., MLPerf Inference Benchmark, ISCA 2020; github.com/mlcommons/inference.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import fmean, median

from edgecnn.benchmark.plan import LEAD_SECONDS
from edgecnn.benchmark.scenarios.figures import over_sessions
from edgecnn.benchmark.scenarios.loadgen_driver import (
    LoadGenSettings,
    drive,
    make_settings,
    nothing,
)
from edgecnn.benchmark.scenarios.loadgen_log import LoadGenLog
from edgecnn.benchmark.scenarios.turns import Cell, Extent, Scenario
from edgecnn.benchmark.scenarios.wanted import LoadGenName, LoadGenTest
from edgecnn.stats import Interval, samples_for_percentile
from edgecnn.worker import Opened, Prepared
from edgecnn.worker.serving import time_calls

_LEAST_SECONDS = 0.03
_SINGLE_STREAM_SHARE = 0.6  # of a turn; the rest is ours, half before it and half after
_OWN_CALLS = 3
_EMPTY_QUERIES = 2000


@dataclass(frozen=True)
class LoadGenTurn:
    """One run of LoadGen on one session.

    Attributes:
        replicate: Counted from 0.
        log: What LoadGen's log says of it.
        calls_ns: In SingleStream, the time of each call, taken inside the callback; LoadGen logs
            single latencies only with its trace on, which would slow down what is measured.
        own_ns: In SingleStream, calls timed as in the steady state, before LoadGen's run and after.
        empty_ns: In SingleStream, LoadGen's median for a callback that has nothing to do.
    """

    replicate: int
    log: LoadGenLog
    calls_ns: list[int]
    own_ns: list[list[int]]
    empty_ns: int | None

    @property
    def ratio(self) -> float | None:
        """LoadGen's median over the median of our own calls; None outside SingleStream."""
        return self._ratio(0)

    @property
    def net_ratio(self) -> float | None:
        """The same, without what LoadGen's way into Python costs."""
        return self._ratio(self.empty_ns or 0)

    @property
    def own_seconds(self) -> float | None:
        """Median of our own calls, both sides weighing the same; None outside SingleStream."""
        if not self.own_ns:
            return None
        return math.exp(fmean(math.log(median(times)) for times in self.own_ns)) / 1e9

    def _ratio(self, off_ns: int) -> float | None:
        theirs = self.log.latencies_ns.get("50")
        own = self.own_seconds
        return None if theirs is None or own is None else (theirs - off_ns) / 1e9 / own


@dataclass(frozen=True)
class Agreement:
    """LoadGen's SingleStream beside calls that are timed as in the steady state, same session.

    Attributes:
        own_seconds: Median of our own calls.
        call_seconds: Median of the calls inside LoadGen's callback: what LoadGen does between two
            of them leaves colder caches behind.
        empty_seconds: LoadGen's median for a callback that has nothing to do.
        ratio: LoadGen's median over ours as they are, with the 95 % interval over the sessions.
        net_ratio: The same with `empty_seconds` taken off LoadGen's.
    """

    own_seconds: float
    call_seconds: float
    empty_seconds: float
    ratio: Interval
    net_ratio: Interval


@dataclass(frozen=True)
class LoadGenResult:
    """What LoadGen says of one variant in one scenario; times in seconds.

    LoadGen runs once in each session. Figures are the medians of what it said of each; they are
    not computed from single latencies.

    Attributes:
        variant: What answered.
        scenario: `single-stream`, `multi-stream`, `offline` or `server`.
        loadgen: LoadGen's version.
        valid: LoadGen called each run VALID.
        reasons: Otherwise, what it gave as reasons for the first that was not.
        seconds: The least duration that a run was asked for.
        rate: Samples in a second that came in, in Server; None elsewhere.
        bound_seconds: When an answer came too late, in Server: 1 in 100 may; None elsewhere.
        samples_per_query: Samples in a query; the most, where they differ.
        images_per_sample: Images in a sample: the bench's batch.
        queries: How many there were, in all runs.
        samples_per_second: Samples answered in a second, with the 95 % interval over the sessions.
        median_seconds: Median latency of a query, in Server from when it was due; None in Offline.
        p90_seconds: 90th percentile, where each run had 29 queries.
        p99_seconds: 99th percentile, where each run had 299.
        interval: The median's 95 % interval over the sessions.
        agreement: In SingleStream, how it agrees with our own timing.
        note: What the figures are not.
        turns: All of it, raw.
    """

    variant: str
    scenario: LoadGenName
    loadgen: str
    valid: bool
    reasons: tuple[str, ...]
    seconds: float
    rate: float | None
    bound_seconds: float | None
    samples_per_query: int
    images_per_sample: int
    queries: int
    samples_per_second: Interval | None
    median_seconds: float | None
    p90_seconds: float | None
    p99_seconds: float | None
    interval: Interval | None
    agreement: Agreement | None
    note: str
    turns: tuple[LoadGenTurn, ...]


def scenario(
    test: LoadGenTest,
    steady: Mapping[str, float],
    deadline: float | None,
    extent: Extent,
) -> Scenario:
    """Let LoadGen ask.

    Args:
        test: Its scenario.
        steady: What a call takes in the steady state, in seconds, by variant.
        deadline: When an answer comes too late, in Server; 10 steady calls where None.
        extent: How much.
    """
    length = max(_LEAST_SECONDS, extent.slot_seconds)
    share = _SINGLE_STREAM_SHARE if test.scenario == "single-stream" else 1.0

    def cells(opened: Mapping[str, Opened]) -> Sequence[Cell]:
        found = []
        for name in opened:
            settings = make_settings(test, steady[name], deadline, share * length)
            task = partial(_task, settings)
            found.append(Cell(("loadgen", name, settings), name, task, 3 * length))
        return found

    return Scenario(f"LoadGen, {test}", list(steady), cells)


def answer_loadgen(held: Prepared, *, settings: LoadGenSettings, replicate: int) -> LoadGenTurn:
    """Answer what LoadGen asks, in SingleStream between calls of our own; in the worker."""
    if settings.scenario != "single-stream":
        _, log = ask(held, settings=settings, replicate=replicate)
        return LoadGenTurn(replicate, log, [], [], None)
    beside = settings.seconds * (1 / _SINGLE_STREAM_SHARE - 1) / 2
    empty = ask_nothing(held)
    before = _own(held, beside)
    times, log = ask(held, settings=settings, replicate=replicate)
    after = _own(held, beside)
    return LoadGenTurn(replicate, log, times, [before, after], empty)


def ask(
    held: Prepared, *, settings: LoadGenSettings, replicate: int
) -> tuple[list[int], LoadGenLog]:
    """Let LoadGen ask the session, as `drive` does; in the worker."""
    return drive(settings, [held.session.prepare(batch) for batch in held.batches], replicate)


def ask_nothing(held: Prepared) -> int:
    """Give LoadGen's median for a callback that has nothing to do, in nanoseconds; in the worker.

    It is SingleStream's, for as many samples as the session has.
    """
    few = LoadGenSettings("single-stream", 0.0, 1e-6, fewest_queries=_EMPTY_QUERIES)
    _, log = drive(few, [nothing] * len(held.batches), 0)
    return log.latencies_ns["50"]


def note(seconds: float) -> str:
    """Say what runs of so many seconds are not."""
    return (
        f"No MLPerf submission: each run was asked for {seconds:.2g} s, and MLPerf asks for 10 "
        "minutes, with models, data and rules of its own"
    )


def result(
    variant: str, settings: LoadGenSettings, turns: Sequence[LoadGenTurn], batch_size: int
) -> LoadGenResult:
    """Sum up the runs of one variant in one scenario."""
    logs = [turn.log for turn in turns]
    invalid = [log for log in logs if not log.valid]
    return LoadGenResult(
        variant=variant,
        scenario=settings.scenario,
        loadgen=logs[0].version,
        valid=not invalid,
        reasons=invalid[0].reasons if invalid else (),
        seconds=settings.seconds,
        rate=settings.rate,
        bound_seconds=settings.bound_seconds,
        samples_per_query=max(log.samples_per_query for log in logs),
        images_per_sample=batch_size,
        queries=sum(log.queries for log in logs),
        samples_per_second=over_sessions(log.samples_per_second for log in logs),
        median_seconds=_percentile(logs, "50"),
        p90_seconds=_percentile(logs, "90"),
        p99_seconds=_percentile(logs, "99"),
        interval=over_sessions(_seconds(log, "50") for log in logs),
        agreement=_agreement(turns),
        note=note(settings.seconds),
        turns=tuple(turns),
    )


def _task(settings: LoadGenSettings, replicate: int) -> partial[LoadGenTurn]:
    return partial(answer_loadgen, settings=settings, replicate=replicate)


def _agreement(turns: Sequence[LoadGenTurn]) -> Agreement | None:
    ratio = over_sessions(turn.ratio for turn in turns)
    net = over_sessions(turn.net_ratio for turn in turns)
    own = [turn.own_seconds for turn in turns if turn.own_seconds is not None]
    empty = [turn.empty_ns for turn in turns if turn.empty_ns is not None]
    if ratio is None or net is None:
        return None
    calls = [median(turn.calls_ns) for turn in turns if turn.calls_ns]
    return Agreement(median(own), median(calls) / 1e9, median(empty) / 1e9, ratio, net)


def _percentile(logs: Sequence[LoadGenLog], key: str) -> float | None:
    """Give the median of what LoadGen said; None where a run had too few queries to support it."""
    found = [_seconds(log, key) for log in logs]
    fewest = 1 if key == "50" else samples_for_percentile(int(key) / 100)
    known = [seconds for seconds in found if seconds is not None]
    if len(known) < len(logs) or min(log.queries for log in logs) < fewest:
        return None
    return median(known)


def _seconds(log: LoadGenLog, key: str) -> float | None:
    found = log.latencies_ns.get(key)
    return None if found is None else found / 1e9


def _own(held: Prepared, seconds: float) -> list[int]:
    """Time calls as in the steady state."""
    time_calls(held.calls, LEAD_SECONDS, 1)
    return time_calls(held.calls, seconds, _OWN_CALLS)
