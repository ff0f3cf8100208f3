"""Which tensors int8 hurts, each rounded alone, and what it costs to leave them in float."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from edgecnn.quantization.sensitivity import Effect, OperatorTime, SensitivityReport
from edgecnn.reporting.charts import INK, SERIES
from edgecnn.reporting.contract import Figure, Section, Table
from edgecnn.reporting.drawing import chart, columns, label_room, rows_axis
from edgecnn.reporting.material import Kept, Material
from edgecnn.reporting.words import percent, time

ORDER = 57
TITLE = "Sensitivity to int8"
COMMAND = "edgecnn sensitivity"

_KINDS = {"weights": SERIES[0], "activation": SERIES[1], "input": SERIES[2]}
_MOST_BARS = 25
_MOST_ROWS = 200
_STEP = 19


def build(material: Material) -> Section | None:
    """Draw the newest ranking."""
    kept = material.newest(SensitivityReport)
    if kept is None or not kept.body.effects:
        return None
    return Section({"figure": _figure(kept), "whole": _whole(kept.body)})


def _whole(found: SensitivityReport) -> str:
    total = sum(each.error.estimate**2 for each in found.effects) ** 0.5
    flips = "" if found.whole.flips is None else f" and {found.whole.flips:,} flips"
    return (
        f"All tensors together, in the int8 net itself: {_measure(found)} "
        f"{found.whole_error.estimate:.4f}{flips}; independent errors would add up to {total:.4f}."
    )


def _measure(found: SensitivityReport) -> str:
    return "margin error" if found.classes else "noise over signal"


def _figure(kept: Kept[SensitivityReport]) -> Figure:
    found = kept.body
    first = found.effects[0]
    most = f"The {_MOST_BARS} largest of " if len(found.effects) > _MOST_BARS else ""
    return Figure(
        name="sensitivity",
        caption=f"{most}{len(found.effects)} tensors of {found.variant}, each rounded alone as "
        f"int8 rounds it: its {_measure(found)} on {found.images:,} training images of "
        f"{found.data}, none of which calibrated, with a 95 % interval. {_explained(found)}",
        alternative=f"{_name(first)} hurts most: a {_measure(found)} of "
        f"{first.error.estimate:.4f}, {percent(first.share)} of the sum of all errors squared.",
        chart=partial(_chart, found),
        origins=(kept,),
        table=_table(found),
    )


def _explained(found: SensitivityReport) -> str:
    if not found.classes:
        return ""
    return (
        "Margin error: how much the lead of fp32's class over the next one changes, against that "
        "lead. It ranks; a few flips are chance."
    )


def _name(each: Effect) -> str:
    return f"{each.layer or each.tensor}, {each.kind}"


def _chart(found: SensitivityReport, width: int) -> Any:
    import altair as alt

    shown = found.effects[:_MOST_BARS]
    labels = [each.layer or each.tensor for each in shown]
    kinds = [kind for kind in _KINDS if any(each.kind == kind for each in shown)]
    room = label_room(labels, width)
    base = chart(_rows(shown), height=alt.Step(_STEP)).encode(
        y=alt.Y("place:O", title=None, axis=rows_axis(labels, width)), description="text:N"
    )
    bars = base.mark_bar().encode(
        x=alt.X("error:Q", title=_measure(found)),
        color=alt.Color(
            "of:N",
            scale=alt.Scale(domain=kinds, range=[_KINDS[kind] for kind in kinds]),
            legend=alt.Legend(columns=columns(kinds, width - room)),
        ),
    )
    return bars + base.mark_rule(color=INK, strokeWidth=1.2).encode(x="low:Q", x2="high:Q")


def _rows(shown: Sequence[Effect]) -> list[dict[str, Any]]:
    return [
        {
            "place": place,
            "error": each.error.estimate,
            "low": each.error.low,
            "high": each.error.high,
            "of": each.kind,
            "text": f"{_name(each)}: {each.error.estimate:.4f}, {percent(each.share)}",
        }
        for place, each in enumerate(shown)
    ]


def _table(found: SensitivityReport) -> Table:
    times = {each.layer: each for each in found.layers}
    rows = []
    for each in found.effects[:_MOST_ROWS]:
        own = times.get(each.layer)
        flips = () if each.distance.flips is None else (f"{each.distance.flips:,}",)
        rows.append(
            (
                each.layer or each.tensor,
                each.kind,
                f"{each.error.estimate:.4f}",
                f"{each.error.low:.4f} to {each.error.high:.4f}",
                percent(each.share),
                *flips,
                _time(own.fp32 if own else None),
                _time(own.int8 if own else None),
                _signed(found.cost_seconds(each.in_float)),
            )
        )
    flips_head = ("flips",) if found.classes else ()
    head = ("layer", "what", _measure(found), "95 % interval", "share", *flips_head)
    more = f", the first {_MOST_ROWS}" if len(found.effects) > _MOST_ROWS else ""
    caption = (
        f"Tensors by what rounding each alone does{more}, beside the time of its layer (+: the "
        "operator computes other layers too) and what float would cost, without conversions"
    )
    return Table(caption, (*head, "fp32", "int8", "cost of float"), tuple(rows), left=2)


def _time(one: OperatorTime | None) -> str:
    return "" if one is None else f"{time(one.seconds)}{'+' if len(one.layers) > 1 else ''}"


def _signed(seconds: float) -> str:
    return f"+{time(seconds)}" if seconds >= 0 else f"-{time(-seconds)}"
