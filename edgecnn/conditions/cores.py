"""The cores behind the CPUs that the system counts, and which of them to pin to."""

from __future__ import annotations

import os
import platform
from collections.abc import Collection

from edgecnn.conditions.files import HERE, Roots, number, text
from edgecnn.errors import InputError, UnavailableError


def allowed_cpus() -> tuple[int, ...] | None:
    """Give the CPUs that this process may use; None where the system does not say."""
    if hasattr(os, "sched_getaffinity"):
        return tuple(sorted(os.sched_getaffinity(0)))
    return None


def cpu_list(cpus: Collection[int]) -> str:
    """Write CPUs as the kernel does.

    >>> cpu_list((0, 1, 2, 3, 8, 10, 11))
    '0-3,8,10-11'
    """
    runs: list[list[int]] = []
    for cpu in sorted(cpus):
        if runs and cpu == runs[-1][-1] + 1:
            runs[-1].append(cpu)
        else:
            runs.append([cpu])
    return ",".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


def physical_cores(cpus: Collection[int], roots: Roots = HERE) -> tuple[tuple[int, ...], ...]:
    """Group CPUs by the physical core that they share as hyperthreads, in order.

    A CPU whose core is not known is one of its own.
    """
    found: dict[str, list[int]] = {}
    for cpu in sorted(cpus):
        topology = roots.cpu(cpu) / "topology"
        siblings = text(topology / "core_cpus_list") or text(topology / "thread_siblings_list")
        found.setdefault(siblings or str(cpu), []).append(cpu)
    return tuple(map(tuple, found.values()))


def pick_cores(
    threads: int | None, cpus: Collection[int] | None = None, roots: Roots = HERE
) -> tuple[int, ...]:
    """Choose a CPU on a physical core of its own for each thread.

    The fastest cores come first, as some machines have two kinds; among equal ones the last, which
    leaves the first to the process that asks, and to the interrupts that most systems send there.

    Args:
        threads: How many; None for as many as there are physical cores.
        cpus: The CPUs to choose from; by default those that this process may use.
        roots: Where the kernel's files are.

    Raises:
        InputError: There are more threads than physical cores, or none.
        UnavailableError: The system cannot pin a process.
    """
    usable = allowed_cpus() if cpus is None else cpus
    if usable is None or not hasattr(os, "sched_setaffinity"):
        raise UnavailableError(
            f"{platform.system()} cannot pin a process to cores.", "Leave --pin out."
        )
    cores = [core[0] for core in physical_cores(usable, roots)]
    count = len(cores) if threads is None else threads
    if count < 1:
        raise InputError(f"{count} threads cannot run anything.", "Use --threads 1 or more.")
    if count > len(cores):
        raise InputError(
            f"{count} threads cannot be pinned to {_cores(len(cores))}: this process may use no "
            "more, and hyperthreads count once.",
            f"Use --threads {len(cores)} or fewer, or leave --pin out.",
        )
    best = sorted(cores, key=lambda cpu: (_capacity(cpu, roots), cpu), reverse=True)
    return tuple(sorted(best[:count]))


def _capacity(cpu: int, roots: Roots) -> int:
    folder = roots.cpu(cpu)
    return number(folder / "cpu_capacity") or number(folder / "cpufreq/cpuinfo_max_freq") or 0


def _cores(count: int) -> str:
    return "1 physical core" if count == 1 else f"{count} physical cores"
