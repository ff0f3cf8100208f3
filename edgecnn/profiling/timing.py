"""Times of operators: reading them in the worker, and summing them up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from statistics import median
from typing import TYPE_CHECKING

from edgecnn.spec import OperatorRun

if TYPE_CHECKING:
    from edgecnn.worker import Prepared


def read_profile(prepared: Prepared) -> tuple[OperatorRun, ...]:
    """Give the operators that a session ran so far: a task for its worker."""
    return prepared.session.profile()


def interquartile_mean(times: Sequence[float]) -> float:
    """Give the mean of the middle half.

    As robust as the median, and finer where a clock ticks coarsely.

    >>> interquartile_mean([1, 2, 2, 3, 3, 3, 4, 900])
    2.75
    """
    low = len(times) // 4
    middle = sorted(times)[low : len(times) - low]
    return sum(middle) / len(middle)


def quiet(operators: Sequence[OperatorRun], runs_ns: Sequence[int]) -> tuple[OperatorRun, ...]:
    """Keep the operators' times in the quicker half of the runs.

    What disturbs a machine lasts longer than a run, and falls on runs with and without profiling
    by chance: the quicker halves of both were disturbed least, and are compared.

    Args:
        operators: With one time for each run.
        runs_ns: Time of each whole run.
    """
    limit = median(runs_ns)
    kept = [number for number, time in enumerate(runs_ns) if time <= limit]
    return tuple(
        replace(each, times_ns=[each.times_ns[number] for number in kept]) for each in operators
    )


def quiet_median(runs_ns: Sequence[int]) -> float:
    """Give the median of the quicker half of some runs."""
    limit = median(runs_ns)
    return median(time for time in runs_ns if time <= limit)
