"""Answers to inputs that arrive at a given rate, as from a camera."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from edgecnn.benchmark import BenchReport
from edgecnn.benchmark.scenarios.arrival import ArrivalLatency
from edgecnn.reporting.contract import Figure, Section, Table
from edgecnn.reporting.dots import Dot, dot_chart
from edgecnn.reporting.material import Material
from edgecnn.reporting.words import percent, time

ORDER = 51
TITLE = "As inputs arrive"
COMMAND = "edgecnn bench --arrival periodic:30"


def build(material: Material) -> Section | None:
    """Draw the newest bench whose inputs arrived by the clock."""
    kept = next((one for one in material.all(BenchReport) if one.body.scenarios.arrivals), None)
    if kept is None:
        return None
    found = [one for one in kept.body.scenarios.arrivals if one.call_seconds is not None]
    if not found:
        return None
    limits = {one.deadline_seconds for one in found}
    limit = limits.pop() if len(limits) == 1 else None
    figure = Figure(
        name="arrivals",
        caption=f"Inputs arrive {_rates(found)}. From an input's arrival to its answer, waiting "
        "included, whether the caller sleeps until then or watches the clock, which keeps its core "
        "awake; beside it the call alone."
        + (f" The dashed line is the deadline, {time(limit)}." if limit else "")
        + " An interval that runs off the picture goes on.",
        alternative=". ".join(map(_words, found)) + ".",
        chart=partial(_chart, found, limit),
        origins=(kept,),
        table=_table(found),
    )
    behind = [f"{_label(one)} fell behind for good" for one in found if not one.keeps_up]
    return Section({"figure": figure, "behind": behind})


def _rates(found: Sequence[ArrivalLatency]) -> str:
    how = {"periodic": "evenly", "poisson": "at random"}
    kinds = dict.fromkeys((one.arrival.partition(":")[0], one.rate) for one in found)
    return " and ".join(f"{how[process]}, {rate:g} a second" for process, rate in kinds)


def _label(one: ArrivalLatency) -> str:
    return f"{one.variant}, {one.arrival}, {one.waiting}"


def _words(one: ArrivalLatency) -> str:
    median = "not measured" if one.median_seconds is None else time(one.median_seconds)
    return f"{_label(one)}: median {median}"


def _chart(found: Sequence[ArrivalLatency], limit: float | None, width: int) -> Any:
    dots = [
        Dot(row, what, seconds, interval)
        for row, one in enumerate(found)
        for what, seconds, interval in (
            ("call alone", one.call_seconds, one.call_interval),
            ("arrival to answer, median", one.median_seconds, one.interval),
            ("90th percentile", one.p90_seconds, None),
            ("99th percentile", one.p99_seconds, None),
        )
        if seconds is not None
    ]
    several = len({one.arrival for one in found}) > 1
    labels = [_label(one) if several else f"{one.variant}, {one.waiting}" for one in found]
    return dot_chart(dots, labels, width, "time", limit=limit)


def _table(found: Sequence[ArrivalLatency]) -> Table:
    head = ("variant", "arrivals", "caller", "answers due", "median", "90 %", "99 %", "call alone")
    rows = tuple(
        (
            one.variant,
            one.arrival,
            one.waiting,
            f"{one.arrivals:,}",
            *map(_time, (one.median_seconds, one.p90_seconds, one.p99_seconds, one.call_seconds)),
            "" if one.missed is None else percent(one.missed.estimate),
            _time(one.cpu_seconds),
        )
        for one in found
    )
    return Table("From arrival to answer", (*head, "missed", "CPU time each"), rows, left=3)


def _time(seconds: float | None) -> str:
    return "" if seconds is None else time(seconds)
