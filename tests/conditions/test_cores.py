from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from edgecnn.conditions import pick_cores
from edgecnn.conditions.cores import allowed_cpus, physical_cores
from edgecnn.errors import InputError, UnavailableError
from tests.conditions.trees import CPU, lay_out

# Two hyperthreads each, numbered as Intel's servers do: 0 and 4 are one core.
SIBLINGS = {
    f"{CPU}/cpu{cpu}/topology/{name}": f"{cpu % 4},{cpu % 4 + 4}"
    for cpu in range(8)
    for name in (["core_cpus_list"] if cpu % 2 else ["thread_siblings_list"])
}


def test_hyperthreads_share_a_core(tmp_path: Path) -> None:
    roots = lay_out(tmp_path, SIBLINGS)
    assert physical_cores(range(8), roots) == ((0, 4), (1, 5), (2, 6), (3, 7))
    assert physical_cores((0, 4, 5), roots) == ((0, 4), (5,))
    assert physical_cores((0, 1), lay_out(tmp_path / "none", {})) == ((0,), (1,))


def test_each_thread_gets_a_physical_core_and_the_first_stays_free(tmp_path: Path) -> None:
    roots = lay_out(tmp_path, SIBLINGS)
    assert pick_cores(1, range(8), roots) == (3,)
    assert pick_cores(3, range(8), roots) == (1, 2, 3)
    assert pick_cores(None, range(8), roots) == (0, 1, 2, 3)
    assert pick_cores(1, (0, 4), roots) == (0,)


def test_fast_cores_come_first(tmp_path: Path) -> None:
    capacities = {f"{CPU}/cpu{n}/cpu_capacity": c for n, c in enumerate(("1024", "1024", "400"))}
    assert pick_cores(2, range(3), lay_out(tmp_path / "arm", capacities)) == (0, 1)
    clocks = {f"{CPU}/cpu{n}/cpufreq/cpuinfo_max_freq": f"{5 - n}000000" for n in range(3)}
    assert pick_cores(1, range(3), lay_out(tmp_path / "intel", clocks)) == (0,)


def test_more_threads_than_physical_cores_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="5 threads cannot be pinned to 4 physical") as caught:
        pick_cores(5, range(8), lay_out(tmp_path, SIBLINGS))
    assert "--threads 4" in caught.value.remedy
    with pytest.raises(InputError, match="0 threads cannot run"):
        pick_cores(0, range(8), lay_out(tmp_path, SIBLINGS))


def test_a_system_that_cannot_pin_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_setaffinity", raising=False)
    with pytest.raises(UnavailableError, match="cannot pin") as caught:
        pick_cores(1)
    assert "--pin" in caught.value.remedy


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="affinity is Linux's")
def test_taskset_picks_which() -> None:
    last = max(os.sched_getaffinity(0))
    program = (
        f"import os; os.sched_setaffinity(0, {{{last}}});"
        "from edgecnn.conditions import pick_cores; print(*pick_cores(None))"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert said.stdout.split() == [str(last).encode()]
    assert last in (allowed_cpus() or ())
