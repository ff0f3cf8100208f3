"""What was tried to run the bundle faster, and what a second run confirmed."""

from __future__ import annotations

from functools import partial
from typing import Any

from edgecnn.reporting.charts import SERIES, SHAPES, SOFT
from edgecnn.reporting.contract import Figure, Finding, Section, Table
from edgecnn.reporting.drawing import chart, columns, label_room, log_axis, rows_axis
from edgecnn.reporting.material import Kept, Material
from edgecnn.reporting.words import percent
from edgecnn.spec import Verdict
from edgecnn.stats import Interval
from edgecnn.tuning import TuneReport

ORDER = 45
TITLE = "Tuning"
COMMAND = "edgecnn tune"

_KINDS = ("search", "second run")
_MOST_BARS = 25
_STEP = 30
_WIDEST = 16.0  # an interval runs off the picture rather than make all else small


def build(material: Material) -> Section | None:
    """Draw the newest tuning that measured anything."""
    kept = material.newest(TuneReport)
    if kept is None or not any(row.ratio for row in kept.body.rows):
        return None
    found = kept.body
    values = {
        "verdict": found.verdict,
        "figure": _figure(kept),
        "final": _final(found),
        "doubts": "; ".join(found.final.reasons) if found.final else "",
        "tried": _tried(found),
        "left_out": _left_out(found),
    }
    reasons = (found.verdict,)
    unsure = found.outcome == "inconclusive"
    verdict = Verdict("inconclusive" if unsure else "pass", reasons)
    return Section(values, (Finding("Tuning", verdict, kept),))


def _figure(kept: Kept[TuneReport]) -> Figure:
    found = kept.body
    shown = [row for row in found.rows if row.ratio][:_MOST_BARS]
    return Figure(
        name="tuning",
        caption=f"Time of a call over that of the default, {found.default}, with 95 % intervals; "
        "left of 1 is faster. The best of many looks better in the search than it is: the second "
        "run, in fresh processes, decides.",
        alternative=found.verdict,
        chart=partial(_chart, found, [row.name for row in shown]),
        origins=(kept,),
    )


def _chart(found: TuneReport, names: list[str], width: int) -> Any:
    import altair as alt

    rows = _dots(found, names)
    legend = alt.Legend(columns=columns(list(_KINDS), width - label_room(names, width)))
    colours = alt.Scale(domain=list(_KINDS), range=list(SERIES[:2]))
    shapes = alt.Scale(domain=list(_KINDS), range=list(SHAPES[:2]))
    across = partial(_across, _ends(rows))
    base = chart(rows, height=alt.Step(_STEP)).encode(
        y=alt.Y("row:O", title=None, axis=rows_axis(names, width)),
        color=alt.Color("what:N", scale=colours, legend=legend),
        description="text:N",
    )
    rule = base.mark_rule(strokeWidth=2, clip=True).encode(x=across("low"), x2="high:Q")
    point = base.mark_point(size=80, opacity=1).encode(
        x=across("ratio"), shape=alt.Shape("what:N", scale=shapes, legend=legend)
    )
    line = chart([{"ratio": 1}]).mark_rule(color=SOFT, strokeDash=[4, 3], aria=False)
    return line.encode(x=across("ratio")) + rule + point


def _across(ends: tuple[float, float], field: str) -> Any:
    import altair as alt

    return alt.X(
        f"{field}:Q",
        title="ratio of time, logarithmic",
        scale=alt.Scale(type="log", domain=list(ends), nice=False),
        axis=log_axis(*ends),
    )


def _dots(found: TuneReport, names: list[str]) -> list[dict[str, Any]]:
    rows = [
        _dot(names.index(row.name), row.name, _KINDS[0], row.ratio)
        for row in found.rows
        if row.ratio and row.name in names
    ]
    for one in found.final.comparisons if found.final else ():
        if one.first == found.default and one.second in names:
            interval = Interval(one.ratio, one.low, one.high or _WIDEST)
            rows.append(_dot(names.index(one.second), one.second, _KINDS[1], interval))
    return rows


def _dot(row: int, name: str, what: str, ratio: Interval) -> dict[str, Any]:
    return {
        "row": row,
        "what": what,
        "ratio": ratio.estimate,
        "low": max(ratio.low, 1 / _WIDEST),
        "high": min(ratio.high, _WIDEST),
        "text": f"{name}, {what}: {ratio.estimate:.2f} ({ratio.low:.2f} to {ratio.high:.2f})",
    }


def _ends(rows: list[dict[str, Any]]) -> tuple[float, float]:
    ratios = [row["ratio"] for row in rows]
    return min(0.9, 0.8 * min(ratios)), max(1.1, 1.25 * max(ratios))


def _final(found: TuneReport) -> Table | None:
    if found.final is None:
        return None
    rows = tuple(
        (
            f"{one.second} against {one.first}",
            f"{one.ratio:.3f}",
            f"{one.low:.3f} to {'unbounded' if one.high is None else f'{one.high:.3f}'}",
            percent(one.noise_floor),
            one.outcome,
        )
        for one in found.final.comparisons
    )
    rounds = max((one.replicates for one in found.final.comparisons), default=0)
    head = ("compared", "ratio", "95 % interval", "noise floor", "found")
    return Table(f"The second run, {rounds} rounds of fresh processes", head, rows)


def _tried(found: TuneReport) -> Table:
    rows = tuple(
        (
            row.name,
            row.state if not row.why else f"{row.state}: {row.why}",
            "" if row.ratio is None else f"{row.ratio.estimate:.3f}",
            "" if row.ratio is None else f"{row.ratio.low:.2f} to {row.ratio.high:.2f}",
            str(row.replicates or ""),
        )
        for row in found.rows
    )
    head = ("candidate", "what became of it", "ratio", "95 % interval", "replicates")
    return Table("Every candidate, as the search saw it", head, rows, left=2)


def _left_out(found: TuneReport) -> Table | None:
    rows = tuple((one.what, one.reason, one.remedy) for one in found.left_out)
    return Table("Left out", ("what", "why", "what helps"), rows, left=3) if rows else None
