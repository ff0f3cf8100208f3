"""What this computer is: CPU and its features, the cores this process may use, memory."""

from __future__ import annotations

import math
import os
import platform
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_CGROUPS, _MEMBERSHIP = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
_FEATURES = {
    "sse4_2": "SSE4.2",
    "avx": "AVX",
    "avx2": "AVX2",
    "fma": "FMA",
    "avx512f": "AVX-512",
    "avx_vnni": "AVX-VNNI",
    "avx512_vnni": "AVX512-VNNI",
    "avx512_bf16": "AVX512-BF16",
    "amx_tile": "AMX",
    "amx_int8": "AMX-INT8",
    "asimd": "NEON",
    "asimddp": "NEON dot product",
    "i8mm": "NEON int8 matrix multiply",
    "sve": "SVE",
}


@dataclass(frozen=True)
class Machine:
    """A computer, as far as a figure measured on it depends on it.

    Attributes:
        name: Its host name, reduced to letters, digits and hyphens.
        system: Operating system and its release.
        architecture: Such as `x86_64` or `aarch64`.
        cpu: The processor's own name.
        features: The instruction sets that matter here.
        cores: Cores in the machine.
        allowed_cores: Cores this process may use: affinity and cgroup quota.
        memory_bytes: Memory in the machine; 0 if unknown.
        python: Version of Python.
    """

    name: str
    system: str
    architecture: str
    cpu: str
    features: tuple[str, ...]
    cores: int
    allowed_cores: int
    memory_bytes: int
    python: str


@cache
def this_machine() -> Machine:
    """Read what this computer is."""
    flags = _cpu_flags()
    return Machine(
        name=re.sub(r"[^A-Za-z0-9-]+", "-", platform.node()) or "unknown",
        system=f"{platform.system()} {platform.release()}",
        architecture=platform.machine(),
        cpu=_cpu_name(),
        features=tuple(label for flag, label in _FEATURES.items() if flag in flags),
        cores=os.cpu_count() or 1,
        allowed_cores=allowed_cores(),
        memory_bytes=_memory_bytes(),
        python=platform.python_version(),
    )


def allowed_cores() -> int:
    """Count the cores this process may use, by its affinity and its cgroup's quota; at least 1."""
    cores, quota = affinity_cores(), cgroup_quota()
    return max(1, min(cores, math.ceil(quota))) if quota else cores


def affinity_cores() -> int:
    """Count the cores that this process's affinity allows."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cgroup_quota(root: Path = _CGROUPS, membership: Path = _MEMBERSHIP) -> float | None:
    """Give the cores' worth of time that this process's cgroup grants; None if unlimited.

    Args:
        root: Where the cgroups are mounted, version 1 or 2.
        membership: The file that names this process's cgroups.
    """
    quotas = map(_quota, cgroup_folders("cpu", root, membership))
    return min((quota for quota in quotas if quota is not None), default=None)


def cgroup_memory(root: Path = _CGROUPS, membership: Path = _MEMBERSHIP) -> int | None:
    """Give the bytes of memory that this process's cgroup grants; None if unlimited."""
    limits = map(_memory_limit, cgroup_folders("memory", root, membership))
    return min((limit for limit in limits if limit is not None), default=None)


def granted_memory() -> int:
    """Give the bytes of memory that this process may use at all; 0 if unknown."""
    return min(filter(None, (_memory_bytes(), cgroup_memory())), default=0)


def cgroup_folders(controller: str, root: Path, membership: Path) -> Iterator[Path]:
    """Give the folders of the cgroup that this process is in, and of its ancestors.

    Args:
        controller: What they control, such as `cpu`.
        root: Where the cgroups are mounted, version 1 or 2.
        membership: The file that names this process's cgroups.
    """
    # A limit holds for everything below it, so the ancestors count too.
    with suppress(OSError):
        for line in membership.read_text().splitlines():
            _, controllers, own = line.split(":", 2)
            if controllers and controller not in controllers.split(","):
                continue
            top = root / controller if controllers else root
            folder = top / own.lstrip("/")
            yield folder
            yield from (parent for parent in folder.parents if parent.is_relative_to(top))


def _quota(folder: Path) -> float | None:
    with suppress(OSError, ValueError):
        limit, period = (folder / "cpu.max").read_text().split()
        return None if limit == "max" else int(limit) / int(period)
    with suppress(OSError, ValueError):
        limit_us = int((folder / "cpu.cfs_quota_us").read_text())
        period_us = int((folder / "cpu.cfs_period_us").read_text())
        return limit_us / period_us if limit_us > 0 else None
    return None


def _memory_limit(folder: Path) -> int | None:
    for name in ("memory.max", "memory.limit_in_bytes"):
        with suppress(OSError, ValueError):
            limit = int((folder / name).read_text())
            # Version 1 writes "unlimited" as a number near 2**63.
            return limit if limit < (_memory_bytes() or limit + 1) else None
    return None


def _cpuinfo() -> str:
    with suppress(OSError):
        return Path("/proc/cpuinfo").read_text()
    return ""


def _cpu_flags() -> frozenset[str]:
    found = re.search(r"^(?:flags|Features)\s*:\s*(.+)$", _cpuinfo(), re.MULTILINE)
    return frozenset(found[1].split()) if found else frozenset()


def _cpu_name() -> str:
    pattern = r"^(?:model name|Model|Hardware)\s*:\s*(.+)$"
    found = re.search(pattern, _cpuinfo(), re.MULTILINE)
    return found[1].strip() if found else platform.processor() or "unknown"


def _memory_bytes() -> int:
    with suppress(OSError, ValueError, AttributeError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return 0
