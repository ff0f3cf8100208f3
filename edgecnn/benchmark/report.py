"""What a bench found: a row for each variant, the comparisons, and whether it is valid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean, median
from typing import Any, ClassVar

from edgecnn.benchmark.estimate import (
    FEWEST_BLOCKS,
    FEWEST_REPLICATES,
    Contrast,
    LatencyComparison,
    alone,
    compare,
    contrast,
    noise_floor,
    session_interval,
)
from edgecnn.benchmark.plan import Plan
from edgecnn.benchmark.replayed import Replay
from edgecnn.benchmark.samples import Samples, SessionRecord
from edgecnn.benchmark.scenarios.report import ScenarioReport
from edgecnn.benchmark.upgrade import from_version_1
from edgecnn.gating import GateResult
from edgecnn.spec import Precision
from edgecnn.stats import Interval, percentile

LARGEST_FLOOR = 0.10


@dataclass(frozen=True)
class ColdStart:
    """From nothing to the first answer in a fresh process; medians, in seconds.

    Attributes:
        start_seconds: Python and edgecnn up in a new process.
        import_seconds: The runtime's adapter and engine imported.
        load_seconds: The session made from the file.
        first_run_seconds: The first run.
        total_seconds: All four; the median of the sums.
        processes: How many processes were started.
    """

    start_seconds: float
    import_seconds: float
    load_seconds: float
    first_run_seconds: float
    total_seconds: float
    processes: int


@dataclass(frozen=True)
class VariantLatency:
    """What was measured of one variant; times in seconds, None where too little was measured.

    Attributes:
        variant: Its name.
        precision: Its precision.
        calls: Timed calls in the steady state.
        median_seconds: Median.
        minimum_seconds: Smallest.
        p90_seconds: 90th percentile; 29 calls support it.
        p95_seconds: 95th percentile; 59 calls.
        p99_seconds: 99th percentile; 299 calls.
        p999_seconds: 99.9th percentile; 2,995 calls.
        images_per_second: Images over the time spent in calls.
        checks_seconds: What edgecnn's own checks add to a call of `CheckedSession.run`.
        resident_bytes: Memory of the worker's whole process after its runs; Python, the engine and
            the model together; 0 if unknown.
        peak_bytes: The most that ever was resident; 0 if unknown.
        size_bytes: Size of the variant's files.
        warmup_runs: Runs before measuring began; median over the sessions.
        cold_start: From nothing to the first answer.
        failure: Why it could not be measured to the end; empty if it could.
        place: Runtime and provider, such as `ort/cpu`; empty if it was never opened.
        threads: Threads within an operator.
        intervals: 95 % intervals of `median`, `p90`, `p95` and `p99`, in seconds, over the
            sessions: what another process would give. The estimate is the sessions' mean.
        cpu_seconds: CPU time of a call, of all threads of the process.
        spin_seconds: CPU time after the last call of a turn until all threads were idle; the
            median of the turns.
    """

    variant: str
    precision: Precision
    calls: int
    median_seconds: float | None
    minimum_seconds: float | None
    p90_seconds: float | None
    p95_seconds: float | None
    p99_seconds: float | None
    p999_seconds: float | None
    images_per_second: float | None
    checks_seconds: float | None
    resident_bytes: int
    peak_bytes: int
    size_bytes: int
    warmup_runs: int
    cold_start: ColdStart | None
    failure: str = ""
    place: str = ""
    threads: int = 0
    intervals: dict[str, Interval] = field(default_factory=dict)
    cpu_seconds: float | None = None
    spin_seconds: float | None = None


@dataclass(frozen=True)
class Setup:
    """What was measured with.

    Attributes:
        runtime: The runtime.
        provider: Where it computed, as it reports itself.
        threads: Threads within an operator.
        versions: Versions of the packages that the runtime used.
        batch_size: Images in one call.
        images: Which images were used.
        inputs: Of plain files, what they were run on: `random inputs`, `no inputs` or the name of
            the user's file; empty for a bundle.
    """

    runtime: str
    provider: str
    threads: int
    versions: dict[str, str]
    batch_size: int
    images: str
    inputs: str = ""


@dataclass(frozen=True)
class BaselinePair:
    """A variant and what it is compared with, by their names in this run."""

    baseline: str
    variant: str


@dataclass(frozen=True)
class Baseline:
    """Another bundle or file that was measured in the same run.

    Attributes:
        model: Its folder or file, as it was named.
        pairs: What is compared.
    """

    model: str
    pairs: tuple[BaselinePair, ...]


@dataclass(frozen=True)
class BenchReport:
    """What a bench found.

    Attributes:
        setup: What was measured with.
        plan: How much was to be measured.
        variants: A row for each variant, the one compared with first.
        comparisons: The first variant with each other one.
        noise_floor: The largest of the comparisons' noise floors, or of the variants against
            themselves where none is compared, as a share; None if that was not measured.
        valid: The figures may be believed.
        reasons: Why not.
        interrupted: It was stopped before the plan was fulfilled.
        samples: Everything that was measured, raw.
        scenarios: What was measured beyond the steady state.
        baseline: What the variants are compared with; None if none was named.
        gates: What became of each gate.
        replay: How it compares with the report that it measures again; None if it does not.
    """

    KIND: ClassVar[str] = "bench"
    VERSION: ClassVar[int] = 2

    setup: Setup
    plan: Plan
    variants: tuple[VariantLatency, ...]
    comparisons: tuple[LatencyComparison, ...]
    noise_floor: float | None
    valid: bool
    reasons: tuple[str, ...]
    interrupted: bool
    samples: Samples
    scenarios: ScenarioReport = field(default_factory=ScenarioReport)
    baseline: Baseline | None = None
    gates: tuple[GateResult, ...] = ()
    replay: Replay | None = None

    @staticmethod
    def upgrade(body: dict[str, Any], version: int) -> dict[str, Any]:
        """Read an older body as this version's."""
        return from_version_1(body) if version == 1 else body


