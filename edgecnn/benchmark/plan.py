"""What will be measured, for how long and in what order: decided before the first call."""

from __future__ import annotations

import math
from dataclasses import dataclass

from edgecnn.errors import InputError

DURATION_SECONDS = 6.0
_REPLICATE_SECONDS = 1.25
# Sessions differ more than blocks of one session: two blocks, and another replicate for the rest.
_BUDGET_SLOT_SECONDS = 0.6
_MOST_REPLICATES = 30
_LEG_SECONDS = 0.03
_LEG_CALLS = 3
LEAD_SECONDS = 0.003
_FEWEST_CALLS = 20


@dataclass(frozen=True)
class Leg:
    """One worker's turn.

    Attributes:
        seconds: How long it lasts.
        calls: The least calls it makes, even if that takes longer.
        lead_seconds: How long it calls before timing begins: the first calls after a pause are
            slower, and a pause is another thing to measure.
    """

    seconds: float
    calls: int
    lead_seconds: float = LEAD_SECONDS


@dataclass(frozen=True)
class Plan:
    """How much is measured.

    A replicate opens every variant in two fresh processes. While all are alive, they take turns in
    blocks, there and back, so that each is compared with every other and with itself.

    Attributes:
        duration_seconds: How long blocks are measured in all; openings and warm-ups come on top,
            and for slow nets up to twice as much again, until there are enough for a verdict. None
            where the number of blocks or the budget is given.
        replicates: How often everything is opened anew; at most, where there is a budget.
        leg: One turn.
        blocks: Blocks in each replicate; None for as many as the time allows.
        warmup_runs: Runs before measuring begins; None to find where the times are steady.
        cold_start: Report how long the processes took from nothing to their first answer.
        budget_seconds: What everything may take together, openings and warm-ups included: no
            replicate is begun that would not fit.
    """

    duration_seconds: float | None
    replicates: int
    leg: Leg
    blocks: int | None
    warmup_runs: int | None
    cold_start: bool = True
    budget_seconds: float | None = None

    @property
    def slot_seconds(self) -> float:
        """Time for the blocks of one replicate."""
        if self.budget_seconds is not None:
            return min(_BUDGET_SLOT_SECONDS, self.budget_seconds / 24)
        return (self.duration_seconds or math.inf) / self.replicates


def make_plan(
    duration: float | None = None,
    iterations: int | None = None,
    warmup: int | None = None,
    budget: float | None = None,
) -> Plan:
    """Decide how much to measure.

    Args:
        duration: Seconds of measuring in all.
        iterations: Timed calls of each variant, at least, in place of a duration.
        warmup: Runs of each session before measuring; found where left out.
        budget: Seconds that everything may take, in place of a duration.

    Raises:
        InputError: Two of duration, iterations and budget are given, or a number cannot be.
    """
    given = {"--duration": duration, "--iterations": iterations, "--budget": budget}
    chosen = [name for name, value in given.items() if value is not None]
    if len(chosen) > 1:
        raise InputError(f"{' and '.join(chosen)} exclude one another.", "Give one of them.")
    for name, value, least in (("iterations", iterations, 1), ("warmup", warmup, 0)):
        if value is not None and value < least:
            raise InputError(f"--{name} {value} is too few.", f"Use {least} or more.")
    for name, time in (("duration", duration), ("budget", budget)):
        if time is not None and not 0 < time < math.inf:
            raise InputError(f"A {name} of {time:g} s cannot be measured.", "Use more than 0.")
    if iterations is not None:
        return _by_calls(iterations, warmup)
    leg = Leg(_LEG_SECONDS, _LEG_CALLS)
    if budget is not None:
        return Plan(None, _MOST_REPLICATES, leg, None, warmup, budget_seconds=budget)
    seconds = DURATION_SECONDS if duration is None else duration
    replicates = min(_MOST_REPLICATES, max(2, math.ceil(seconds / _REPLICATE_SECONDS)))
    return Plan(seconds, replicates, leg, None, warmup)


def _by_calls(iterations: int, warmup: int | None) -> Plan:
    replicates = 4 if iterations >= 8 * _FEWEST_CALLS else 2
    each = -(-iterations // (2 * replicates))  # in each of two sessions
    blocks = min(4, max(1, each // _FEWEST_CALLS))
    leg = Leg(0.0, -(-each // (2 * blocks)))
    return Plan(None, replicates, leg, blocks, warmup)
