"""The first call after a pause, beside a steady one."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from edgecnn.benchmark import BenchReport
from edgecnn.benchmark.scenarios.idle import IdleLatency
from edgecnn.reporting.contract import Figure, Section, Table
from edgecnn.reporting.dots import Dot, dot_chart
from edgecnn.reporting.material import Material
from edgecnn.reporting.words import time, time_range
from edgecnn.units import time_text

ORDER = 50
TITLE = "After a pause"
COMMAND = "edgecnn bench --idle 1s,10s"


def build(material: Material) -> Section | None:
    """Draw the newest bench that let the variants rest."""
    kept = next((one for one in material.all(BenchReport) if one.body.scenarios.idle), None)
    if kept is None:
        return None
    found = [one for one in kept.body.scenarios.idle if one.first_seconds is not None]
    if not found:
        return None
    figure = Figure(
        name="idle",
        caption="The first call after a pause beside a steady one, with the 95 % intervals: by "
        "then caches are cold, clocks low and threads asleep. An interval that runs off the "
        "picture goes on.",
        alternative=". ".join(map(_words, found)) + ".",
        chart=partial(_chart, found),
        origins=(kept,),
        table=_table(found),
    )
    return Section({"figure": figure})


def _label(one: IdleLatency) -> str:
    return f"{one.variant}, {time_text(one.pause_seconds)}"


def _words(one: IdleLatency) -> str:
    return (
        f"{one.variant} after {time_text(one.pause_seconds)}: {_time(one.first_seconds)}, steady "
        f"{_time(one.steady_seconds)}"
    )


def _chart(found: Sequence[IdleLatency], width: int) -> Any:
    dots = [
        dot
        for row, one in enumerate(found)
        for dot in (
            _dot(row, "steady call", one.steady_seconds),
            _dot(row, "first call", one.first_seconds, one.first_interval),
            _dot(row, "first call, longest", one.first_largest_seconds),
        )
        if dot
    ]
    return dot_chart(dots, [_label(one) for one in found], width, "time of a call")


def _dot(row: int, what: str, seconds: float | None, interval: Any = None) -> Dot | None:
    return None if seconds is None else Dot(row, what, seconds, interval)


def _table(found: Sequence[IdleLatency]) -> Table:
    head = ("variant", "pause", "pauses", "first call", "95 % interval", "longest", "steady")
    rows = tuple(
        (
            one.variant,
            time_text(one.pause_seconds),
            str(one.pauses),
            _time(one.first_seconds),
            time_range(one.first_interval.low, one.first_interval.high)
            if one.first_interval
            else "",
            _time(one.first_largest_seconds),
            _time(one.steady_seconds),
            "" if one.ratio is None else f"{one.ratio.estimate:.2f}",
            "" if one.recovery_calls is None else str(one.recovery_calls),
        )
        for one in found
    )
    return Table("Calls after a pause", (*head, "ratio", "slow calls"), rows, left=2)


def _time(seconds: float | None) -> str:
    return "not measured" if seconds is None else time(seconds)
