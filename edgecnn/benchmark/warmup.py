"""Warming up: calling a session until its times are steady.

Calls are taken in short windows, each summed up as the logarithm of its median, so that single slow
calls do not count. How many of the first windows are left out is chosen as MSER does it: so that
the error of the mean of the others is smallest (K. P. White, "An effective truncation heuristic for
bias reduction in simulation output", Simulation 69, 1997). If that is more than half of them, the
times were still on their way. What is left must then be level: its spread small, as A. Georges et
al. ask ("Statistically rigorous Java performance evaluation", OOPSLA 2007), and its two halves
alike, as in J. Geweke's test.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from statistics import fmean, median, stdev

from edgecnn.benchmark.samples import Warmup
from edgecnn.conditions import Doubt
from edgecnn.worker import Worker

LONGEST_SECONDS = 2.0
_WINDOW_SECONDS = 0.015
_FEWEST_WINDOWS = 6
_FEWEST_KEPT = 3
# Differences of half a percent are noise: a fall that is as slow makes no figure wrong.
_NOISE = 0.005
_SPREAD = 0.05  # a machine that does other things too shows 1 to 4 %
_HALVES = 0.02


def warm_up(worker: Worker, runs: int | None) -> tuple[Warmup, float]:
    """Run a session until its times are steady, or for a given number of runs.

    Args:
        worker: Holds the session.
        runs: How many runs; None to find it, within 2 s.

    Returns:
        What was run, and about how long one run takes, in seconds.
    """
    if runs is not None:
        times = worker.run(runs).times_ns if runs else [0]
        return Warmup(runs, None), median(times) / 1e9
    began, done, levels, steady = time.perf_counter(), 0, list[float](), False
    while not steady and not _over(time.perf_counter() - began, len(levels)):
        times = worker.run_for(_WINDOW_SECONDS, settle=False).times_ns
        done += len(times)
        levels.append(math.log(median(times)))
        steady = len(levels) >= _FEWEST_WINDOWS and is_steady(levels)
    # Calls of a second or so leave no time for more windows.
    steady = steady or (len(levels) < _FEWEST_WINDOWS and is_steady(levels))
    return Warmup(done, steady), math.exp(levels[-1]) / 1e9


def unsteady(name: str, what: str = "measuring") -> Doubt:
    """Doubt what was measured of a session that had not come to rest."""
    remedy = "Close what else is running, or give the runs: `--warmup 1000`."
    return Doubt(f"{name} was not steady when {what} began", remedy)


def is_steady(levels: Sequence[float]) -> bool:
    """Say whether times have come to rest.

    Args:
        levels: Logarithms of the windows' medians, in order.
    """
    if len(levels) < _FEWEST_KEPT:
        return False
    cut = truncation(levels)
    kept = levels[cut:]
    if cut > len(levels) / 2 or stdev(kept) > _SPREAD:
        return False
    half = len(kept) // 2
    return abs(fmean(kept[:half]) - fmean(kept[-half:])) <= _HALVES


def truncation(levels: Sequence[float]) -> int:
    """Give how many of the first windows are best left out, by MSER: few, where it makes no odds.

    Args:
        levels: At least three.
    """
    best, least = 0, math.inf
    total = squares = 0.0
    for cut in range(len(levels) - 1, -1, -1):
        kept, off = len(levels) - cut, levels[cut] - levels[-1]
        total, squares = total + off, squares + off**2
        squared_error = (squares / kept - (total / kept) ** 2 + _NOISE**2) / kept
        if kept >= _FEWEST_KEPT and squared_error <= least:
            best, least = cut, squared_error
    return best


def _over(seconds: float, windows: int) -> bool:
    return seconds >= LONGEST_SECONDS and windows >= _FEWEST_KEPT