@dataclass(frozen=True)
class Measured:
    """What is known of a variant without measuring it."""

    name: str
    precision: Precision
    size_bytes: int
    place: str = ""
    threads: int = 0


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


def doubts(samples: Samples, found: Sequence[Contrast], *, interrupted: bool) -> list[str]:
    """Say why the figures may not be believed; nothing if they may."""
    floors = [noise_floor(one) for one in found if one.nulls]
    reasons = ["it was interrupted"] if interrupted else []
    reasons += [f"{failure.variant} failed" for failure in samples.failures]
    if max(floors, default=0) > LARGEST_FLOOR:
        reasons.append(
            f"the noise floor is {100 * max(floors):.0f} %, above {100 * LARGEST_FLOOR:.0f} %"
        )
    if min((one.blocks for one in found), default=0) < FEWEST_BLOCKS:
        reasons.append(f"fewer than {FEWEST_BLOCKS} blocks of each comparison")
    replicates = [len(one.ratios) or len(one.nulls) for one in found]
    if min(replicates, default=0) < FEWEST_REPLICATES:
        reasons.append(f"fewer than {FEWEST_REPLICATES} replicates")
    unsteady = {one.variant for one in samples.sessions if one.warmup.steady is False}
    reasons += [f"{name} was not steady when measuring began" for name in sorted(unsteady)]
    if not all(leg.idle for block in samples.blocks for leg in block.legs):
        reasons.append("a worker kept using the CPU after its turn")
    return reasons


def sum_up(
    samples: Samples,
    measured: Sequence[Measured],
    pairs: Sequence[tuple[str, str]],
    setup: Setup,
    plan: Plan,
    *,
    interrupted: bool = False,
    scenarios: ScenarioReport | None = None,
) -> BenchReport:
    """Make a report of what was measured so far."""
    scenarios = scenarios or ScenarioReport()
    rows = [latency(what, samples, setup.batch_size) for what in measured]
    if not plan.cold_start:
        rows = [replace(row, cold_start=None) for row in rows]
    found = contrasts(samples, [what.name for what in measured], pairs)
    floors = [noise_floor(one) for one in found if one.nulls]
    reasons = [*doubts(samples, found, interrupted=interrupted), *scenarios.doubts]
    return BenchReport(
        setup=setup,
        plan=plan,
        variants=tuple(rows),
        comparisons=tuple(comparisons(samples, rows, pairs)),
        noise_floor=max(floors, default=None),
        valid=not reasons,
        reasons=tuple(reasons),
        interrupted=interrupted,
        samples=samples,
        scenarios=scenarios,
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
