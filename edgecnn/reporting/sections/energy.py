"""Energy for a call, where the machine lets it be read."""

from __future__ import annotations

from collections.abc import Sequence

from edgecnn.benchmark import BenchReport
from edgecnn.benchmark.scenarios.energy import Energy
from edgecnn.reporting.contract import Section, Table
from edgecnn.reporting.material import Material

ORDER = 54
TITLE = "Energy"
COMMAND = "edgecnn bench --energy"


def build(material: Material) -> Section | None:
    """Give the energy that the newest bench found, or why it found none."""
    for kept in material.all(BenchReport):
        scenarios = kept.body.scenarios
        if scenarios.energy:
            return Section({"kept": kept, "table": _table(scenarios.energy), "why": ""})
        lacking = [one for one in scenarios.not_measured if one.what == "energy"]
        if lacking:
            return Section({"kept": kept, "table": None, "why": lacking[0].why})
    return None


def _table(found: Sequence[Energy]) -> Table:
    head = ("variant", "meter", "energy of a call", "95 % interval", "busy", "idle", "calls")
    rows = tuple(
        (
            one.variant,
            one.meter,
            "below what can be measured" if one.joules is None else _joules(one.joules.estimate),
            ""
            if one.joules is None
            else f"{_joules(one.joules.low)} to {_joules(one.joules.high)}",
            f"{one.busy_watts:.2f} W",
            f"{one.idle_watts:.2f} W",
            f"{one.calls:,}",
        )
        for one in found
    )
    return Table("Beyond what idling takes", head, rows, left=2)


def _joules(value: float) -> str:
    if abs(value) < 1e-3:
        return f"{value * 1e6:.3g} µJ"
    return f"{value * 1e3:.3g} mJ" if abs(value) < 1 else f"{value:.3g} J"
