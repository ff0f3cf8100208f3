"""How long it takes from nothing to the first answer."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from edgecnn.benchmark import BenchReport
from edgecnn.benchmark.report import VariantLatency
from edgecnn.reporting.contract import Figure, Section, Table
from edgecnn.reporting.drawing import chart, colours, fitted, label_room, names_axis, time_unit
from edgecnn.reporting.material import Kept, Material
from edgecnn.reporting.words import time

ORDER = 44
TITLE = "Cold start"
COMMAND = "edgecnn bench"

_PARTS = ("process", "import", "load", "first run")


def build(material: Material) -> Section | None:
    """Draw how the variants start, as the newest bench that looked at it found."""
    for kept in material.all(BenchReport):
        if any(row.cold_start for row in kept.body.variants):
            return Section({"figure": _cold_start(kept)})
    return None


def _cold_start(kept: Kept[BenchReport]) -> Figure:
    rows = [row for row in kept.body.variants if row.cold_start]
    totals = ", ".join(
        f"{row.variant} {time(row.cold_start.total_seconds)}" for row in rows if row.cold_start
    )
    return Figure(
        name="cold-start",
        caption="From nothing to the first answer, in a fresh process: Python and edgecnn, the "
        "runtime imported, the file loaded, the first run. Medians over the processes; files are "
        "warm in the system's cache.",
        alternative=f"Cold start: {totals}.",
        chart=partial(_cold_start_chart, rows),
        origins=(kept,),
        table=Table(
            "Cold start",
            ("variant", *_PARTS, "total", "processes"),
            tuple(
                (row.variant, *map(time, _parts(row)), time(c.total_seconds), str(c.processes))
                for row in rows
                if (c := row.cold_start)
            ),
        ),
    )


def _parts(row: VariantLatency) -> tuple[float, ...]:
    begun = row.cold_start
    if begun is None:
        return ()
    return (
        begun.start_seconds,
        begun.import_seconds,
        begun.load_seconds,
        begun.first_run_seconds,
    )


def _cold_start_chart(variants: Sequence[VariantLatency], width: int) -> Any:
    import altair as alt

    room = label_room((row.variant for row in variants), width)
    names = fitted((row.variant for row in variants), room)
    unit = time_unit(sum(_parts(row)) for row in variants)
    rows = [
        {
            "variant": names[row.variant],
            "time": seconds * unit.factor,
            "of": part,
            "place": place,
            "text": f"{row.variant}, {part}: {time(seconds)}",
        }
        for row in variants
        for place, (part, seconds) in enumerate(zip(_PARTS, _parts(row), strict=True))
    ]
    return (
        chart(rows, height=alt.Step(30))
        .mark_bar()
        .encode(
            x=alt.X("time:Q", title=f"time in {unit.name}"),
            y=alt.Y(
                "variant:N",
                title=None,
                sort=list(names.values()),
                axis=names_axis(room),
            ),
            color=colours(_PARTS, width - room),
            order="place:Q",
            description="text:N",
        )
    )
