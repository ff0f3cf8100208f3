"""Meters of energy, on trees as Linux shows them."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from edgecnn.benchmark.scenarios.energy import EnergyTurn, energy, rest_and_call
from edgecnn.benchmark.scenarios.meters import Counter, Meter, NoMeter, Reading, find_meter
from edgecnn.worker import Prepared


def write(folder: Path, **files: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_text(f"{content}\n")
    return folder


def rapl(sys: Path, zone: str, name: str, energy: int = 0) -> Path:
    folder = sys / "class" / "powercap" / f"intel-rapl:{zone}"
    write(folder, name=name, energy_uj=energy, max_energy_range_uj=1_000_000)
    return folder / "energy_uj"


def test_packages_are_added_up_and_their_parts_are_not(tmp_path: Path) -> None:
    first, second = rapl(tmp_path, "0", "package-0"), rapl(tmp_path, "1", "package-1")
    core = rapl(tmp_path, "0:0", "core")
    rapl(tmp_path, "2", "psys")
    meter = find_meter(tmp_path)
    assert isinstance(meter, Meter)
    assert meter.name == "RAPL, 2 processor packages"
    reading = Reading(meter)
    first.write_text("300000")
    second.write_text("200000")
    core.write_text("900000")
    assert reading.sample() == pytest.approx(0.5)


def test_a_counter_that_begins_again_goes_on(tmp_path: Path) -> None:
    file = rapl(tmp_path, "0", "package-0", 900_000)
    reading = Reading(_meter(tmp_path))
    file.write_text("100000")
    assert reading.sample() == pytest.approx(0.2)
    file.write_text("150000")
    assert reading.sample() == pytest.approx(0.25)


def test_the_platform_is_read_where_there_are_no_packages(tmp_path: Path) -> None:
    rapl(tmp_path, "0", "psys")
    assert _meter(tmp_path).name == "RAPL, the whole platform"


def test_sockets_of_amd(tmp_path: Path) -> None:
    folder = tmp_path / "class" / "hwmon" / "hwmon3"
    write(folder, name="amd_energy", energy1_label="Ecore000", energy1_input=5)
    write(folder, energy9_label="Esocket0", energy9_input=1_000_000)
    meter = _meter(tmp_path)
    assert meter.name == "amd_energy, 1 socket"
    assert [counter.file.name for counter in meter.counters] == ["energy9_input"]


def test_power_of_a_board_is_added_up_over_time(tmp_path: Path) -> None:
    folder = tmp_path / "class" / "hwmon" / "hwmon0"
    write(folder, name="ina3221", in1_label="VDD_CPU", in1_input=1, curr1_input=1)
    write(folder, in2_label="VDD_IN", in2_input=5000, curr2_input=2000)
    meter = _meter(tmp_path)
    assert "VDD_IN" in meter.name
    began = time.perf_counter()
    reading = Reading(meter)
    made = time.perf_counter()
    time.sleep(0.05)
    asked = time.perf_counter()
    joules = reading.sample()
    ended = time.perf_counter()
    assert 10 * (asked - made) <= joules <= 10 * (ended - began)


def test_other_sensors_are_left_alone(tmp_path: Path) -> None:
    write(tmp_path / "class" / "hwmon" / "hwmon0", name="amdgpu", power1_average=9_000_000)
    found = find_meter(tmp_path)
    assert isinstance(found, NoMeter)
    assert "shows no meter" in found.why


def test_a_meter_for_root_alone_says_how_to_open_it(tmp_path: Path) -> None:
    file = rapl(tmp_path, "0", "package-0")
    file.unlink()
    file.mkdir()  # root may read any file, but no folder
    found = find_meter(tmp_path)
    assert isinstance(found, NoMeter)
    assert found.remedy == f"sudo chmod a+r {file}"


def test_a_counter_without_numbers_is_none(tmp_path: Path) -> None:
    rapl(tmp_path, "0", "package-0").write_text("garbage")
    found = find_meter(tmp_path)
    assert isinstance(found, NoMeter)
    assert found.remedy.startswith("sudo chmod a+r ")


def test_no_linux_no_meter(tmp_path: Path) -> None:
    found = find_meter(tmp_path / "nowhere")
    assert isinstance(found, NoMeter)
    assert "Linux" in found.why


def test_what_idling_takes_is_not_in_it() -> None:
    # 30 W while calling, 10 W while not: 20 W over 2 s and 1,000 calls.
    turn = EnergyTurn(0, 1000, 2.0, 60.0, 1.0, 10.0)
    assert turn.joules == pytest.approx(0.04)
    found = energy("fp32", Meter("a meter"), [turn, turn])
    assert found.joules is not None
    assert found.joules.estimate == pytest.approx(0.04)
    assert found.busy_watts == pytest.approx(30)
    assert found.idle_watts == pytest.approx(10)


def test_energy_below_what_shows_is_not_made_up() -> None:
    quiet, loud = EnergyTurn(0, 10, 1.0, 9.0, 1.0, 10.0), EnergyTurn(1, 10, 1.0, 12.0, 1.0, 10.0)
    assert energy("fp32", Meter("a meter"), [quiet, loud]).joules is None


def test_the_worker_reads_while_it_calls(prepared: Prepared, tmp_path: Path) -> None:
    file = tmp_path / "energy_uj"
    file.write_text("0")
    meter = Meter("mine", (Counter(file),))
    turn = rest_and_call(prepared, meter=meter, seconds=0.05, replicate=1)
    assert turn.calls > 0
    assert turn.busy_seconds >= 0.05
    assert turn.idle_seconds >= 0.05
    assert (turn.busy_joules, turn.idle_joules, turn.replicate) == (0, 0, 1)


def _meter(sys: Path) -> Meter:
    found = find_meter(sys)
    assert isinstance(found, Meter)
    return found
