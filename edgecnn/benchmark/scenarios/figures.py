"""What several scenarios sum up in the same way: figures over sessions, with their intervals."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median

from edgecnn.benchmark.estimate import session_interval
from edgecnn.stats import Interval, percentile


def middle(nanoseconds: Sequence[int]) -> float | None:
    """Give the median of times in seconds; None of no times."""
    return median(nanoseconds) / 1e9 if nanoseconds else None


def percentiles(nanoseconds: Sequence[int]) -> tuple[float | None, float | None, float | None]:
    """Give the 90th, 95th and 99th percentile in seconds; None where too few times support one."""
    seconds = [time / 1e9 for time in nanoseconds]
    return percentile(seconds, 0.9), percentile(seconds, 0.95), percentile(seconds, 0.99)


def over_sessions(values: Iterable[float | None]) -> Interval | None:
    """Give the mean of a figure over sessions with its interval; None of fewer than two.

    Args:
        values: One for each session; what is None or not above 0 is left out.
    """
    return session_interval([value for value in values if value is not None and value > 0])
