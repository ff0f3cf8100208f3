"""What agreement must reach: limits, and a gate for each with what was found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edgecnn.agreement.metrics import Agreement, compare, derived_atol, excess
from edgecnn.records import MaybeInfinite
from edgecnn.spec import Tolerance, Verdict

GateName = Literal["finite", "bits", "error", "sqnr", "top1"]

SQNR_MARGIN_DB = 1.0


@dataclass(frozen=True)
class Limits:
    """How far outputs may lie from the expected ones; None where there is no limit.

    Attributes:
        atol: An error may be `atol + rtol * |expected|`.
        rtol: As above.
        sqnr_db: Least signal-to-quantization-noise ratio, in dB.
        top1: Least share (0 to 1) of images with the same likeliest class.
        bits: Outputs must be equal bit for bit.
    """

    atol: float | None = None
    rtol: float | None = None
    sqnr_db: float | None = None
    top1: float | None = None
    bits: bool = False


@dataclass(frozen=True)
class Gate:
    """One limit, and what was found.

    Attributes:
        name: `finite` and `bits` count images, `error` is the largest error as a multiple of what
            is allowed, `sqnr` is in dB, `top1` a share of 1.
        limit: The most that is allowed of `finite`, `bits` and `error`, the least of the others.
        value: What was found.
        passed: Whether it is within the limit.
        sentence: What was found, for people.
    """

    name: GateName
    limit: float
    value: MaybeInfinite
    passed: bool
    sentence: str


def quantized_tolerance(
    outputs: NDArray[Any], exact: NDArray[Any], *, decisions: bool, bit_exact: bool
) -> Tolerance:
    """Give the tolerance of one output of a quantized variant, from what quantizing it cost.

    One dB more noise than was seen, and one image with another decision. SQNR says nothing where
    no noise was seen, or where zeros were expected: then floats may be off by 16 times their
    largest error, and integers in one image.

    Args:
        outputs: What the variant answers to the golden images, [N, ...].
        exact: The same computed in float64, without quantization.
        decisions: The output holds the scores of the classes.
        bit_exact: Every CPU gives these bits.
    """
    found = compare(outputs, exact, decisions=decisions)
    top1 = None if found.top1 is None else max(0.0, found.top1 - 1 / found.images)
    if np.isfinite(found.sqnr_db):
        return Tolerance(None, found.sqnr_db - SQNR_MARGIN_DB, top1, bit_exact)
    if outputs.dtype.kind == "f" or not exact.any():
        return Tolerance(derived_atol(outputs, exact), None, top1, bit_exact)
    power = np.square(exact.reshape(len(exact), -1)).sum(axis=1)
    one_image = 10 * float(np.log10(power.sum() / power.max()))
    return Tolerance(None, one_image, top1, bit_exact)


def golden_limits(tolerance: Tolerance) -> Limits:
    """Give the limits of a variant against the golden outputs."""
    return Limits(tolerance.atol, None, tolerance.sqnr_db, tolerance.top1)


def own_limits(tolerance: Tolerance, *, same_engine: bool) -> Limits:
    """Give the limits of one variant's answers from two places.

    Float outputs may each be off by `atol`. What quantized ones differ by from place to place may
    be no more than quantization itself costs.

    Args:
        tolerance: The variant's.
        same_engine: Runtime and provider are the same in both places. Only then can a promise of
            equal bits hold: another engine rounds elsewhere.
    """
    if tolerance.bit_exact and same_engine:
        return Limits(bits=True)
    if tolerance.atol is not None:
        return Limits(atol=2 * tolerance.atol)
    return Limits(sqnr_db=tolerance.sqnr_db, top1=tolerance.top1)


def pair_limits(first: Tolerance, second: Tolerance) -> Limits:
    """Give the limits of two answers, each within its tolerance of the same exact one.

    The errors add up: absolutely for `atol`, and as amplitudes for SQNR, which costs 6 dB where
    both may be equally far. One without a tolerance of its own is held to the other's.
    """
    a = first if _gated(first) else second
    b = second if _gated(second) else first
    if a.atol is not None and b.atol is not None:
        return Limits(atol=a.atol + b.atol)
    noise = [10 ** (-t.sqnr_db / 20) for t in (a, b) if t.sqnr_db is not None]
    ratio = -20 * float(np.log10(sum(noise))) if noise else None
    shares = [1 - t.top1 for t in (a, b) if t.top1 is not None]
    return Limits(sqnr_db=ratio, top1=max(0.0, 1 - sum(shares)) if shares else None)


def check(
    limits: Limits, agreement: Agreement, outputs: NDArray[Any], expected: NDArray[Any]
) -> tuple[Gate, ...]:
    """Hold outputs against limits; where they are not finite, nothing else is looked at."""
    count = agreement.not_finite
    if count:
        sentence = f"{count} of {agreement.images} images are answered with NaN or infinity"
        return (Gate("finite", 0, count, False, sentence),)
    gates = []
    if limits.bits:
        gates.append(_bits(outputs, expected))
    if limits.atol is not None or limits.rtol is not None:
        gates.append(_error(limits.atol or 0.0, limits.rtol or 0.0, agreement, outputs, expected))
    if limits.sqnr_db is not None:
        gates.append(_sqnr(limits.sqnr_db, agreement.sqnr_db))
    if limits.top1 is not None:
        gates.append(_top1(limits.top1, agreement.top1))
    return tuple(gates)


def judge(name: str, gates: tuple[Gate, ...]) -> Verdict:
    """Give the verdict of some gates: without any there is none to be given."""
    if not gates:
        return Verdict("inconclusive", (f"{name}: no tolerance says what is near enough.",))
    failed = tuple(f"{name}: {gate.sentence}." for gate in gates if not gate.passed)
    return Verdict("fail" if failed else "pass", failed)


def judge_all(verdicts: list[Verdict]) -> Verdict:
    """Give the verdict of several: the worst of them, with its reasons; of none, no pass."""
    if not verdicts:
        return Verdict("inconclusive", ("Nothing was compared.",))
    for outcome in ("fail", "inconclusive"):
        reasons = [v.reasons for v in verdicts if v.outcome == outcome]
        if reasons:
            return Verdict(outcome, tuple(text for texts in reasons for text in texts))
    return Verdict("pass")


def _gated(tolerance: Tolerance) -> bool:
    return (tolerance.atol, tolerance.sqnr_db, tolerance.top1) != (None, None, None)


def _bits(outputs: NDArray[Any], expected: NDArray[Any]) -> Gate:
    differing = len(outputs)
    if outputs.dtype == expected.dtype:
        pairs = zip(outputs, expected, strict=True)
        differing = sum(a.tobytes() != b.tobytes() for a, b in pairs)
    sentence = f"all {len(outputs)} images are equal bit for bit"
    if differing:
        sentence = f"{differing} of {len(outputs)} images are not equal bit for bit"
    return Gate("bits", 0, differing, differing == 0, sentence)


def _error(
    atol: float, rtol: float, agreement: Agreement, outputs: NDArray[Any], expected: NDArray[Any]
) -> Gate:
    share = excess(outputs, expected, atol=atol, rtol=rtol)
    allowed = f"{atol:.3g}" + (f" + {rtol:.3g} of the expected output" if rtol else "")
    if not rtol:
        sentence = f"the largest error is {agreement.max_abs:.3g}, and {allowed} is allowed"
    else:
        sentence = f"an error is {share:.3g} times what is allowed, {allowed}"
    return Gate("error", 1, share, share <= 1, sentence)


def _sqnr(limit: float, value: float) -> Gate:
    sentence = f"the SQNR is {value:.1f} dB, and at least {limit:.1f} dB is needed"
    return Gate("sqnr", limit, value, value >= limit, sentence)


def _top1(limit: float, value: float | None) -> Gate:
    if value is None:
        return Gate("top1", limit, float("nan"), False, "the outputs are no classes to agree on")
    sentence = (
        f"{100 * value:.1f} % of the answers agree, and at least {100 * limit:.1f} % are needed"
    )
    return Gate("top1", limit, value, value >= limit, sentence)
