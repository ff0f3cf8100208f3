"""Throughput of several callers on one session."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from edgecnn.benchmark import BenchReport
from edgecnn.benchmark.scenarios.concurrency import Throughput
from edgecnn.reporting.contract import Figure, Section, Table
from edgecnn.reporting.drawing import chart, colours, fitted, height, shapes
from edgecnn.reporting.material import Material
from edgecnn.reporting.words import time

ORDER = 52
TITLE = "Several callers at once"
COMMAND = "edgecnn bench --concurrency 2,4"


def build(material: Material) -> Section | None:
    """Draw the newest bench in which several called."""
    kept = next((one for one in material.all(BenchReport) if one.body.scenarios.concurrency), None)
    if kept is None:
        return None
    found = [one for one in kept.body.scenarios.concurrency if one.images_per_second]
    if not found:
        return None
    best = max(found, key=lambda one: _rate(one))
    figure = Figure(
        name="callers",
        caption="Images in a second by how many call one session at once, all of them together, "
        "with the 95 % interval; one that runs off the picture goes on. Threads that wait by "
        "spinning take the cores from the other callers.",
        alternative=f"The most is {_rate(best):,.0f} images per second, by {best.callers} callers "
        f"of {_label(best)}.",
        chart=partial(_chart, found),
        origins=(kept,),
        table=_table(found),
    )
    return Section({"figure": figure})


def _rate(one: Throughput) -> float:
    return one.images_per_second.estimate if one.images_per_second else 0.0


def _label(one: Throughput) -> str:
    return one.variant if one.spinning == "-" else f"{one.variant}, spinning {one.spinning}"


def _chart(found: Sequence[Throughput], width: int) -> Any:
    import altair as alt

    names = fitted((_label(one) for one in found), width - 60)
    most = 1.6 * max(map(_rate, found))
    rows = [
        {
            "callers": one.callers,
            "rate": _rate(one),
            "low": max(0.0, one.images_per_second.low),
            "high": min(one.images_per_second.high, 2 * most),
            "of": names[_label(one)],
            "text": f"{_label(one)}, {one.callers} callers: {_rate(one):,.0f} images per second",
        }
        for one in found
        if one.images_per_second
    ]
    order = list(names.values())
    scale = alt.Scale(domain=[0, most], nice=False)
    up = alt.Y(
        "rate:Q",
        title="images per second",
        scale=scale,
        axis=alt.Axis(format=",~r"),
    )
    base = chart(rows, height=height(200, order, width)).encode(
        x=alt.X("callers:O", title="callers at once", axis=alt.Axis(labelAngle=0)),
        xOffset=alt.XOffset("of:N", sort=order, scale=alt.Scale(paddingOuter=1)),
        color=colours(order, width),
        description="text:N",
    )
    rule = base.mark_rule(strokeWidth=2, clip=True).encode(
        y=alt.Y("low:Q", title="images per second", scale=scale), y2="high:Q"
    )
    point = base.mark_point(size=80, opacity=1).encode(y=up, shape=shapes(order, width))
    return rule + point


def _table(found: Sequence[Throughput]) -> Table:
    head = ("variant", "callers", "images/s", "95 % interval", "gain", "call, median", "cores")
    rows = tuple(
        (
            _label(one),
            str(one.callers),
            f"{_rate(one):,.0f}",
            f"{one.images_per_second.low:,.0f} to {one.images_per_second.high:,.0f}"
            if one.images_per_second
            else "",
            "" if one.gain is None else f"{one.gain.estimate:.2f}",
            "" if one.median_seconds is None else time(one.median_seconds),
            "" if one.cores is None else f"{one.cores:.2f}",
        )
        for one in found
    )
    return Table("Throughput", head, rows)
