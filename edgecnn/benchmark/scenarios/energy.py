"""Energy for a call: what the machine takes while calling, less what it takes while it does not.

The meters cover the whole processor or board, so that what other programs take is in the figure:
half of the idle time lies before the calls and half after, which takes a steady load out again.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from edgecnn.benchmark.scenarios.figures import over_sessions
from edgecnn.benchmark.scenarios.meters import Meter, Reading
from edgecnn.benchmark.scenarios.turns import Cell, Extent, Scenario
from edgecnn.stats import Interval
from edgecnn.worker import Opened, Prepared

_LEAST_SECONDS = 0.5
_STEP_SECONDS = 0.01


@dataclass(frozen=True)
class EnergyTurn:
    """Calls of one session between two rests.

    Attributes:
        replicate: Counted from 0.
        calls: How many.
        busy_seconds: How long they took.
        busy_joules: What the machine took meanwhile.
        idle_seconds: How long the rests were.
        idle_joules: What it took in them.
    """

    replicate: int
    calls: int
    busy_seconds: float
    busy_joules: float
    idle_seconds: float
    idle_joules: float

    @property
    def joules(self) -> float:
        """Energy for a call beyond what idling takes."""
        idle = self.idle_joules / self.idle_seconds * self.busy_seconds
        return (self.busy_joules - idle) / self.calls


@dataclass(frozen=True)
class Energy:
    """Energy for a call.

    Attributes:
        variant: What was called.
        meter: What was read.
        calls: How many, in all sessions.
        joules: Energy for a call beyond what idling takes, with its 95 % interval over the
            sessions; None where a session's was below what can be measured.
        busy_watts: Power while calling.
        idle_watts: Power while not.
        turns: All of it, raw.
    """

    variant: str
    meter: str
    calls: int
    joules: Interval | None
    busy_watts: float
    idle_watts: float
    turns: tuple[EnergyTurn, ...]


def scenario(names: Sequence[str], meter: Meter, extent: Extent) -> Scenario:
    """Measure the energy for a call.

    Args:
        names: Of the variants.
        meter: What to read.
        extent: How much.
    """
    each = max(_LEAST_SECONDS, extent.slot_seconds / 2)

    def task(replicate: int) -> partial[EnergyTurn]:
        return partial(rest_and_call, meter=meter, seconds=each, replicate=replicate)

    def cells(opened: Mapping[str, Opened]) -> Sequence[Cell]:
        return [Cell(("energy", name), name, task, 3 * each) for name in opened]

    return Scenario("energy", names, cells)


def rest_and_call(held: Prepared, *, meter: Meter, seconds: float, replicate: int) -> EnergyTurn:
    """Rest, call, and rest again; in the worker."""
    before, first = _rest(meter, seconds / 2)
    reading, began = Reading(meter), time.perf_counter()
    calls, looked = 0, began
    for call in held.calls:
        call()
        calls += 1
        now = time.perf_counter()
        if now - looked >= _STEP_SECONDS:
            reading.sample()
            looked = now
        if now - began >= seconds:
            break
    busy, lasted = reading.sample(), time.perf_counter() - began
    after, last = _rest(meter, seconds / 2)
    return EnergyTurn(replicate, calls, lasted, busy, first + last, before + after)


def energy(variant: str, meter: Meter, turns: Sequence[EnergyTurn]) -> Energy:
    """Sum up the energy that one variant took."""
    own = [turn.joules for turn in turns]
    busy, idle = (sum(turn.busy_seconds for turn in turns), sum(t.idle_seconds for t in turns))
    return Energy(
        variant=variant,
        meter=meter.name,
        calls=sum(turn.calls for turn in turns),
        joules=over_sessions(own) if min(own) > 0 else None,
        busy_watts=sum(turn.busy_joules for turn in turns) / busy,
        idle_watts=sum(turn.idle_joules for turn in turns) / idle,
        turns=tuple(turns),
    )


def _rest(meter: Meter, seconds: float) -> tuple[float, float]:
    """Sleep; give the joules that went meanwhile, and the seconds."""
    reading, began = Reading(meter), time.perf_counter()
    while (lasted := time.perf_counter() - began) < seconds:
        time.sleep(min(_STEP_SECONDS, seconds - lasted))
        reading.sample()
    return reading.sample(), time.perf_counter() - began
