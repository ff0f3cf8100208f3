"""The scenarios of MLPerf Inference, as LoadGen plays them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from edgecnn.benchmark import BenchReport
from edgecnn.benchmark.scenarios.loadgen import LoadGenResult
from edgecnn.benchmark.scenarios.loadgen_words import sentences
from edgecnn.reporting.contract import Figure, Section, Table
from edgecnn.reporting.dots import Dot, dot_chart
from edgecnn.reporting.material import Kept, Material
from edgecnn.reporting.words import time, time_range

ORDER = 55
TITLE = "Behind MLPerf's LoadGen"
COMMAND = "edgecnn bench --loadgen single-stream,server"


def build(material: Material) -> Section | None:
    """Draw the newest bench that LoadGen asked."""
    kept = next((one for one in material.all(BenchReport) if one.body.scenarios.loadgen), None)
    if kept is None:
        return None
    found = kept.body.scenarios.loadgen
    floor = kept.body.noise_floor if kept.body.valid else None
    values = {
        "note": found[0].note,
        "figure": _figure(found, kept),
        "table": _table(found),
        "kept": kept,
        "sentences": [sentence for one in found for sentence in sentences(one, floor)],
    }
    return Section(values)


def _figure(found: Sequence[LoadGenResult], kept: Kept[BenchReport]) -> Figure | None:
    timed = [one for one in found if one.median_seconds is not None]
    if not timed:
        return None
    return Figure(
        name="loadgen",
        caption=f"How long LoadGen {timed[0].loadgen} waited for the answer to a query, in its own "
        "figures: one run in each session, and the medians over the runs. In multi-stream a query "
        f"holds {_most(timed)} samples; in server it counts from when the query was due. Beside "
        "single-stream, steady calls of the same sessions. An interval that runs off the picture "
        "goes on.",
        alternative=". ".join(map(_words, timed)) + ".",
        chart=partial(_chart, timed),
        origins=(kept,),
        table=_table(found),
    )


def _most(found: Sequence[LoadGenResult]) -> int:
    return max(one.samples_per_query for one in found)


def _label(one: LoadGenResult) -> str:
    return f"{one.variant}, {one.scenario}"


def _words(one: LoadGenResult) -> str:
    return f"{_label(one)}: median {_time(one.median_seconds)}"


def _chart(found: Sequence[LoadGenResult], width: int) -> Any:
    dots = [
        Dot(row, what, seconds, interval)
        for row, one in enumerate(found)
        for what, seconds, interval in (
            ("steady call", one.agreement.own_seconds if one.agreement else None, None),
            ("median", one.median_seconds, one.interval),
            ("90th percentile", one.p90_seconds, None),
            ("99th percentile", one.p99_seconds, None),
        )
        if seconds is not None
    ]
    return dot_chart(dots, [_label(one) for one in found], width, "time")


def _table(found: Sequence[LoadGenResult]) -> Table:
    head = ("variant", "scenario", "LoadGen says", "queries", "median", "95 % interval")
    rows = tuple(
        (
            one.variant,
            one.scenario,
            "VALID" if one.valid else "INVALID",
            f"{one.queries:,}",
            _time(one.median_seconds),
            "" if one.interval is None else time_range(one.interval.low, one.interval.high),
            *map(_time, (one.p90_seconds, one.p99_seconds)),
            "" if one.samples_per_second is None else f"{one.samples_per_second.estimate:,.0f}",
        )
        for one in found
    )
    return Table("Queries of LoadGen", (*head, "90 %", "99 %", "samples/s"), rows, left=3)


def _time(seconds: float | None) -> str:
    return "" if seconds is None else time(seconds)
