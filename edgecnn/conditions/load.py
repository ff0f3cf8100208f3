"""How busy the CPUs are, and with which processes."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass

from edgecnn.conditions.files import HERE, Roots, fields, text

# Of a CPU's row in /proc/stat, see proc_stat(5). What guests take is in `user` already.
_BUSY = (0, 1, 2, 5, 6)  # user, nice, system, irq, softirq
_STEAL = 7


@dataclass(frozen=True)
class CpuTime:
    """CPU time since the machine started, over some CPUs.

    Attributes:
        busy_seconds: Time they worked.
        steal_seconds: Time they had work, but the hypervisor ran others.
    """

    busy_seconds: float
    steal_seconds: float


@dataclass(frozen=True)
class Process:
    """One process.

    Attributes:
        pid: Its number.
        started: When it started, in clock ticks; a number may be used again.
        name: What the kernel calls it.
        cpu_seconds: CPU time so far, of all its threads.
    """

    pid: int
    started: int
    name: str
    cpu_seconds: float


def cpu_time(cpus: Collection[int], roots: Roots = HERE) -> CpuTime | None:
    """Sum up the time of some CPUs; None if it is not known."""
    rows = fields(roots.proc / "stat")
    found = [rows[f"cpu{cpu}"] for cpu in cpus if f"cpu{cpu}" in rows]
    with suppress(ValueError, IndexError):
        if found:
            busy = sum(int(row[place]) for row in found for place in _BUSY)
            return CpuTime(busy / _hertz(), sum(int(row[_STEAL]) for row in found) / _hertz())
    return None


def own_seconds() -> float:
    """Give the CPU time of this process and of all its children that have ended."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def processes(roots: Roots = HERE) -> list[Process]:
    """Give every process that can be seen."""
    with suppress(OSError):
        names = [entry.name for entry in os.scandir(roots.proc) if entry.name.isdigit()]
        return list(_processes(names, roots))
    return []


def _processes(names: Collection[str], roots: Roots) -> Iterator[Process]:
    for pid in names:
        # The name stands in brackets and may hold some itself.
        head, _, tail = (text(roots.proc / pid / "stat") or "").rpartition(")")
        with suppress(ValueError, IndexError):
            row = tail.split()
            used = (int(row[11]) + int(row[12])) / _hertz()
            yield Process(int(pid), int(row[19]), head.partition("(")[2], used)


def _hertz() -> int:
    return os.sysconf("SC_CLK_TCK")
