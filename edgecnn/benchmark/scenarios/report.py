"""What the scenarios found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from edgecnn.benchmark.scenarios import arrival, concurrency, end_to_end, energy, idle, loadgen
from edgecnn.benchmark.scenarios.arrival import ArrivalLatency
from edgecnn.benchmark.scenarios.concurrency import Throughput
from edgecnn.benchmark.scenarios.end_to_end import EndToEnd, Pictures
from edgecnn.benchmark.scenarios.energy import Energy
from edgecnn.benchmark.scenarios.idle import IdleLatency
from edgecnn.benchmark.scenarios.loadgen import LoadGenResult
from edgecnn.benchmark.scenarios.meters import Meter
from edgecnn.benchmark.scenarios.turns import Turns
from edgecnn.benchmark.scenarios.wanted import Wanted
from edgecnn.benchmark.warmup import unsteady
from edgecnn.conditions import Doubt


@dataclass(frozen=True)
class NotMeasured:
    """What was asked for and is not to be had here.

    Attributes:
        what: What was asked for.
        why: Why not.
        remedy: What helps; empty if nothing does.
    """

    what: str
    why: str
    remedy: str = ""


@dataclass(frozen=True)
class ScenarioReport:
    """What was measured beyond the steady state. No variant is compared with another here.

    Attributes:
        wanted: What was asked for.
        replicates: How often everything was opened anew.
        idle: The first call after a pause, of each variant after each.
        arrivals: Answers to inputs that arrive, of each variant, sleeping and watching.
        concurrency: Several callers on one session, of each variant.
        end_to_end: From an image file to the answer, of each variant.
        energy: Energy for a call, of each variant.
        not_measured: What could not be measured, and why.
        loadgen: What MLPerf's LoadGen says, of each variant in each of its scenarios.
        unsteady: Names of variants whose times had not come to rest when a scenario began.
    """

    wanted: Wanted = field(default_factory=Wanted)
    replicates: int = 0
    idle: tuple[IdleLatency, ...] = ()
    arrivals: tuple[ArrivalLatency, ...] = ()
    concurrency: tuple[Throughput, ...] = ()
    end_to_end: tuple[EndToEnd, ...] = ()
    energy: tuple[Energy, ...] = ()
    not_measured: tuple[NotMeasured, ...] = ()
    loadgen: tuple[LoadGenResult, ...] = ()
    unsteady: tuple[str, ...] = ()

    @property
    def doubts(self) -> list[Doubt]:
        """Say what of it may not be believed."""
        wrong = {row.variant for row in self.concurrency if not row.agrees}
        odd = [Doubt(f"{name} answers otherwise while others call it") for name in sorted(wrong)]
        return odd + [unsteady(name, "a scenario") for name in self.unsteady]


def sum_up(
    turns: Turns,
    wanted: Wanted,
    batch_size: int,
    *,
    pictures: Pictures | None,
    meter: Meter | None,
    not_measured: Sequence[NotMeasured] = (),
) -> ScenarioReport:
    """Make a report of what was measured so far."""
    kinds = _by_kind(turns.found)
    callers = kinds.get("callers", {})
    return ScenarioReport(
        wanted=wanted,
        replicates=turns.replicates,
        idle=tuple(
            idle.latency(name, pause, own) for (name, pause), own in kinds.get("idle", {}).items()
        ),
        arrivals=tuple(
            arrival.latency(name, how, waiting, own, wanted.deadline_seconds)
            for (name, how, waiting), own in kinds.get("arrival", {}).items()
        ),
        concurrency=tuple(
            concurrency.throughput(
                name, count, spinning, own, callers.get((name, spinning, 1), []), batch_size
            )
            for (name, spinning, count), own in callers.items()
        ),
        end_to_end=tuple(
            end_to_end.end_to_end(name, pictures, own)
            for (name,), own in kinds.get("end to end", {}).items()
            if pictures
        ),
        energy=tuple(
            energy.energy(name, meter, own)
            for (name,), own in kinds.get("energy", {}).items()
            if meter
        ),
        not_measured=(*not_measured, *_refused(turns)),
        loadgen=tuple(
            loadgen.result(name, settings, own, batch_size)
            for (name, settings), own in kinds.get("loadgen", {}).items()
        ),
        unsteady=tuple(sorted(turns.unsteady)),
    )


def _by_kind(
    found: Mapping[tuple[Any, ...], list[Any]],
) -> dict[str, dict[tuple[Any, ...], list[Any]]]:
    kinds: dict[str, dict[tuple[Any, ...], list[Any]]] = {}
    for (kind, *key), own in found.items():
        kinds.setdefault(kind, {})[tuple(key)] = own
    return kinds


def _refused(turns: Turns) -> list[NotMeasured]:
    return [NotMeasured(name, error.problem) for name, error in turns.refused.items()]
