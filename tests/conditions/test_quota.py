"""A real cgroup with a quota: a process in it that wants more is seen waiting."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgecnn.conditions import Conditions, doubts
from edgecnn.records import from_builtins, parse_json

CGROUPS = Path("/sys/fs/cgroup")
# Version 1, version 2: where a group is made, and what sets a quota of a fifth of a CPU.
KINDS = (
    (CGROUPS / "cpu", "cpu.cfs_quota_us", "20000"),
    (CGROUPS, "cpu.max", "20000 100000"),
)
PROGRAM = """
import os, sys, time
open(sys.argv[1] + "/cgroup.procs", "w").write(str(os.getpid()))
from edgecnn.conditions import Watch
from edgecnn.records import to_json
watch = Watch()
watch.look()
while time.process_time() < 0.3: pass
watch.look()
sys.stdout.buffer.write(to_json(watch.conditions))
"""


@pytest.fixture
def group() -> Iterator[Path]:
    for top, file, quota in KINDS:
        folder = top / f"edgecnn-test-{os.getpid()}"
        try:
            folder.mkdir()
        except OSError:
            continue
        try:
            if (folder / file).exists():
                (folder / file).write_text(quota)
                yield folder
                return
        finally:
            folder.rmdir()
    pytest.skip("no cgroup with a quota can be made here")


def test_a_quota_that_is_used_up_makes_a_run_not_valid(group: Path) -> None:
    said = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(group)], capture_output=True, check=True
    )
    found = from_builtins(Conditions, parse_json(said.stdout, where="it"), where="it")
    assert found.quota_cpus == pytest.approx(0.2)
    assert found.throttled_periods
    assert found.throttled_seconds
    [doubt] = [each for each in doubts(found, 1) if "quota" in each.what]
    assert doubt.invalid
    assert "quota of 0.2 CPUs was used up in" in doubt.what
