"""How long a call takes: every call's time, its tail, and how it went over the run."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from statistics import median
from typing import Any

import numpy as np

from edgecnn.benchmark import BenchReport
from edgecnn.benchmark.report import VariantLatency
from edgecnn.options import computing
from edgecnn.reporting.contract import Figure, Section, Table
from edgecnn.reporting.drawing import (
    amount_axis,
    chart,
    colours,
    fitted,
    height,
    shapes,
    time_unit,
)
from edgecnn.reporting.material import Kept, Material
from edgecnn.reporting.sections._distribution import distribution, supported
from edgecnn.reporting.sections._placements import placement_tables
from edgecnn.reporting.words import size, time, time_range
from edgecnn.stats import Interval

ORDER = 40
TITLE = "Latency"
COMMAND = "edgecnn bench"

_TAIL = (0, 0.25, 0.5, 0.75, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 0.9995, 0.9999)
_MOST_POINTS = 120


def build(material: Material) -> Section | None:
    """Draw the newest bench: distribution, tail and course."""
    kept = material.newest(BenchReport)
    if kept is None or not any(row.calls for row in kept.body.variants):
        return None
    figures = [distribution(kept, _measured(kept.body)), _tail(kept)]
    if any(
        leg.at_seconds for row in kept.body.variants for leg in kept.body.samples.legs(row.variant)
    ):
        figures.append(_course(kept))  # reports of version 1 do not say when
    values = {"kept": kept, "figures": figures, "table": _table(kept.body), "setup": _setup(kept)}
    return Section(values | {"placements": placement_tables(kept.body)})


def _measured(body: BenchReport) -> dict[str, list[float]]:
    """Give the times of each variant that was measured, in seconds."""
    found = {row.variant: body.samples.times_ns(row.variant) for row in body.variants}
    return {name: [one / 1e9 for one in times] for name, times in found.items() if times}


def _tail(kept: Kept[BenchReport]) -> Figure:
    times = _measured(kept.body)
    last = {name: _percentiles(own)[-1] for name, own in times.items()}
    ends = ", ".join(f"{name} {_share(p)} within {time(t)}" for name, (p, t) in last.items())
    return Figure(
        name="tail",
        caption="The tail: so many of the calls (across) took no longer than that (up). Each step "
        "to the right leaves a tenth of the slower calls. A line ends where the calls are too few "
        "to say more.",
        alternative=f"Percentiles of latency: {ends}.",
        chart=partial(_tail_chart, times),
        origins=(kept,),
        table=_tail_table(times),
    )


def _percentiles(times: Sequence[float]) -> list[tuple[float, float]]:
    shares = [share for share in _TAIL if supported(times, share)]
    return [(share, float(np.quantile(times, share))) for share in shares]


def _tail_chart(times: dict[str, list[float]], width: int) -> Any:
    import altair as alt

    names = fitted(times, width - 60)
    found = {name: _percentiles(own) for name, own in times.items()}
    values = [value for own in found.values() for _, value in own]
    unit = time_unit(values)
    rows = [
        {
            "nines": -math.log10(1 - share),
            "time": value * unit.factor,
            "of": names[name],
            "text": f"{name}: {_share(share)} of the calls within {time(value)}",
        }
        for name, own in found.items()
        for share, value in own
    ]
    ticks = {0: "0", 1: "90", 2: "99", 3: "99.9", 4: "99.99"} | {-math.log10(0.5): "50"}
    deepest = max(-math.log10(1 - share) for own in found.values() for share, _ in own)
    here = {at: label for at, label in ticks.items() if at <= deepest + 1e-9}
    label = " : ".join(f"abs(datum.value - {at}) < 0.01 ? '{text}'" for at, text in here.items())
    order = list(names.values())
    base = chart(rows, height=height(190, order, width)).encode(
        x=alt.X(
            "nines:Q",
            title="calls in per cent",
            axis=alt.Axis(values=sorted(here), tickCount=len(here), labelExpr=f"{label} : ''"),
        ),
        y=amount_axis("y", "time", [one * unit.factor for one in values], f"time in {unit.name}"),
        color=colours(order, width),
        description="text:N",
    )
    return base.mark_line(aria=False) + base.mark_point(opacity=1).encode(
        shape=shapes(order, width)
    )


def _tail_table(times: dict[str, list[float]]) -> Table:
    found = {name: dict(_percentiles(own)) for name, own in times.items()}
    rows = tuple(
        (
            _share(share),
            *(time(own[share]) if share in own else "too few" for own in found.values()),
        )
        for share in _TAIL
        if any(share in own for own in found.values())
    )
    return Table("Percentiles", ("calls", *times), rows)


def _share(share: float) -> str:
    return f"{100 * share:g} %"


def _course(kept: Kept[BenchReport]) -> Figure:
    body = kept.body
    sessions = len(body.samples.sessions)
    return Figure(
        name="course",
        caption="Median of each turn over the run. Variants take turns, so that what disturbs the "
        f"machine disturbs all of them; {sessions} fresh processes took part. Two levels of one "
        "variant are two processes: each is a little faster or slower for as long as it lives.",
        alternative=f"Median time of a call over the run: {_course_words(body)}.",
        chart=partial(_course_chart, body),
        origins=(kept,),
    )


def _course_words(body: BenchReport) -> str:
    return ", ".join(
        f"{row.variant} between {time(min(own))} and {time(max(own))}"
        for row in body.variants
        if (own := [median(leg.times_ns) / 1e9 for leg in body.samples.legs(row.variant)])
    )


def _course_chart(body: BenchReport, width: int) -> Any:
    import altair as alt

    legs = {row.variant: list(body.samples.legs(row.variant)) for row in body.variants}
    legs = {name: own for name, own in legs.items() if own}
    names = fitted(legs, width - 60)
    levels = {name: [median(leg.times_ns) / 1e9 for leg in own] for name, own in legs.items()}
    every = [value for own in levels.values() for value in own]
    unit = time_unit(every)
    shown = [value * unit.factor for value in every]
    rows = [
        {
            "at": own[i].at_seconds,
            "time": levels[name][i] * unit.factor,
            "of": names[name],
            "text": f"{name} after {own[i].at_seconds:.1f} s: {time(levels[name][i])}",
        }
        for name, own in legs.items()
        for i in range(0, len(own), -(-len(own) // _MOST_POINTS))
    ]
    order = list(names.values())
    return (
        chart(rows, height=height(170, order, width))
        .mark_point(opacity=0.75, size=22)
        .encode(
            x=alt.X("at:Q", title="time since the run began in s", axis=alt.Axis(grid=False)),
            y=amount_axis("y", "time", shown, f"median of a turn in {unit.name}"),
            color=colours(order, width),
            shape=shapes(order, width),
            description="text:N",
        )
    )


def _table(body: BenchReport) -> Table:
    """Variants stand side by side: there are fewer of them than figures."""
    rows = [(what, *map(tell, body.variants)) for what, tell in _FIGURES.items()]
    told = tuple(row for row in rows if any(row[1:]))
    return Table("In the steady state", ("", *(row.variant for row in body.variants)), told)


def _interval(interval: Interval | None) -> str:
    return "" if interval is None else time_range(interval.low, interval.high)


def _count(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}"


def _time(seconds: float | None) -> str:
    return "" if seconds is None else time(seconds)


def _checks(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return time(seconds) if seconds > 0 else "too small to measure"


def _setup(kept: Kept[BenchReport]) -> str:
    setup = kept.body.setup
    what = setup.images or setup.inputs
    threads = "1 thread" if setup.threads == 1 else f"{setup.threads} threads"
    batch = "one image a call" if setup.batch_size == 1 else f"{setup.batch_size} images a call"
    how = computing(setup.precision, setup.options)
    where = f"{setup.runtime} on {setup.provider}"
    return f"{', '.join(filter(None, (where, threads, how, batch, what)))}."


_FIGURES: dict[str, Callable[[VariantLatency], str]] = {
    "median": lambda row: (
        "not measured" if row.median_seconds is None else time(row.median_seconds)
    ),
    "95 % interval": lambda row: _interval(row.intervals.get("median")),
    "90th percentile": lambda row: _time(row.p90_seconds),
    "99th percentile": lambda row: _time(row.p99_seconds),
    "99.9th percentile": lambda row: _time(row.p999_seconds),
    "least": lambda row: _time(row.minimum_seconds),
    "timed calls": lambda row: f"{row.calls:,}",
    "images/s": lambda row: _count(row.images_per_second),
    "CPU time": lambda row: _time(row.cpu_seconds),
    "spinning after a turn": lambda row: _time(row.spin_seconds),
    "edgecnn's own checks, on top": lambda row: _checks(row.checks_seconds),
    "peak memory of the process": lambda row: size(row.peak_bytes) if row.peak_bytes else "unknown",
    "size": lambda row: size(row.size_bytes),
}
