"""Whether this process's cgroup was made to wait: it had used up its quota of CPU time."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from edgecnn.conditions.files import HERE, Roots, fields
from edgecnn.machine import cgroup_folders


@dataclass(frozen=True)
class Throttling:
    """What one cgroup counts since it was made.

    Attributes:
        periods: Periods in which it ran, usually of 100 ms.
        throttled: Periods in which it used up its quota and waited for the next.
        seconds: How long its CPUs waited in all.
    """

    periods: int
    throttled: int
    seconds: float


def throttling(roots: Roots = HERE) -> dict[str, Throttling]:
    """Read what this process's cgroup and its ancestors count, version 1 or 2, by folder."""
    where = (roots.sys / "fs/cgroup", roots.proc / "self/cgroup")
    found = {str(folder): _read(folder) for folder in cgroup_folders("cpu", *where)}
    return {folder: read for folder, read in found.items() if read is not None}


def _read(folder: Path) -> Throttling | None:
    rows = fields(folder / "cpu.stat")
    with suppress(KeyError, IndexError, ValueError):
        if "throttled_usec" in rows:
            seconds = int(rows["throttled_usec"][0]) / 1e6
        else:
            seconds = int(rows["throttled_time"][0]) / 1e9
        return Throttling(int(rows["nr_periods"][0]), int(rows["nr_throttled"][0]), seconds)
    return None
