"""What sets the CPUs' clocks: governor, turbo, a lowered limit, the battery."""

from __future__ import annotations

import re
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass

from edgecnn.conditions.files import HERE, Roots, folders, number, text

_MOST_ASKED = 8  # older kernels wait 20 ms for the clock of each


@dataclass(frozen=True)
class Clocks:
    """What sets the clocks of some CPUs; None where it is not known.

    Attributes:
        governor: What decides on the clock; several names if the CPUs differ.
        driver: The kernel's driver for it.
        turbo: The clock may rise above the base clock while the CPU is cool.
        megahertz: The highest clock among the first eight of them right now.
        limit_share: What they are allowed of the highest clock that the CPU can do.
        on_battery: The machine runs on its battery.
    """

    governor: str | None = None
    driver: str | None = None
    turbo: bool | None = None
    megahertz: float | None = None
    limit_share: float | None = None
    on_battery: bool | None = None


def clocks(cpus: Collection[int], roots: Roots = HERE) -> Clocks:
    """Read what sets the clocks."""
    return Clocks(
        governor=_names(cpus, "scaling_governor", roots),
        driver=_names(cpus, "scaling_driver", roots),
        turbo=_turbo(roots),
        megahertz=_megahertz(cpus, roots),
        limit_share=_limit_share(cpus, roots),
        on_battery=_on_battery(roots),
    )


def _names(cpus: Collection[int], file: str, roots: Roots) -> str | None:
    found = {text(roots.cpu(cpu) / "cpufreq" / file) for cpu in cpus}
    return ", ".join(sorted(filter(None, found))) or None


def _turbo(roots: Roots) -> bool | None:
    off = number(roots.cpus / "intel_pstate/no_turbo")
    if off is not None:
        return off == 0
    boost = number(roots.cpus / "cpufreq/boost")
    return None if boost is None else boost == 1


def _megahertz(cpus: Collection[int], roots: Roots) -> float | None:
    asked = sorted(cpus)[:_MOST_ASKED]
    read = [number(roots.cpu(cpu) / "cpufreq/scaling_cur_freq") for cpu in asked]
    found = [kilohertz / 1e3 for kilohertz in read if kilohertz]
    if not found:
        lines = text(roots.proc / "cpuinfo") or ""
        with suppress(ValueError):
            found = [float(each) for each in re.findall(r"^cpu MHz\s*:\s*(\S+)$", lines, re.M)]
    return max(found, default=None)


def _limit_share(cpus: Collection[int], roots: Roots) -> float | None:
    shares = []
    for folder in (roots.cpu(cpu) / "cpufreq" for cpu in cpus):
        limit, most = number(folder / "scaling_max_freq"), number(folder / "cpuinfo_max_freq")
        if limit and most:
            shares.append(limit / most)
    return min(shares, default=None)


def _on_battery(roots: Roots) -> bool | None:
    supplies = list(folders(roots.sys / "class/power_supply", "*"))
    # A mouse has a battery too; its scope is `Device`.
    own = [each for each in supplies if text(each / "scope") != "Device"]
    states = [text(each / "status") for each in own if text(each / "type") == "Battery"]
    return "Discharging" in states if states else None
