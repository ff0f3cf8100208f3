"""Times of operators: reading them in the worker, and summing them up."""

from __future__ import annotations

from collections.abc import Sequence
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
