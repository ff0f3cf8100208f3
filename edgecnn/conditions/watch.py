"""Looking at the machine now and again, and summing up what it was like between."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

from edgecnn.conditions.clocks import Clocks, clocks
from edgecnn.conditions.cores import allowed_cpus, physical_cores
from edgecnn.conditions.files import HERE, Roots
from edgecnn.conditions.heat import Heat, heat
from edgecnn.conditions.load import CpuTime, Process, cpu_time, own_seconds, processes
from edgecnn.conditions.memory import Memory, memory
from edgecnn.conditions.quota import Throttling, throttling
from edgecnn.machine import cgroup_quota

Value = TypeVar("Value")

_NAMED = 3
_LEAST_NAMED = 0.02  # of a CPU; below it nobody need be named


@dataclass(frozen=True)
class Course:
    """How a reading went.

    Attributes:
        first: At the beginning.
        last: At the end.
        lowest: The lowest of all readings.
        highest: The highest.
    """

    first: float
    last: float
    lowest: float
    highest: float


@dataclass(frozen=True)
class Busy:
    """A process that used CPU time while something was measured, and is not ours.

    Attributes:
        name: What the kernel calls it.
        pid: Its number.
        cpus: How many CPUs it kept busy, on average.
    """

    name: str
    pid: int
    cpus: float


@dataclass(frozen=True)
class Conditions:
    """What the machine was like; None where the system does not say.

    Attributes:
        seconds: From the first look to the last.
        looks: How often the machine was looked at; never while something was timed.
        cpus: The CPUs that this process may use.
        physical_cores: The physical cores that they belong to; hyperthreads share one.
        others_cpus: How many of these CPUs processes that are not ours kept busy, on average. Ours
            are this process and its children that ended: every worker, with the threads that spin.
        busiest: The busiest of them, as far as they can be seen.
        steal_share: Of the time in which these CPUs had work, the share in which the hypervisor
            ran others.
        quota_cpus: CPUs' worth of time that the cgroup grants; None if unlimited.
        periods: The cgroup's periods in which it ran; None if it has no quota.
        throttled_periods: Of these, how many used up the quota, so that every thread waited.
        throttled_seconds: How long CPUs waited for that in all.
        governor: What decides on the clock.
        driver: The kernel's driver for it.
        turbo: The clock may rise above the base clock while the CPU is cool.
        clock_limit: What the CPUs are allowed of their highest clock, as a share.
        on_battery: The machine ran on its battery.
        megahertz: Clock of the fastest of the first eight CPUs; between the turns, when they may
            be idle.
        celsius: The hottest of the CPU's sensors.
        heat_throttles: How often the CPU was throttled for its heat meanwhile.
        clock_lowered: The clock was seen lowered, for heat or want of power.
        memory_bytes: Memory of the machine.
        available_bytes: The least that programs could still get.
        swapped_in_bytes: Memory that was read back from swap meanwhile.
        memory_stall_share: Share of the time in which some process waited for memory.
    """

    seconds: float
    looks: int
    cpus: tuple[int, ...] | None = None
    physical_cores: int | None = None
    others_cpus: float | None = None
    busiest: tuple[Busy, ...] = ()
    steal_share: float | None = None
    quota_cpus: float | None = None
    periods: int | None = None
    throttled_periods: int | None = None
    throttled_seconds: float | None = None
    governor: str | None = None
    driver: str | None = None
    turbo: bool | None = None
    clock_limit: float | None = None
    on_battery: bool | None = None
    megahertz: Course | None = None
    celsius: Course | None = None
    heat_throttles: int | None = None
    clock_lowered: bool | None = None
    memory_bytes: int | None = None
    available_bytes: int | None = None
    swapped_in_bytes: int | None = None
    memory_stall_share: float | None = None


@dataclass(frozen=True)
class _Look:
    at_seconds: float
    own_seconds: float
    cpu: CpuTime | None
    processes: dict[tuple[int, int], Process]
    throttling: Mapping[str, Throttling]
    clocks: Clocks
    heat: Heat
    memory: Memory


class Watch:
    """Looks at the machine when it is told to: before, between and after what is timed.

    Args:
        roots: Where the kernel's files are.
    """

    def __init__(self, roots: Roots = HERE) -> None:
        self._roots = roots
        self._cpus = allowed_cpus()
        self._looks: list[_Look] = []

    def look(self) -> None:
        """Read everything; a few milliseconds."""
        roots, cpus = self._roots, self._cpus or ()
        self._looks.append(
            _Look(
                at_seconds=time.perf_counter(),
                own_seconds=own_seconds(),
                cpu=cpu_time(cpus, roots),
                processes={(one.pid, one.started): one for one in processes(roots)},
                throttling=throttling(roots),
                clocks=clocks(cpus, roots),
                heat=heat(cpus, roots),
                memory=memory(roots),
            )
        )

    @property
    def conditions(self) -> Conditions | None:
        """What the machine was like between the first look and the last; None of fewer than two."""
        if len(self._looks) < 2:
            return None
        return _sum_up(self._looks, self._cpus, self._roots)


def _sum_up(looks: Sequence[_Look], cpus: tuple[int, ...] | None, roots: Roots) -> Conditions:
    first, last = looks[0], looks[-1]
    seconds = max(last.at_seconds - first.at_seconds, 1e-9)
    waited = _waited(first.throttling, last.throttling)
    stalled = _grown(first.memory.stalled_seconds, last.memory.stalled_seconds)
    throttles = _grown(first.heat.throttles, last.heat.throttles)
    swapped = _grown(first.memory.swapped_in_bytes, last.memory.swapped_in_bytes)
    lowered = _known([look.heat.lowered for look in looks])
    available = _known([look.memory.available_bytes for look in looks])
    return Conditions(
        seconds=seconds,
        looks=len(looks),
        cpus=cpus,
        physical_cores=len(physical_cores(cpus, roots)) if cpus else None,
        others_cpus=_others(first, last, seconds),
        busiest=_busiest(looks, seconds),
        steal_share=_steal(first.cpu, last.cpu),
        quota_cpus=cgroup_quota(roots.sys / "fs/cgroup", roots.proc / "self/cgroup"),
        periods=waited.periods if waited else None,
        throttled_periods=waited.throttled if waited else None,
        throttled_seconds=waited.seconds if waited else None,
        governor=last.clocks.governor,
        driver=last.clocks.driver,
        turbo=last.clocks.turbo,
        clock_limit=last.clocks.limit_share,
        on_battery=last.clocks.on_battery,
        megahertz=_course([look.clocks.megahertz for look in looks]),
        celsius=_course([look.heat.celsius for look in looks]),
        heat_throttles=None if throttles is None else int(throttles),
        clock_lowered=any(lowered) if lowered else None,
        memory_bytes=last.memory.total_bytes,
        available_bytes=min(available, default=None),
        swapped_in_bytes=None if swapped is None else int(swapped),
        memory_stall_share=None if stalled is None else stalled / seconds,
    )


def _others(first: _Look, last: _Look, seconds: float) -> float | None:
    if first.cpu is None or last.cpu is None:
        return None
    ours = last.own_seconds - first.own_seconds
    busy = last.cpu.busy_seconds - first.cpu.busy_seconds
    return max(0.0, (busy - ours) / seconds)


def _steal(first: CpuTime | None, last: CpuTime | None) -> float | None:
    if first is None or last is None:
        return None
    stolen = last.steal_seconds - first.steal_seconds
    wanted = stolen + last.busy_seconds - first.busy_seconds
    return stolen / wanted if wanted > 0 else 0.0


def _busiest(looks: Sequence[_Look], seconds: float) -> tuple[Busy, ...]:
    used: dict[tuple[int, int], float] = {}
    names: dict[tuple[int, int], str] = {}
    for before, after in pairwise(looks):
        for key, process in after.processes.items():
            if process.pid != os.getpid():
                known = before.processes.get(key)
                spent = process.cpu_seconds - (known.cpu_seconds if known else 0.0)
                used[key] = used.get(key, 0.0) + spent
                names[key] = process.name
    most = sorted(used, key=lambda key: used[key], reverse=True)[:_NAMED]
    found = [Busy(names[key], key[0], used[key] / seconds) for key in most]
    return tuple(one for one in found if one.cpus >= _LEAST_NAMED)


def _waited(first: Mapping[str, Throttling], last: Mapping[str, Throttling]) -> Throttling | None:
    """Give what the cgroup that waited most did meanwhile; the quota of any of them holds."""
    found = [
        Throttling(
            last[folder].periods - before.periods,
            last[folder].throttled - before.throttled,
            last[folder].seconds - before.seconds,
        )
        for folder, before in first.items()
        if folder in last and last[folder].periods
    ]
    return max(found, key=lambda one: one.throttled, default=None)


def _course(values: Sequence[float | None]) -> Course | None:
    found = _known(values)
    return Course(found[0], found[-1], min(found), max(found)) if found else None


def _known(values: Sequence[Value | None]) -> list[Value]:
    return [value for value in values if value is not None]


def _grown(first: float | None, last: float | None) -> float | None:
    return None if first is None or last is None else last - first
