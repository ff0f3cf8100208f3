"""How warm the CPU is, and whether its clock is lowered for that."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from edgecnn.conditions.files import HERE, Roots, folders, number, text

# Names of sensors that measure the CPU: Intel's, AMD's, and those of boards.
_CPU_SENSOR = re.compile(r"x86_pkg_temp|coretemp|k10temp|zenpower|cpu|soc", re.IGNORECASE)
# What the kernel calls the lowering of a CPU's clock among its means of cooling.
_CPU_COOLING = re.compile(r"processor|cpufreq|intel_powerclamp", re.IGNORECASE)
_RASPBERRY = "devices/platform/soc/soc:firmware/get_throttled"
_RASPBERRY_NOW = 0b1111  # too little voltage, capped, throttled, soft limit of temperature


@dataclass(frozen=True)
class Heat:
    """How warm some CPUs are; None where it is not known.

    Attributes:
        celsius: The hottest of the CPU's sensors.
        throttles: How often they were throttled since the machine started.
        lowered: The clock is lowered now, for heat or want of power.
    """

    celsius: float | None = None
    throttles: int | None = None
    lowered: bool | None = None


def heat(cpus: Collection[int], roots: Roots = HERE) -> Heat:
    """Read how warm some CPUs are."""
    return Heat(_celsius(roots), _throttles(cpus, roots), _lowered(roots))


def _celsius(roots: Roots) -> float | None:
    files = [
        (zone / "type", zone / "temp")
        for zone in folders(roots.sys / "class/thermal", "thermal_zone*")
    ]
    files += [
        (chip / "name", sensor)
        for chip in folders(roots.sys / "class/hwmon", "hwmon*")
        for sensor in folders(chip, "temp*_input")
    ]
    found = [number(value) for name, value in files if _CPU_SENSOR.search(text(name) or "")]
    return max((value / 1e3 for value in found if value is not None), default=None)


def _throttles(cpus: Collection[int], roots: Roots) -> int | None:
    cores, packages = (_counts(kind, cpus, roots) for kind in ("core", "package"))
    # A package shows the same on each of its CPUs.
    return sum(cores) + max(packages, default=0) if cores or packages else None


def _counts(kind: str, cpus: Collection[int], roots: Roots) -> list[int]:
    file = f"thermal_throttle/{kind}_throttle_count"
    read = (number(roots.cpu(cpu) / file) for cpu in cpus)
    return [count for count in read if count is not None]


def _lowered(roots: Roots) -> bool | None:
    devices = folders(roots.sys / "class/thermal", "cooling_device*")
    cooling = [each for each in devices if _CPU_COOLING.search(text(each / "type") or "")]
    states = [number(each / "cur_state") for each in cooling]
    found = [state > 0 for state in states if state is not None]
    firmware = text(roots.sys / _RASPBERRY)
    if firmware:
        found.append(bool(int(firmware, 16) & _RASPBERRY_NOW))
    return any(found) if found else None
