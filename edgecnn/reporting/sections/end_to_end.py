"""From an image file to the answer, part by part, beside the model alone."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from edgecnn.benchmark import BenchReport
from edgecnn.benchmark.scenarios.end_to_end import EndToEnd
from edgecnn.reporting.contract import Figure, Section, Table
from edgecnn.reporting.drawing import chart, colours, label_room, rows_axis, time_unit
from edgecnn.reporting.material import Material
from edgecnn.reporting.words import time, time_range

ORDER = 53
TITLE = "From a file to the answer"
COMMAND = "edgecnn bench --end-to-end"

_PARTS = ("read and decode", "resize", "make input", "run", "model alone")


def build(material: Material) -> Section | None:
    """Draw the newest bench that began with image files."""
    kept = next((one for one in material.all(BenchReport) if one.body.scenarios.end_to_end), None)
    if kept is None:
        return None
    found = [one for one in kept.body.scenarios.end_to_end if one.total_seconds is not None]
    if not found:
        return None
    figure = Figure(
        name="end-to-end",
        caption=f"Medians of each part, beside the model alone on inputs that are ready. Files: "
        f"{found[0].pictures}; they are warm in the system's cache.",
        alternative=". ".join(map(_words, found)) + ".",
        chart=partial(_chart, found),
        origins=(kept,),
        table=_table(found),
    )
    return Section({"figure": figure})


def _words(one: EndToEnd) -> str:
    total, model = one.total_seconds or 0.0, one.model_seconds or 0.0
    return f"{one.variant}: {time(total)} from the file, {time(model)} the model alone"


def _parts(one: EndToEnd) -> tuple[float, ...]:
    parts = (one.decode_seconds, one.resize_seconds, one.input_seconds, one.run_seconds)
    return tuple(part or 0.0 for part in parts)


def _chart(found: Sequence[EndToEnd], width: int) -> Any:
    import altair as alt

    unit = time_unit(sum(_parts(one)) for one in found)
    labels = [label for one in found for label in (one.variant, f"{one.variant}, model alone")]
    bars = [
        (2 * place + (part == len(_PARTS) - 1), part, seconds)
        for place, one in enumerate(found)
        for part, seconds in enumerate((*_parts(one), one.model_seconds or 0.0))
    ]
    rows = [
        {
            "row": row,
            "time": seconds * unit.factor,
            "of": _PARTS[part],
            "part": part,
            "text": f"{labels[row]}, {_PARTS[part]}: {time(seconds)}",
        }
        for row, part, seconds in bars
    ]
    return (
        chart(rows, height=alt.Step(26))
        .mark_bar()
        .encode(
            x=alt.X("time:Q", title=f"time in {unit.name}"),
            y=alt.Y("row:O", title=None, axis=rows_axis(labels, width)),
            color=colours(_PARTS, width - label_room(labels, width)),
            order="part:Q",
            description="text:N",
        )
    )


def _table(found: Sequence[EndToEnd]) -> Table:
    head = ("variant", "in all", "95 % interval", *_PARTS, "ratio")
    rows = tuple(
        (
            one.variant,
            _time(one.total_seconds),
            time_range(one.interval.low, one.interval.high) if one.interval else "",
            *map(time, _parts(one)),
            _time(one.model_seconds),
            "" if one.ratio is None else f"{one.ratio.estimate:.2f}",
        )
        for one in found
    )
    return Table("From a file to the answer", head, rows)


def _time(seconds: float | None) -> str:
    return "" if seconds is None else time(seconds)
