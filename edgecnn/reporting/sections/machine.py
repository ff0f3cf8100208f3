"""The computers on which the figures were measured."""

from __future__ import annotations

from edgecnn.machine import Machine
from edgecnn.reporting.contract import Section, Table
from edgecnn.reporting.material import Material
from edgecnn.reporting.words import size

ORDER = 80
TITLE = "Machine"
COMMAND = "edgecnn bench"


def build(material: Material) -> Section | None:
    """Describe each machine that a report names, and say which reports come from it."""
    machines: dict[Machine, list[str]] = {}
    for _, report in material.reports:
        kinds = machines.setdefault(report.machine, [])
        if report.kind not in kinds:
            kinds.append(report.kind)
    if not machines:
        return None
    return Section({"tables": tuple(_table(one, kinds) for one, kinds in machines.items())})


def _table(machine: Machine, kinds: list[str]) -> Table:
    rows = (
        ("CPU", machine.cpu),
        ("instruction sets", ", ".join(machine.features) or "none that matter here"),
        ("cores", f"{machine.allowed_cores} of {machine.cores} allowed"),
        ("memory", size(machine.memory_bytes) if machine.memory_bytes else "unknown"),
        ("architecture", machine.architecture),
        ("system", machine.system),
        ("Python", machine.python),
        ("measured here", ", ".join(sorted(kinds))),
    )
    return Table(machine.name, ("", ""), rows, left=2)
