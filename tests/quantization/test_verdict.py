"""Whether int8 is worth having."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecnn.agreement import Agreement
from edgecnn.benchmark import LatencyComparison
from edgecnn.evaluation import PairedAccuracy
from edgecnn.quantization.gate import judge_drop
from edgecnn.quantization.verdict import Work, judge
from edgecnn.stats import tango

LATENCY = LatencyComparison(
    first="fp32",
    second="int8",
    first_median_seconds=240e-6,
    second_median_seconds=140e-6,
    ratio=0.58,
    low=0.55,
    high=0.61,
    noise_floor=0.02,
    outcome="faster",
    verdict="",
    blocks=8,
    replicates=3,
)
WORK = Work(macs=12_500_000, fp32_operators=19, int8_operators=23, float_operators=())


CLOSE = {"logits": Agreement(32, 0.1, 0.01, 0.9999, 30.0, 1.0)}


def paired(lost: int, won: int, images: int) -> PairedAccuracy:
    return PairedAccuracy(
        "fp32", "int8", lost, won, 1 - (lost + won) / images, tango(lost, won, images)
    )


@pytest.mark.parametrize(
    ("lost", "won", "images", "outcome"),
    [
        (0, 0, 4000, "pass"),  # at most 0.10 points
        (5, 5, 4000, "pass"),  # at most 0.18
        (20, 10, 4000, "inconclusive"),
        (0, 0, 100, "inconclusive"),  # no loss seen, and up to 3.7 points possible
        (60, 5, 4000, "fail"),
        (0, 60, 4000, "pass"),  # better than fp32
    ],
)
def test_the_gate_is_at_the_worse_end(lost: int, won: int, images: int, outcome: str) -> None:
    assert judge_drop(paired(lost, won, images), 0.005, images).outcome == outcome


@given(
    st.integers(0, 50),
    st.integers(0, 50),
    st.integers(100, 5000),
    st.floats(0, 0.2),
    st.floats(0, 0.2),
)
def test_allowing_more_never_makes_it_worse(
    lost: int, won: int, images: int, one: float, other: float
) -> None:
    order = ("fail", "inconclusive", "pass")
    strict, lenient = sorted((one, other))
    found = paired(lost, won, images)
    outcomes = [judge_drop(found, drop, images).outcome for drop in (strict, lenient)]
    assert order.index(outcomes[0]) <= order.index(outcomes[1])


def test_faster_without_a_gate_passes_and_states_the_loss() -> None:
    verdict = judge(paired(12, 8, 4000), CLOSE, LATENCY, None, WORK)
    assert verdict.outcome == "pass"
    assert "0.58 times" in verdict.reasons[0]
    assert "loses 0.10 points" in verdict.reasons[1]
    assert "chance" in verdict.reasons[1]


def test_a_gain_is_not_called_a_loss() -> None:
    assert (
        "gains 1.50 points (" in judge(paired(0, 60, 4000), CLOSE, LATENCY, None, WORK).reasons[1]
    )


def test_no_difference_is_not_called_a_loss() -> None:
    reason = judge(paired(5, 5, 4000), CLOSE, LATENCY, None, WORK).reasons[1]
    assert reason.startswith("int8 is right as often as fp32 (")


def test_slower_fails_whatever_the_accuracy() -> None:
    slower = replace(LATENCY, outcome="slower", ratio=1.4)
    gate = judge_drop(paired(0, 0, 4000), 0.005, 4000)
    verdict = judge(paired(0, 0, 4000), CLOSE, slower, gate, WORK)
    assert verdict.outcome == "fail"
    assert "slower" in verdict.reasons[0]
    assert "Keep fp32" in verdict.reasons[0]


@pytest.mark.parametrize(
    ("work", "seconds", "why"),
    [
        (replace(WORK, macs=650_000, fp32_operators=16), 30e-6, "net is small: .* 0.65 million"),
        (
            replace(WORK, patched=("conv1", "conv2"), patched_share=0.91),
            42e-6,
            "conv1 and conv2 have, with 91 % of its multiply-adds, too few channels",
        ),
        (replace(WORK, patched=("conv1",), patched_share=0.2), 240e-6, "slower here|no fast way"),
        (replace(WORK, scheme="u8u8"), 240e-6, "no kernel for unsigned weights"),
        (replace(WORK, float_operators=("Relu",)), 240e-6, "Relu stays in float"),
        (replace(WORK, float_operators=("Softmax", "Erf")), 240e-6, "Softmax, Erf stay in float"),
        (WORK, 240e-6, "integer operators are slower|no fast way to multiply bytes"),
    ],
)
def test_slower_says_why(work: Work, seconds: float, why: str) -> None:
    slower = replace(LATENCY, outcome="slower", ratio=1.4, first_median_seconds=seconds)
    [first, _] = judge(paired(0, 0, 4000), CLOSE, slower, None, work).reasons
    assert re.search(why, first)


@pytest.mark.parametrize(
    ("latency", "gate", "outcome"),
    [
        ("faster", (60, 5), "fail"),
        ("faster", (20, 10), "inconclusive"),
        ("slower", (20, 10), "fail"),
        ("no difference", (0, 0), "pass"),
        ("inconclusive", (0, 0), "inconclusive"),
    ],
)
def test_the_verdict_is_the_worst_of_its_parts(
    latency: str, gate: tuple[int, int], outcome: str
) -> None:
    pair = paired(*gate, 4000)
    found = replace(LATENCY, outcome=latency)  # type: ignore[arg-type]
    assert judge(pair, CLOSE, found, judge_drop(pair, 0.005, 4000), WORK).outcome == outcome


def test_what_is_mostly_noise_is_never_passed_in_silence() -> None:
    noise = {"logits": replace(CLOSE["logits"], sqnr_db=0.3)}
    verdict = judge(paired(0, 0, 4000), noise, LATENCY, None, WORK)
    assert verdict.outcome == "inconclusive"
    assert "lies 0.3 dB (SQNR) from the golden one: little" in verdict.reasons[-1]
    gate = judge_drop(paired(0, 0, 4000), 0.005, 4000)
    proved = judge(paired(0, 0, 4000), noise, LATENCY, gate, WORK)
    assert proved.outcome == "pass"  # the images prove that the answers are kept
    assert "0.3 dB" in proved.reasons[-1]


def test_of_several_outputs_the_furthest_is_named() -> None:
    outputs = {"boxes": replace(CLOSE["logits"], sqnr_db=14.0), "scores": CLOSE["logits"]}
    verdict = judge(None, outputs, LATENCY, None, WORK)
    assert verdict.outcome == "pass"
    assert "its output 'boxes', the worst of 2, lies 14.0 dB" in verdict.reasons[-1]


@pytest.mark.parametrize(
    ("floor", "outcome", "said"),
    [
        (0.02, "pass", "int8 is as fast as fp32, within a noise floor of 2.0 %."),
        (0.20, "inconclusive", "A noise floor of 20 % hides whether int8 is faster."),
    ],
)
def test_no_difference_is_no_pass_where_noise_hides_one(
    floor: float, outcome: str, said: str
) -> None:
    found = replace(LATENCY, outcome="no difference", ratio=1.19, noise_floor=floor)
    verdict = judge(paired(0, 0, 4000), CLOSE, found, None, WORK)
    assert (verdict.outcome, verdict.reasons[0]) == (outcome, said)
