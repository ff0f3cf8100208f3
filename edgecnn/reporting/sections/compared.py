"""Variants compared: how much faster, and at what cost of accuracy, each with its interval."""

from __future__ import annotations

from functools import partial
from typing import Any

from edgecnn.benchmark import BenchReport
from edgecnn.benchmark.estimate import LatencyComparison
from edgecnn.evaluation import EvalReport, PairedAccuracy
from edgecnn.reporting.charts import BAD, GOOD, GRID, INK, PAPER, SOFT
from edgecnn.reporting.contract import Figure, Section, Table
from edgecnn.reporting.drawing import chart, fitted, label_room, log_axis, names_axis
from edgecnn.reporting.material import Kept, Material
from edgecnn.reporting.words import percent

ORDER = 42
TITLE = "Variants compared"
COMMAND = "edgecnn bench"

_LOOKS = {
    "faster": (GOOD, "triangle-left"),
    "slower": (BAD, "triangle-right"),
    "no difference": (INK, "circle"),
    "inconclusive": (SOFT, "diamond"),
}
_STEP = 40
# Values above the points, with a rim of paper: lines that cross them would make them unreadable.
_ABOVE: dict[str, Any] = {
    "dy": -13,
    "fontSize": 12,
    "aria": False,
    "stroke": PAPER,
    "strokeWidth": 4,
}
# An interval that nothing bounds is drawn to here, with an arrow.
_FURTHEST = 16.0


def build(material: Material) -> Section | None:
    """Draw every comparison of latency, and of accuracy."""
    timed, judged = material.newest(BenchReport), material.newest(EvalReport)
    figures = []
    if timed and timed.body.comparisons:
        figures.append(_latency(timed))
    if judged and _pairs(judged.body):
        figures.append(_accuracy(judged))
    return Section({"figures": figures}) if figures else None


def _latency(kept: Kept[BenchReport]) -> Figure:
    found = kept.body.comparisons
    doubt = "" if kept.body.valid else " The run is not valid: see Latency for why."
    return Figure(
        name="ratios",
        caption="Time of a call over that of the variant compared with, and the 95 % interval; "
        "left of 1 is faster. The grey band is the noise floor: what this run would say of a model "
        f"and itself. Inside it there is no winner.{doubt}",
        alternative=f"{'. '.join(one.verdict for one in found)}.",
        chart=partial(_latency_chart, found),
        origins=(kept,),
        table=Table(
            "Ratios of time",
            ("compared", "ratio", "95 % interval", "noise floor", "found", "replicates", "blocks"),
            tuple(
                (
                    f"{one.second} against {one.first}",
                    f"{one.ratio:.3f}",
                    f"{one.low:.3f} to {'unbounded' if one.high is None else f'{one.high:.3f}'}",
                    percent(one.noise_floor),
                    one.outcome,
                    str(one.replicates),
                    str(one.blocks),
                )
                for one in found
            ),
        ),
    )


def _latency_chart(found: tuple[LatencyComparison, ...], width: int) -> Any:
    import altair as alt

    labels = _pair_labels([(one.first, one.second) for one in found], width)
    rows = [
        {
            "pair": label,
            "ratio": one.ratio,
            "low": max(one.low, 1 / _FURTHEST),
            "high": min(one.high or _FURTHEST, _FURTHEST),
            "floor": 1 / (1 + min(one.noise_floor, _FURTHEST)),
            "ceiling": 1 + min(one.noise_floor, _FURTHEST),
            "outcome": one.outcome,
            "shown": f"{one.ratio:.2f}",
            "text": one.verdict,
        }
        for label, one in zip(labels, found, strict=True)
    ]
    shown = [kind for kind in _LOOKS if any(row["outcome"] == kind for row in rows)]
    base = chart(rows, height=alt.Step(_STEP)).encode(
        y=_pair_axis(labels, width), description="text:N"
    )
    across = alt.X(
        "floor:Q",
        title="ratio of time, logarithmic",
        scale=alt.Scale(type="log", domain=_domain(rows), nice=False),
        axis=_ratios_axis(rows),
    )
    band = base.mark_bar(size=_STEP - 12, color=GRID).encode(x=across, x2="ceiling:Q")
    one = chart([{"at": 1}]).mark_rule(strokeDash=[4, 3], color=SOFT, aria=False).encode(x="at:Q")
    outcome = {
        "color": alt.Color(
            "outcome:N",
            scale=alt.Scale(domain=shown, range=[_LOOKS[kind][0] for kind in shown]),
        )
    }
    rule = base.mark_rule(strokeWidth=2.5).encode(x="low:Q", x2="high:Q", **outcome)
    shape = alt.Shape(
        "outcome:N", scale=alt.Scale(domain=shown, range=[_LOOKS[kind][1] for kind in shown])
    )
    point = base.mark_point(size=110, opacity=1).encode(x="ratio:Q", shape=shape, **outcome)
    text = base.mark_text(**_ABOVE).encode(x="ratio:Q", text="shown:N")
    return band + one + rule + point + text


