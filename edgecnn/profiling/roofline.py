"""What bounds each operator.

Three times stand against an operator's own:

- arithmetic: its operations at the measured peak of their kind of numbers;
- memory: the activations that it reads and writes at the peak of the smallest memory into which
  all its bytes fit, and its weights at that of the smallest into which the weights of the whole
  model fit, for in every run all of them come by;
- dispatch: what the runtime takes for an operator that has nothing to do.

The largest of the three bounds it, and `reached` is that time as a share of the operator's own:
near 1 there is nothing to gain but by other numbers or fewer operators. Below a quarter none of
them explains its time, and what bounds it is the engine's own code for this kind and shape.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from edgecnn.profiling.report import Bound, OperatorProfile, Peak, Peaks
from edgecnn.profiling.timing import interquartile_mean
from edgecnn.profiling.work import Graph, Work

_MOST_CLOCKS = 3
_EXPLAINED = 0.25


def place_operators(
    works: Sequence[Work], graph: Graph, peaks: Peaks, latency: float
) -> tuple[OperatorProfile, ...]:
    """Hold every operator of a model against the machine's roofs.

    Args:
        works: What each has to do; their runs hold the times of steady runs alone.
        graph: The model's graph.
        peaks: The roofs.
        latency: Time of a whole run, seconds.
    """
    weights = sum(work.bytes_weights for work in works)
    clock = profile_cost(works, peaks, latency)
    return tuple(_placed(work, graph, peaks, latency, weights, clock) for work in works)


def profile_cost(works: Sequence[Work], peaks: Peaks, latency: float) -> float:
    """Give the seconds that the runtime's profile adds to each operator of a model.

    It is what makes the operators' times and that of a call sum to a run's; but at least what it
    adds to operators that do nothing, and at most three times that. Where operators were timed
    without the profile it is 0.
    """
    if not works or all(work.run.finer_ns for work in works):
        return 0.0
    shown = sum(interquartile_mean(work.run.times_ns) for work in works) / 1e9
    solved = (shown - (latency - peaks.call_seconds)) / len(works)
    return min(max(solved, peaks.clock_seconds), _MOST_CLOCKS * peaks.clock_seconds)


def _placed(
    work: Work, graph: Graph, peaks: Peaks, latency: float, weights: int, clock: float
) -> OperatorProfile:
    low, middle, high = _times(work, clock)
    near, far = _level(peaks, _all_bytes(work)), _level(peaks, max(_all_bytes(work), weights))
    computing = _arithmetic_seconds(work, peaks)
    moving = (work.bytes_in + work.bytes_out) / near.rate + work.bytes_weights / far.rate
    roofs = {"arithmetic": computing, "memory": moving, "dispatch": peaks.dispatch_seconds}
    highest = max(roofs.values())
    reached = min(1.0, highest / middle) if middle else 1.0
    bound = next(name for name, roof in roofs.items() if roof == highest)
    shape = work.run.outputs[0].shape if work.run.outputs else None
    return OperatorProfile(
        name=work.run.name,
        operator=work.run.operator,
        layers=tuple(map(graph.name, work.layers)),
        role=work.role,
        seconds=middle,
        low=low,
        high=high,
        share=middle / latency if latency else 0.0,
        shape=tuple(int(size) for size in shape) if shape is not None else None,
        macs=work.macs,
        operations=work.operations,
        arithmetic=work.arithmetic,
        bytes_in=work.bytes_in,
        bytes_weights=work.bytes_weights,
        bytes_out=work.bytes_out,
        memory=near.what if work.bytes_in + work.bytes_out >= work.bytes_weights else far.what,
        bound=cast(Bound, bound if reached >= _EXPLAINED else "code"),
        arithmetic_seconds=computing,
        memory_seconds=moving,
        dispatch_seconds=peaks.dispatch_seconds,
        reached=reached,
        peak_share=computing / middle if work.operations and middle else None,
    )


def _times(work: Work, clock: float) -> tuple[float, float, float]:
    """Give the quartiles and the middle of an operator's times, without what profiling adds."""
    times = sorted(work.run.finer_ns or work.run.times_ns)
    quarter = len(times) // 4
    found = (times[quarter], interquartile_mean(times), times[-1 - quarter])
    low, middle, high = (max(0.0, time / 1e9 - clock) for time in found)
    return low, middle, high


def _all_bytes(work: Work) -> int:
    return work.bytes_in + work.bytes_weights + work.bytes_out


def _level(peaks: Peaks, size: int) -> Peak:
    """Give the smallest memory that holds so many bytes."""
    return next((each for each in peaks.memory if size <= each.bytes), peaks.memory[-1])


def _arithmetic_seconds(work: Work, peaks: Peaks) -> float:
    rates = {peak.what: peak.rate for peak in peaks.arithmetic}
    return (work.operations or 0) / rates[work.arithmetic] if work.arithmetic else 0.0
