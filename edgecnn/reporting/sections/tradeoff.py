"""Accuracy against latency: which variants are worth having."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from edgecnn.benchmark import BenchReport
from edgecnn.evaluation import EvalReport
from edgecnn.reporting.charts import SOFT
from edgecnn.reporting.contract import Figure, Section, Table
from edgecnn.reporting.drawing import (
    amount_axis,
    chart,
    colours,
    fitted,
    height,
    percent_axis,
    shapes,
    time_unit,
)
from edgecnn.reporting.material import Kept, Material
from edgecnn.reporting.words import percent, size, time, time_range
from edgecnn.stats import Interval

ORDER = 43
TITLE = "Accuracy against latency"
COMMAND = "edgecnn eval && edgecnn bench"


@dataclass(frozen=True)
class Candidate:
    """A variant whose accuracy and latency are both known.

    Attributes:
        name: The variant.
        accuracy: With its interval, 0 to 1.
        latency: Median with its interval over the sessions, in seconds.
        size_bytes: Size of its files.
    """

    name: str
    accuracy: Interval
    latency: Interval
    size_bytes: int


def build(material: Material) -> Section | None:
    """Draw each variant that was both evaluated and timed, and the front of the best."""
    judged, timed = material.newest(EvalReport), material.newest(BenchReport)
    if judged is None or timed is None:
        return None
    found = candidates(judged.body, timed.body)
    changed = _changed(judged, timed)
    if not found:
        return None
    return Section({"figure": _figure(found, judged, timed), "changed": changed})


def candidates(judged: EvalReport, timed: BenchReport) -> list[Candidate]:
    """Give the variants that both reports know, in the order of the bench."""
    accuracy = {each.name: each.accuracy for each in judged.variants}
    return [
        Candidate(row.variant, accuracy[row.variant], _latency(row), row.size_bytes)
        for row in timed.variants
        if row.variant in accuracy and row.median_seconds
    ]


def front(found: Sequence[Candidate]) -> list[Candidate]:
    """Give those that no other beats in one and equals in the other, the fastest first."""
    best: list[Candidate] = []
    for one in sorted(found, key=lambda each: (each.latency.estimate, -each.accuracy.estimate)):
        if not best or one.accuracy.estimate > best[-1].accuracy.estimate:
            best.append(one)
    return best


def _latency(row: Any) -> Interval:
    middle = float(row.median_seconds)
    own = row.intervals.get("median")
    return Interval(middle, own.low, own.high) if own else Interval(middle, middle, middle)


def _changed(judged: Kept[EvalReport], timed: Kept[BenchReport]) -> list[str]:
    """Give the files that were other ones when they were timed than when they were judged."""
    one, other = judged.report.measured, timed.report.measured
    return sorted(name for name in one.keys() & other.keys() if one[name] != other[name])


def _figure(found: list[Candidate], judged: Kept[EvalReport], timed: Kept[BenchReport]) -> Figure:
    best = front(found)
    return Figure(
        name="tradeoff",
        caption="Accuracy against the median time of a call, each with its 95 % interval; up and "
        "to the left is better. The dashed line joins the variants that no other beats in both. "
        f"Accuracy on {judged.body.images:,} {judged.body.split} images of {judged.body.data}.",
        alternative=f"Of {len(found)}, {len(best)} no other beats in both: "
        + "; ".join(
            f"{one.name}, {percent(one.accuracy.estimate)} in {time(one.latency.estimate)}"
            for one in best
        )
        + ".",
        chart=partial(_chart, found),
        origins=(judged, timed),
        table=Table(
            "Accuracy and latency",
            ("variant", "accuracy", "95 % interval", "median", "95 % interval", "size"),
            tuple(
                (
                    one.name,
                    percent(one.accuracy.estimate),
                    f"{percent(one.accuracy.low)} to {percent(one.accuracy.high)}",
                    time(one.latency.estimate),
                    time_range(one.latency.low, one.latency.high),
                    size(one.size_bytes),
                )
                for one in found
            ),
        ),
    )


def _chart(found: list[Candidate], width: int) -> Any:
    import altair as alt

    names = fitted((one.name for one in found), width - 60)
    unit = time_unit(one.latency.high for one in found)
    rows = [_row(one, names[one.name], unit.factor) for one in found]
    order = list(names.values())
    times = [row["latency"] for row in rows]
    title = f"median time of a call in {unit.name}"
    across = amount_axis("x", "latency", times, title)
    up = alt.Y("accuracy:Q", axis=percent_axis(), scale=alt.Scale(zero=False, padding=12))
    line = (
        chart([_row(one, names[one.name], unit.factor) for one in front(found)])
        .mark_line(color=SOFT, strokeDash=[5, 4], strokeWidth=1.5, aria=False)
        .encode(x=across, y=up)
    )
    base = chart(rows).encode(color=colours(order, width), description="text:N")
    upright = base.mark_rule(strokeWidth=2).encode(
        x="latency:Q", y=alt.Y("low:Q", title="accuracy"), y2="high:Q"
    )
    level = base.mark_rule(strokeWidth=2, clip=True).encode(
        y="accuracy:Q", x=amount_axis("x", "from", times, title), x2="to:Q"
    )
    point = base.mark_point(size=90, opacity=1).encode(
        x="latency:Q", y="accuracy:Q", shape=shapes(order, width)
    )
    return (line + upright + level + point).properties(height=height(230, order, width))


def _row(one: Candidate, name: str, factor: float) -> dict[str, Any]:
    return {
        "of": name,
        "accuracy": one.accuracy.estimate,
        "low": one.accuracy.low,
        "high": one.accuracy.high,
        "latency": one.latency.estimate * factor,
        "from": max(one.latency.low, 0) * factor or one.latency.estimate * factor,
        "to": one.latency.high * factor,
        "text": f"{one.name}: {percent(one.accuracy.estimate)} in {time(one.latency.estimate)}",
    }
