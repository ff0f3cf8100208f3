"""What several figures share: units, names that fit, one colour and shape for each variant."""

from __future__ import annotations

import json
import math
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from edgecnn.reporting.charts import SERIES, SHAPES, WIDE

_CELL = 6.7  # pixels that a character of 12 px takes, on average
_SYMBOL = 48  # pixels of a legend's symbol and the gap to the next


@dataclass(frozen=True)
class Unit:
    """What an axis counts in: `factor` of them are a second."""

    name: str
    factor: float


def time_unit(seconds: Iterable[float]) -> Unit:
    """Give the unit in which the largest of some times is neither tiny nor long."""
    largest = max(seconds, default=0.0)
    if largest < 1e-3:
        return Unit("µs", 1e6)
    return Unit("ms", 1e3) if largest < 1 else Unit("s", 1.0)


def spans(values: Sequence[float]) -> bool:
    """Say whether values lie so far apart that a linear axis would hide the small ones."""
    above = [value for value in values if value > 0]
    return len(above) > 1 and max(above) > 8 * min(above)


def amount_axis(channel: str, field: str, values: Sequence[float], title: str) -> Any:
    """Give the encoding of amounts above zero: logarithmic where they lie far apart.

    Args:
        channel: `x` or `y`.
        field: The field of the rows.
        values: All that must fit, in the axis's unit.
        title: What it is, with its unit.
    """
    import altair as alt

    make = alt.X if channel == "x" else alt.Y
    if not spans(values):
        axis = alt.Axis(format="~r", labelOverlap="greedy")
        return make(f"{field}:Q", title=title, axis=axis, scale=alt.Scale(zero=False, padding=12))
    above = [value for value in values if value > 0]
    low, high = min(above) / 1.2, max(above) * 1.2
    return make(
        f"{field}:Q",
        title=f"{title}, logarithmic",
        axis=log_axis(low, high),
        scale=alt.Scale(type="log", domain=[low, high], nice=False),
    )


def log_axis(low: float, high: float, *, grid: bool = True) -> Any:
    """Give a logarithmic axis between two amounts, with round numbers on it."""
    import altair as alt

    ticks = log_ticks(low, high)
    # Without a count Vega leaves every second one out.
    return alt.Axis(
        values=ticks, tickCount=len(ticks), format="~r", labelOverlap="greedy", grid=grid
    )


def log_ticks(low: float, high: float) -> list[float]:
    """Give round numbers between two for a logarithmic axis: 1, 2, 5, 10, … or powers of 10."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    steps = (1, 2, 5) if high < 2000 * low else (1,)
    found = (step * 10.0**power for power in range(first, last + 1) for step in steps)
    return [value for value in found if low <= value <= high]


def percent_axis(**more: Any) -> Any:
    """Give an axis of shares of 1 that writes them as `words.percent` does."""
    import altair as alt

    return alt.Axis(labelExpr="format(100 * datum.value, '~r') + ' %'", **more)


def names_axis(room: int, **more: Any) -> Any:
    """Give a vertical axis of names with this much room, in pixels."""
    import altair as alt

    return alt.Axis(
        labelLimit=room + 8, labelPadding=6, ticks=False, domain=False, grid=False, **more
    )


def rows_axis(labels: Sequence[str], width: int) -> Any:
    """Give a vertical axis for rows that are numbered from 0: two may have one label."""
    room = label_room(labels, width)
    most = max(6, int(room / _CELL))
    listed = json.dumps([_shortened(label, most) for label in labels])
    return names_axis(room, labelExpr=f"{listed}[datum.value]")


def fitted(names: Iterable[str], pixels: float) -> dict[str, str]:
    """Shorten names in their middle to some width, so that no two become one.

    Args:
        names: As they are; several may be equal.
        pixels: Room for each, at 12 px.

    Returns:
        Each name and how it is shown.
    """
    most = max(6, int(pixels / _CELL))
    found: dict[str, str] = {}
    for name in names:
        if name in found:
            continue
        short, number = _shortened(name, most), 2
        while short in found.values():
            short, number = f"{_shortened(name, most - 3)} {number}", number + 1
        found[name] = short
    return found


def columns(names: Iterable[str], width: int) -> int:
    """Say how many columns a legend of these names has in some width, in pixels."""
    widest = max((_cells(name) for name in names), default=1) * _CELL + _SYMBOL
    return max(1, int(width / widest))


def height(plot: int, names: Sequence[str], width: int) -> int:
    """Give the height of a chart whose legend stands above a plot of some height, in pixels."""
    lines = -(-len(names) // columns(names, width)) if len(names) > 1 else 0
    return plot + 15 * lines + 45


def colours(names: Sequence[str], width: int, field: str = "of") -> Any:
    """Give the encoding by which each of some names has a colour of its own, with its legend."""
    import altair as alt

    legend = alt.Legend(columns=columns(names, width), labelLimit=width - _SYMBOL)
    scale = alt.Scale(
        domain=list(names), range=[SERIES[i % len(SERIES)] for i in range(len(names))]
    )
    return alt.Color(f"{field}:N", scale=scale, legend=legend if len(names) > 1 else None)


def shapes(names: Sequence[str], width: int, field: str = "of") -> Any:
    """Give the encoding by which each of some names has a shape of its own.

    The eighth name has the first one's colour again, and another shape.
    """
    import altair as alt

    many = len(SHAPES)
    legend = alt.Legend(columns=columns(names, width), labelLimit=width - _SYMBOL)
    scale = alt.Scale(
        domain=list(names), range=[SHAPES[(i + i // many) % many] for i in range(len(names))]
    )
    return alt.Shape(f"{field}:N", scale=scale, legend=legend if len(names) > 1 else None)


def chart(rows: Sequence[dict[str, Any]], **properties: Any) -> Any:
    """Begin an Altair chart of some rows."""
    import altair as alt

    return alt.Chart(alt.InlineData(values=list(rows)), **properties)


def label_room(names: Iterable[str], width: int) -> int:
    """Give the pixels that names beside a chart may take: at most two fifths of its width."""
    widest = max((_cells(name) for name in names), default=1) * _CELL
    return int(min(widest + 4, width * (0.36 if width >= WIDE else 0.42)))


def named_rows(names: Sequence[str], width: int) -> tuple[dict[str, str], Any]:
    """Give short names, and a vertical axis that names rows of height 1, counted from 0."""
    room = label_room(names, width)
    short = fitted(names, room)
    listed = json.dumps([short[name] for name in names])
    middles = [place + 0.5 for place in range(len(names))]
    label = f"{listed}[floor(datum.value)]"
    axis = names_axis(room, title=None, values=middles, tickCount=len(middles), labelExpr=label)
    return short, axis


def _shortened(name: str, most: int) -> str:
    if _cells(name) <= most:
        return name
    head, tail = "", ""
    for left, right in zip(name, reversed(name), strict=True):
        if _cells(head + left + tail) + 1 > most:
            break
        head += left
        if _cells(head + right + tail) + 1 > most:
            break
        tail = right + tail
    return f"{head}…{tail}"


def _cells(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(mark) in "WF" else 1 for mark in text)
