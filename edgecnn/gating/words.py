"""How figures, intervals and limits are written in a gate's reason."""

from __future__ import annotations

import math

from edgecnn.gating.metrics import Metric
from edgecnn.stats import Interval
from edgecnn.units import Kind


def span(figure: Interval, kind: Kind, *, change: bool = False) -> str:
    """Write a figure with its unit and its interval; alone where it is exact.

    Args:
        figure: In the units of `Gate.limit`.
        kind: What it measures.
        change: It is a change against a baseline, and gets a sign.
    """
    ends = (figure.estimate, figure.low, figure.high)
    factor, unit = _unit(max(abs(end) for end in ends if math.isfinite(end)), kind)
    estimate, low, high = (_number(end * factor, change=change) for end in ends)
    text = f"{estimate} {unit}"
    if figure.low == figure.high:
        return text
    return f"{text}, {100 * figure.confidence:g} % interval {low} to {high}"


def limit_kind(metric: Metric, *, relative: bool) -> Kind:
    """Say what a limit of a metric is measured in."""
    return metric.change or metric.kind if relative else metric.kind


def _number(value: float, *, change: bool) -> str:
    if math.isinf(value):
        return "any amount"
    digits = 0 if abs(value) >= 1000 else 2
    # What rounds to nothing has no sign.
    return f"{round(value, digits) + 0.0:{'+' if change else ''},.{digits}f}"


def _unit(value: float, kind: Kind) -> tuple[float, str]:
    if kind == "time":
        return (1e6, "µs") if value < 1e-3 else (1e3, "ms") if value < 1 else (1, "s")
    if kind == "size":
        return (1, "bytes") if value < 1e3 else (1e-3, "kB") if value < 1e6 else (1e-6, "MB")
    return {"points": (100.0, "points"), "rate": (1.0, "/s")}.get(kind, (100.0, "%"))
