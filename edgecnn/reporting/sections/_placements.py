"""Where the operators were computed, as tables."""

from __future__ import annotations

from collections.abc import Iterator

from edgecnn.benchmark import BenchReport
from edgecnn.placement import Placement
from edgecnn.reporting.contract import Table
from edgecnn.reporting.words import percent, time


def placement_tables(body: BenchReport) -> tuple[Table, ...]:
    """Give a table of what each provider computed, and one of the libraries that were loaded.

    There is none where everything was measured on the CPU.
    """
    found = [(row.variant, row.placement) for row in body.variants if row.placement]
    if not found:
        return ()
    rows = tuple(row for variant, placement in found for row in _shares(variant, placement))
    columns = ("variant", "computed on", "operators", "time", "share")
    libraries = {each.path: each for _, placement in found for each in placement.libraries}
    return (
        Table("Where the operators of a run were computed", columns, rows, left=2),
        Table(
            "Libraries that were loaded for it",
            ("library", "version", "path"),
            tuple((each.name, each.version or "unknown", each.path) for each in libraries.values()),
            left=3,
        ),
    )


def _shares(variant: str, placement: Placement) -> Iterator[tuple[str, ...]]:
    parts = [(share.provider, share.operators, share.time_ns) for share in placement.shares]
    parts += [(f"copied {each.direction}", each.count, each.time_ns) for each in placement.copies]
    total = sum(time_ns for _, _, time_ns in parts)
    for what, count, time_ns in parts:
        share = percent(time_ns / total) if total else ""
        yield variant, what, str(count), time(time_ns / 1e9), share
