"""The roofline: each operator against what this machine can do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from edgecnn.profiling import OperatorProfile, Peaks, ProfileReport, VariantProfile
from edgecnn.reporting.charts import DASHES, INK
from edgecnn.reporting.contract import Figure, Section, Table
from edgecnn.reporting.drawing import chart, columns, height, log_axis
from edgecnn.reporting.material import Kept, Material
from edgecnn.reporting.sections.layers import BOUNDS, layer_name
from edgecnn.reporting.words import percent, time

ORDER = 58
TITLE = "Roofline"
COMMAND = "edgecnn profile"

_GIGA = 1e9
_SHAPES = {"arithmetic": "circle", "memory": "square", "dispatch": "triangle-up", "code": "diamond"}
_ROOM = 1.6


def build(material: Material) -> Section | None:
    """Draw the operators of each variant under the machine's measured roofs."""
    kept = material.newest(ProfileReport)
    if kept is None:
        return None
    found = [one for one in kept.body.variants if _placed(one)]
    if not found:
        return None
    figures = [_figure(kept, place, one) for place, one in enumerate(found, 1)]
    return Section({"figures": figures, "peaks": _peaks_table(kept.body.peaks)})


def _placed(one: VariantProfile) -> list[OperatorProfile]:
    return [each for each in one.operators if each.operations and each.bytes and each.seconds > 0]


def _figure(kept: Kept[ProfileReport], place: int, one: VariantProfile) -> Figure:
    largest = max(_placed(one), key=lambda each: each.seconds)
    left = len(one.operators) - len(_placed(one))
    return Figure(
        name=f"roofline-{place}",
        caption=f"Operators of {one.variant}: how much they compute for each byte that they move "
        "(across), and how fast (up). The roofs were measured on this machine: slanted ones are "
        "memory, level ones arithmetic. What lies above them is too short to be timed well, or a "
        "roof was measured too low. The larger a point, the more of the time. Left out are "
        f"{left} operators that compute nothing or next to nothing.",
        alternative=f"{layer_name(largest)} takes longest; it computes {_rate(largest):.3g} GOP/s, "
        f"{percent(largest.peak_share or 0, 0)} of the peak, at {_intensity(largest):.3g} "
        "operations a byte.",
        chart=partial(_chart, one, kept.body.peaks),
        origins=(kept,),
        table=_table(one),
    )


def _rate(each: OperatorProfile) -> float:
    return (each.operations or 0) / each.seconds / _GIGA


def _intensity(each: OperatorProfile) -> float:
    return (each.operations or 0) / each.bytes


def _chart(one: VariantProfile, peaks: Peaks, width: int) -> Any:
    import altair as alt

    operators = _placed(one)
    across, up = _extent(operators, peaks)
    roofs = list(_roofs(operators, peaks, across))
    names = list(dict.fromkeys(roof["roof"] for roof in roofs))
    used = [what for what in BOUNDS if any(each.bound == what for each in operators)]
    x = _axis(alt.X, "intensity", "operations a byte, logarithmic", across)
    y = _axis(alt.Y, "rate", "GOP/s, logarithmic", up)
    dash = alt.StrokeDash(
        "roof:N",
        scale=alt.Scale(domain=names, range=[DASHES[i % len(DASHES)] for i in range(len(names))]),
        legend=alt.Legend(columns=columns(names, width), symbolStrokeColor=INK, symbolSize=500),
    )
    lines = (
        chart(roofs)
        .mark_line(color=INK, strokeWidth=1.5, clip=True, aria=False)
        .encode(x=x, y=y, strokeDash=dash)
    )
    look = alt.Legend(columns=columns(used, width), symbolSize=90)
    points = (
        chart(list(_points(operators)))
        .mark_point(opacity=0.85)
        .encode(
            x=x,
            y=y,
            size=alt.Size("share:Q", scale=alt.Scale(range=[24, 420]), legend=None),
            color=alt.Color(
                "bound:N",
                scale=alt.Scale(domain=used, range=[BOUNDS[what] for what in used]),
                legend=look,
            ),
            shape=alt.Shape(
                "bound:N",
                scale=alt.Scale(domain=used, range=[_SHAPES[what] for what in used]),
                legend=look,
            ),
            description="text:N",
        )
    )
    return (lines + points).properties(height=height(265, [*names, *used], width))


