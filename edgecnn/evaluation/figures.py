"""What an evaluation says to a gate."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from edgecnn.evaluation.report import EvalReport
from edgecnn.gating import Figure, Gate, check
from edgecnn.stats import Interval, wilson


def judge(gates: Sequence[Gate], report: EvalReport) -> EvalReport:
    """Hold an evaluation against gates, and keep in it what became of them."""
    return replace(report, gates=check(gates, tuple(figures(report)))) if gates else report


def figures(report: EvalReport) -> Iterator[Figure]:
    """Give accuracies, their changes against the baseline, and the agreement with it."""
    for variant in report.variants:
        yield Figure("accuracy", variant.name, variant.accuracy)
    for failure in report.failures:
        yield Figure("accuracy", failure.name, None, doubt=failure.problem)
    if report.baseline is None:
        return
    for pair in report.baseline.comparisons:
        drop = pair.drop
        change = Interval(-drop.estimate, -drop.high, -drop.low, drop.confidence)
        same = wilson(round(pair.same * report.images), report.images)
        yield Figure("accuracy", pair.second, change, relative=True)
        yield Figure("agreement", pair.second, same, relative=True)
    compared = {pair.second for pair in report.baseline.comparisons}
    for variant in report.variants:
        if variant.name not in compared:
            why = f"{report.baseline.bundle} has no such variant that answers"
            yield Figure("accuracy", variant.name, None, relative=True, doubt=why)
            yield Figure("agreement", variant.name, None, relative=True, doubt=why)
