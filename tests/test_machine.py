from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from edgecnn import machine


def _lay_out(root: Path, membership: str, files: dict[str, str]) -> tuple[Path, Path]:
    """Lay out cgroups as the kernel does."""
    for name, text in files.items():
        (root / "fs" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "fs" / name).write_text(text + "\n")
    (root / "cgroup").write_text(membership + "\n")
    return root / "fs", root / "cgroup"


OWN = "0::/user.slice/job.scope"


@pytest.mark.parametrize(
    ("membership", "files", "quota"),
    [
        pytest.param(OWN, {}, None, id="no cgroups"),
        pytest.param(OWN, {"user.slice/job.scope/cpu.max": "max 100000"}, None, id="unlimited"),
        pytest.param(OWN, {"user.slice/job.scope/cpu.max": "150000 100000"}, 1.5, id="own"),
        pytest.param(
            OWN,
            {
                "user.slice/job.scope/cpu.max": "max 100000",
                "user.slice/cpu.max": "50000 100000",
                "cpu.max": "400000 100000",
            },
            0.5,
            id="an ancestor's",
        ),
        pytest.param(
            "4:cpu,cpuacct:/job\n3:memory:/job",
            {"cpu/job/cpu.cfs_quota_us": "300000", "cpu/job/cpu.cfs_period_us": "100000"},
            3.0,
            id="version 1",
        ),
        pytest.param(
            "4:cpu:/job",
            {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"},
            None,
            id="version 1, unlimited",
        ),
        pytest.param(OWN, {"cpu.max": "nonsense"}, None, id="nonsense"),
    ],
)
def test_cgroup_quota(
    tmp_path: Path, membership: str, files: dict[str, str], quota: float | None
) -> None:
    assert machine.cgroup_quota(*_lay_out(tmp_path, membership, files)) == quota


@pytest.mark.parametrize(
    ("membership", "files", "limit"),
    [
        pytest.param(OWN, {"user.slice/job.scope/memory.max": "max"}, None, id="unlimited"),
        pytest.param(
            OWN,
            {"user.slice/job.scope/memory.max": "5000000", "user.slice/memory.max": "4000000"},
            4_000_000,
            id="the tightest",
        ),
        pytest.param(
            "3:memory:/job", {"memory/job/memory.limit_in_bytes": "7000000"}, 7_000_000, id="v1"
        ),
        pytest.param(
            "3:memory:/job",
            {"memory/job/memory.limit_in_bytes": "9223372036854771712"},
            None,
            id="v1, unlimited",
        ),
    ],
)
def test_cgroup_memory(
    tmp_path: Path, membership: str, files: dict[str, str], limit: int | None
) -> None:
    assert machine.cgroup_memory(*_lay_out(tmp_path, membership, files)) == limit


def test_this_machine() -> None:
    here = machine.this_machine()
    assert 1 <= here.allowed_cores <= here.cores
    assert here.memory_bytes > 2**26
    assert here.cpu
    assert here.architecture
    assert here.python.startswith(f"{sys.version_info.major}.{sys.version_info.minor}.")


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="affinity is Linux's")
def test_affinity_limits_the_cores() -> None:
    program = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))});"
        "from edgecnn.machine import allowed_cores, affinity_cores;"
        "print(allowed_cores(), affinity_cores())"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert said.stdout.split() == [b"1", b"1"]
