"""Each source on trees as the kernel lays them out, and on none at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edgecnn.conditions.clocks import Clocks, clocks
from edgecnn.conditions.files import number
from edgecnn.conditions.heat import Heat, heat
from edgecnn.conditions.load import CpuTime, Process, cpu_time, processes
from edgecnn.conditions.memory import Memory, memory
from edgecnn.conditions.quota import Throttling, throttling
from tests.conditions.trees import CPU, lay_out, stat

HERTZ = os.sysconf("SC_CLK_TCK")


def test_where_nothing_can_be_read_nothing_is_known(tmp_path: Path) -> None:
    roots = lay_out(tmp_path, {})
    assert cpu_time((0, 1), roots) is None
    assert processes(roots) == []
    assert clocks((0, 1), roots) == Clocks()
    assert heat((0, 1), roots) == Heat()
    assert memory(roots) == Memory()
    assert throttling(roots) == {}


def test_what_is_no_number_is_not_known(tmp_path: Path) -> None:
    files = {
        "proc/stat": "cpu0 a b c\ncpu1 1",
        "proc/7/stat": "7 (short",
        "proc/meminfo": "MemTotal:\nMemAvailable: much kB",
        "proc/pressure/memory": "some avg10=0.00",
        "proc/self/cgroup": "0::/",
        "sys/fs/cgroup/cpu.stat": "nr_periods\nthrottled_usec 1",
        f"{CPU}/cpu0/cpufreq/scaling_cur_freq": "<unknown>",
        "sys/devices/platform/soc/soc:firmware/get_throttled": "",
    }
    roots = lay_out(tmp_path, files)
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    assert number(tmp_path / "binary") is None
    assert cpu_time((0, 1), roots) is None
    assert processes(roots) == []
    assert clocks((0,), roots) == Clocks()
    assert heat((0,), roots) == Heat()
    assert memory(roots) == Memory()
    assert throttling(roots) == {}


def test_cpu_time_is_that_of_the_named_cpus(tmp_path: Path) -> None:
    roots = lay_out(tmp_path, {"proc/stat": stat((HERTZ, 0), (2 * HERTZ, HERTZ), (400, 400))})
    assert cpu_time((0, 1), roots) == CpuTime(3.0, 1.0)
    assert cpu_time((7,), roots) is None


def test_interrupts_count_as_work_and_waiting_for_disks_does_not(tmp_path: Path) -> None:
    ticks = [HERTZ * part for part in (1, 2, 4, 100, 100, 8, 16, 3, 1, 2)]
    roots = lay_out(tmp_path, {"proc/stat": f"cpu0 {' '.join(map(str, ticks))}"})
    assert cpu_time((0,), roots) == CpuTime(31.0, 3.0)


def test_a_process_may_have_any_name(tmp_path: Path) -> None:
    row = f"S 1 1 1 0 -1 4194304 101 0 0 0 {HERTZ} {2 * HERTZ} 9 9 20 0 1 0 44779 3133440 411"
    roots = lay_out(tmp_path, {"proc/42/stat": f"42 (a) b (c) {row}", "proc/uptime": "1 2"})
    assert processes(roots) == [Process(42, 44779, "a) b (c", 3.0)]


def test_clocks_of_a_desk_with_an_intel_cpu(tmp_path: Path) -> None:
    files = {f"{CPU}/intel_pstate/no_turbo": "0"}
    for cpu, kilohertz in enumerate((800_000, 3_400_000)):
        files |= {
            f"{CPU}/cpu{cpu}/cpufreq/scaling_governor": "powersave",
            f"{CPU}/cpu{cpu}/cpufreq/scaling_driver": "intel_pstate",
            f"{CPU}/cpu{cpu}/cpufreq/scaling_cur_freq": str(kilohertz),
            f"{CPU}/cpu{cpu}/cpufreq/scaling_max_freq": "2000000",
            f"{CPU}/cpu{cpu}/cpufreq/cpuinfo_max_freq": "4000000",
        }
    found = clocks((0, 1), lay_out(tmp_path, files))
    assert found == Clocks("powersave", "intel_pstate", True, 3400.0, 0.5, None)


@pytest.mark.parametrize(
    ("file", "value", "turbo"),
    [
        ("intel_pstate/no_turbo", "1", False),
        ("cpufreq/boost", "1", True),
        ("cpufreq/boost", "0", False),
    ],
)
def test_turbo(tmp_path: Path, file: str, value: str, turbo: bool) -> None:
    assert clocks((0,), lay_out(tmp_path, {f"{CPU}/{file}": value})).turbo is turbo


def test_a_cloud_machine_tells_its_clock_only(tmp_path: Path) -> None:
    rows = "processor\t: 0\ncpu MHz\t\t: 2596.132\nprocessor\t: 1\ncpu MHz\t\t: 2600.5"
    assert clocks((0, 1), lay_out(tmp_path, {"proc/cpuinfo": rows})) == Clocks(megahertz=2600.5)


@pytest.mark.parametrize(
    ("supplies", "on_battery"),
    [
        ({"AC/type": "Mains"}, None),
        ({"BAT0/type": "Battery", "BAT0/status": "Discharging"}, True),
        ({"BAT0/type": "Battery", "BAT0/status": "Full"}, False),
        ({"m/type": "Battery", "m/scope": "Device", "m/status": "Discharging"}, None),
    ],
)
def test_a_battery_is_the_machines_own(
    tmp_path: Path, supplies: dict[str, str], on_battery: bool | None
) -> None:
    files = {f"sys/class/power_supply/{name}": text for name, text in supplies.items()}
    assert clocks((0,), lay_out(tmp_path, files)).on_battery is on_battery


def test_heat_is_the_cpus(tmp_path: Path) -> None:
    files = {
        "sys/class/thermal/thermal_zone0/type": "x86_pkg_temp",
        "sys/class/thermal/thermal_zone0/temp": "61000",
        "sys/class/thermal/thermal_zone1/type": "iwlwifi_1",
        "sys/class/thermal/thermal_zone1/temp": "99000",
        "sys/class/hwmon/hwmon2/name": "k10temp",
        "sys/class/hwmon/hwmon2/temp1_input": "63500",
        "sys/class/hwmon/hwmon3/name": "nvme",
        "sys/class/hwmon/hwmon3/temp1_input": "80000",
    }
    assert heat((0,), lay_out(tmp_path, files)).celsius == 63.5


def test_throttling_for_heat_counts_a_package_once(tmp_path: Path) -> None:
    files = {
        f"{CPU}/cpu0/thermal_throttle/core_throttle_count": "3",
        f"{CPU}/cpu1/thermal_throttle/core_throttle_count": "4",
        f"{CPU}/cpu0/thermal_throttle/package_throttle_count": "10",
        f"{CPU}/cpu1/thermal_throttle/package_throttle_count": "10",
    }
    assert heat((0, 1), lay_out(tmp_path, files)).throttles == 17


@pytest.mark.parametrize(
    ("files", "lowered"),
    [
        ({"class/thermal/cooling_device0": ("Processor", "0")}, False),
        ({"class/thermal/cooling_device0": ("cpufreq-cpu0", "2")}, True),
        ({"class/thermal/cooling_device0": ("Fan", "2")}, None),
    ],
)
def test_a_board_lowers_its_clock(
    tmp_path: Path, files: dict[str, tuple[str, str]], lowered: bool | None
) -> None:
    tree = dict[str, str]()
    for name, (kind, state) in files.items():
        tree |= {f"sys/{name}/type": kind, f"sys/{name}/cur_state": state}
    assert heat((0,), lay_out(tmp_path, tree)).lowered is lowered


@pytest.mark.parametrize(("bits", "lowered"), [("50000", False), ("50005", True), ("0", False)])
def test_a_raspberry_says_whether_its_clock_is_lowered_now(
    tmp_path: Path, bits: str, lowered: bool
) -> None:
    file = "sys/devices/platform/soc/soc:firmware/get_throttled"
    assert heat((0,), lay_out(tmp_path, {file: bits})).lowered is lowered


def test_memory(tmp_path: Path) -> None:
    files = {
        "proc/meminfo": "MemTotal:       1000 kB\nMemFree: 1 kB\nMemAvailable:    250 kB",
        "proc/vmstat": "pgfault 9\npswpin 3\npswpout 8",
        "proc/pressure/memory": "some avg10=1.00 avg60=0.00 avg300=0.00 total=2500000\n"
        "full avg10=0.00 avg60=0.00 avg300=0.00 total=99",
    }
    found = memory(lay_out(tmp_path, files))
    page = os.sysconf("SC_PAGE_SIZE")
    assert found == Memory(1_024_000, 256_000, 3 * page, 2.5)


def test_a_quotas_periods_of_both_versions(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": "0::/user.slice/job.scope",
        "sys/fs/cgroup/user.slice/job.scope/cpu.stat": "usage_usec 1\nnr_periods 0\n"
        "nr_throttled 0\nthrottled_usec 0",
        "sys/fs/cgroup/user.slice/cpu.stat": "usage_usec 1\nnr_periods 60\nnr_throttled 30\n"
        "throttled_usec 1500000",
    }
    found = throttling(lay_out(tmp_path / "two", files))
    assert [each for each in found.values() if each.periods] == [Throttling(60, 30, 1.5)]
    files = {
        "proc/self/cgroup": "4:cpu,cpuacct:/job",
        "sys/fs/cgroup/cpu/job/cpu.stat": "nr_periods 6\nnr_throttled 2\nthrottled_time 3000000000",
    }
    found = throttling(lay_out(tmp_path / "one", files))
    assert list(found.values()) == [Throttling(6, 2, 3.0)]
