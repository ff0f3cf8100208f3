"""Summing up what was measured: a row for each variant, the comparisons, and the doubts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean, median

from edgecnn.benchmark.doubts import find_doubts
from edgecnn.benchmark.estimate import (
    Contrast,
    LatencyComparison,
    alone,
    compare,
    contrast,
    noise_floor,
    session_interval,
)
from edgecnn.benchmark.plan import Plan
from edgecnn.benchmark.report import BenchReport, ColdStart, Setup, VariantLatency
from edgecnn.benchmark.samples import Samples, SessionRecord
from edgecnn.benchmark.scenarios.report import ScenarioReport
from edgecnn.conditions import Conditions
from edgecnn.placement import Placement
from edgecnn.spec import Precision
from edgecnn.stats import Interval, percentile


@dataclass(frozen=True)
class Measured:
    """What is known of a variant without measuring it."""

    name: str
    precision: Precision
    size_bytes: int
    place: str = ""
    threads: int = 0
    placement: Placement | None = None


def latency(what: Measured, samples: Samples, batch_size: int) -> VariantLatency:
    """Sum up one variant."""
    times = [time / 1e9 for time in samples.times_ns(what.name)]
    sessions = [record for record in samples.sessions if record.variant == what.name]
    finished = [record for record in sessions if record.resident_bytes]
    return VariantLatency(
        variant=what.name,
        precision=what.precision,
        calls=len(times),
        median_seconds=median(times) if times else None,
        minimum_seconds=min(times, default=None),
        p90_seconds=percentile(times, 0.9),
        p95_seconds=percentile(times, 0.95),
        p99_seconds=percentile(times, 0.99),
        p999_seconds=percentile(times, 0.999),
        images_per_second=batch_size / fmean(times) if times else None,
        checks_seconds=_checks_seconds(what.name, samples),
        resident_bytes=_middle([record.resident_bytes for record in finished]),
        peak_bytes=_middle([record.peak_bytes for record in finished]),
        size_bytes=what.size_bytes,
        warmup_runs=_middle([record.warmup.runs for record in sessions]),
        cold_start=cold_start(sessions),
        failure=next((f.problem for f in samples.failures if f.variant == what.name), ""),
        place=what.place,
        threads=what.threads,
        intervals=intervals(what.name, samples),
        cpu_seconds=_cpu_seconds(what.name, samples),
        spin_seconds=_spin_seconds(what.name, samples),
        placement=what.placement,
    )


def intervals(name: str, samples: Samples) -> dict[str, Interval]:
    """Give the intervals of a variant's median and percentiles over its sessions, in seconds.

    A percentile is left out where a session alone has too few calls to support it.
    """
    sessions = [[time / 1e9 for time in own] for own in samples.by_session(name)]
    shares = {"p90": 0.9, "p95": 0.95, "p99": 0.99}
    figures = {"median": [median(own) for own in sessions]}
    for key, share in shares.items():
        found = [percentile(own, share) for own in sessions]
        figures[key] = [value for value in found if value is not None]
    whole = {key: own for key, own in figures.items() if len(own) == len(sessions)}
    made = {key: session_interval(own) for key, own in whole.items()}
    return {key: interval for key, interval in made.items() if interval is not None}


def cold_start(sessions: Sequence[SessionRecord]) -> ColdStart | None:
    """Give the medians of the sessions' beginnings; None if there were no sessions."""
    if not sessions:
        return None
    start = [one.start_seconds for one in sessions]
    imported = [one.import_seconds for one in sessions]
    load = [one.load_seconds for one in sessions]
    first_run = [one.first_run_seconds for one in sessions]
    total = map(sum, zip(start, imported, load, first_run, strict=True))
    return ColdStart(
        start_seconds=median(start),
        import_seconds=median(imported),
        load_seconds=median(load),
        first_run_seconds=median(first_run),
        total_seconds=median(total),
        processes=len(sessions),
    )


def comparisons(
    samples: Samples, rows: Sequence[VariantLatency], pairs: Sequence[tuple[str, str]]
) -> list[LatencyComparison]:
    """Compare each pair, where blocks were measured."""
    medians = {row.variant: row.median_seconds for row in rows}
    found = []
    for first, second in pairs:
        blocks, both = contrast(samples, first, second), (medians[first], medians[second])
        if blocks.ratios and both[0] and both[1]:
            found.append(compare(first, second, (both[0], both[1]), blocks))
    return found


def contrasts(
    samples: Samples, names: Sequence[str], pairs: Sequence[tuple[str, str]]
) -> list[Contrast]:
    """Give what is compared: each pair, or each variant with itself where there is none."""
    if pairs:
        return [contrast(samples, *pair) for pair in pairs]
    return [alone(samples, name) for name in names]


def sum_up(
    samples: Samples,
    measured: Sequence[Measured],
    pairs: Sequence[tuple[str, str]],
    setup: Setup,
    plan: Plan,
    *,
    interrupted: bool = False,
    scenarios: ScenarioReport | None = None,
    conditions: Conditions | None = None,
) -> BenchReport:
    """Make a report of what was measured so far."""
    scenarios = scenarios or ScenarioReport()
    rows = [latency(what, samples, setup.batch_size) for what in measured]
    if not plan.cold_start:
        rows = [replace(row, cold_start=None) for row in rows]
    found = contrasts(samples, [what.name for what in measured], pairs)
    floors = [noise_floor(one) for one in found if one.nulls]
    doubts = find_doubts(samples, found, rows, conditions, interrupted=interrupted)
    doubts = [*scenarios.doubts, *doubts]
    reasons = tuple(doubt.what for doubt in doubts if doubt.invalid)
    return BenchReport(
        setup=setup,
        plan=plan,
        variants=tuple(rows),
        comparisons=tuple(comparisons(samples, rows, pairs)),
        noise_floor=max(floors, default=None),
        valid=not reasons,
        reasons=reasons,
        interrupted=interrupted,
        samples=samples,
        scenarios=scenarios,
        conditions=conditions,
        doubts=tuple(doubts),
    )


def _cpu_seconds(name: str, samples: Samples) -> float | None:
    legs = list(samples.legs(name))
    calls = sum(len(leg.times_ns) for leg in legs)
    return sum(leg.cpu_ns for leg in legs) / calls / 1e9 if calls else None


def _spin_seconds(name: str, samples: Samples) -> float | None:
    settled = [leg.settle_cpu_ns for leg in samples.legs(name)]
    return median(settled) / 1e9 if settled else None


def _checks_seconds(name: str, samples: Samples) -> float | None:
    for checks in samples.checks:
        if checks.variant == name:
            return (median(checks.checked_ns) - median(checks.bare_ns)) / 1e9
    return None


def _middle(values: Sequence[int]) -> int:
    return int(median(values)) if values else 0
