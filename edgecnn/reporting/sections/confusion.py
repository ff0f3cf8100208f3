"""Which classes are recognised, and which are taken for which."""

from __future__ import annotations

from bisect import bisect_right
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecnn.evaluation import EvalReport, VariantAccuracy
from edgecnn.reporting.charts import AMOUNTS, ON_FEW, ON_MANY, WIDE
from edgecnn.reporting.contract import Figure, Section, Table
from edgecnn.reporting.drawing import (
    chart,
    colours,
    columns,
    fitted,
    height,
    label_room,
    names_axis,
    percent_axis,
    shapes,
)
from edgecnn.reporting.material import Kept, Material
from edgecnn.reporting.words import percent
from edgecnn.stats import Interval

ORDER = 30
TITLE = "Classes"
COMMAND = "edgecnn eval"

_TALLEST = 900
_MOST_IN_TABLE = 100
_MOST_CONFUSIONS = 15
_OTHERS = "all others"
# Shares from which on a cell has the next colour: most mistakes are rare, and none should vanish.
_STEPS = (0.01, 0.05, 0.1, 0.25, 0.5, 0.75)
_STEP_NAMES = (
    "below 1 %",
    "1 to 5 %",
    "5 to 10 %",
    "10 to 25 %",
    "25 to 50 %",
    "50 to 75 %",
    "75 % or more",
)
_MANY_FROM = 0.25
_LARGEST_CELL = 44


def build(material: Material) -> Section | None:
    """Draw each class's accuracy, and the confusion matrix of the first variant."""
    kept = material.newest(EvalReport)
    if kept is None or not kept.body.variants:
        return None
    figures = [_by_class(kept), _matrix(kept)]
    mistaken = _confusions(kept.body)
    return Section({"kept": kept, "figures": figures, "mistaken": mistaken})


def _by_class(kept: Kept[EvalReport]) -> Figure:
    body = kept.body
    order = _hardest(body.variants[0])
    shown = min(len(order), _room(len(body.variants)))
    kind = f"Accuracy of each class on {body.images:,} {body.split} images of {body.data}"
    part = f"The {shown} of {len(order):,} classes that are hardest. " if shown < len(order) else ""
    labels, shares = body.labels, [one.accuracy for one in body.variants[0].classes]
    worst, best = (labels[order[place]] for place in (0, -1)) if order else ("", "")
    return Figure(
        name="classes",
        caption=f"{kind}, with its 95 % interval, the hardest first. {part}"
        "An interval is wide where a class has few images.",
        alternative=f"Accuracy by class of {body.variants[0].name}, from {worst} at "
        f"{_share(shares[order[0]])} to {best} at {_share(shares[order[-1]])}."
        if order
        else "No class has images.",
        chart=partial(_by_class_chart, body, order[:shown]),
        origins=(kept,),
        table=_class_table(body, order),
    )


def _hardest(variant: VariantAccuracy) -> list[int]:
    # Of two that look alike, the one that more images speak of.
    known = [
        (one.accuracy.estimate, -one.images, index)
        for index, one in enumerate(variant.classes)
        if one.accuracy
    ]
    return [index for *_, index in sorted(known)]