def _axis(make: Any, field: str, title: str, domain: tuple[float, float]) -> Any:
    import altair as alt

    return make(
        f"{field}:Q",
        title=title,
        scale=alt.Scale(type="log", domain=list(domain), nice=False),
        axis=log_axis(*domain),
    )


def _extent(
    operators: Sequence[OperatorProfile], peaks: Peaks
) -> tuple[tuple[float, float], tuple[float, float]]:
    across = [_intensity(each) for each in operators]
    top = max(peak.rate for peak in _arithmetic(operators, peaks))
    across += [top / peak.rate for peak in peaks.memory]  # where the roofs meet
    up = [_rate(each) for each in operators] + [top / _GIGA]
    return (min(across) / _ROOM, max(across) * _ROOM), (min(up) / _ROOM, max(up) * _ROOM)


def _arithmetic(operators: Sequence[OperatorProfile], peaks: Peaks) -> list[Any]:
    used = {each.arithmetic for each in operators}
    return [peak for peak in peaks.arithmetic if peak.what in used] or list(peaks.arithmetic)


def _roofs(
    operators: Sequence[OperatorProfile], peaks: Peaks, across: tuple[float, float]
) -> Iterator[dict[str, Any]]:
    level = _arithmetic(operators, peaks)
    top = max(peak.rate for peak in level)
    for peak in peaks.memory:
        name = f"{peak.what} {peak.rate / _GIGA:.3g} GB/s"
        for at in (across[0], min(top / peak.rate, across[1])):
            yield {"roof": name, "intensity": at, "rate": at * peak.rate / _GIGA}
    fastest = max((peak.rate for peak in peaks.memory), default=top / across[0])
    for peak in level:
        name = f"{peak.what} {peak.rate / _GIGA:.3g} GOP/s"
        for at in (max(peak.rate / fastest, across[0]), across[1]):
            yield {"roof": name, "intensity": at, "rate": peak.rate / _GIGA}


def _points(operators: Sequence[OperatorProfile]) -> Iterator[dict[str, Any]]:
    # The largest first, so that none hides a smaller one.
    for each in sorted(operators, key=lambda each: -each.share):
        yield {
            "intensity": _intensity(each),
            "rate": _rate(each),
            "share": each.share,
            "bound": each.bound,
            "text": f"{layer_name(each)}: {_rate(each):.3g} GOP/s, {time(each.seconds)}, bound by "
            f"{each.bound}",
        }


def _table(one: VariantProfile) -> Table:
    rows = tuple(
        (
            layer_name(each),
            each.bound,
            f"{_intensity(each):.3g}",
            f"{_rate(each):.3g}",
            "" if each.peak_share is None else percent(each.peak_share, 0),
            percent(each.reached, 0),
        )
        for each in _placed(one)
    )
    head = ("layers", "bound by", "op/byte", "GOP/s", "of the peak", "of what bounds it")
    return Table(f"Operators of {one.variant}", head, rows, left=2)


def _peaks_table(peaks: Peaks) -> Table:
    rows = tuple(
        (peak.what, peak.how, f"{peak.rate / _GIGA:,.3g} {unit}", percent(peak.spread, 0))
        for unit, found in (("GOP/s", peaks.arithmetic), ("GB/s", peaks.memory))
        for peak in found
    )
    threads = "1 thread" if peaks.threads == 1 else f"{peaks.threads} threads"
    head = ("roof", "what was run", "best", "median below it by")
    return Table(f"Measured on {peaks.cpu} with {threads}", head, rows, left=2)
