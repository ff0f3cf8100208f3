"""Whether a gate holds: the limit against the whole interval of the figure.

A gate fails if the whole interval lies beyond its limit, and passes if none of it does. If the
interval holds the limit, or the run is not valid, it is inconclusive.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from edgecnn.gating.grammar import Gate
from edgecnn.gating.words import limit_kind, span
from edgecnn.spec import Verdict
from edgecnn.stats import Interval

Outcome = Literal["pass", "fail", "inconclusive"]


@dataclass(frozen=True)
class Figure:
    """What was measured of one variant, as far as a gate asks.

    Attributes:
        metric: Name of the metric.
        variant: Name of the variant.
        value: With its interval, in the units of `Gate.limit`; None if it could not be measured.
        relative: It is the change against the baseline.
        floor: The noise floor of a change, as a share: what is smaller may be nothing.
        doubt: Why it proves nothing, such as what makes the run not valid; empty if it does.
    """

    metric: str
    variant: str
    value: Interval | None
    relative: bool = False
    floor: float = 0.0
    doubt: str = ""


@dataclass(frozen=True)
class GateResult:
    """What became of one gate for one variant.

    Attributes:
        gate: As it was typed.
        metric: Name of the metric.
        variant: Name of the variant.
        outcome: `pass`, `fail` or `inconclusive`.
        reason: Why: figure, interval and limit, in a sentence.
        limit: In seconds, bytes, 1/second or a share; of a change, the share or points.
        relative: The limit is of the change against the baseline.
        estimate: The figure, in the limit's unit; None if it was not measured.
        low: Lower end of its 95 % interval; None if nothing bounds it.
        high: Upper end.
        believed: The figure may be believed: the run is valid, as far as it matters here.
    """

    gate: str
    metric: str
    variant: str
    outcome: Outcome
    reason: str
    limit: float
    relative: bool
    estimate: float | None
    low: float | None
    high: float | None
    believed: bool


def check(gates: Iterable[Gate], figures: Sequence[Figure]) -> tuple[GateResult, ...]:
    """Hold figures against gates.

    Args:
        gates: What must not be.
        figures: What was measured.

    Returns:
        A result for each gate and each variant that it holds for, in the order of the gates. A gate
        that no figure answers is inconclusive.
    """
    return tuple(result for gate in gates for result in _check(gate, figures))


def together(results: Sequence[GateResult]) -> Verdict:
    """Sum up: `fail` if one failed, else `inconclusive` if one is, else `pass`."""
    found = {result.outcome for result in results}
    outcome: Outcome = "pass"
    if found != {"pass"} and found:
        outcome = "fail" if "fail" in found else "inconclusive"
    return Verdict(outcome, tuple(result.reason for result in results))


def exit_code(
    results: Sequence[GateResult], inconclusive: Literal["pass", "fail"] | None = None
) -> int:
    """Give what a run with gates ends with: 0 all passed, 1 one failed, 5 undecided.

    Args:
        results: What became of them.
        inconclusive: What an interval that holds its limit counts as. What was not measured, or is
            not valid, never counts as passed.
    """
    outcome = together(results).outcome
    if outcome != "inconclusive":
        return int(outcome == "fail")
    if inconclusive == "fail":
        return 1
    open_ = [result for result in results if result.outcome == "inconclusive"]
    accepted = inconclusive == "pass" and all(result.believed for result in open_)
    return 0 if accepted else 5


def _check(gate: Gate, figures: Sequence[Figure]) -> Iterator[GateResult]:
    wanted = (gate.metric.name, gate.needs_baseline)
    matching = [
        figure
        for figure in figures
        if (figure.metric, figure.relative) == wanted and gate.variant in ("", figure.variant)
    ]
    for figure in matching:
        outcome, why = _judge(gate, figure)
        yield _result(gate, figure, outcome, why)
    if not matching:
        missing = Figure(gate.metric.name, gate.variant, None, doubt="it was not measured")
        yield _result(gate, missing, "inconclusive", "")


def _judge(gate: Gate, figure: Figure) -> tuple[Outcome, str]:
    if figure.value is None or figure.doubt:
        return "inconclusive", ""
    worst, best, estimate, limit = _in_badness(gate, figure.value)
    strict = gate.operator in (">", "<")
    if best > limit or (best == limit and not strict):
        # What a model may differ from itself fails no build, however narrow the interval.
        if limit >= 0 and gate.relative and estimate <= figure.floor:
            return "inconclusive", f"within the noise floor of {100 * figure.floor:.1f} %"
        return "fail", "beyond the limit"
    if worst < limit or (worst == limit and strict):
        return "pass", "within the limit"
    return "inconclusive", "too wide an interval to tell, for it holds the limit"


def _in_badness(gate: Gate, value: Interval) -> tuple[float, float, float, float]:
    """Give the interval's worst and best end, estimate and limit, so that more is always worse."""
    if gate.metric.worse == "more":
        return value.high, value.low, value.estimate, gate.limit
    return -value.low, -value.high, -value.estimate, -gate.limit


def _result(gate: Gate, figure: Figure, outcome: Outcome, why: str) -> GateResult:
    value = figure.value
    return GateResult(
        gate=gate.text,
        metric=gate.metric.name,
        variant=figure.variant,
        outcome=outcome,
        reason=_reason(gate, figure, why),
        limit=gate.limit,
        relative=gate.relative,
        estimate=_finite(value.estimate) if value else None,
        low=_finite(value.low) if value else None,
        high=_finite(value.high) if value else None,
        believed=not figure.doubt,
    )


def _reason(gate: Gate, figure: Figure, why: str) -> str:
    kind = limit_kind(gate.metric, relative=gate.relative)
    limit = f"limit {gate.typed}"
    name = f"{figure.variant}: {gate.metric.name}" if figure.variant else gate.metric.name
    if figure.value is None:
        return f"{name} is not known, for {figure.doubt} ({limit})"
    verb = "changed by" if gate.relative else "is"
    text = f"{name} {verb} {span(figure.value, kind, change=gate.relative)}"
    return f"{text} ({limit}): {f'no verdict, for {figure.doubt}' if figure.doubt else why}"


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
