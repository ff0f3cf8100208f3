"""The run that decides: the best of the search against the default, in processes of its own."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import combinations

from edgecnn.benchmark.doubts import LARGEST_FLOOR
from edgecnn.benchmark.estimate import LatencyComparison
from edgecnn.benchmark.jobs import Job
from edgecnn.benchmark.measure import Interrupted, carry_out
from edgecnn.benchmark.plan import Leg, Plan
from edgecnn.benchmark.report import BenchReport
from edgecnn.progress import Progress
from edgecnn.tuning.halving import Clock
from edgecnn.tuning.report import Candidate, Final, Outcome

BLOCKS = 2
LEG = Leg(0.03, 3)
# With two blocks each they are more than the engine needs for a verdict.
FEWEST_REPLICATES, _MOST_REPLICATES = 3, 12

Pairs = Mapping[tuple[str, str], LatencyComparison]


def plan_of(replicates: int, blocks: int = BLOCKS) -> Plan:
    """Give the plan of so many replicates, without what a bench measures besides."""
    return Plan(None, replicates, LEG, blocks, None, cold_start=False)


def run_final(
    finalists: Sequence[Candidate],
    default: str,
    make_job: Callable[[Sequence[str], Plan], Job],
    clock: Clock,
    deadline: float,
    progress: Progress,
    heard: Callable[[Final], None],
) -> Final:
    """Measure the default and the finalists, at least three times, however long it takes.

    Args:
        finalists: At least one.
        default: Name of the default.
        make_job: Gives what is measured of candidates, by their names, the default first.
        clock: The time, and what a replicate takes.
        deadline: When it should have ended.
        progress: Told what is done.
        heard: Called with what was measured, even if that was interrupted.

    Raises:
        RuntimeCrashed: All of them crashed.
        Interrupted: Ctrl-C.
    """
    names = [each.name for each in finalists]
    room = int((deadline - clock.now()) / (clock.each * (1 + len(names))))
    replicates = max(FEWEST_REPLICATES, min(_MOST_REPLICATES, room))
    job = make_job(names, plan_of(replicates))
    pairs = (*((default, name) for name in names), *combinations(names, 2))
    began = time.perf_counter()
    try:
        report = carry_out(replace(job, pairs=pairs), None, progress, finish=_as_it_is)
    except Interrupted as stop:
        heard(_final(stop.report, time.perf_counter() - began))
        raise
    found = _final(report, time.perf_counter() - began)
    heard(found)
    return found


def _final(report: BenchReport, seconds: float) -> Final:
    return Final(
        comparisons=report.comparisons,
        valid=report.valid,
        reasons=report.reasons,
        doubts=report.doubts,
        samples=report.samples,
        conditions=report.conditions,
        seconds=seconds,
    )


def decide(final: Final, default: str, finalists: Sequence[str]) -> tuple[Outcome, str | None]:
    """Say what is best: a later one takes an earlier one's place only if it is shown to be faster.

    What is shown is shown, even on a machine whose figures are doubtful otherwise: the rule of
    `benchmark.estimate.outcome` counts the noise of the very run. Where nothing is shown, the noise
    must be small enough to hide nothing.

    Args:
        final: What was measured.
        default: Name of the default, which comes first.
        finalists: The others; of two that are equal the first is kept.

    Returns:
        The outcome and the name of what is best; None where the run cannot tell.
    """
    pairs = {(each.first, each.second): each for each in final.comparisons}
    shown = [name for name in finalists if _faster(pairs, default, name)]
    if not shown:
        sure = all(_settled(pairs.get((default, name))) for name in finalists)
        return ("no better", default) if sure else ("inconclusive", None)
    best = shown[0]
    for other in shown[1:]:
        if _faster(pairs, best, other):
            best = other
    return "faster", best


def _settled(found: LatencyComparison | None) -> bool:
    """Say whether a finalist is shown to be no faster, beyond what noise could hide."""
    if found is None or found.outcome == "inconclusive":
        return False
    return found.outcome == "slower" or found.noise_floor <= LARGEST_FLOOR


def _faster(pairs: Pairs, first: str, second: str) -> bool:
    found = pairs.get((first, second))
    return found is not None and found.outcome == "faster"


def in_words(final: Final, outcome: Outcome, default: str, chosen: str | None) -> str:
    """Say what the final run found."""
    if outcome == "inconclusive":
        reasons = "; ".join(final.reasons) or "too little was measured"
        return f"The last run cannot tell whether anything is faster than {default}: {reasons}."
    if chosen is None or chosen == default:
        return f"Nothing is shown to be faster than the default, {default}."
    found = next(
        each for each in final.comparisons if (each.first, each.second) == (default, chosen)
    )
    high = math.inf if found.high is None else found.high
    return (
        f"{chosen} takes {found.ratio:.2f} [{found.low:.2f}, {high:.2f}] times the time of the "
        f"default, {default}; noise floor {100 * found.noise_floor:.1f} %."
    )


def _as_it_is(report: BenchReport) -> BenchReport:
    return report
