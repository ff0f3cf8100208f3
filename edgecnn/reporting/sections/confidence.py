"""How sure the answers are, and whether that can be relied on."""

from __future__ import annotations

from functools import partial
from typing import Any

from edgecnn.evaluation import ConfidenceBin, EvalReport, VariantAccuracy
from edgecnn.reporting.charts import SOFT
from edgecnn.reporting.contract import Figure, Section, Table
from edgecnn.reporting.drawing import chart, colours, fitted, height, percent_axis, shapes
from edgecnn.reporting.material import Kept, Material
from edgecnn.reporting.words import percent
from edgecnn.stats import wilson

ORDER = 34
TITLE = "Confidence"
COMMAND = "edgecnn eval"

_FEWEST = 5  # fewer images in a bin say next to nothing


def build(material: Material) -> Section | None:
    """Draw how often answers are right, by how sure they are."""
    kept = material.newest(EvalReport)
    if kept is None or not any(each.confidence for each in kept.body.variants):
        return None
    return Section({"figure": _reliability(kept), "errors": _errors(kept.body)})


def calibration_error(bins: tuple[ConfidenceBin, ...]) -> float:
    """Give the mean distance of confidence from accuracy, 0 to 1, weighted by the images.

    Source: M. P. Naeini et al., Obtaining well calibrated probabilities using Bayesian binning,
    AAAI 2015, 2901-2907: the expected calibration error.
    """
    images = sum(one.images for one in bins)
    off = (abs(one.correct - one.confidence * one.images) for one in bins)
    return sum(off) / images if images else 0.0


def _reliability(kept: Kept[EvalReport]) -> Figure:
    variants = kept.body.variants
    worst = max(variants, key=lambda each: calibration_error(each.confidence))
    return Figure(
        name="reliability",
        caption="How often answers are right (with the 95 % interval) by how probable the net says "
        "they are. On the dashed line a net is right as often as it thinks; below it, it is too "
        f"sure of itself. Groups of fewer than {_FEWEST} images are left out.",
        alternative=f"Accuracy against confidence. {worst.name} is furthest from the line, by "
        f"{percent(calibration_error(worst.confidence))} on average.",
        chart=partial(_chart, variants),
        origins=(kept,),
        table=_table(variants),
    )


def _chart(variants: tuple[VariantAccuracy, ...], width: int) -> Any:
    import altair as alt

    names = fitted((each.name for each in variants), width - 60)
    rows = [
        _row(one, names[each.name], each.name)
        for each in variants
        for one in each.confidence
        if one.images >= _FEWEST
    ]
    order = list(names.values())
    side: dict[str, Any] = {"scale": alt.Scale(domain=[0, 1]), "axis": percent_axis()}
    ideal = (
        chart([{"confidence": 0, "accuracy": 0}, {"confidence": 1, "accuracy": 1}])
        .mark_line(color=SOFT, strokeDash=[5, 4], strokeWidth=1.5, aria=False)
        .encode(x=alt.X("confidence:Q", title="mean probability of the answer", **side))
        .encode(y=alt.Y("accuracy:Q", title="accuracy", **side))
    )
    base = chart(rows).encode(x="confidence:Q", color=colours(order, width), description="text:N")
    line = base.mark_line(strokeWidth=1.5, aria=False).encode(y="accuracy:Q")
    rule = base.mark_rule(strokeWidth=1.5).encode(y="low:Q", y2="high:Q")
    point = base.mark_point(opacity=1, size=45).encode(y="accuracy:Q", shape=shapes(order, width))
    return (ideal + rule + line + point).properties(
        height=height(min(290, width - 60), order, width)
    )


def _row(one: ConfidenceBin, name: str, whole: str) -> dict[str, Any]:
    share = wilson(one.correct, one.images)
    return {
        "of": name,
        "confidence": one.confidence,
        "accuracy": share.estimate,
        "low": share.low,
        "high": share.high,
        "text": f"{whole}: {one.images:,} answers of about {percent(one.confidence)}, "
        f"{percent(share.estimate)} right",
    }


def _table(variants: tuple[VariantAccuracy, ...]) -> Table:
    rows = tuple(
        (
            each.name,
            f"{100 * one.low:.0f} to {100 * one.high:.0f} %",
            f"{one.images:,}",
            percent(one.confidence) if one.images else "",
            percent(one.correct / one.images) if one.images else "",
        )
        for each in variants
        for one in each.confidence
    )
    columns = ("variant", "probability of the answer", "images", "mean", "right")
    return Table("Answers by their probability", columns, rows, left=2)


def _errors(body: EvalReport) -> Table:
    rows = tuple(
        (each.name, percent(calibration_error(each.confidence)), percent(_mean(each.confidence)))
        for each in body.variants
        if each.confidence
    )
    columns = ("variant", "expected calibration error", "mean confidence")
    return Table("How far confidence lies from accuracy", columns, rows)


def _mean(bins: tuple[ConfidenceBin, ...]) -> float:
    images = sum(one.images for one in bins)
    return sum(one.confidence * one.images for one in bins) / images if images else 0.0
