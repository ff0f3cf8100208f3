"""Mixed precision: what leaving more layers in float costs in time and brings in accuracy."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from edgecnn.quantization import QuantizeReport
from edgecnn.quantization.mixed import FP32, Mixed, MixedPoint
from edgecnn.reporting.charts import BAD, GOOD, SERIES, SOFT
from edgecnn.reporting.contract import Figure, Finding, Section, Table
from edgecnn.reporting.drawing import chart, columns, height
from edgecnn.reporting.material import Kept, Material
from edgecnn.reporting.words import percent, size

ORDER = 46
TITLE = "Mixed precision"
COMMAND = "edgecnn quantize --mixed"

_LOOKS = {
    "chosen": (GOOD, "diamond"),
    "good enough": (SERIES[0], "circle"),
    "not good enough": (BAD, "cross"),
}


def build(material: Material) -> Section | None:
    """Draw what the newest search for a mix tried."""
    for kept in material.all(QuantizeReport):
        found = kept.body.mixed
        if found is not None:
            finding = Finding("mixed precision", found.verdict, kept)
            return Section({"figure": draw(found, kept), "mixed": found}, (finding,))
    return None


def front(points: Sequence[MixedPoint]) -> list[MixedPoint]:
    """Give those whose time is known and that no other beats in both, the fastest first."""
    best: list[MixedPoint] = []
    known = [each for each in points if ratio(each) is not None]
    for each in sorted(known, key=lambda one: (ratio(one), error(one))):
        if not best or error(each) < error(best[-1]):
            best.append(each)
    return best


def ratio(point: MixedPoint) -> float | None:
    """Give a mix's time over that of fp32; None where it was not measured."""
    if point.name == FP32:
        return 1.0
    return None if point.latency is None else point.latency.ratio


def error(point: MixedPoint) -> float:
    """Give a mix's margin error or, where outputs are no classes, noise over signal."""
    margin = point.distance.margin_error
    return float(10 ** (-point.distance.sqnr_db / 20)) if margin is None else margin


def draw(found: Mixed, kept: Kept[Any]) -> Figure:
    """Draw the front of a search, which a report holds."""
    best, unknown = front(found.points), [p.name for p in found.points if ratio(p) is None]
    line = " The dashed line joins the mixes that no other beats in both." if len(best) > 1 else ""
    left_out = f" Without a time, and only in the table: {', '.join(unknown)}." if unknown else ""
    return Figure(
        name="pareto",
        caption=f"{_measure(found)} against the time of a call as a multiple of fp32's, with its "
        f"95 % interval; down and to the left is better.{line} Good enough: {found.criterion}, on "
        f"{found.images:,} training images that calibrated nothing.{left_out}",
        alternative=f"Of {len(found.points)} mixes, {len(best)} no other beats in both: "
        + "; ".join(f"{one.name}, {error(one):.4f} in {ratio(one):.2f}" for one in best)
        + ".",
        chart=partial(_chart, found),
        origins=(kept,),
        table=_table(found),
    )


def _measure(found: Mixed) -> str:
    margins = any(each.distance.margin_error is not None for each in found.points)
    return "Margin error" if margins else "Noise over signal"


def _chart(found: Mixed, width: int) -> Any:
    import altair as alt

    rows = [_row(each) for each in found.points if ratio(each) is not None]
    kinds = [kind for kind in _LOOKS if any(row["of"] == kind for row in rows)]
    title = "time over that of fp32"
    across = alt.X("ratio:Q", title=title, scale=alt.Scale(zero=False, padding=14))
    up = alt.Y("error:Q", title=_measure(found).lower())
    line = (
        chart([_row(each) for each in front(found.points)])
        .mark_line(color=SOFT, strokeDash=[5, 4], strokeWidth=1.5, aria=False)
        .encode(x=across, y=up)
    )
    limit = chart([{"ratio": 1.0}]).mark_rule(color=SOFT).encode(x=across)
    looks = [_LOOKS[kind] for kind in kinds]
    legend = alt.Legend(columns=columns(kinds, width))
    base = chart(rows).encode(
        y=up,
        color=alt.Color(
            "of:N",
            scale=alt.Scale(domain=kinds, range=[colour for colour, _ in looks]),
            legend=legend,
        ),
        description="text:N",
    )
    shape = alt.Shape(
        "of:N", scale=alt.Scale(domain=kinds, range=[mark for _, mark in looks]), legend=legend
    )
    level = base.mark_rule(strokeWidth=2, clip=True).encode(x="low:Q", x2="high:Q")
    point = base.mark_point(size=110, opacity=1).encode(x=across, shape=shape)
    return (limit + line + level + point).properties(height=height(230, kinds, width))


def _row(each: MixedPoint) -> dict[str, Any]:
    latency, middle = each.latency, ratio(each)
    kind = "chosen" if each.chosen else "good enough" if each.passes else "not good enough"
    return {
        "of": kind,
        "ratio": middle,
        "low": latency.low if latency else middle,
        "high": latency.high if latency and latency.high is not None else middle,
        "error": error(each),
        "text": f"{each.name}, {kind}: {error(each):.4f} in {middle:.2f} times fp32's time",
    }


def _table(found: Mixed) -> Table:
    head = ("mix", "layers in float", _measure(found).lower(), "flips", "accuracy", "loss", "time")
    rows = tuple(
        (
            f"{each.name}, chosen" if each.chosen else each.name,
            _listed(each),
            f"{error(each):.4f}",
            "" if each.distance.flips is None else f"{each.distance.flips:,}",
            "" if each.accuracy is None else percent(each.accuracy, 2),
            _loss(each),
            "" if (middle := ratio(each)) is None else f"{middle:.2f}",
            size(each.size),
        )
        for each in found.points
    )
    return Table("Mixes of int8 and float, time over that of fp32", (*head, "size"), rows, left=2)


def _listed(each: MixedPoint) -> str:
    return "all that int8 rounds" if each.name == FP32 else ", ".join(each.in_float) or "none"


def _loss(each: MixedPoint) -> str:
    if each.drop is None:
        return ""
    low, high = 100 * each.drop.low, 100 * each.drop.high
    return f"{100 * each.drop.estimate:.2f} ({low:.2f} to {high:.2f}) points"
