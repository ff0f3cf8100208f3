"""How a gate is typed: `[VARIANT:] METRIC OPERATOR LIMIT`, the condition under which it fails.

latency.p90 > 5ms         a limit with its unit
latency.median > +3%      a change against the baseline; the sign says that it is one
int8: size > 200kB        of one variant; else of all that are measured
accuracy < -0.5pp         points of accuracy against the baseline
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NoReturn

from edgecnn import units
from edgecnn.errors import InputError
from edgecnn.gating.metrics import METRICS, Command, Metric

Operator = Literal[">", ">=", "<", "<="]
_OPERATORS: dict[str, Operator] = {">": ">", ">=": ">=", "<": "<", "<=": "<="}
_WORD, _SPACE, _SIGN = re.compile(r"[^\s<>=!~]*"), re.compile(r"\s*"), re.compile(r"[<>=!~]*")
# Accuracies are shares, and people write them either way.
_SAME = {("number", "share")}


@dataclass(frozen=True)
class Gate:
    """A condition under which a run fails.

    Attributes:
        text: As it was typed, on one line.
        metric: What it is set on.
        operator: `>`, `>=`, `<` or `<=`.
        limit: In seconds, bytes, 1/second or a share; of a change, the share (3 % is 0.03) or the
            points (0.5pp is 0.005), with its sign.
        typed: Operator and limit as they were typed.
        relative: The limit is of the change against the baseline.
        variant: The one variant that it holds for; empty for all.
    """

    text: str
    metric: Metric
    operator: Operator
    limit: float
    typed: str
    relative: bool
    variant: str = ""

    @property
    def needs_baseline(self) -> bool:
        """It cannot be judged without one."""
        return self.relative or self.metric.change is None


def parse_gates(texts: Sequence[str], command: Command, *, baseline: bool) -> tuple[Gate, ...]:
    """Read gates, each as `parse_gate` does.

    Args:
        texts: As they were typed.
        command: Which command will measure.
        baseline: There is a baseline.

    Raises:
        InputError: One of them cannot be read, or needs a baseline that is not there.
    """
    gates = tuple(parse_gate(text, command) for text in texts)
    for gate in gates:
        if gate.needs_baseline and not baseline:
            raise InputError(
                f"'{gate.text}' compares with a baseline, and none is named.",
                "Name one with --baseline, or set a limit with its unit, such as "
                f'"{gate.metric.example_gate}".',
            )
    return gates


def refuse_unknown(gates: Sequence[Gate], variants: Sequence[str]) -> None:
    """Refuse gates that no figure will answer.

    Args:
        gates: What was set.
        variants: Names of what will be measured.

    Raises:
        InputError: A gate names another variant.
    """
    for gate in gates:
        if gate.variant and gate.variant not in variants:
            raise InputError(
                f"The gate '{gate.text}' is for '{gate.variant}', which is not measured.",
                f"Measured are: {', '.join(variants)}.",
            )


def parse_gate(text: str, command: Command) -> Gate:
    """Read a gate.

    Args:
        text: As it was typed.
        command: Which command will measure.

    Raises:
        InputError: It cannot be read; the problem points at the place.

    >>> gate = parse_gate("latency.median > +3%", "bench")
    >>> gate.metric.name, gate.operator, gate.limit, gate.relative
    ('latency.median', '>', 0.03, True)
    """
    text = " ".join(text.splitlines())  # a workflow file may fold a gate over several lines
    start, variant = _subject(text)
    name, at = _take(_WORD, text, start)
    metric = _metric(text, name, at, command)
    sign, at_sign = _take(_SIGN, text, at + len(name))
    operator = _operator(text, sign, at_sign, metric)
    _, at_limit = _take(_SPACE, text, at_sign + len(sign))
    limit, relative = _limit(text, at_limit, metric)
    typed = f"{operator} {text[at_limit:].strip()}"
    return Gate(text, metric, operator, limit, typed, relative, variant)


def _subject(text: str) -> tuple[int, str]:
    """Give where the metric begins, and the variant named before it."""
    # A variant's name may hold a colon, the rest of a gate never does.
    variant, colon, _ = text.rpartition(":")
    if colon and not variant.strip():
        _refuse(text, 0, "no variant is named before the colon")
    return (len(variant) + 1 if colon else 0), variant.strip()


def _metric(text: str, name: str, at: int, command: Command) -> Metric:
    metric = METRICS.get(name)
    if metric is None:
        known = ", ".join(one.name for one in METRICS.values() if one.command == command)
        wrong = f"nothing is called '{name}'" if name else "a metric is missing"
        _refuse(text, at, f"{wrong}; `edgecnn {command}` measures {known}")
    if metric.command != command:
        _refuse(text, at, f"{name} is measured by `edgecnn {metric.command}`")
    return metric


def _operator(text: str, sign: str, at: int, metric: Metric) -> Operator:
    right = ">" if metric.worse == "more" else "<"
    if sign not in _OPERATORS:
        wrong = f"'{sign}' is no comparison" if sign else "a comparison is missing"
        _refuse(text, at, f"{wrong}; write {right}")
    if not sign.startswith(right):
        _refuse(
            text,
            at,
            f"a gate says what fails, and this one fails what is good: {metric.name} is worse "
            f"when it is {metric.worse}; write {right}",
        )
    return _OPERATORS[sign]


def _limit(text: str, at: int, metric: Metric) -> tuple[float, bool]:
    typed = text[at:]
    if not typed.strip():
        _refuse(text, at, f"a limit is missing; write {_limits(metric)}")
    try:
        quantity = units.parse(typed)
    except InputError as error:
        _refuse(text, at, f"{error.problem.rstrip('.')}; write {_limits(metric)}")
    relative = quantity.signed and quantity.kind == metric.change
    fits = quantity.kind == metric.kind or (metric.kind, quantity.kind) in _SAME
    if not relative and (quantity.signed or not fits):
        _refuse(text, at, f"'{typed}' is no limit of {metric.name}; write {_limits(metric)}")
    within = _within(metric, relative=relative)
    if within and not within[0] < quantity.value <= within[1]:
        what = f"a change of {metric.name}" if relative else metric.name
        _refuse(text, at, f"{what} never gets to '{typed}'; write {_limits(metric)}")
    return quantity.value, relative


def _within(metric: Metric, *, relative: bool) -> tuple[float, float] | None:
    """Give between what a limit tells anything apart; None where any does."""
    if not relative:
        return (0.0, 1.0) if metric.kind == "number" else None
    return (-1.0, 1.0 if metric.change == "points" else math.inf)


def _limits(metric: Metric) -> str:
    if metric.change is None:
        return metric.example
    return f"{metric.example}, or {metric.change_example} for a change against the baseline"


def _take(pattern: re.Pattern[str], text: str, start: int) -> tuple[str, int]:
    """Give what stands at a place, past the spaces, and where it begins."""
    space = _SPACE.match(text, start)
    at = space.end() if space else start
    found = pattern.match(text, at)
    return (found[0] if found else ""), at


def _refuse(text: str, at: int, why: str) -> NoReturn:
    raise InputError(
        f"The gate '{text}' cannot be read at character {at + 1}: {why}.\n"
        f"  {text}\n"
        f"  {' ' * at}^\n",
        'Write such as --fail-if "latency.p90 > 5ms", "latency.median > +3%", "size > 200kB", '
        '"accuracy < 0.85" or "accuracy < -0.5pp".',
    )
