"""What a bench says to a gate: figures with intervals over sessions, and changes with theirs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from statistics import fmean, median

from edgecnn.benchmark.estimate import (
    Contrast,
    contrast,
    noise_floor,
    ratio_interval,
    session_interval,
)
from edgecnn.benchmark.report import BenchReport, VariantLatency
from edgecnn.benchmark.samples import Samples, SessionRecord
from edgecnn.gating import METRICS, Figure, Gate, check
from edgecnn.stats import Interval, median_interval, percentile

# Of the times of one session's calls, in seconds; None where they are too few.
_OF_CALLS: dict[str, Callable[[Sequence[float]], float | None]] = {
    "latency.median": median,
    "latency.p90": partial(percentile, share=0.9),
    "latency.p95": partial(percentile, share=0.95),
    "latency.p99": partial(percentile, share=0.99),
    "latency.min": min,
    "throughput": lambda seconds: 1 / fmean(seconds),
}
_OF_PROCESS: dict[str, Callable[[SessionRecord], float]] = {
    "cold_start": lambda one: (
        one.start_seconds + one.import_seconds + one.load_seconds + one.first_run_seconds
    ),
    "first_run": lambda one: one.first_run_seconds,
    "memory.peak": lambda one: one.peak_bytes,
}
_TIMED = ("time", "rate")


def judge(gates: Sequence[Gate], report: BenchReport) -> BenchReport:
    """Hold a bench against gates, and keep in it what became of them."""
    return replace(report, gates=check(gates, tuple(figures(report)))) if gates else report


def figures(report: BenchReport) -> Iterator[Figure]:
    """Give all that a gate can ask of a bench, of every variant but the baseline's."""
    rivals = (
        {pair.variant: pair.baseline for pair in report.baseline.pairs} if (report.baseline) else {}
    )
    rows = {row.variant: row for row in report.variants}
    for row in report.variants:
        if row.variant in rivals.values():
            continue
        yield from _absolute(report, row)
        if report.baseline:
            yield from _changes(report, row, rows.get(rivals.get(row.variant, "")))


def _absolute(report: BenchReport, row: VariantLatency) -> Iterator[Figure]:
    yield Figure("size", row.variant, _exact(row.size_bytes))
    for metric in (*_OF_CALLS, *_OF_PROCESS):
        values = list(_by_session(report.samples, row.variant, metric).values())
        figure = median_interval(values) if metric in _OF_PROCESS else session_interval(values)
        if figure and metric == "throughput":
            figure = _times(figure, report.setup.batch_size)
        why = "" if figure else _why(report, row, metric)
        yield Figure(metric, row.variant, figure, doubt=why or _doubt(report, metric))


def _changes(
    report: BenchReport, row: VariantLatency, rival: VariantLatency | None
) -> Iterator[Figure]:
    if rival is None:
        why = "the baseline has no such variant"
        for metric in ("size", *_OF_CALLS, *_OF_PROCESS):
            yield Figure(metric, row.variant, None, relative=True, doubt=why)
        return
    size = _exact(row.size_bytes / rival.size_bytes - 1)
    yield Figure("size", row.variant, size, relative=True)
    for metric in (*_OF_CALLS, *_OF_PROCESS):
        yield _change(report, row, rival, metric)


def _change(report: BenchReport, row: VariantLatency, rival: VariantLatency, metric: str) -> Figure:
    found = _compared(report, rival.variant, row.variant, metric)
    if not found.ratios:
        why = "the baseline failed" if rival.failure else _why(report, row, metric)
        return Figure(metric, row.variant, None, relative=True, doubt=why)
    ratio = ratio_interval(found)
    change = Interval(ratio.estimate - 1, ratio.low - 1, ratio.high - 1, ratio.confidence)
    floor, doubt = noise_floor(found), _doubt(report, metric)
    return Figure(metric, row.variant, change, relative=True, floor=floor, doubt=doubt)


def _compared(report: BenchReport, first: str, second: str, metric: str) -> Contrast:
    if metric == "latency.median":  # block by block, as it is printed
        return contrast(report.samples, first, second)
    sessions = report.samples.sessions
    ours, theirs = (_logs(report.samples, name, metric) for name in (first, second))
    ratios, nulls = list[float](), list[float]()
    for replicate in sorted({sessions[number].replicate for number in ours}):
        both = [
            [log for number, log in logs.items() if sessions[number].replicate == replicate]
            for logs in (ours, theirs)
        ]
        if all(len(logs) == 2 for logs in both):
            ratios.append(fmean(both[1]) - fmean(both[0]))
            nulls += [(b - a) / 2 for a, b in both]
    return Contrast(tuple(ratios), tuple(nulls), len(ratios))


def _logs(samples: Samples, name: str, metric: str) -> dict[int, float]:
    found = _by_session(samples, name, metric)
    return {number: math.log(value) for number, value in found.items()}


def _by_session(samples: Samples, name: str, metric: str) -> Mapping[int, float]:
    """Give a figure of each session of a variant, by its number; nothing if one has none."""
    if metric in _OF_PROCESS:
        own = [(n, one) for n, one in enumerate(samples.sessions) if one.variant == name]
        values: dict[int, float | None] = {n: _OF_PROCESS[metric](one) or None for n, one in own}
    else:
        values = {
            n: _OF_CALLS[metric](times) for n, times in _seconds_by_session(samples, name).items()
        }
    known = {number: value for number, value in values.items() if value is not None}
    return known if len(known) == len(values) else {}


def _seconds_by_session(samples: Samples, name: str) -> dict[int, list[float]]:
    found: dict[int, list[float]] = {}
    for leg in samples.legs(name):
        found.setdefault(leg.session, []).extend(time / 1e9 for time in leg.times_ns)
    return found


def _why(report: BenchReport, row: VariantLatency, metric: str) -> str:
    """Say why a figure is not known."""
    if row.failure:
        return "it failed"
    if metric in _OF_PROCESS:
        count = sum(one.variant == row.variant for one in report.samples.sessions)
        return f"{count} processes are too few, or do not tell; measure longer, with --duration"
    calls = min(map(len, _seconds_by_session(report.samples, row.variant).values()), default=0)
    return f"{calls} calls in a process are too few; measure longer, with --duration"


def _doubt(report: BenchReport, metric: str) -> str:
    if report.valid or METRICS[metric].kind not in _TIMED:
        return ""
    return f"the run is not valid: {'; '.join(report.reasons)}"


def _exact(value: float) -> Interval:
    return Interval(value, value, value)


def _times(figure: Interval, factor: float) -> Interval:
    low, high = factor * figure.low, factor * figure.high
    return Interval(factor * figure.estimate, low, high, figure.confidence)
