"""How far int8 lies from fp32 at every tensor between pixels and answers."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from functools import partial
from typing import Any

from edgecnn.quantization import QuantizeReport
from edgecnn.quantization.tensors import TensorLoss
from edgecnn.reporting.charts import SERIES, SHAPES
from edgecnn.reporting.contract import Figure, Section, Table
from edgecnn.reporting.drawing import chart
from edgecnn.reporting.material import Kept, Material
from edgecnn.reporting.sections._quantized import newest_quantization

ORDER = 47
TITLE = "int8 against fp32, tensor by tensor"
COMMAND = "edgecnn quantize"

_KINDS = ("8 bits", "float")
_MOST_ROWS = 300
_HEIGHT = 260
# The largest fall from one tensor to the next is named only if it is more than chance.
_FALL_DB = 3.0


def build(material: Material) -> Section | None:
    """Draw the tensors of the newest quantization, in the order of the graph."""
    found = newest_quantization(material, lambda report: report.tensors)
    if found is None or not found[0].tensors:
        return None
    report, kept = found
    return Section({"figure": _figure(report, kept), "begins": where_it_begins(report.tensors)})


def where_it_begins(losses: Sequence[TensorLoss]) -> str:
    """Say which tensor lies farthest from fp32, and behind which one the error grows most."""
    worst = min(losses, key=lambda each: each.sqnr_db)
    text = f"{_name(worst)} lies farthest from fp32, at {_decibels(worst)} dB (SQNR)"
    falls = [
        (before.sqnr_db - after.sqnr_db, before, after)
        for before, after in itertools.pairwise(losses)
        if math.isfinite(before.sqnr_db) and math.isfinite(after.sqnr_db)
    ]
    fall, before, after = max(falls, key=lambda each: each[0], default=(0.0, worst, worst))
    if fall < _FALL_DB:
        return f"{text}; nowhere does the ratio fall by {_FALL_DB:g} dB from a tensor to the next."
    return f"{text}; the ratio falls most from {_name(before)} to {_name(after)}, by {fall:.1f} dB."


def _figure(report: QuantizeReport, kept: Kept[Any]) -> Figure:
    losses = report.tensors
    first, last = losses[0], losses[-1]
    return Figure(
        name="tensors",
        caption=f"{len(losses)} tensors of {report.int8.variant} against the same ones of "
        f"{report.fp32.variant}, from pixels (left) to answers (right), on selection images: "
        "signal-to-quantization-noise ratio, which counts all that was rounded up to there. The "
        "higher, the nearer; 6 dB are half the error.",
        alternative=f"The ratio is {_decibels(first)} dB at {_name(first)} and {_decibels(last)} "
        f"dB at {_name(last)}.",
        chart=partial(_chart, losses),
        origins=(kept,),
        table=_table(losses),
    )


def _chart(losses: Sequence[TensorLoss], width: int) -> Any:
    import altair as alt

    finite = [each for each in enumerate(losses, 1) if math.isfinite(each[1].sqnr_db)]
    kinds = [kind for kind in _KINDS if any(_kind(each) == kind for _, each in finite)]
    places = [_KINDS.index(kind) for kind in kinds]
    base = chart([_row(place, each) for place, each in finite], height=_HEIGHT).encode(
        x=alt.X(
            "place:Q",
            title="tensor, in order",
            axis=alt.Axis(format="d", tickMinStep=1),
            scale=alt.Scale(domain=[0.5, len(losses) + 0.5], nice=False),
        ),
        y=alt.Y("sqnr:Q", title="SQNR in dB", scale=alt.Scale(zero=False, padding=12)),
    )
    colour = alt.Scale(domain=kinds, range=[SERIES[place] for place in places])
    shape = alt.Scale(domain=kinds, range=[SHAPES[place] for place in places])
    legend = alt.Legend(title=None)
    return base.mark_point(size=45, opacity=1).encode(
        color=alt.Color("of:N", scale=colour, legend=legend),
        shape=alt.Shape("of:N", scale=shape, legend=legend),
        description="text:N",
    )


def _row(place: int, each: TensorLoss) -> dict[str, Any]:
    text = f"{place}: {_name(each)}, {_decibels(each)} dB"
    return {"place": place, "sqnr": each.sqnr_db, "of": _kind(each), "text": text}


def _table(losses: Sequence[TensorLoss]) -> Table:
    # Of many the first: where the error begins is what is looked for.
    more = f", the first {_MOST_ROWS} of {len(losses)}" if len(losses) > _MOST_ROWS else ""
    rows = tuple(
        (
            _name(each),
            each.operator,
            _kind(each),
            str(place),
            _decibels(each),
            f"{each.max_abs:.3g}",
            f"{each.largest:.3g}",
        )
        for place, each in enumerate(losses[:_MOST_ROWS], 1)
    )
    columns = ("layer", "operator", "in", "place", "SQNR in dB", "largest error", "largest value")
    return Table(f"Tensors in the order of the graph{more}", columns, rows, left=3)


def _name(each: TensorLoss) -> str:
    return each.layer or each.tensor


def _kind(each: TensorLoss) -> str:
    return _KINDS[0] if each.rounded else _KINDS[1]


def _decibels(each: TensorLoss) -> str:
    return "∞" if each.sqnr_db == math.inf else f"{each.sqnr_db:.1f}"
