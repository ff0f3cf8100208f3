"""Rows of points and intervals on one axis of time: a chart that several sections draw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from edgecnn.reporting.charts import SERIES, SHAPES, SOFT
from edgecnn.reporting.drawing import (
    chart,
    columns,
    label_room,
    log_axis,
    rows_axis,
    spans,
    time_unit,
)
from edgecnn.reporting.words import time, time_range
from edgecnn.stats import Interval

_STEP = 30
_ROOM = 1.25


@dataclass(frozen=True)
class Dot:
    """One figure in one row.

    Attributes:
        row: The row, counted from 0.
        what: What it is, the same word in every row.
        seconds: The figure.
        interval: Its 95 % interval; None if there is none.
    """

    row: int
    what: str
    seconds: float
    interval: Interval | None = None


def dot_chart(
    dots: Sequence[Dot],
    labels: Sequence[str],
    width: int,
    title: str,
    *,
    limit: float | None = None,
) -> Any:
    """Draw rows of points with their intervals.

    An interval that is far wider than the figures lie apart runs off the picture: else two points
    at its ends would be all that one sees.

    Args:
        dots: The points.
        labels: Names of the rows, from above.
        width: In pixels.
        title: What the axis shows.
        limit: A time at which a line stands; None for none.
    """
    import altair as alt

    values = [dot.seconds for dot in dots] + ([limit] if limit else [])
    unit, wide = time_unit(values), spans(values)
    low, high = _ends(dots, values, wide=wide)
    rows = [_row(dot, labels[dot.row], unit.factor, low) for dot in dots]
    ends = (low * unit.factor, high * unit.factor)
    across = partial(_across, f"{title} in {unit.name}", ends, wide=wide)
    base = chart(rows, height=alt.Step(_STEP)).encode(
        y=alt.Y("row:O", title=None, axis=rows_axis(labels, width)), description="text:N"
    )
    kinds = list(dict.fromkeys(dot.what for dot in dots))
    colour, shape = _looks(kinds, width - label_room(labels, width))
    rule = base.mark_rule(strokeWidth=2, clip=True).encode(
        x=across("low"), x2="high:Q", color=colour
    )
    point = base.mark_point(size=80, opacity=1).encode(x=across("time"), color=colour, shape=shape)
    lines = [{"time": limit * unit.factor}] if limit else []
    line = chart(lines).mark_rule(color=SOFT, strokeDash=[4, 3]).encode(x=across("time"))
    return line + rule + point


def _across(title: str, ends: tuple[float, float], field: str, *, wide: bool) -> Any:
    import altair as alt

    scale = alt.Scale(type="log" if wide else "linear", domain=list(ends), nice=False)
    axis = log_axis(*ends) if wide else alt.Axis(format="~r")
    whole = f"{title}, logarithmic" if wide else title
    return alt.X(f"{field}:Q", title=whole, scale=scale, axis=axis)


def _looks(kinds: list[str], width: int) -> tuple[Any, Any]:
    import altair as alt

    legend = alt.Legend(columns=columns(kinds, width), symbolSize=90)
    colour = alt.Scale(domain=kinds, range=list(SERIES[: len(kinds)]))
    shape = alt.Scale(domain=kinds, range=list(SHAPES[: len(kinds)]))
    return (
        alt.Color("what:N", scale=colour, legend=legend),
        alt.Shape("what:N", scale=shape, legend=legend),
    )


def _row(dot: Dot, label: str, factor: float, least: float) -> dict[str, Any]:
    interval = dot.interval
    low, high = (interval.low, interval.high) if interval else (dot.seconds, dot.seconds)
    text = f" ({time_range(interval.low, interval.high)})" if interval else ""
    return {
        "row": dot.row,
        "what": dot.what,
        "time": dot.seconds * factor,
        "low": max(low, least / 2) * factor,
        "high": high * factor,
        "text": f"{label}, {dot.what}: {time(dot.seconds)}{text}",
    }


def _ends(dots: Sequence[Dot], values: Sequence[float], *, wide: bool) -> tuple[float, float]:
    low, high = min(values), max(values)
    apart = max(high - low, 0.2 * high)
    intervals = [dot.interval for dot in dots if dot.interval]
    least = min([low, *(one.low for one in intervals)])
    most = max([high, *(one.high for one in intervals)])
    if wide:
        return max(least, low / 2) / _ROOM, min(most, high * 2) * _ROOM
    margin = 0.08 * apart
    return max(0.0, max(least, low - apart) - margin), min(most, high + apart) + margin
