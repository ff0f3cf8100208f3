"""What a bench found: a row for each variant, the comparisons, and whether it is valid."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from edgecnn.benchmark.estimate import LatencyComparison
from edgecnn.benchmark.plan import Plan
from edgecnn.benchmark.replayed import Replay
from edgecnn.benchmark.samples import Samples
from edgecnn.benchmark.sanity import contradictions
from edgecnn.benchmark.scenarios.report import ScenarioReport
from edgecnn.benchmark.upgrade import from_version_1
from edgecnn.conditions import Conditions, Doubt
from edgecnn.gating import GateResult
from edgecnn.options import FP32
from edgecnn.placement import Placement
from edgecnn.spec import Precision
from edgecnn.stats import Interval


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
        placement: Where its operators were computed, of a run apart; None on the CPU, or where the
            runtime does not tell.
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
    placement: Placement | None = None


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
        cores: CPUs that the processes were pinned to; empty if they were not.
        precision: What float32 operators computed in, as the runtime reports it.
        options: The runtime's own options that were given.
        min_coverage: The share (0 to 1) of the time that had to be spent on the provider; None
            where that was everything, or the option `fallback` allows less.
    """

    runtime: str
    provider: str
    threads: int
    versions: dict[str, str]
    batch_size: int
    images: str
    inputs: str = ""
    cores: tuple[int, ...] = ()
    # A report before version 3 has none of these.
    precision: str = FP32
    options: dict[str, str] = field(default_factory=dict)
    min_coverage: float | None = None


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
        conditions: What the machine was like meanwhile; None if nobody looked.
        doubts: Everything that makes the figures doubtful, with remedies: the reasons why they may
            not be believed, and what is only good to know.
    """

    KIND: ClassVar[str] = "bench"
    VERSION: ClassVar[int] = 3

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
    conditions: Conditions | None = None
    doubts: tuple[Doubt, ...] = ()

    @staticmethod
    def upgrade(body: dict[str, Any], version: int) -> dict[str, Any]:
        """Read an older body as this version's."""
        return from_version_1(body) if version == 1 else body

    def check(self) -> None:
        """Refuse what cannot be.

        Raises:
            ValueError: Its values contradict one another.
        """
        for what in contradictions(self):
            raise ValueError(what)
