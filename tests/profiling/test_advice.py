"""What would help, said of profiles whose answer is known."""

from __future__ import annotations

import pytest

from edgecnn.profiling import advice
from edgecnn.profiling.advice import Whole, advise
from edgecnn.profiling.report import (
    Arithmetic,
    Bound,
    Inserted,
    OperatorProfile,
    Unfused,
)
from tests.profiling.test_parts import PEAKS


def operator(
    microseconds: float,
    bound: Bound,
    reached: float,
    *,
    peak_share: float | None = None,
    macs: int = 1_000,
    arithmetic: Arithmetic = "fp32",
    weights: int = 0,
) -> OperatorProfile:
    seconds = microseconds * 1e-6
    return OperatorProfile(
        name="op",
        operator="Conv",
        layers=("conv", "bend"),
        role="compute",
        seconds=seconds,
        low=seconds,
        high=seconds,
        share=0.0,
        shape=(1, 16, 8, 8),
        macs=macs,
        operations=2 * macs,
        arithmetic=arithmetic,
        bytes_in=1_000,
        bytes_weights=weights,
        bytes_out=1_000,
        memory="L2",
        bound=bound,
        arithmetic_seconds=reached * seconds if bound != "memory" else 0.0,
        memory_seconds=reached * seconds if bound == "memory" else 0.0,
        dispatch_seconds=PEAKS.dispatch_seconds,
        reached=reached,
        peak_share=peak_share,
    )


def said(
    *operators: OperatorProfile,
    outside: float = 0.0,
    hints: dict[str, str] | None = None,
    unfused: tuple[Unfused, ...] = (),
    inserted: tuple[Inserted, ...] = (),
) -> list[str]:
    whole = Whole(100e-6, outside, 1, operators, unfused, inserted, PEAKS, hints or {})
    return list(advise(whole))


@pytest.fixture(autouse=True)
def _four_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(advice, "allowed_cores", lambda: 4)


def test_float_at_the_roof_of_arithmetic_could_be_int8() -> None:
    first, second = said(operator(90, "arithmetic", 0.9))
    assert first.startswith("90 % in 1 float operator near the roof of arithmetic, which int8")
    assert "4.0 times here: `edgecnn quantize`" in first
    assert second == "90 % in 1 operator large enough to be shared out: try `--threads 4`."
    (threads,) = said(operator(90, "arithmetic", 0.9, arithmetic="int8"))
    assert "--threads 4" in threads


def test_small_operators_want_to_be_fewer() -> None:
    small = [operator(5, "dispatch", 0.6, macs=0)] * 4
    (text,) = said(*small, outside=10e-6)
    assert text.startswith("30 % for calling Python and the engine, and for 4 operators")
    assert "fewer operators, larger batches" in text


def test_memory_wants_fewer_bytes() -> None:
    assert said(operator(80, "memory", 0.8, weights=10_000)) == [
        "80 % in 1 operator bound by memory: int8 weights take a quarter of the bytes."
    ]
    assert said(operator(80, "memory", 0.8, weights=10_000, arithmetic="int8")) == [
        "80 % in 1 operator bound by memory: larger batches read the weights once for all samples."
    ]
    assert said(operator(80, "memory", 0.8)) == [
        "80 % in 1 operator bound by memory: int8 activations take a quarter of the bytes."
    ]


def test_what_is_far_from_its_roof_is_named_with_its_reason() -> None:
    slow = operator(80, "code", 0.1)
    assert said(slow, hints={"op": "3 input channels"}) == [
        "80 % in conv + bend, which reaches 10 % of what arithmetic allows: 3 input channels."
    ]
    assert "does not suit its shape" in said(slow)[0]


def test_float_places_and_additions_are_named_by_their_cost() -> None:
    texts = said(
        unfused=(Unfused("gate", "HardSigmoid", "the runtime has none", 20e-6),),
        inserted=(Inserted("ReorderOutput", 2, 30e-6, "out of the blocked layout"),),
    )
    assert texts == [
        "30 % in what the runtime added: 2 ReorderOutput, out of the blocked layout.",
        "20 % in gate, which stays in float: the runtime has none.",
    ]


def test_more_than_the_peak_says_that_the_peak_is_too_low() -> None:
    (text, *_) = said(operator(80, "arithmetic", 1.0, arithmetic="int8", peak_share=1.3))
    assert text.startswith("80 % in 1 operator above the peak of arithmetic")
    assert "--measure-peaks" in text
    assert "above" not in " ".join(said(operator(80, "arithmetic", 1.0, peak_share=1.05)))


def test_little_is_not_worth_a_sentence() -> None:
    assert said(operator(4, "arithmetic", 0.9), outside=1e-6) == []
