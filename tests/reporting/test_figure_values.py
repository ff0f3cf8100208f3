"""What figures show is what the reports say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from statistics import median
from typing import Any, cast

import numpy as np
import pytest

from edgecnn.bundle import Bundle
from edgecnn.reporting.contract import Figure, Table
from edgecnn.reporting.drawing import columns, fitted, log_ticks, spans, time_unit
from edgecnn.reporting.material import collect
from edgecnn.reporting.sections import (
    compared,
    confidence,
    confusion,
    latency,
    layers,
    pictures,
    roofline,
    tradeoff,
)
from edgecnn.reporting.sections._shots import Gallery
from edgecnn.reporting.words import time_range
from edgecnn.stats import Interval
from tests.reporting.conftest import keep
from tests.reporting.invented import LONG, evaluated, profiled, timed
from tests.reporting.test_figures import values_of


@pytest.fixture(scope="module")
def material(session_bundle: Callable[[str], Bundle]) -> Any:
    bundle = session_bundle("values")
    keep("eval", evaluated(["a", "b", "c"], ["fp32", "int8"]), bundle)
    keep("bench", timed(["fp32", "int8"]), bundle)
    keep("profile", profiled(["fp32"], ["conv", "", "relu", "fc"]), bundle)
    return collect(bundle)


def figures(module: Any, material: Any) -> dict[str, Figure]:
    values = module.build(material).values
    found = values.get("figures") or [values.get("figure") or values.get("summary")]
    return {figure.name: figure for figure in found}


def test_the_matrix_holds_the_shares_of_each_row(material: Any) -> None:
    body = evaluated(["a", "b", "c"], ["fp32", "int8"])
    counts = body.variants[0].confusion
    cells = {
        (row["truth"], row["answer"]): row["share"]
        for row in values_of(figures(confusion, material)["confusion"])
    }
    assert len(cells) == 9
    for truth, row in enumerate(counts):
        for answer, count in enumerate(row):
            assert cells["abc"[truth], "abc"[answer]] == pytest.approx(count / sum(row))


def test_of_many_classes_the_most_mistaken_are_shown_and_each_row_is_whole(
    session_bundle: Callable[[str], Bundle],
) -> None:
    bundle = session_bundle("many")
    body = evaluated([f"class {number}" for number in range(60)], ["fp32"], 2000)
    keep("eval", body, bundle)
    figure = figures(confusion, collect(bundle))["confusion"]
    counts = np.array(body.variants[0].confusion)
    wrong = counts - np.diag(np.diag(counts))
    mistakes = wrong.sum(axis=0) + wrong.sum(axis=1)
    for width, most in ((720, 24), (330, 12)):
        rows = values_of(figure, width)
        shown = {int(row["truth"].removeprefix("class ")) for row in rows}
        assert len(shown) == most
        hidden = set(range(60)) - shown
        assert min(mistakes[list(shown)]) >= max(mistakes[list(hidden)])
        assert len({row["answer"] for row in rows}) == most + 1
        for truth in {row["truth"] for row in rows}:
            whole = sum(row["share"] for row in rows if row["truth"] == truth)
            assert whole == pytest.approx(1)


def test_the_commonest_mistakes_are_counted(material: Any) -> None:
    counts = evaluated(["a", "b", "c"], ["fp32", "int8"]).variants[0].confusion
    count = max(counts[t][a] for t in range(3) for a in range(3) if t != a)
    table = cast(Table, confusion.build(material).values["mistaken"])  # type: ignore[union-attr]
    assert table.rows[0][2].startswith(f"{count} (")
    truth, answer = ("abc".index(label) for label in table.rows[0][:2])
    assert truth != answer
    assert counts[truth][answer] == count


def test_calibration_error_by_hand() -> None:
    bins = evaluated(["a", "b"], ["fp32"]).variants[0].confidence
    one = replace(bins[6], images=10, correct=5, confidence=0.65)
    two = replace(bins[9], images=30, correct=30, confidence=0.95)
    error = confidence.calibration_error((one, two))
    assert error == pytest.approx((10 * 0.15 + 30 * 0.05) / 40)


def test_the_histogram_holds_every_call_but_the_slowest(material: Any) -> None:
    body = timed(["fp32", "int8"])
    figure = figures(latency, material)["latency"]
    rows = values_of(figure)
    bars = [row for row in rows if "from" in row]
    counted = sum(int(row["text"].split(": ")[1].split(" ")[0].replace(",", "")) for row in bars)
    calls = sum(row.calls for row in body.variants)
    assert 0.99 * calls < counted <= calls
    marks = {(row["text"].split(",")[0], row["mark"]): row["at"] for row in rows if "mark" in row}
    times = [time / 1e3 for time in body.samples.times_ns("fp32")]
    assert marks["fp32", "median"] == pytest.approx(median(times))


def test_percentiles_end_where_calls_are_too_few(session_bundle: Callable[[str], Bundle]) -> None:
    bundle = session_bundle("few")
    keep("bench", timed(["fp32"], calls=2), bundle)  # 96 calls: p95 needs 59, p98 149
    table = figures(latency, collect(bundle))["tail"].table
    assert table is not None
    assert [row[0] for row in table.rows] == ["0 %", "25 %", "50 %", "75 %", "90 %", "95 %"]


def test_the_forest_shows_ratio_interval_and_floor(material: Any) -> None:
    (one,) = timed(["fp32", "int8"]).comparisons
    rows = values_of(figures(compared, material)["ratios"])
    row = next(row for row in rows if "ratio" in row)
    assert row["ratio"] == one.ratio == pytest.approx(0.7, rel=0.02)
    assert (row["low"], row["high"]) == (one.low, one.high)
    assert row["ceiling"] == pytest.approx(1 + one.noise_floor)
    assert row["outcome"] == "faster"


def test_an_interval_without_end_is_drawn_to_the_edge(
    session_bundle: Callable[[str], Bundle],
) -> None:
    bundle = session_bundle("endless")
    body = timed(["fp32", "int8"])
    endless = replace(body.comparisons[0], low=0.0, high=None, outcome="inconclusive")
    keep("bench", replace(body, comparisons=(endless,)), bundle)
    figure = figures(compared, collect(bundle))["ratios"]
    row = next(row for row in values_of(figure) if "ratio" in row)
    assert 0 < row["low"] < row["high"] < 100
    assert figure.table is not None
    assert figure.table.rows[0][2].endswith("to unbounded")


def test_the_front_holds_what_nothing_beats() -> None:
    def one(name: str, accuracy: float, seconds: float) -> tradeoff.Candidate:
        return tradeoff.Candidate(
            name, Interval(accuracy, 0, 1), Interval(seconds, 0, 1), size_bytes=1
        )

    slow, fast, worse, same = (
        one("slow", 0.9, 2.0),
        one("fast", 0.8, 1.0),
        one("worse", 0.7, 1.5),
        one("same", 0.9, 2.5),
    )
    assert tradeoff.front([slow, same, worse, fast]) == [fast, slow]


def test_files_that_changed_between_the_reports_are_named(
    session_bundle: Callable[[str], Bundle],
) -> None:
    bundle = session_bundle("changed")
    keep("eval", evaluated(["a", "b"], ["fp32"]), bundle, {"fp32.onnx": "1"})
    keep("bench", timed(["fp32"]), bundle, {"fp32.onnx": "2"})
    section = tradeoff.build(collect(bundle))
    assert section is not None
    assert section.values["changed"] == ["fp32.onnx"]


def test_layers_are_named_and_keep_their_order(material: Any) -> None:
    section = layers.build(material)
    assert section is not None
    (variant,) = cast(list[dict[str, Any]], section.values["variants"])
    rows = values_of(variant["figure"])
    assert [row["text"].split(":")[0] for row in rows] == ["conv", "added", "relu", "fc"]
    assert [row["place"] for row in rows] == [0, 1, 2, 3]


def test_the_roofline_leaves_out_what_has_no_place_on_it(material: Any) -> None:
    figure = figures(roofline, material)["roofline-1"]
    points = [row for row in values_of(figure) if "bound" in row]
    assert len(points) == 3  # relu takes no time that could be measured
    first = profiled(["fp32"], ["conv"]).variants[0].operators[0]
    place = next(row for row in points if row["text"].startswith("conv"))
    assert place["intensity"] == pytest.approx(4e5 / (10_000 + 500 + 700))
    assert place["rate"] == pytest.approx(4e5 / first.seconds / 1e9)
    roofs = {row["roof"] for row in values_of(figure) if "roof" in row}
    assert roofs == {"L2 60 GB/s", "DRAM 20 GB/s", "fp32 100 GOP/s"}


def test_images_say_who_said_what(material: Any) -> None:
    body = evaluated(["a", "b", "c"], ["fp32", "int8"])
    section = pictures.build(material)
    assert section is not None
    pair, first, second = cast(list[Gallery], section.values["galleries"])
    assert (pair.heading, pair.open) == ("int8 against fp32", 8)
    assert (first.open, second.open) == (8, 0)
    worst = body.disagreements[0].worst[0]
    assert pair.shots[0].index == worst.index
    assert pair.shots[0].lines[1].startswith(f"int8 says {'abc'[worst.second_answer]}, ")
    assert f"{body.mistakes[0].count} were not recognised" in first.explained


def test_long_names_are_shortened_and_stay_apart() -> None:
    names = [f"{LONG}_{number}" for number in range(3)] + [
        f"{number}_{LONG}" for number in range(3)
    ]
    short = fitted(names, 100)
    assert len(set(short.values())) == 6
    assert max(map(len, short.values())) <= 15
    assert short[names[0]].endswith("_0")
    middle = [f"{LONG}{number}{LONG}" for number in range(12)]
    assert len(set(fitted(middle, 100).values())) == 12
    assert fitted(["short"], 100) == {"short": "short"}
    assert len(fitted(["飞机与所有其他会飞的东西"], 60)["飞机与所有其他会飞的东西"]) < 8


def test_axes_and_words() -> None:
    assert log_ticks(0.9, 60) == [1, 2, 5, 10, 20, 50]
    assert log_ticks(0.09, 2e4) == pytest.approx([0.1, 1, 10, 100, 1000, 10000])
    assert (time_unit([5e-5]).name, time_unit([5e-5, 0.2]).name, time_unit([3]).name) == (
        "µs",
        "ms",
        "s",
    )
    assert spans([1, 10]) and not spans([1, 2]) and not spans([0, 5])  # noqa: PT018
    assert columns(["fp32", "int8"], 330) > 1 == columns([LONG, LONG], 330)
    assert time_range(2.38e-4, 2.46e-4) == "238 to 246 µs"
    assert time_range(2.38e-4, 2.46e-3) == "238 µs to 2.46 ms"
