"""How figures, intervals and limits are written in a gate's reason."""

from __future__ import annotations

import math

from edgecnn.gating.metrics import Metric
from edgecnn.stats import Interval
from edgecnn.units import Kind


def amount(value: float, kind: Kind, *, change: bool = False) -> str:
    """Write a figure with its unit, to three digits or more.

    Args:
        value: In the units of `Gate.limit`.
        kind: What it measures.
        change: It is a change against a baseline, and gets a sign.
    """
    if math.isinf(value):
        return "any amount"
    factor, unit = _unit(abs(value), kind)
    number = value * factor
    digits = max(2, 2 - math.floor(math.log10(abs(number)))) if 0 < abs(number) < 1 else 2
    digits = 0 if abs(number) >= 1000 else min(digits, 4)
    return f"{number:{'+' if change else ''},.{digits}f} {unit}".rstrip()


def span(figure: Interval, kind: Kind, *, change: bool = False) -> str:
    """Write a figure with its interval; alone where it is exact."""
    text = amount(figure.estimate, kind, change=change)
    if figure.low == figure.high:
        return text
    low, high = (amount(end, kind, change=change) for end in (figure.low, figure.high))
    return f"{text}, {100 * figure.confidence:g} % interval {low} to {high}"


def limit_kind(metric: Metric, *, relative: bool) -> Kind:
    """Say what a limit of a metric is measured in."""
    return metric.change or metric.kind if relative else metric.kind


def _unit(value: float, kind: Kind) -> tuple[float, str]:
    if kind == "time":
        return (1e6, "µs") if value < 1e-3 else (1e3, "ms") if value < 1 else (1, "s")
    if kind == "size":
        return (1, "bytes") if value < 1e3 else (1e-3, "kB") if value < 1e6 else (1e-6, "MB")
    return {"share": (100.0, "%"), "number": (100.0, "%"), "points": (100.0, "points")}.get(
        kind, (1.0, "/s")
    )
