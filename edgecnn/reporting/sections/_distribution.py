"""How the times of all calls are distributed, a row for each variant."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from statistics import median
from typing import Any

import numpy as np

from edgecnn.benchmark import BenchReport
from edgecnn.reporting.charts import INK, WIDE
from edgecnn.reporting.contract import Figure, Table
from edgecnn.reporting.drawing import amount_axis, chart, colours, named_rows, spans, time_unit
from edgecnn.reporting.material import Kept
from edgecnn.reporting.words import time, time_range
from edgecnn.stats import samples_for_percentile

_BINS = 70
_SHOWN = 0.995  # of the calls; the rest would leave the others no room
_MARKS = {"median": 0.5, "90th percentile": 0.9, "99th percentile": 0.99}


def distribution(kept: Kept[BenchReport], times: dict[str, list[float]]) -> Figure:
    """Draw every timed call.

    Args:
        kept: Where they come from.
        times: Seconds of each call of each variant.
    """
    edge = _edge(times)
    beyond = {name: sum(one > edge for one in own) for name, own in times.items()}
    cut = ", ".join(f"{count:,} of {name}" for name, count in beyond.items() if count)
    return Figure(
        name="latency",
        caption="Every timed call: how many took how long, each row at its own height. Lines "
        "mark the median, the 90th and the 99th percentile where enough calls support them."
        + (f" Slower calls, out of the picture on the right: {cut}." if cut else ""),
        alternative=f"Distribution of latency. Medians: {_medians(times)}.",
        chart=partial(_chart, times),
        origins=(kept,),
        table=_bins_table(times),
    )


def _medians(times: dict[str, list[float]]) -> str:
    return ", ".join(f"{name} {time(median(own))}" for name, own in times.items())


def _edge(times: dict[str, list[float]]) -> float:
    return max(float(np.quantile(own, _SHOWN)) for own in times.values()) * 1.02


def _edges(times: dict[str, list[float]]) -> Any:
    low, high = min(map(min, times.values())), _edge(times)
    low, high = low * 0.99, max(high, low * 1.05)
    wide = spans([low, high])
    return np.geomspace(low, high, _BINS + 1) if wide else np.linspace(low, high, _BINS + 1)


def _chart(times: dict[str, list[float]], width: int) -> Any:
    import altair as alt

    edges, unit = _edges(times), time_unit([_edge(times)])
    names, axis = named_rows(list(times), width)
    within = [edge * unit.factor for edge in edges.tolist()]
    bars = (
        chart(list(_bars(times, edges, unit.factor)))
        .mark_rect()
        .encode(
            x=amount_axis("x", "from", within, f"time of a call in {unit.name}"),
            x2="to:Q",
            y=alt.Y("floor:Q", axis=axis, scale=alt.Scale(domain=[0, len(times)], reverse=True)),
            y2="top:Q",
            color=colours(list(names), width).legend(None),
            description="text:N",
        )
    )
    lines = (
        chart(list(_lines(times, edges[-1], unit.factor)))
        .mark_rule(color=INK, strokeWidth=1.5)
        .encode(x="at:Q", y="floor:Q", y2="top:Q", strokeDash=_dashes(width), description="text:N")
    )
    return (bars + lines).properties(height=80 + 58 * len(times))


def _dashes(width: int) -> Any:
    import altair as alt

    return alt.StrokeDash(
        "mark:N",
        scale=alt.Scale(domain=list(_MARKS), range=[[1, 0], [6, 3], [2, 2]]),
        legend=alt.Legend(columns=3 if width >= WIDE else 1, symbolSize=500),
    )


def _bars(times: dict[str, list[float]], edges: Any, factor: float) -> Iterator[dict[str, Any]]:
    for place, (name, own) in enumerate(times.items()):
        counts, _ = np.histogram(own, edges)
        heights = 0.85 * counts / max(1, counts.max())
        for i in np.flatnonzero(counts).tolist():
            yield {
                "from": edges[i] * factor,
                "to": edges[i + 1] * factor,
                "floor": place + 0.94,
                "top": place + 0.94 - float(heights[i]),
                "of": name,
                "text": f"{name}: {counts[i]:,} calls, {time_range(edges[i], edges[i + 1])}",
            }


def _lines(times: dict[str, list[float]], end: float, factor: float) -> Iterator[dict[str, Any]]:
    for place, (name, own) in enumerate(times.items()):
        for mark, share in _MARKS.items():
            if supported(own, share) and (value := float(np.quantile(own, share))) <= end:
                yield {
                    "at": value * factor,
                    "floor": place + 0.94,
                    "top": place + 0.04,
                    "mark": mark,
                    "text": f"{name}, {mark}: {time(value)}",
                }


def supported(times: Sequence[float], share: float) -> bool:
    """Say whether there are enough calls for a percentile."""
    return share <= 0.5 or len(times) >= samples_for_percentile(share)


def _bins_table(times: dict[str, list[float]]) -> Table:
    edges = _edges(times)[:: _BINS // 14]
    counts = [np.histogram(own, edges)[0] for own in times.values()]
    rows = tuple(
        (time_range(edges[i], edges[i + 1]), *(f"{own[i]:,}" for own in counts))
        for i in range(len(edges) - 1)
    )
    return Table("Calls by their time", ("time of a call", *times), rows)
