"""What stays in float: the layers that hurt, no more of them, and what is said of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edgecnn.benchmark import LatencyComparison
from edgecnn.graph.clean import to_bytes
from edgecnn.graph.prefix import put_preprocessing_in_front
from edgecnn.quantization.calibration import Histogram
from edgecnn.quantization.goal import Goal
from edgecnn.quantization.making import Subject, make_int8, observe_subject
from edgecnn.quantization.mixed import find_mixed, point_latency
from edgecnn.quantization.plan import Plan
from edgecnn.quantization.running import run_core
from edgecnn.runtime import plain_file
from tests.conftest import CONTRACT
from tests.quantization.sensitivity.conftest import MakeSubject, centred, convolutions

PLAN = Plan()
HUGE = 2000.0


def answers(subject: Subject, images: NDArray[np.uint8]) -> NDArray[np.int64]:
    labels: NDArray[np.int64] = run_core(subject.core, CONTRACT, images)["logits"].argmax(axis=1)
    return labels


def test_the_layer_that_hurts_stays_in_float_and_the_loss_goes(
    make_subject: MakeSubject, pixels: NDArray[np.uint8]
) -> None:
    images = pixels[32:]
    subject = centred(make_subject(HUGE), images)
    labels = answers(subject, images)
    plan, found = find_mixed(subject, PLAN, images, labels, classes=True)
    int8, *_, fp32 = found.points
    chosen = next(point for point in found.points if point.chosen)
    assert int8.drop is not None
    assert int8.drop.low > 0
    assert not int8.passes
    assert plan.in_float == found.in_float == chosen.in_float == ("conv1", "conv2")
    assert chosen.drop is not None
    assert chosen.drop.low <= 0
    assert (int8.distance.margin_error or 0) > 5 * (chosen.distance.margin_error or 1)
    assert (fp32.name, fp32.accuracy, fp32.distance.flips) == ("fp32", 1.0, 0)
    assert found.verdict.outcome == "pass"
    assert "conv1, conv2 stay in float" in found.verdict.reasons[0]

    made = run_core(make_int8(subject, plan), CONTRACT, images)["logits"]
    assert float((made.argmax(axis=1) == labels).mean()) == chosen.accuracy
    floats = [node.name for node in make_int8(subject, plan).graph if node.op_type == "Relu"]
    assert "relu1" in floats


def test_nothing_stays_in_float_where_int8_is_good_enough(
    make_subject: MakeSubject, pixels: NDArray[np.uint8]
) -> None:
    subject = make_subject()
    labels = answers(subject, pixels[32:])
    plan, found = find_mixed(subject, PLAN, pixels[32:], labels, classes=True)
    assert plan == PLAN
    assert found.points[0].chosen
    assert found.verdict.reasons[0].startswith("No layer needs to stay in float")
    # The front goes on to fp32 all the same: what more float would bring is seen.
    errors = [point.distance.margin_error for point in found.points]
    assert len(errors) > 2
    assert errors[-1] == 0


def test_only_fp32_is_good_enough_for_a_gate_that_no_mix_passes(
    make_subject: MakeSubject, pixels: NDArray[np.uint8]
) -> None:
    subject = make_subject()
    broken = narrowed(subject, *subject.observed)
    plan, found = find_mixed(broken, PLAN, pixels[32:], None, classes=False)
    assert found.verdict.outcome == "fail"
    assert "keep fp32" in found.verdict.reasons[0]
    assert plan.in_float == ()
    assert [point.name for point in found.points if point.chosen] == ["fp32"]


def test_no_more_stays_in_float_than_is_needed(pixels: NDArray[np.uint8]) -> None:
    subject = observe_subject(convolutions(14), CONTRACT, pixels[:32], PLAN)
    broken = narrowed(subject, "c1", "c3", "c5", "c7", "c9")
    plan, found = find_mixed(broken, PLAN, pixels[32:], None, classes=False)
    # Five tensors must be float, between the four that were not enough and all eight.
    assert set(plan.in_float) == {f"conv{number}" for number in range(1, 11)}
    assert [point.passes for point in found.points] == 4 * [False] + 3 * [True]


def narrowed(subject: Subject, *tensors: str) -> Subject:
    """Give tensors a thousandth of their ranges, so that int8 clips nearly everything."""
    narrow: dict[str, Histogram] = {
        name: replace(seen, low=seen.low / 1000, high=seen.high / 1000)
        for name, seen in subject.observed.items()
        if name in tensors
    }
    return replace(subject, observed={**subject.observed, **narrow})


@pytest.mark.parametrize(
    ("labels", "max_drop", "criterion"),
    [
        (True, None, "the loss is not significant"),
        (True, 0.1, "a loss of more than 10.00 points can be ruled out"),
        (True, 0.001, "the loss is not significant, as so few images cannot rule out 0.10 points"),
        (False, 0.1, "flips of more than 10.00 points can be ruled out"),
        (False, 0.001, "no answer changes, as so few images cannot rule out 0.10 points"),
        (False, None, "the signal-to-quantization-noise ratio is at least 10 dB"),
    ],
)
def test_what_is_good_enough(labels: bool, max_drop: float | None, criterion: str) -> None:
    truth = np.arange(100) % 4
    reference = {"y": np.eye(4, dtype=np.float32)[truth]}
    goal = Goal(reference, truth if labels else None, True, max_drop)
    assert goal.criterion == criterion
    assert goal.judge(reference).passes
    wrong = {"y": np.roll(reference["y"], 1, axis=1)}
    assert not goal.judge(wrong).passes
    few = {"y": reference["y"].copy()}
    few["y"][:3] = wrong["y"][:3]
    assert goal.judge(few).passes == (max_drop != 0.001 or labels)
    # Eight of a hundred are no more than a tenth, and yet a tenth cannot be ruled out.
    more = {"y": reference["y"].copy()}
    more["y"][:8] = wrong["y"][:8]
    assert not goal.judge(more).passes


def test_a_slower_mix_is_never_chosen_in_silence(
    make_subject: MakeSubject, pixels: NDArray[np.uint8]
) -> None:
    images = pixels[32:]
    subject = centred(make_subject(HUGE), images)
    labels = answers(subject, images)
    asked: list[str] = []

    def slow(core: object, name: str) -> LatencyComparison:
        asked.append(name)
        return LatencyComparison(
            "fp32", name, 1e-5, 2e-5, 2.0, 1.9, 2.1, 0.02, "slower", "it is slower", 9, 3
        )

    _, found = find_mixed(subject, PLAN, images, labels, classes=True, latency=slow)
    assert found.verdict.reasons[1] == "mixed-2 takes 2.00 times the time of fp32: keep fp32."
    assert found.verdict.outcome == "fail"
    assert {"int8", "mixed-2"} <= set(asked)
    assert len(asked) <= 5
    assert found.points[-1].latency is None


def test_the_latency_of_a_mix_is_measured_beside_fp32(
    make_subject: MakeSubject, pixels: NDArray[np.uint8], tmp_path: Path
) -> None:
    subject = make_subject()
    path = tmp_path / "fp32.onnx"
    path.write_bytes(to_bytes(put_preprocessing_in_front(subject.core, CONTRACT)))
    source = replace(plain_file(str(path)), name="fp32", preprocessing=True)
    measure = point_latency(source, CONTRACT, pixels, threads=1, seconds=0.1)
    found = measure(make_int8(subject, replace(PLAN, in_float=("conv1",))), "mixed-1")
    assert (found.first, found.second) == ("fp32", "mixed-1")
    assert found.ratio > 0