def _room(variants: int) -> int:
    return max(1, _TALLEST // _row_height(variants))


def _row_height(variants: int) -> int:
    return 12 + 10 * variants


def _by_class_chart(body: EvalReport, order: list[int], width: int) -> Any:
    import altair as alt

    room = label_room((body.labels[index] for index in order), width)
    inner = width - room - 20  # the legend stands above the plot
    names = fitted((each.name for each in body.variants), inner - 60)
    labels = fitted((body.labels[index] for index in order), room)
    rows = [
        {
            "class": labels[body.labels[index]],
            "of": names[each.name],
            "accuracy": share.estimate,
            "low": share.low,
            "high": share.high,
            "text": f"{body.labels[index]}, {each.name}: {_range(share)}",
        }
        for index in order
        for each in body.variants
        if (share := each.classes[index].accuracy)
    ]
    order_of_names = list(names.values())
    tall = max(1, len(order)) * _row_height(len(names))
    base = chart(rows, height=height(tall, order_of_names, inner)).encode(
        y=alt.Y(
            "class:N",
            sort=[labels[body.labels[index]] for index in order],
            title=None,
            axis=names_axis(room),
        ),
        yOffset=alt.YOffset("of:N", sort=order_of_names, scale=alt.Scale(paddingOuter=0.6)),
        description="text:N",
        color=colours(order_of_names, inner),
    )
    count = 5 if width >= WIDE else 3
    axis = percent_axis(orient="top", title="accuracy", tickCount=count)
    line = base.mark_rule(strokeWidth=2).encode(x=alt.X("low:Q", axis=axis), x2="high:Q")
    point = base.mark_point(size=40, opacity=1).encode(
        x="accuracy:Q", shape=shapes(order_of_names, inner)
    )
    return line + point


def _class_table(body: EvalReport, order: list[int]) -> Table:
    most = f", the {_MOST_IN_TABLE} hardest" if len(order) > _MOST_IN_TABLE else ""
    rows = tuple(
        (
            body.labels[index],
            f"{body.variants[0].classes[index].images:,}",
            *(_range(each.classes[index].accuracy) for each in body.variants),
        )
        for index in order[:_MOST_IN_TABLE]
    )
    head = ("class", "images", *(each.name for each in body.variants))
    return Table(f"Accuracy by class{most}", head, rows)


def _matrix(kept: Kept[EvalReport]) -> Figure:
    body, first = kept.body, kept.body.variants[0]
    counts = np.array(first.confusion, np.int64)
    several = len(counts) > _most_classes(WIDE)
    return Figure(
        name="confusion",
        caption=f"Confusion matrix of {first.name}: of the images of a class (row), the share that "
        "was taken for each class (column), in per cent; what is right lies on the diagonal."
        + (" Shown are the classes with most mistakes, from and to them." if several else ""),
        alternative=f"Confusion matrix of {first.name}: {first.correct:,} of {first.images:,} "
        f"images lie on the diagonal.{_largest(body, counts)}",
        chart=partial(_matrix_chart, counts, _labels(body, len(counts))),
        origins=(kept,),
        table=None if several else _matrix_table(counts, _labels(body, len(counts))),
    )


def _largest(body: EvalReport, counts: NDArray[np.int64]) -> str:
    found = _pairs(counts)
    if not found:
        return ""
    truth, answer, count = found[0]
    labels = _labels(body, len(counts))
    return f" The commonest mistake takes {labels[truth]} for {labels[answer]}, {count:,} times."


def _most_classes(width: int) -> int:
    return 24 if width >= WIDE else 12


def _chosen(counts: NDArray[np.int64], most: int) -> list[int]:
    """Give the classes with most mistakes, from and to them, in the order of the classes."""
    wrong = counts - np.diag(np.diag(counts))
    mistakes = wrong.sum(axis=0) + wrong.sum(axis=1)
    return sorted(np.argsort(-mistakes, kind="stable")[:most].tolist())


def _matrix_chart(counts: NDArray[np.int64], labels: tuple[str, ...], width: int) -> Any:
    import altair as alt

    chosen = _chosen(counts, _most_classes(width))
    most = 150 if width >= WIDE else 84
    room = min(label_room((labels[index] for index in chosen), width), most)
    names = fitted((labels[index] for index in chosen), room)
    rows = _cells(counts, labels, chosen, names)
    answers = [names[labels[index]] for index in chosen]
    across = answers + ([_OTHERS] if len(chosen) < len(counts) else [])
    side = min(_LARGEST_CELL, (width - room - 46) / len(across))
    font = min(12.0, 0.46 * side)
    axis: dict[str, Any] = {
        "labelLimit": room + 8,
        "labelPadding": 4,
        "labelFontSize": min(12.0, side - 4.5),
        "ticks": False,
        "domain": False,
        "grid": False,
    }
    base = chart(rows, width=alt.Step(side), height=alt.Step(side)).encode(
        x=alt.X("answer:N", sort=across, title="answer", axis=alt.Axis(labelAngle=-90, **axis)),
        y=alt.Y("truth:N", sort=answers, title="truth", axis=alt.Axis(**axis)),
        description="text:N",
    )
    cells = base.mark_rect().encode(color=_amounts(width))
    if font < 8:
        return cells
    ink = alt.condition(f"datum.share >= {_MANY_FROM}", alt.value(ON_MANY), alt.value(ON_FEW))
    return cells + base.mark_text(fontSize=font).encode(text="percent:N", color=ink)


def _amounts(width: int) -> Any:
    import altair as alt

    names = list(_STEP_NAMES)
    legend = alt.Legend(columns=columns(names, width), symbolType="square", symbolSize=150)
    scale = alt.Scale(domain=names, range=list(AMOUNTS))
    return alt.Color("step:O", scale=scale, legend=legend)


def _cells(
    counts: NDArray[np.int64],
    labels: tuple[str, ...],
    chosen: list[int],
    names: dict[str, str],
) -> list[dict[str, Any]]:
    rows = []
    for truth in chosen:
        of, row = int(counts[truth].sum()), counts[truth]
        own = [(labels[i], names[labels[i]], int(row[i])) for i in chosen]
        if len(chosen) < len(counts):
            own.append((_OTHERS, _OTHERS, of - sum(count for *_, count in own)))
        rows += [
            {
                "truth": names[labels[truth]],
                "answer": short,
                "share": count / of if of else 0.0,
                "step": _STEP_NAMES[bisect_right(_STEPS, count / of if of else 0.0)],
                "percent": _percent_text(count, of),
                "text": f"{labels[truth]} taken for {answer}: {count:,} of {of:,}",
            }
            for answer, short, count in own
        ]
    return rows


def _percent_text(count: int, of: int) -> str:
    if not count:
        return ""
    share = 100 * count / of
    return f"{share:.0f}" if share >= 1 else "<1"


def _matrix_table(counts: NDArray[np.int64], labels: tuple[str, ...]) -> Table:
    rows = tuple(
        (labels[truth], *(f"{count:,}" for count in row))
        for truth, row in enumerate(counts.tolist())
    )
    return Table("Images by true class (row) and answer (column)", ("truth", *labels), rows)


def _confusions(body: EvalReport) -> Table | None:
    counts = np.array(body.variants[0].confusion, np.int64)
    found, labels = _pairs(counts), _labels(body, len(counts))
    if not found:
        return None
    others = [np.array(each.confusion, np.int64) for each in body.variants[1:]]
    rows = tuple(
        (
            labels[truth],
            labels[answer],
            f"{count:,} ({percent(count / counts[truth].sum())})",
            *(_count(other, truth, answer) for other in others),
        )
        for truth, answer, count in found[:_MOST_CONFUSIONS]
    )
    head = ("truth", "taken for", *(each.name for each in body.variants))
    return Table("The commonest mistakes: images, and share of the class", head, rows, left=2)


def _count(counts: NDArray[np.int64], truth: int, answer: int) -> str:
    inside = max(truth, answer) < len(counts)
    return f"{counts[truth, answer]:,}" if inside else "0"


def _pairs(counts: NDArray[np.int64]) -> list[tuple[int, int, int]]:
    wrong = counts - np.diag(np.diag(counts))
    order = np.argsort(-wrong, axis=None, kind="stable")[:_MOST_CONFUSIONS]
    places = (np.unravel_index(place, wrong.shape) for place in order)
    found = [(int(truth), int(answer), int(wrong[truth, answer])) for truth, answer in places]
    return [entry for entry in found if entry[2]]


def _labels(body: EvalReport, size: int) -> tuple[str, ...]:
    # A net may have outputs that the data has no class for.
    return (*body.labels, *(f"output {index}" for index in range(len(body.labels), size)))


def _range(share: Interval | None) -> str:
    if share is None:
        return ""
    return f"{percent(share.estimate)} ({100 * share.low:.1f} to {100 * share.high:.1f})"


def _share(share: Interval | None) -> str:
    return "" if share is None else percent(share.estimate)
