"""Whether a figure that was measured before came out the same again."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Literal

from edgecnn.machine import Machine
from edgecnn.stats import Interval

# A machine differs from itself from hour to hour by more than one run can see: clocks, placement.
TOLERANCE = 0.05
# What decides how fast a machine is; its name and its Python do not.
_FINGERPRINT = ("architecture", "cpu", "features", "cores", "allowed_cores")

Same = Literal["reproduced", "not reproduced", "inconclusive"]
Outcome = Literal["reproduced", "not reproduced", "another machine", "inconclusive"]


@dataclass(frozen=True)
class Again:
    """One variant, measured before and now.

    Attributes:
        variant: Its name.
        before: Median latency with its interval over sessions, in seconds.
        now: The same, measured again.
        ratio: Now over before, with the interval of both.
        tolerance: What still counts as the same, as a share: the larger noise floor, or 5 %.
        outcome: `reproduced` if the whole interval lies within the tolerance, `not reproduced` if
            none of it does, else `inconclusive`.
    """

    variant: str
    before: Interval
    now: Interval
    ratio: Interval
    tolerance: float
    outcome: Same


@dataclass(frozen=True)
class Replay:
    """A report measured again.

    Attributes:
        created: When the report was written.
        command: The command that wrote it.
        machine: What it ran on.
        outcome: `reproduced`, `not reproduced`, `another machine` or `inconclusive`.
        reasons: Why.
        differences: What is different now: machine, system, versions.
        variants: Each variant before and now.
    """

    created: str
    command: str
    machine: Machine
    outcome: Outcome
    reasons: tuple[str, ...]
    differences: tuple[str, ...]
    variants: tuple[Again, ...]


def hold(variant: str, before: Interval, now: Interval, floor: float) -> Again:
    """Compare a figure with the one before.

    Args:
        variant: Its name.
        before: With its interval, positive.
        now: The same.
        floor: The larger noise floor of the two runs, as a share.
    """
    log = math.log(now.estimate / before.estimate)
    half = math.hypot(*(math.log(one.high / one.estimate) for one in (before, now)))
    tolerance = max(floor, TOLERANCE)
    ratio = Interval(math.exp(log), math.exp(log - half), math.exp(log + half), now.confidence)
    allowed = math.log1p(tolerance)
    outcome: Same = "inconclusive"
    if abs(log) + half <= allowed:
        outcome = "reproduced"
    elif abs(log) - half > allowed:
        outcome = "not reproduced"
    return Again(variant, before, now, ratio, tolerance, outcome)


def another_machine(before: Machine, now: Machine) -> bool:
    """Say whether two machines are not alike, as far as their speed depends on it."""
    return any(getattr(before, name) != getattr(now, name) for name in _FINGERPRINT)


def differences(
    before: Machine, now: Machine, versions: Sequence[Mapping[str, str]]
) -> tuple[str, ...]:
    """Name what is different: of the machines, and of the versions before and now."""
    names = [field.name for field in fields(Machine) if field.name != "name"]
    pairs = {name: (getattr(before, name), getattr(now, name)) for name in names}
    old, new = versions
    pairs |= {name: (old.get(name, "none"), new.get(name, "none")) for name in {**old, **new}}
    return tuple(
        f"{name}: {_text(first)} before, {_text(second)} now"
        for name, (first, second) in pairs.items()
        if first != second
    )


def judge(
    found: Sequence[Again], doubts: Sequence[str], *, elsewhere: bool
) -> tuple[Outcome, tuple[str, ...]]:
    """Give the outcome of a replay and the reasons.

    Args:
        found: Each variant before and now.
        doubts: Why one of the two runs may not be believed.
        elsewhere: It ran on another machine.
    """
    if elsewhere:
        why = "It was measured on another machine; no verdict is given between two machines."
        return "another machine", (why,)
    if doubts:
        return "inconclusive", tuple(doubts)
    outcomes, sentences = {one.outcome for one in found}, tuple(map(_sentence, found))
    if outcomes == {"reproduced"}:
        return "reproduced", sentences
    return "not reproduced" if "not reproduced" in outcomes else "inconclusive", sentences


def _sentence(one: Again) -> str:
    ends = f"{one.ratio.low:.3f} to {one.ratio.high:.3f}"
    return (
        f"{one.variant}: {one.outcome}; now it takes {one.ratio.estimate:.3f} times as long "
        f"(95 % interval {ends}; within {100 * one.tolerance:.1f} % counts as the same)."
    )


def _text(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
