"""What `edgecnn bench` prints of MLPerf's LoadGen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from edgecnn.cli._bench_scenarios import scenario_table
from edgecnn.cli._terminal import say

if TYPE_CHECKING:
    from edgecnn.benchmark import BenchReport
    from edgecnn.benchmark.scenarios.loadgen import LoadGenResult


def print_loadgen(report: BenchReport) -> None:
    """Print what LoadGen says, and whether it agrees with the steady state."""
    from edgecnn.benchmark.scenarios.loadgen_words import sentences

    found = report.scenarios.loadgen
    if not found:
        return
    _print_table(found)
    floor = report.noise_floor if report.valid else None
    for row in found:
        for sentence in sentences(row, floor):
            say(f"{sentence}.")
    say(f"{found[0].note}.")


def _print_table(found: Sequence[LoadGenResult]) -> None:
    rows = [
        (
            row.variant,
            row.scenario,
            "VALID" if row.valid else "INVALID",
            f"{row.queries:,}",
            *map(_time, (row.median_seconds, row.p90_seconds, row.p99_seconds)),
            "-" if row.samples_per_second is None else f"{row.samples_per_second.estimate:,.0f}",
        )
        for row in found
    ]
    headers = ("", "scenario", "says", "queries", "median", "p90", "p99", "samples/s")
    images = found[0].images_per_sample
    sample = "an image" if images == 1 else f"a batch of {images} images"
    caption = f"LoadGen {found[0].loadgen} asks, and these are its figures. A sample is {sample}."
    scenario_table("Queries of MLPerf's LoadGen", headers, rows, caption)


def _time(seconds: float | None) -> str:
    from edgecnn.cli._show import three_digits

    if seconds is None:
        return "-"
    factor, unit = (1e6, "µs") if seconds < 1e-3 else (1e3, "ms")
    return f"{three_digits(seconds * factor)} {unit}"
