"""The pages on sensitivity and mixed precision: drawn in any width, and true to what was found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from edgecnn.benchmark import LatencyComparison
from edgecnn.bundle import Bundle
from edgecnn.quantization.distance import Distance
from edgecnn.quantization.mixed import Mixed, MixedPoint
from edgecnn.quantization.sensitivity import Effect, LayerTime, OperatorTime, SensitivityReport
from edgecnn.reporting.charts import NARROW, WIDE, svg
from edgecnn.reporting.contract import Figure
from edgecnn.reporting.material import Kept, collect
from edgecnn.reporting.sections import pareto, sensitivity
from edgecnn.spec import Verdict
from edgecnn.stats import Interval, wilson
from tests.reporting.conftest import keep
from tests.reporting.invented import LONG


def effects(classes: bool) -> tuple[Effect, ...]:
    """Give thirty effects, each half as large as the one before it."""
    errors = [0.1 / 2**place for place in range(30)]
    return tuple(
        Effect(
            tensor=f"t{place}",
            kind="weights" if place % 2 else "activation",
            layer=LONG if place == 0 else f"layer{place}",
            distance=Distance(100, 20.0, place if classes else None, error if classes else None),
            error=Interval(error, error / 2, error * 2),
            flips=wilson(place, 100) if classes else None,
            share=0.75 / 4**place,
            in_float=(LONG,) if place == 0 else (f"layer{place}",),
        )
        for place, error in enumerate(errors)
    )


def ranked(classes: bool = True) -> SensitivityReport:
    slow = OperatorTime("Conv", 3e-5, (LONG, "relu"), True)
    fast = OperatorTime("com.microsoft:QLinearConv", 1e-5, (LONG,), True)
    return SensitivityReport(
        bundle="here",
        variant="fp32",
        file="fp32.onnx",
        sha256="0" * 64,
        scheme="u8s8-7bit",
        calibration="minmax",
        corrections=(),
        calibration_images=512,
        data="invented",
        images=100,
        classes=classes,
        whole=Distance(100, 18.0, 9 if classes else None, 0.12 if classes else None),
        whole_error=Interval(0.12, 0.1, 0.14),
        effects=effects(classes),
        layers=(LayerTime(LONG, slow, fast), LayerTime("relu", replace(slow, leads=False), None)),
        fp32_seconds=1e-4,
        int8_seconds=5e-5,
        threads=1,
    )


def point(name: str, ratio: float | None, error: float, *, chosen: bool = False) -> MixedPoint:
    latency = None
    if ratio is not None:
        latency = LatencyComparison(
            "fp32", name, 1e-4, ratio * 1e-4, ratio, ratio * 0.9, None, 0.02, "faster", "x", 9, 3
        )
    distance = Distance(100, 20.0, 1, error)
    drop = Interval(0.01, -0.01, 0.03)
    return MixedPoint(name, (LONG,), distance, drop, 0.9, latency, 1000, error < 0.1, chosen)


MIXED = Mixed(
    images=100,
    criterion="the loss is not significant",
    order=(LONG,),
    in_float=(LONG,),
    points=(
        point("int8", 0.5, 0.2),
        point("mixed-1", 0.6, 0.05, chosen=True),
        point("mixed-2", 0.7, 0.06),
        point("mixed-3", None, 0.04),
        replace(point("fp32", None, 0.0), drop=None, accuracy=None),
    ),
    verdict=Verdict("pass", ("It stays in float.",)),
)


def hold(figure: Figure) -> None:
    for width in (WIDE, NARROW):
        drawn = ElementTree.fromstring(svg(figure.chart(width), figure.name, width, "x"))
        assert float(drawn.attrib["width"]) <= width + 1
    assert figure.alternative.endswith(".")
    assert figure.table
    assert {len(row) for row in figure.table.rows} == {len(figure.table.columns)}


@pytest.mark.parametrize("classes", [True, False])
def test_sensitivity_is_drawn_with_both_times(
    session_bundle: Callable[[str], Bundle], classes: bool
) -> None:
    bundle = session_bundle(f"ranked-{classes}")
    assert sensitivity.build(collect(bundle)) is None
    keep("sensitivity", ranked(classes), bundle)
    section = sensitivity.build(collect(bundle))
    assert section is not None
    figure = section.values["figure"]
    assert isinstance(figure, Figure)
    hold(figure)
    assert figure.table
    first = dict(zip(figure.table.columns, figure.table.rows[0], strict=True))
    assert (first["layer"], first["what"]) == (LONG, "activation")
    assert (first["fp32"], first["int8"], first["cost of float"]) == (
        "30.0 µs+",
        "10.0 µs",
        "+20.0 µs",
    )
    assert ("flips" in first) == classes
    assert "0.1200" in str(section.values["whole"])


def test_only_mixes_that_nothing_beats_are_on_the_front(
    session_bundle: Callable[[str], Bundle],
) -> None:
    assert [each.name for each in pareto.front(MIXED.points)] == ["int8", "mixed-1", "fp32"]
    bundle = session_bundle("mixed")
    keep("sensitivity", ranked(), bundle)
    [(path, report)] = collect(bundle).reports
    figure = pareto.draw(MIXED, Kept(path, report, MIXED))
    hold(figure)
    assert "Without a time, and only in the table: mixed-3." in figure.caption
    assert figure.table
    assert [row[0] for row in figure.table.rows][1] == "mixed-1, chosen"
    assert figure.table.rows[0][5] == "1.00 (-1.00 to 3.00) points"
