"""Whether int8 is worth having: what it loses, what it gains, and why if it gains nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from edgecnn.agreement import Agreement
from edgecnn.benchmark import LatencyComparison
from edgecnn.benchmark.doubts import LARGEST_FLOOR
from edgecnn.evaluation import PairedAccuracy
from edgecnn.machine import this_machine
from edgecnn.quantization.gate import loses, points
from edgecnn.spec import Verdict

Outcome = Literal["pass", "fail", "inconclusive"]

# The features by which a CPU multiplies bytes fast, as `machine` names them.
_FAST_INT8 = {
    "AVX-VNNI",
    "AVX512-VNNI",
    "AMX-INT8",
    "NEON dot product",
    "NEON int8 matrix multiply",
}
# To call an operator costs one to three microseconds before it computes anything; where the mean
# operator takes less than this, calling is a large part of the whole.
_SMALL_SECONDS = 2e-6
_LARGE_SHARE = 0.5
_MOST_NAMED = 3
# Below it the error is more than a third of what should be there.
LEAST_SQNR_DB = 10.0


@dataclass(frozen=True)
class Work:
    """What a runtime does for one image.

    Attributes:
        macs: Multiply-accumulates; None if unknown.
        fp32_operators: Operators that run for fp32.
        int8_operators: Operators that run for int8.
        float_operators: Those of them that compute in float between the integers.
        scheme: The number formats; empty in older reports.
        patched: Convolutions whose patches are copied before they are multiplied.
        patched_share: Their share of the multiply-adds, 0 to 1; None if unknown.
    """

    macs: int | None
    fp32_operators: int
    int8_operators: int
    float_operators: tuple[str, ...]
    scheme: str = ""
    patched: tuple[str, ...] = ()
    patched_share: float | None = None


def judge(
    paired: PairedAccuracy | None,
    agreement: Mapping[str, Agreement],
    latency: LatencyComparison,
    gate: Verdict | None,
    work: Work,
) -> Verdict:
    """Say whether int8 is worth having: it must not be slower, nor lose more than is allowed.

    Args:
        paired: fp32 and int8 on the same images; None where outputs are no classes.
        agreement: How far each output of int8 lies from the golden one.
        latency: fp32 and int8 in turn.
        gate: What `judge_drop` said; None if no loss was named.
        work: What runs, to say why int8 is slower.
    """
    speed, outcome = _speed(latency, work)
    worst = _furthest(agreement)
    noisy = agreement[worst].sqnr_db < LEAST_SQNR_DB
    outcomes = {outcome, gate.outcome if gate else "inconclusive" if noisy else "pass"}
    reasons = [speed, *(gate.reasons if gate else [])]
    if paired is not None and not gate:
        reasons.append(_lost_accuracy(paired))
    if paired is None or noisy:
        reasons.append(_distance(agreement, worst, latency.second))
    overall: Outcome = next(each for each in ("fail", "inconclusive", "pass") if each in outcomes)
    return Verdict(overall, tuple(reasons))


def _furthest(agreement: Mapping[str, Agreement]) -> str:
    return min(agreement, key=lambda output: agreement[output].sqnr_db)


def _distance(agreement: Mapping[str, Agreement], worst: str, name: str) -> str:
    which = "its output" if len(agreement) == 1 else f"its output '{worst}', the worst of "
    if len(agreement) > 1:
        which += f"{len(agreement)},"
    distance = agreement[worst].sqnr_db
    text = f"{name}: {which} lies {distance:.1f} dB (SQNR) from the golden one"
    if distance < LEAST_SQNR_DB:
        return f"{text}: little of what fp32 computes is left of it."
    return f"{text}."


def _lost_accuracy(paired: PairedAccuracy) -> str:
    drop = paired.drop
    interval = f"95 % interval of the loss {points(drop.low)} to {points(drop.high)}"
    if drop.estimate == 0:
        return f"{paired.second} is right as often as {paired.first} ({interval})."
    shown = "" if drop.low > 0 or drop.high < 0 else ", which is within chance"
    return f"{paired.second} {loses(drop.estimate)}{shown} ({interval})."


def _speed(latency: LatencyComparison, work: Work) -> tuple[str, Outcome]:
    name, ratio = latency.second, latency.ratio
    if latency.outcome == "faster":
        return f"{name} takes {ratio:.2f} times the time of {latency.first}.", "pass"
    if latency.outcome == "slower":
        return (
            f"{name} is slower: {ratio:.2f} times the time of {latency.first}, because "
            f"{why_slower(latency, work)}. Keep {latency.first}.",
            "fail",
        )
    if latency.outcome == "no difference" and latency.noise_floor <= LARGEST_FLOOR:
        floor = f"{100 * latency.noise_floor:.1f} %"
        return f"{name} is as fast as {latency.first}, within a noise floor of {floor}.", "pass"
    if latency.outcome == "no difference":
        floor = f"{100 * latency.noise_floor:.0f} %"
        return f"A noise floor of {floor} hides whether {name} is faster.", "inconclusive"
    return f"Too little was measured to tell whether {name} is faster.", "inconclusive"


def why_slower(latency: LatencyComparison, work: Work) -> str:
    """Give the likeliest reason why int8 is slower, from what runs and on what."""
    if work.scheme == "u8u8":
        return "ONNX Runtime has no kernel for unsigned weights that uses VNNI"
    if work.float_operators:
        stays = "stays" if len(work.float_operators) == 1 else "stay"
        return (
            f"{', '.join(work.float_operators)} {stays} in float, and each costs a step back from "
            "integers and one into them"
        )
    if work.patched_share is not None and work.patched_share > _LARGE_SHARE:
        return (
            f"{_listed(work.patched)}, with {100 * work.patched_share:.0f} % of its multiply-adds, "
            "too few channels for the kernel that reads the image itself: ONNX Runtime copies "
            "every patch first, which costs more than cheaper multiplications save"
        )
    if latency.first_median_seconds < _SMALL_SECONDS * max(work.fp32_operators, 1):
        macs = f" {work.macs / 1e6:.2f} million" if work.macs else ""
        return (
            f"the net is small: most of its {latency.first_median_seconds * 1e6:.0f} µs in "
            f"{latency.first} goes to calling {work.fp32_operators} operators and moving data, "
            f"and not to its{macs} multiply-adds, which alone int8 makes cheaper"
        )
    if not _FAST_INT8 & set(this_machine().features):
        return "this CPU has no fast way to multiply bytes (VNNI, AMX or a NEON dot product)"
    return "its integer operators are slower here than the float ones"


def _listed(names: tuple[str, ...]) -> str:
    if len(names) == 1:
        return f"{names[0]} has"
    if len(names) > _MOST_NAMED:
        return f"{len(names)} convolutions have"
    return f"{', '.join(names[:-1])} and {names[-1]} have"
