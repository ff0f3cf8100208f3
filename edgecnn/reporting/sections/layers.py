"""Where the time of a call goes, layer by layer, and what would help."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from edgecnn.profiling import OperatorProfile, ProfileReport, VariantProfile
from edgecnn.reporting.charts import INK, SERIES
from edgecnn.reporting.contract import Figure, Section, Table
from edgecnn.reporting.drawing import (
    chart,
    columns,
    fitted,
    label_room,
    names_axis,
    rows_axis,
    time_unit,
)
from edgecnn.reporting.material import Kept, Material
from edgecnn.reporting.words import percent, size, time

ORDER = 56
TITLE = "Layer by layer"
COMMAND = "edgecnn profile"

BOUNDS = {
    "arithmetic": SERIES[0],
    "memory": SERIES[1],
    "dispatch": SERIES[2],
    "code": SERIES[3],
}
_OUTSIDE = {"Python and the engine": SERIES[6], "not attributed": SERIES[4]}
_MOST_BARS = 30
_MOST_ROWS = 200
_STEP = 19


def build(material: Material) -> Section | None:
    """Draw the newest profile: what bounds each variant, and each of its operators."""
    kept = material.newest(ProfileReport)
    if kept is None or not kept.body.variants:
        return None
    variants = [
        {
            "profile": one,
            "figure": _operators(kept, place, one),
            "added": _inserted(one),
            "unfused": _unfused(one),
        }
        for place, one in enumerate(kept.body.variants)
    ]
    return Section({"summary": _summary(kept), "variants": variants})


def _summary(kept: Kept[ProfileReport]) -> Figure:
    found = kept.body.variants
    peaks = kept.body.peaks
    return Figure(
        name="bounds",
        caption="What the time of a call is bound by: arithmetic or memory, as fast as this "
        "machine was measured to be; dispatch, which every operator costs however little it does; "
        "or code, where none of these explains the time. Measured with "
        f"{_threads(peaks.threads)}, {peaks.runtime}.",
        alternative=". ".join(
            f"{one.variant}, {time(one.latency_seconds)}: "
            + ", ".join(f"{what} {percent(share)}" for what, share in _shares(one).items())
            for one in found
        )
        + ".",
        chart=partial(_summary_chart, found),
        origins=(kept,),
        table=Table(
            "Time of a call by what bounds it",
            ("variant", "in all", *_everything()),
            tuple(
                (
                    one.variant,
                    time(one.latency_seconds),
                    *(_signed(_seconds(one).get(what)) for what in _everything()),
                )
                for one in found
            ),
        ),
    )


def _threads(count: int) -> str:
    return "1 thread" if count == 1 else f"{count} threads"


def _everything() -> tuple[str, ...]:
    return (*BOUNDS, *_OUTSIDE)


def _seconds(one: VariantProfile) -> dict[str, float]:
    outside = dict(zip(_OUTSIDE, (one.call_seconds, one.unattributed_seconds), strict=True))
    return {**{what: one.bounds[what] for what in BOUNDS if what in one.bounds}, **outside}


def _shares(one: VariantProfile) -> dict[str, float]:
    found = _seconds(one).items()
    return {what: value / one.latency_seconds for what, value in found if value > 0}


def _signed(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return time(seconds) if seconds >= 0 else f"-{time(-seconds)}"


def _summary_chart(found: Sequence[VariantProfile], width: int) -> Any:
    import altair as alt

    room = label_room((one.variant for one in found), width)
    names = fitted((one.variant for one in found), room)
    unit = time_unit(one.latency_seconds for one in found)
    everything = list(_everything())
    rows = [
        {
            "variant": names[one.variant],
            "time": seconds * unit.factor,
            "of": what,
            "place": everything.index(what),
            "text": f"{one.variant}, {what}: {time(seconds)}",
        }
        for one in found
        for what, seconds in _seconds(one).items()
        if seconds > 0
    ]
    return (
        chart(rows, height=alt.Step(30))
        .mark_bar()
        .encode(
            x=alt.X("time:Q", title=f"time of a call in {unit.name}"),
            y=alt.Y("variant:N", title=None, sort=list(names.values()), axis=names_axis(room)),
            color=_bound_colours(everything, width - room),
            order="place:Q",
            description="text:N",
        )
    )


def _bound_colours(shown: Sequence[str], width: int) -> Any:
    import altair as alt

    looks = BOUNDS | _OUTSIDE
    return alt.Color(
        "of:N",
        scale=alt.Scale(domain=list(shown), range=[looks[what] for what in shown]),
        legend=alt.Legend(columns=columns(shown, width)),
    )


def _operators(kept: Kept[ProfileReport], place: int, one: VariantProfile) -> Figure:
    largest = max(one.operators, key=lambda each: each.seconds, default=None)
    few = len(one.operators) > _MOST_BARS
    most = f"The {_MOST_BARS} longest of {len(one.operators)} operators" if few else "Operators"
    return Figure(
        name=f"layers-{place + 1}",
        caption=f"{most} of {one.variant} in the order in which they run, named by the layers that "
        "they compute, with the quartiles of their times; in one call of "
        f"{time(one.latency_seconds)}.",
        alternative=f"{largest_words(largest)} of {len(one.operators)} operators of {one.variant}."
        if largest
        else f"{one.variant} has no operator.",
        chart=partial(_operators_chart, one),
        origins=(kept,),
        table=_operators_table(one),
    )


def largest_words(largest: OperatorProfile) -> str:
    """Say which operator takes longest."""
    return (
        f"{layer_name(largest)} takes longest, {time(largest.seconds)} or "
        f"{percent(largest.share)}, bound by {largest.bound},"
    )


def layer_name(operator: OperatorProfile) -> str:
    """Name an operator by the layers that it computes."""
    return " + ".join(operator.layers) or f"added: {operator.operator.rpartition(':')[2]}"


def _operators_chart(one: VariantProfile, width: int) -> Any:
    import altair as alt

    shown = sorted(one.operators, key=lambda each: -each.seconds)[:_MOST_BARS]
    kept = [each for each in one.operators if any(each is other for other in shown)]
    unit = time_unit(each.seconds for each in one.operators)
    rows = list(_rows(kept, unit.factor))
    across = alt.X("time:Q", title=f"time in {unit.name}")
    used = [what for what in BOUNDS if any(row["of"] == what for row in rows)]
    labels = [layer_name(each) for each in kept]
    room, axis = label_room(labels, width), rows_axis(labels, width)
    base = chart(rows, height=alt.Step(_STEP)).encode(
        y=alt.Y("place:O", title=None, axis=axis), description="text:N"
    )
    bars = base.mark_bar().encode(x=across, color=_bound_colours(used, width - room))
    quartiles = base.mark_rule(color=INK, strokeWidth=1.2).encode(x="low:Q", x2="high:Q")
    return bars + quartiles


def _rows(operators: Sequence[OperatorProfile], factor: float) -> Iterator[dict[str, Any]]:
    for place, each in enumerate(operators):
        yield {
            "place": place,
            "time": each.seconds * factor,
            "low": each.low * factor,
            "high": each.high * factor,
            "of": each.bound,
            "text": f"{layer_name(each)}: {time(each.seconds)}, {percent(each.share)}, "
            f"bound by {each.bound}",
        }


def _operators_table(one: VariantProfile) -> Table:
    more = f", the first {_MOST_ROWS}" if len(one.operators) > _MOST_ROWS else ""
    rows = tuple(
        (
            layer_name(each),
            each.operator.rpartition(":")[2],
            each.bound,
            time(each.seconds),
            percent(each.share),
            "" if each.peak_share is None else percent(each.peak_share, 0),
            "" if not each.operations else f"{each.operations / 1e6:,.3g}",
            size(each.bytes),
        )
        for each in one.operators[:_MOST_ROWS]
    )
    head = ("layers", "operator", "bound by", "time", "share", "of the peak", "Mop", "moved")
    return Table(f"Operators of {one.variant}{more}", head, rows, left=3)


def _inserted(one: VariantProfile) -> Table | None:
    if not one.inserted:
        return None
    rows = tuple(
        (each.operator, each.why, str(each.count), time(each.seconds)) for each in one.inserted
    )
    head = ("operator", "what it is for", "count", "time")
    return Table(f"What the runtime added to {one.variant}", head, rows, left=2)


def _unfused(one: VariantProfile) -> Table | None:
    if not one.unfused:
        return None
    rows = tuple(
        (each.layer, each.operator, each.reason, time(each.seconds)) for each in one.unfused
    )
    head = ("layer", "operator", "why", "time")
    return Table(f"Not computed in integers in {one.variant}", head, rows, left=3)
