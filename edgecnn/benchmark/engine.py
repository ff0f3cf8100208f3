"""The engine: opens workers side by side and lets them take turns, as the plan says.

It only measures. What the samples mean is worked out in `estimate` and `report`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Any

from edgecnn.benchmark.estimate import FEWEST_BLOCKS, contrast, ratio_interval
from edgecnn.benchmark.plan import Plan
from edgecnn.benchmark.samples import (
    Block,
    Checks,
    Failure,
    Leg,
    Samples,
    SessionRecord,
)
from edgecnn.benchmark.warmup import warm_up
from edgecnn.errors import RuntimeCrashed
from edgecnn.placement import Placement
from edgecnn.placing import prove_placement
from edgecnn.progress import Progress
from edgecnn.runtime import Options
from edgecnn.spec import InputContract, Variant
from edgecnn.worker import Opened, Worker, WorkerLimits

Batches = Sequence[Mapping[str, Any]]

_CHECKS_SECONDS = 0.1
_FEWEST_CHECKS, _MOST_CHECKS = 5, 300


@dataclass(frozen=True)
class Place:
    """Where something is measured.

    Attributes:
        runtime: As in `runtime.open_session`.
        provider: As in `runtime.open_session`.
        threads: As in `runtime.open_session`.
        options: As in `runtime.open_session`.
        cores: CPUs that its process is pinned to; None for all that this process may use.
        min_coverage: As in `placing.prove_placement`.
        limits: What a session may take.
    """

    runtime: str = "ort"
    provider: str | None = None
    threads: int | None = None
    options: Options | None = None
    cores: tuple[int, ...] | None = None
    min_coverage: float | None = None
    limits: WorkerLimits = field(default_factory=WorkerLimits)


@dataclass(frozen=True)
class Subject:
    """One thing to measure.

    Attributes:
        name: What it is called in this run; no two have the same name.
        variant: A located variant.
        batches: Makes the inputs that its calls take in turn, once it is known what goes in.
        place: Where it is measured.
        memory_limit: Bytes that its session may take beyond the engine, within its place's limits.
        contract: How pictures become its input; None where that is not known.
        launch: Starts the process that it is measured in, with `limit`, `memory_limit` and `cores`.
    """

    name: str
    variant: Variant
    batches: Callable[[Opened], Batches]
    place: Place
    memory_limit: int | None = None
    contract: InputContract | None = None
    launch: Callable[..., Worker] = Worker

    @property
    def limits(self) -> WorkerLimits:
        """What its session may take."""
        return self.place.limits.with_memory(self.memory_limit)

    def start(self) -> Worker:
        """Start a process for it."""
        limits, cores = self.limits, self.place.cores
        return self.launch(limit=limits.seconds, memory_limit=limits.memory, cores=cores)


@dataclass
class _Lane:
    subject: Subject
    worker: Worker
    session: int = -1

    @property
    def name(self) -> str:
        return self.subject.name


class Run:
    """One run of the engine; what it has measured stays in it if it is interrupted.

    Args:
        subjects: What to measure, the one to compare with first.
        plan: How much.
        keep: Called after each stage, once a session was opened.
        progress: Called with a line of text and the share (0 to 1) that is done.
        between: Called after each replicate, while no session is open.
    """

    def __init__(
        self,
        subjects: Sequence[Subject],
        plan: Plan,
        keep: Callable[[], None],
        progress: Progress,
        between: Callable[[], None] = lambda: None,
    ) -> None:
        self._subjects = subjects
        self._plan = plan
        self._keep = keep
        self._progress = progress
        self._between = between
        self._began = time.perf_counter()
        self.opened: dict[str, Opened] = {}
        self.placements: dict[str, Placement | None] = {}
        self._sessions: list[SessionRecord] = []
        self._blocks: list[Block] = []
        self._checks: list[Checks] = []
        self._failures: dict[str, Failure] = {}
        self._latest: dict[str, float] = {}
        self._spent = 0.0

    @property
    def samples(self) -> Samples:
        """Everything that was measured so far."""
        return Samples(
            tuple(self._sessions),
            tuple(self._blocks),
            tuple(self._checks),
            tuple(self._failures.values()),
        )

    def go(self) -> None:
        """Measure until the plan is fulfilled or nothing is left that runs.

        Raises:
            EdgeCNNError: A variant cannot be opened, or is not computed where it was to be; a crash
                or a hang is only recorded.
        """
        for subject in self._subjects:
            with self._recording_crash(subject.name):
                self._prove_placement(subject)
        for replicate in range(self._plan.replicates):
            if self._over(replicate):
                return
            with ExitStack() as stack:
                lanes = self._open_all(replicate, stack)
                if not lanes:
                    return
                self._keep()
                self._take_turns(replicate, lanes)
                for lane in lanes:
                    self._finish(lane)
            self._between()
            self._keep()

    def _prove_placement(self, subject: Subject) -> None:
        self._say(f"asking where {subject.name} is computed", 0)
        place = subject.place
        self.placements[subject.name] = prove_placement(
            subject.variant,
            subject.batches,
            min_coverage=place.min_coverage,
            runtime=place.runtime,
            provider=place.provider,
            threads=place.threads,
            options=place.options,
            limits=subject.limits,
        )

    def _over(self, replicates: int) -> bool:
        if self._plan.budget_seconds is not None and replicates:
            # The next one takes about as long as the ones before it did.
            return self._elapsed() * (replicates + 1) / replicates > self._plan.budget_seconds
        return replicates >= 2 and self._spent > (self._plan.duration_seconds or math.inf)

    def _elapsed(self) -> float:
        return time.perf_counter() - self._began

    def _open_all(self, replicate: int, stack: ExitStack) -> list[_Lane]:
        lanes = []
        # There and back, so that the two sessions of each were opened equally long ago on average.
        for subject in (*self._subjects, *reversed(self._subjects)):
            if subject.name in self._failures:
                continue
            self._say(f"opening {subject.name}", replicate)
            with self._recording_crash(subject.name):
                lane = _Lane(subject, stack.enter_context(subject.start()))
                self._open(lane, replicate)
                lanes.append(lane)
        return [lane for lane in lanes if lane.name not in self._failures]

    def _open(self, lane: _Lane, replicate: int) -> None:
        place, worker = lane.subject.place, lane.worker
        opened = worker.open(
            lane.subject.variant,
            runtime=place.runtime,
            provider=place.provider,
            threads=place.threads,
            options=place.options,
        )
        self.opened[lane.name] = opened
        prepared = worker.feed(lane.subject.batches(opened))
        first = prepared + worker.run(1).times_ns[0] / 1e9
        warmup, about = warm_up(worker, self._plan.warmup_runs)
        self._latest[lane.name] = about
        self._say_latest(replicate, 0.0)
        lane.session = len(self._sessions)
        self._sessions.append(
            SessionRecord(
                variant=lane.name,
                replicate=replicate,
                start_seconds=worker.start_seconds,
                import_seconds=opened.import_seconds,
                load_seconds=opened.load_seconds,
                first_run_seconds=first,
                warmup=warmup,
            )
        )

    def _take_turns(self, replicate: int, lanes: list[_Lane]) -> None:
        began, rounds, share = time.perf_counter(), 0, 0.0
        while rounds == 0 or share < 1:
            self._blocks.append(self._block(replicate, rounds, lanes))
            rounds += 1
            share = self._done(rounds, time.perf_counter() - began)
            self._say_latest(replicate, share)
            self._keep()
        self._spent += time.perf_counter() - began

    def _done(self, rounds: int, spent: float) -> float:
        if self._plan.blocks is not None:
            return rounds / self._plan.blocks
        # One more round is begun if most of it fits; and there are as many as a verdict needs, but
        # for nets so slow that one round fills the slot.
        share = (spent + spent / rounds / 2) / self._plan.slot_seconds
        needed = max(2, math.ceil(FEWEST_BLOCKS / self._plan.replicates))
        if rounds < needed and spent / rounds <= self._plan.slot_seconds:
            return min(share, rounds / needed)
        return share

    def _block(self, replicate: int, number: int, lanes: list[_Lane]) -> Block:
        # Each lane is first once, and so meets every place and every predecessor.
        start = number % len(lanes)
        there = [*lanes[start:], *lanes[:start]]
        legs = []
        for lane in (*there, *reversed(there)):
            if lane.name not in self._failures:
                with self._recording_crash(lane.name):
                    legs.append(self._leg(lane))
        return Block(replicate, tuple(legs))

    def _leg(self, lane: _Lane) -> Leg:
        turn, began = self._plan.leg, self._elapsed()
        timed = lane.worker.run_for(
            turn.seconds, at_least=turn.calls, lead_seconds=turn.lead_seconds
        )
        self._latest[lane.name] = median(timed.times_ns) / 1e9
        return Leg(
            session=lane.session,
            at_seconds=began,
            times_ns=timed.times_ns,
            cpu_ns=timed.cpu_ns,
            settle_cpu_ns=timed.settle_cpu_ns,
            idle=timed.idle,
        )

    def _finish(self, lane: _Lane) -> None:
        if lane.name in self._failures:
            return
        with self._recording_crash(lane.name):
            usage = lane.worker.usage()
            self._sessions[lane.session] = replace(
                self._sessions[lane.session],
                resident_bytes=usage.resident_bytes,
                peak_bytes=usage.peak_bytes,
                cpu_seconds=usage.cpu_seconds,
            )
            if not any(checks.variant == lane.name for checks in self._checks):
                calls = int(_CHECKS_SECONDS / max(self._latest[lane.name], 1e-6))
                calls = min(_MOST_CHECKS, max(_FEWEST_CHECKS, calls))
                self._checks.append(Checks(lane.name, *lane.worker.run_checked(calls)))

    @contextmanager
    def _recording_crash(self, name: str) -> Iterator[None]:
        try:
            yield
        except RuntimeCrashed as crash:
            self._failures[name] = Failure(name, crash.problem, crash.remedy)

    def _say(self, text: str, replicate: int, share: float = 0.0) -> None:
        done = (replicate + min(1.0, share)) / self._plan.replicates
        if self._plan.budget_seconds is not None:
            done = min(1.0, self._elapsed() / self._plan.budget_seconds)
        self._progress(text, done)

    def _say_latest(self, replicate: int, share: float) -> None:
        texts = [f"{name} {seconds * 1e6:,.1f} µs" for name, seconds in self._latest.items()]
        if len(self._subjects) == 2 and self._blocks:
            found = contrast(self.samples, self._subjects[0].name, self._subjects[1].name)
            if found.ratios:
                ratio = ratio_interval(found)
                texts.append(f"ratio {ratio.estimate:.3f} [{ratio.low:.3f}, {ratio.high:.3f}]")
        self._say(", ".join(texts), replicate, share)
