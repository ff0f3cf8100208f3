"""How training went, epoch by epoch."""

from __future__ import annotations

from functools import partial
from typing import Any

from edgecnn.reporting.contract import Figure, Finding, Section, Table
from edgecnn.reporting.drawing import chart, colours, height, percent_axis, shapes
from edgecnn.reporting.material import Kept, Material
from edgecnn.reporting.words import percent
from edgecnn.training.report import Epoch, TrainReport

ORDER = 20
TITLE = "Learning curve"
COMMAND = "edgecnn train"

_TRAINING, _HOLDOUT = "training", "holdout"


def build(material: Material) -> Section | None:
    """Draw accuracy and loss by epoch, of the newest training."""
    kept = material.newest(TrainReport)
    if kept is None or not kept.body.curve:
        return None
    verdict = kept.body.verdict
    found = (Finding("Accuracy that the recipe requires", verdict, kept),) if verdict else ()
    values = {"trained": kept.body, "figures": (_accuracy(kept), _loss(kept)), "kept": kept}
    return Section(values, found)


def _accuracy(kept: Kept[TrainReport]) -> Figure:
    curve = kept.body.curve
    last = curve[-1]
    held = last.holdout_accuracy
    end = f"{percent(last.train_accuracy)} on the training pictures"
    if held is not None:
        end += f" and {percent(held)} on the holdout"
    return Figure(
        name="learning-curve",
        caption="Accuracy by epoch. Training accuracy is taken while the pictures are learned, "
        "the holdout's afterwards, on pictures that are kept back.",
        alternative=f"Accuracy over {len(curve)} epochs; it ends at {end}.",
        chart=partial(_accuracy_chart, kept.body),
        origins=(kept,),
        table=Table(
            "Learning curve",
            ("epoch", "loss", "training", "holdout", "learning rate", "images/s"),
            tuple(
                (
                    str(one.epoch),
                    f"{one.loss:.3f}",
                    percent(one.train_accuracy),
                    "" if one.holdout_accuracy is None else percent(one.holdout_accuracy),
                    f"{one.learning_rate:.2g}",
                    f"{one.images_per_second:,.0f}",
                )
                for one in curve
            ),
        ),
    )


def _accuracy_chart(body: TrainReport, width: int) -> Any:
    import altair as alt

    rows = [
        {"epoch": one.epoch, "accuracy": share, "of": name, "text": _words(one, name, share)}
        for one in body.curve
        for name, share in ((_TRAINING, one.train_accuracy), (_HOLDOUT, one.holdout_accuracy))
        if share is not None
    ]
    names = [name for name in (_TRAINING, _HOLDOUT) if any(row["of"] == name for row in rows)]
    base = chart(rows, height=height(225, names, width)).encode(
        x=_epochs(body),
        y=alt.Y("accuracy:Q", axis=percent_axis(), scale=alt.Scale(zero=False)),
        color=colours(names, width),
        description="text:N",
    )
    return base.mark_line(aria=False) + base.mark_point(opacity=1).encode(
        shape=shapes(names, width)
    )


def _words(epoch: Epoch, name: str, share: float) -> str:
    return f"epoch {epoch.epoch}, {name}: {percent(share)}"


def _loss(kept: Kept[TrainReport]) -> Figure:
    curve = kept.body.curve
    return Figure(
        name="loss",
        caption="Mean training loss by epoch.",
        alternative=f"The loss goes from {curve[0].loss:.3f} to {curve[-1].loss:.3f}.",
        chart=lambda width: _loss_chart(kept.body),
        origins=(kept,),
    )


def _loss_chart(body: TrainReport) -> Any:
    import altair as alt

    rows = [
        {"epoch": one.epoch, "loss": one.loss, "text": f"epoch {one.epoch}: {one.loss:.3f}"}
        for one in body.curve
    ]
    base = chart(rows, height=180).encode(
        x=_epochs(body), y=alt.Y("loss:Q", scale=alt.Scale(zero=False)), description="text:N"
    )
    return base.mark_line(aria=False) + base.mark_point(opacity=1)


def _epochs(body: TrainReport) -> Any:
    import altair as alt

    numbers = [one.epoch for one in body.curve]
    shown = numbers[:: max(1, -(-len(numbers) // 8))]
    # Without a count Vega leaves every second one out.
    axis = alt.Axis(
        values=shown, tickCount=len(shown), format="d", grid=False, labelFlush=False, title="epoch"
    )
    scale = alt.Scale(domain=[min(numbers), max(numbers)], nice=False, padding=12)
    return alt.X("epoch:Q", axis=axis, scale=scale)