def _ratios_axis(rows: list[dict[str, Any]]) -> Any:
    import altair as alt

    low, high = _domain(rows)
    if high > 5 * low:
        return log_axis(low, high, grid=False)
    return alt.Axis(format="~r", labelOverlap="greedy", grid=False)


def _domain(rows: list[dict[str, Any]]) -> list[float]:
    low = min(1.0, *(min(row["low"], row["floor"]) for row in rows))
    high = max(1.0, *(max(row["high"], row["ceiling"]) for row in rows))
    return [low / 1.06, high * 1.06]


def _pairs(body: EvalReport) -> tuple[PairedAccuracy, ...]:
    return (*body.comparisons, *(body.baseline.comparisons if body.baseline else ()))


def _accuracy(kept: Kept[EvalReport]) -> Figure:
    found = _pairs(kept.body)
    return Figure(
        name="drops",
        caption=f"How far accuracy falls, in points, on the same {kept.body.images:,} images, with "
        "Tango's 95 % interval; right of 0 is worse. An interval that holds 0 shows no difference.",
        alternative=". ".join(
            f"{one.second} against {one.first}: a drop of {_points(one.drop.estimate)} points, "
            f"{_points(one.drop.low)} to {_points(one.drop.high)}"
            for one in found
        )
        + ".",
        chart=partial(_accuracy_chart, found),
        origins=(kept,),
        table=Table(
            "Drops of accuracy, in points",
            ("compared", "drop", "95 % interval", "only first right", "only second right", "same"),
            tuple(
                (
                    f"{one.second} against {one.first}",
                    _points(one.drop.estimate),
                    f"{_points(one.drop.low)} to {_points(one.drop.high)}",
                    f"{one.only_first:,}",
                    f"{one.only_second:,}",
                    percent(one.same, 2),
                )
                for one in found
            ),
        ),
    )


def _accuracy_chart(found: tuple[PairedAccuracy, ...], width: int) -> Any:
    import altair as alt

    labels = _pair_labels([(one.first, one.second) for one in found], width)
    rows = [
        {
            "pair": label,
            "drop": 100 * one.drop.estimate,
            "low": 100 * one.drop.low,
            "high": 100 * one.drop.high,
            "shown": f"{_points(one.drop.estimate)}",
            "text": f"{one.second} against {one.first}: {_points(one.drop.estimate)} points, "
            f"{_points(one.drop.low)} to {_points(one.drop.high)}",
        }
        for label, one in zip(labels, found, strict=True)
    ]
    base = chart(rows, height=alt.Step(_STEP)).encode(
        y=_pair_axis(labels, width), description="text:N"
    )
    zero = chart([{"at": 0}]).mark_rule(strokeDash=[4, 3], color=SOFT, aria=False).encode(x="at:Q")
    across = alt.X(
        "low:Q",
        title="drop of accuracy in points",
        axis=alt.Axis(grid=False),
        scale=alt.Scale(padding=14),
    )
    rule = base.mark_rule(strokeWidth=2.5, color=INK).encode(x=across, x2="high:Q")
    point = base.mark_point(size=70, color=INK, opacity=1).encode(x="drop:Q")
    text = base.mark_text(**_ABOVE).encode(x="drop:Q", text="shown:N")
    return zero + rule + point + text


def _pair_labels(pairs: list[tuple[str, str]], width: int) -> list[str]:
    firsts = {first for first, _ in pairs}
    whole = [second if len(firsts) == 1 else f"{second} against {first}" for first, second in pairs]
    short = fitted(whole, label_room(whole, width))
    return [short[one] for one in whole]


def _pair_axis(labels: list[str], width: int) -> Any:
    import altair as alt

    return alt.Y("pair:N", sort=labels, title=None, axis=names_axis(label_room(labels, width)))


def _points(share: float) -> str:
    text = f"{100 * share:.2f}"
    return "0.00" if text == "-0.00" else text
