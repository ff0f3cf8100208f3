"""What would help, in sentences that name a figure and something to do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from edgecnn.machine import allowed_cores
from edgecnn.profiling.report import Inserted, OperatorProfile, Peaks, Unfused

_WORTH = 0.05  # of the time; less is not worth a sentence
_NEAR = 0.5  # of the roof, as `reached`
_FAR_FROM_ROOF = 3  # that many are named
_OVER = 1.15  # of the peak: small operators' times are that uncertain
_INT8_GAIN = 1.5
_SHARED_OUT = 50  # times what dispatch takes: less is not worth a second thread

Advice = Iterator[tuple[float, str]]


@dataclass(frozen=True)
class Whole:
    """A whole profile, as far as advice depends on it.

    Attributes:
        latency: Seconds of one run.
        outside: Seconds of it in no operator.
        batch_size: Samples in one run.
        operators: Every operator.
        unfused: Quantized places in float.
        inserted: What the runtime added.
        peaks: The machine's roofs.
        hints: What of an operator's shape does not suit an engine, by its name.
    """

    latency: float
    outside: float
    batch_size: int
    operators: Sequence[OperatorProfile]
    unfused: Sequence[Unfused]
    inserted: Sequence[Inserted]
    peaks: Peaks
    hints: Mapping[str, str]

    def share(self, *operators: OperatorProfile) -> float:
        """Give the share of the time that some operators take."""
        return sum(each.seconds for each in operators) / self.latency


def advise(whole: Whole) -> tuple[str, ...]:
    """Say what would help, what concerns the most time first."""
    parts = (_low_peaks, _dispatch, _int8, _threads, _memory, _far_from_roof, _unfused, _inserted)
    found = [pair for part in parts for pair in part(whole)]
    worth = sorted((pair for pair in found if pair[0] >= _WORTH), key=lambda pair: -pair[0])
    return tuple(f"{percent(share)} {text}" for share, text in worth)


def _low_peaks(whole: Whole) -> Advice:
    over = [
        each
        for each in whole.operators
        if (each.peak_share or 0) > _OVER and each.seconds > _SHARED_OUT * each.dispatch_seconds
    ]
    yield (
        whole.share(*over),
        f"in {_count(over, 'operator')} above the peak of arithmetic: it was measured while the "
        "machine was busy. Measure it anew with `--measure-peaks`.",
    )


def _dispatch(whole: Whole) -> Advice:
    small = [each for each in whole.operators if each.bound == "dispatch"]
    batch = ", larger batches" if whole.batch_size == 1 else ""
    yield (
        whole.share(*small) + whole.outside / whole.latency,
        f"for calling Python and the engine, and for {_count(small, 'operator')} with next to "
        f"nothing to do. What helps: fewer operators{batch}, or code that is generated for the "
        "net, with no engine in between.",
    )


def _int8(whole: Whole) -> Advice:
    rates = {peak.what: peak.rate for peak in whole.peaks.arithmetic}
    gain = rates["int8"] / rates["fp32"]
    heavy = [
        each
        for each in whole.operators
        if each.macs and each.arithmetic == "fp32" and _near(each, "arithmetic")
    ]
    if gain >= _INT8_GAIN:
        yield (
            whole.share(*heavy),
            f"in {_count(heavy, 'float operator')} near the roof of arithmetic, which int8 raises "
            f"{gain:.1f} times here: `edgecnn quantize`, then compare with `edgecnn bench`.",
        )


def _threads(whole: Whole) -> Advice:
    large = [
        each
        for each in whole.operators
        if each.bound == "arithmetic"
        and each.arithmetic_seconds > _SHARED_OUT * each.dispatch_seconds
    ]
    cores = allowed_cores()
    if whole.peaks.threads < cores:
        yield (
            whole.share(*large),
            f"in {_count(large, 'operator')} large enough to be shared out: try "
            f"`--threads {cores}`.",
        )


def _memory(whole: Whole) -> Advice:
    bound = [each for each in whole.operators if each.macs and _near(each, "memory")]
    weights = sum(each.bytes_weights for each in bound)
    what = "weights" if 2 * weights > sum(each.bytes for each in bound) else "activations"
    if any(each.arithmetic == "fp32" for each in bound):
        remedy = f"int8 {what} take a quarter of the bytes"
    elif what == "weights":
        remedy = "larger batches read the weights once for all samples"
    else:
        remedy = "smaller images or fewer channels mean fewer bytes"
    yield whole.share(*bound), f"in {_count(bound, 'operator')} bound by memory: {remedy}."


def _far_from_roof(whole: Whole) -> Advice:
    far = [
        each
        for each in whole.operators
        if each.macs and each.bound != "dispatch" and each.reached < _NEAR
    ]
    for each in sorted(far, key=lambda one: -one.seconds)[:_FAR_FROM_ROOF]:
        hint = whole.hints.get(each.name, "the engine's code does not suit its shape")
        yield (
            whole.share(each),
            f"in {_names(each)}, which reaches {percent(each.reached)} of what {_roof(each)} "
            f"allows: {hint}.",
        )


def _unfused(whole: Whole) -> Advice:
    for each in whole.unfused:
        text = f"in {each.layer}, which stays in float: {each.reason}."
        yield each.seconds / whole.latency, text


def _inserted(whole: Whole) -> Advice:
    for each in whole.inserted:
        why = f", {each.why}" if each.why else ""
        text = f"in what the runtime added: {each.count} {each.operator}{why}."
        yield each.seconds / whole.latency, text


def _near(each: OperatorProfile, bound: str) -> bool:
    return each.bound == bound and each.reached >= _NEAR


def _roof(each: OperatorProfile) -> str:
    return "arithmetic" if each.arithmetic_seconds >= each.memory_seconds else "memory"


def _names(each: OperatorProfile) -> str:
    return " + ".join(each.layers) or each.name


def _count(operators: Sequence[OperatorProfile], what: str) -> str:
    return f"{len(operators)} {what}{'' if len(operators) == 1 else 's'}"


def percent(share: float) -> str:
    """Write a share as whole per cent.

    >>> percent(0.126)
    '13 %'
    """
    return f"{100 * share:.0f} %"
