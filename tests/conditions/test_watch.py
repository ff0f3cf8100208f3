"""What the machine was like between two looks: this one's real files, and a tree that changes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edgecnn.conditions import Course, Watch, doubts
from edgecnn.conditions.cores import allowed_cpus
from edgecnn.conditions.load import processes
from edgecnn.records import from_builtins, to_builtins
from tests.conditions.trees import CPU, lay_out, stat

LINUX = pytest.mark.skipif(not Path("/proc/stat").exists(), reason="these files are Linux's")
# Works until it is killed, and is no child of this process.
BUSY = (
    "import os, resource\n"
    "resource.setrlimit(resource.RLIMIT_CPU, (20, 20))\n"
    "if os.fork(): os._exit(0)\n"
    "print(os.getpid(), flush=True)\n"
    "while True: pass"
)


def test_one_look_says_nothing() -> None:
    watch = Watch()
    assert watch.conditions is None
    watch.look()
    assert watch.conditions is None


def test_without_the_kernels_files_nothing_is_known_and_nothing_doubted(tmp_path: Path) -> None:
    watch = Watch(lay_out(tmp_path, {}))
    watch.look()
    watch.look()
    found = watch.conditions
    assert found is not None
    assert (found.looks, found.cpus) == (2, allowed_cpus())
    assert {found.others_cpus, found.steal_share, found.governor, found.celsius} == {None}
    assert doubts(found, 1) == ()


@LINUX
def test_this_machine() -> None:
    watch = Watch()
    for _ in range(3):
        watch.look()
        time.sleep(0.02)
    found = watch.conditions
    assert found is not None
    assert found.looks == 3
    assert found.seconds > 0.04
    assert found.cpus == tuple(sorted(os.sched_getaffinity(0)))
    assert 1 <= (found.physical_cores or 0) <= len(found.cpus)
    assert found.others_cpus is not None
    assert found.steal_share is not None
    assert 0 < (found.available_bytes or 0) < (found.memory_bytes or 0)
    assert from_builtins(type(found), to_builtins(found), where="it") == found


@LINUX
def test_what_others_do_is_seen_and_named() -> None:
    watch = Watch()
    with subprocess.Popen([sys.executable, "-c", BUSY], stdout=subprocess.PIPE) as starter:
        assert starter.stdout is not None
        pid = int(starter.stdout.readline())
        try:
            watch.look()
            time.sleep(1.0)
            [process] = [one for one in processes() if one.pid == pid]
            watch.look()
        finally:
            os.kill(pid, signal.SIGKILL)
    found = watch.conditions
    assert found is not None
    assert process.name.startswith("python")
    named = [busy.pid for busy in found.busiest]
    # On a machine with much else to do it gets little, and others are busier.
    assert pid in named or process.cpu_seconds < 0.7 * found.seconds
    assert os.getpid() not in named
    assert found.others_cpus is not None
    # Whoever shares the CPUs with it, what they got is in the sum; ticks blur it.
    assert found.others_cpus > 0.8 * sum(busy.cpus for busy in found.busiest) > 0.1


@LINUX
def test_what_we_and_our_workers_do_is_ours() -> None:
    program = (
        "import subprocess, sys, time\n"
        "from edgecnn.conditions import Watch\n"
        "watch = Watch()\n"
        "watch.look()\n"
        "busy = 'import time\\nwhile time.process_time() < 0.5: pass'\n"
        "subprocess.run([sys.executable, '-c', busy])\n"
        "exec(busy)\n"
        "watch.look()\n"
        "found = watch.conditions\n"
        "print(found.seconds, found.others_cpus, *[busy.pid for busy in found.busiest])\n"
        "import os; print(os.getpid())"
    )
    before = _busy_seconds()
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    whole = _busy_seconds() - before
    seconds, others, *pids = map(float, said.stdout.splitlines()[0].split())
    assert int(said.stdout.splitlines()[1]) not in pids
    # At least the second that was ours is not in what others did.
    assert others * seconds < whole - 0.8


def _busy_seconds() -> float:
    from edgecnn.conditions.load import cpu_time

    spent = cpu_time(allowed_cpus() or ())
    assert spent is not None
    return spent.busy_seconds


def test_the_busiest_are_named_and_who_came_meanwhile_is_among_them(tmp_path: Path) -> None:
    def row(pid: int, name: str, seconds: float, started: int = 7) -> dict[str, str]:
        ticks = int(seconds * os.sysconf("SC_CLK_TCK"))
        rest = f"S 1 1 1 0 -1 0 0 0 0 0 {ticks} 0 9 9 20 0 1 0 {started} 1 1"
        return {f"proc/{pid}/stat": f"{pid} ({name}) {rest}"}

    first = row(11, "old", 900) | row(12, "idle", 5) | row(13, "was", 50, started=1)
    watch = Watch(lay_out(tmp_path, first))
    watch.look()
    time.sleep(0.05)
    later = row(11, "old", 902) | row(13, "reused", 3, started=9) | row(14, "new", 1)
    lay_out(tmp_path, later | row(os.getpid(), "own", 77) | row(15, "fourth", 0.5))
    watch.look()
    found = watch.conditions
    assert found is not None
    assert [(one.name, one.pid) for one in found.busiest] == [
        ("reused", 13),
        ("old", 11),
        ("new", 14),
    ]
    assert found.busiest[1].cpus == pytest.approx(2 / found.seconds)


def test_a_tree_that_changes(tmp_path: Path) -> None:
    cpus = allowed_cpus() or (0,)
    freq = f"{CPU}/cpu{cpus[0]}/cpufreq/scaling_cur_freq"
    quota = {
        "proc/self/cgroup": "0::/job",
        "sys/fs/cgroup/job/cpu.max": "150000 100000",
    }
    busy = [(0, 0)] * (max(cpus) + 1)
    for step, (kilohertz, celsius, left) in enumerate(
        [("3000000", "50000", "900"), ("2000000", "70000", "400"), ("2500000", "66000", "700")]
    ):
        files = quota | {
            "proc/stat": stat(*busy[:-1], (100 * step, 10 * step)),
            "sys/fs/cgroup/job/cpu.stat": f"nr_periods {50 + 10 * step}\n"
            f"nr_throttled {20 + 3 * step}\nthrottled_usec {1_000_000 * step}",
            freq: kilohertz,
            "sys/class/thermal/thermal_zone0/type": "cpu-thermal",
            "sys/class/thermal/thermal_zone0/temp": celsius,
            f"{CPU}/cpu{cpus[0]}/thermal_throttle/core_throttle_count": str(5 + step),
            "proc/meminfo": f"MemTotal: 1000 kB\nMemAvailable: {left} kB",
            "proc/vmstat": f"pswpin {100 * step}",
            "proc/pressure/memory": f"some avg10=0.00 total={1000 * step}",
        }
        roots = lay_out(tmp_path, files)
        if not step:
            watch = Watch(roots)
        watch.look()
    found = watch.conditions
    assert found is not None
    assert (found.quota_cpus, found.periods, found.throttled_periods) == (1.5, 20, 6)
    assert found.throttled_seconds == pytest.approx(2.0)
    assert found.megahertz == Course(3000, 2500, 2000, 3000)
    assert found.celsius == Course(50, 66, 50, 70)
    assert found.heat_throttles == 2
    assert found.available_bytes == 400 * 1024
    assert found.swapped_in_bytes == 200 * os.sysconf("SC_PAGE_SIZE")
    assert found.memory_stall_share == pytest.approx(0.002 / found.seconds)
    assert found.steal_share == pytest.approx(20 / 220)
    assert found.others_cpus is not None
    assert found.others_cpus * found.seconds == pytest.approx(2.0, abs=0.5)
