"""Limits worked out by hand, and verdicts from gates."""

from __future__ import annotations

import numpy as np
import pytest

from edgecnn.agreement.gates import (
    Gate,
    Limits,
    check,
    golden_limits,
    judge,
    judge_all,
    own_limits,
    pair_limits,
    quantized_tolerance,
)
from edgecnn.agreement.metrics import compare
from edgecnn.spec import Tolerance, Verdict

FLOAT, QUANTIZED, NONE = Tolerance(atol=1e-4), Tolerance(sqnr_db=30, top1=0.9), Tolerance()


def test_errors_of_two_sides_add_up() -> None:
    assert pair_limits(FLOAT, Tolerance(atol=1e-4)) == Limits(atol=2e-4)
    both = pair_limits(QUANTIZED, QUANTIZED)
    assert both.sqnr_db == pytest.approx(30 - 20 * np.log10(2))
    assert both.top1 == pytest.approx(0.8)
    assert pair_limits(Tolerance(top1=0.4), Tolerance(top1=0.4)).top1 == 0


@pytest.mark.parametrize("pair", [(FLOAT, QUANTIZED), (QUANTIZED, FLOAT)])
def test_float_adds_nothing_to_what_quantization_costs(pair: tuple[Tolerance, Tolerance]) -> None:
    limits = pair_limits(*pair)
    assert limits.atol is None
    assert limits.sqnr_db == pytest.approx(30)
    assert limits.top1 == pytest.approx(0.9)


@pytest.mark.parametrize("pair", [(FLOAT, NONE), (NONE, FLOAT)])
def test_one_without_a_tolerance_is_held_to_the_others(pair: tuple[Tolerance, Tolerance]) -> None:
    assert pair_limits(*pair) == Limits(atol=2e-4)


def test_two_without_a_tolerance_have_no_limits() -> None:
    assert pair_limits(NONE, NONE) == Limits()


def test_bits_are_promised_on_the_same_engine_only() -> None:
    promise = Tolerance(sqnr_db=30, bit_exact=True)
    assert own_limits(promise, same_engine=True) == Limits(bits=True)
    assert own_limits(promise, same_engine=False) == Limits(sqnr_db=30)
    assert own_limits(FLOAT, same_engine=True) == Limits(atol=2e-4)


def test_equal_values_of_another_type_are_other_bits() -> None:
    outputs = np.array([[1.0, 2.0], [3.0, 4.0]], np.float32)
    agreement = compare(outputs, outputs)
    (gate,) = check(Limits(bits=True), agreement, outputs, outputs)
    assert (gate.passed, gate.value) == (True, 0)
    (gate,) = check(Limits(bits=True), agreement, outputs, outputs.astype(np.float64))
    assert (gate.passed, gate.value) == (False, 2)


def test_negative_zero_is_another_bit() -> None:
    zero = np.zeros((2, 2), np.float32)
    other = np.array([[0.0, 0.0], [-0.0, 0.0]], np.float32)
    (gate,) = check(Limits(bits=True), compare(other, zero), other, zero)
    assert (gate.passed, gate.value) == (False, 1)


def test_decisions_that_cannot_be_taken_fail() -> None:
    outputs = np.zeros((2, 1))
    (gate,) = check(Limits(top1=0.0), compare(outputs, outputs), outputs, outputs)
    assert not gate.passed


def gate(passed: bool) -> Gate:
    return Gate("sqnr", 30, 20, passed, "the SQNR is 20.0 dB, and at least 30.0 dB is needed")


def test_verdicts() -> None:
    assert judge("int8", (gate(True), gate(True))) == Verdict("pass")
    reason = "int8: the SQNR is 20.0 dB, and at least 30.0 dB is needed."
    assert judge("int8", (gate(True), gate(False))) == Verdict("fail", (reason,))
    assert judge("int8", ()).outcome == "inconclusive"


def test_the_worst_verdict_counts() -> None:
    passed, failed = Verdict("pass"), Verdict("fail", ("a.",))
    unclear = Verdict("inconclusive", ("b.",))
    assert judge_all([]).outcome == "inconclusive"
    assert judge_all([passed, passed]) == passed
    assert judge_all([passed, unclear]) == unclear
    assert judge_all([unclear, failed, passed, failed]) == Verdict("fail", ("a.", "a."))


RANDOM = np.random.default_rng(3)


def test_a_quantized_output_may_lose_a_decibel_and_an_image_more() -> None:
    exact = RANDOM.normal(size=(8, 5))
    outputs = (exact + 0.01 * RANDOM.normal(size=exact.shape)).astype(np.float32)
    found = compare(outputs, exact)
    given = quantized_tolerance(outputs, exact, decisions=True, bit_exact=True)
    assert given == Tolerance(None, found.sqnr_db - 1, 1 - 1 / 8, bit_exact=True)
    no_scores = quantized_tolerance(outputs, exact, decisions=False, bit_exact=False)
    assert no_scores == Tolerance(None, found.sqnr_db - 1)


def test_what_quantizing_leaves_alone_still_has_a_limit() -> None:
    exact = np.tile(np.linspace(1, 2, 4), (8, 1))
    boxes = exact.astype(np.float32).astype(np.float64)  # anchors: the same for each image
    given = quantized_tolerance(boxes.astype(np.float32), boxes, decisions=False, bit_exact=False)
    assert given == Tolerance(atol=16 * 2**-23 * 2)
    nothing = np.zeros((8, 4))
    off = np.full((8, 4), 0.5, np.float32)
    assert quantized_tolerance(off, nothing, decisions=False, bit_exact=False).atol == 8


def test_integers_may_differ_in_one_image() -> None:
    exact = RANDOM.integers(1, 9, (8, 3)).astype(np.float64)
    labels = exact.astype(np.int64)
    limits = golden_limits(quantized_tolerance(labels, exact, decisions=False, bit_exact=False))
    one_off, two_off = labels.copy(), labels.copy()
    one_off[3] = 0
    two_off[:] = 0
    for outputs, passed in ((labels, True), (one_off, True), (two_off, False)):
        (gate,) = check(limits, compare(outputs, exact, decisions=False), outputs, exact)
        assert gate.passed == passed
