"""What the machine was like while the latency was measured, and what makes it doubtful."""

from __future__ import annotations

from collections.abc import Iterator

from edgecnn.benchmark import BenchReport
from edgecnn.conditions import Conditions, Course, Doubt, cpu_list
from edgecnn.reporting.contract import Section, Table
from edgecnn.reporting.material import Material
from edgecnn.reporting.words import percent, size, time

ORDER = 78
TITLE = "Conditions"
COMMAND = "edgecnn bench"


def build(material: Material) -> Section | None:
    """Describe the conditions of the newest bench, and say what is doubtful about it."""
    kept = material.newest(BenchReport)
    if kept is None or (kept.body.conditions is None and not kept.body.doubts):
        return None
    found = kept.body.conditions
    rows = tuple(_rows(found, kept.body.setup.cores)) if found else ()
    return Section(
        {
            "kept": kept,
            "invalid": _sentences(kept.body.doubts, invalid=True),
            "notes": _sentences(kept.body.doubts, invalid=False),
            "table": Table("While it was measured", ("", ""), rows, left=2) if rows else None,
        }
    )


def _sentences(doubts: tuple[Doubt, ...], *, invalid: bool) -> tuple[tuple[str, str], ...]:
    """Give what is doubtful, and what to do about it."""
    return tuple(
        (f"{doubt.what[:1].upper()}{doubt.what[1:]}.", doubt.remedy)
        for doubt in doubts
        if doubt.invalid == invalid
    )


def _rows(found: Conditions, pinned: tuple[int, ...]) -> Iterator[tuple[str, str]]:
    yield "looked at", f"{found.looks} times in {time(found.seconds)}, never while a call was timed"
    if found.cpus:
        cores = f" on {found.physical_cores} physical cores" if found.physical_cores else ""
        yield "CPUs allowed", f"{cpu_list(found.cpus)}{cores}"
    if pinned:
        yield "pinned to CPU", cpu_list(pinned)
    if found.others_cpus is not None:
        yield "load of others", f"{found.others_cpus:.2f} CPUs"
    for busy in found.busiest:
        yield f"of these, process {busy.pid}", f"{busy.name}, {busy.cpus:.2f} CPUs"
    if found.steal_share is not None:
        yield "steal", percent(found.steal_share)
    yield "CPU quota", f"{found.quota_cpus:g} CPUs" if found.quota_cpus else "none"
    if found.periods:
        yield "periods throttled", f"{found.throttled_periods} of {found.periods}"
    yield from _clock(found)
    yield from _memory(found)


def _clock(found: Conditions) -> Iterator[tuple[str, str]]:
    yield "governor", found.governor or "not known"
    yield "turbo", "not known" if found.turbo is None else "on" if found.turbo else "off"
    if found.megahertz:
        yield "clock between turns", _course(found.megahertz, "MHz")
    yield "temperature", _course(found.celsius, "°C") if found.celsius else "not known"
    if found.heat_throttles is not None:
        yield "throttled for heat", str(found.heat_throttles)


def _memory(found: Conditions) -> Iterator[tuple[str, str]]:
    if found.available_bytes is not None:
        yield "memory left", size(found.available_bytes)
    if found.swapped_in_bytes is not None:
        yield "read back from swap", size(found.swapped_in_bytes)
    if found.memory_stall_share is not None:
        yield "waiting for memory", percent(found.memory_stall_share)


def _course(course: Course, unit: str) -> str:
    if course.lowest == course.highest:
        return f"{course.first:,.0f} {unit}"
    ends = f"{course.first:,.0f} to {course.last:,.0f} {unit}"
    return f"{ends}, lowest {course.lowest:,.0f}, highest {course.highest:,.0f}"
