"""Meters of energy that the machine lets be read.

Sources: Linux, Documentation/power/powercap/powercap.rst (RAPL of Intel and AMD) and
Documentation/hwmon/sysfs-interface.rst. Only sensors that are known to cover the whole processor or
board are used: a sum of whatever is there would count some things twice and others never.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_SYS = Path("/sys")
_MICRO = 1e-6
# Labels of a board's whole input on NVIDIA's Jetsons, whose sensor is an INA3221.
_BOARD_INPUTS = ("VDD_IN", "POM_5V_IN")


@dataclass(frozen=True)
class Counter:
    """A file that counts microjoules.

    Attributes:
        file: The file.
        wraps: What it counts to before it begins again; 0 for never.
    """

    file: Path
    wraps: int = 0


@dataclass(frozen=True)
class Meter:
    """What can be read.

    Attributes:
        name: What it is and covers.
        counters: Files that count energy; their sum is meant.
        power: Otherwise, files that say how many microwatts there are now.
        volts_amperes: Otherwise, pairs of files: millivolts and milliamperes now.
    """

    name: str
    counters: tuple[Counter, ...] = ()
    power: tuple[Path, ...] = ()
    volts_amperes: tuple[tuple[Path, Path], ...] = ()


@dataclass(frozen=True)
class NoMeter:
    """Why energy cannot be measured, and what would help; empty if nothing does."""

    why: str
    remedy: str = ""


class Reading:
    """Energy since it was made; `sample()` it often where a meter gives power alone."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._last = [_number(counter.file) for counter in meter.counters]
        self._joules = 0.0
        self._at, self._watts = time.perf_counter(), self._power()

    def sample(self) -> float:
        """Read the meter and give the joules so far."""
        for number, counter in enumerate(self._meter.counters):
            now = _number(counter.file)
            self._joules += _since(self._last[number], now, counter.wraps) * _MICRO
            self._last[number] = now
        if not self._meter.counters:
            at, watts = time.perf_counter(), self._power()
            self._joules += (watts + self._watts) / 2 * (at - self._at)
            self._at, self._watts = at, watts
        return self._joules

    def _power(self) -> float:
        watts = sum(_number(file) for file in self._meter.power) * _MICRO
        pairs = self._meter.volts_amperes
        return watts + sum(_number(volts) * _number(amperes) for volts, amperes in pairs) * _MICRO


def find_meter(sys: Path = _SYS) -> Meter | NoMeter:
    """Find what can be read here.

    Args:
        sys: Where Linux shows the machine.
    """
    zones = list(_rapl_zones(sys))
    sensors = (_socket_counters(sys), _board_input(sys))
    readable = [meter for meter in (*zones, *sensors) if meter and _readable(meter)]
    if readable:
        return readable[0]
    if zones:
        files = " ".join(str(counter.file) for counter in zones[0].counters)
        return NoMeter(f"{zones[0].name} may be read by root alone", f"sudo chmod a+r {files}")
    if not (sys / "class").is_dir():
        return NoMeter("energy is read on Linux only")
    return NoMeter("this machine shows no meter of energy (RAPL, amd_energy or INA3221)")


def _rapl_zones(sys: Path) -> Iterator[Meter]:
    packages, whole = list[Counter](), list[Counter]()
    for zone in sorted((sys / "class" / "powercap").glob("intel-rapl:*")):
        name = _text(zone / "name")
        counter = Counter(zone / "energy_uj", int(_text(zone / "max_energy_range_uj") or 0))
        if name.startswith("package-"):
            packages.append(counter)
        elif name == "psys":
            whole.append(counter)
    if packages:
        yield Meter(f"RAPL, {_count(len(packages), 'processor package')}", tuple(packages))
    elif whole:
        yield Meter("RAPL, the whole platform", tuple(whole))


def _socket_counters(sys: Path) -> Meter | None:
    for folder in _hwmon(sys, "amd_energy"):
        labels = sorted(folder.glob("energy*_label"))
        sockets = [label for label in labels if _text(label).startswith("Esocket")]
        files = [label.with_name(label.name.replace("_label", "_input")) for label in sockets]
        if files:
            name = f"amd_energy, {_count(len(files), 'socket')}"
            return Meter(name, tuple(Counter(file) for file in files))
    return None


def _board_input(sys: Path) -> Meter | None:
    for folder in _hwmon(sys, "ina3221"):
        for label in sorted(folder.glob("in*_label")):
            if _text(label) not in _BOARD_INPUTS:
                continue
            number = label.name.removeprefix("in").removesuffix("_label")
            name = f"INA3221, the board's input {_text(label)}"
            pair = (folder / f"in{number}_input", folder / f"curr{number}_input")
            return Meter(name, volts_amperes=(pair,))
    return None


def _hwmon(sys: Path, name: str) -> list[Path]:
    folders = sorted((sys / "class" / "hwmon").glob("hwmon*"))
    return [folder for folder in folders if _text(folder / "name") == name]


def _readable(meter: Meter) -> bool:
    try:
        Reading(meter)
    except (OSError, ValueError):
        return False
    return True


def _since(before: int, now: int, wraps: int) -> int:
    return now - before if now >= before else now - before + wraps


def _number(file: Path) -> int:
    return int(file.read_text())


def _text(file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError:
        return ""


def _count(count: int, name: str) -> str:
    return f"{count} {name}" if count == 1 else f"{count} {name}s"
