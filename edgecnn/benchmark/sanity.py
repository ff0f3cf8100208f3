"""What cannot be true of a report: each value may be valid, and together they say nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgecnn.benchmark.plan import Plan
    from edgecnn.benchmark.report import BenchReport
    from edgecnn.benchmark.samples import Samples


def contradictions(report: BenchReport) -> Iterator[str]:
    """Say what cannot be, each in half a sentence; nothing of a report that `bench` wrote."""
    setup = report.setup
    if not report.variants:
        yield "it has no variants"
    if setup.threads < 0 or setup.batch_size < 1:
        yield f"{setup.threads} threads and batches of {setup.batch_size} measure nothing"
    if _is_empty(report.plan):
        yield "its plan measures nothing"
    yield from _of_samples(report.samples)


def _is_empty(plan: Plan) -> bool:
    times = (plan.duration_seconds, plan.budget_seconds)
    counts = (plan.replicates, 1 if plan.blocks is None else plan.blocks)
    warmup = plan.warmup_runs or 0
    leg = plan.leg
    return (
        min(counts) < 1
        or warmup < 0
        or any(time is not None and time <= 0 for time in times)
        or min(leg.seconds, leg.lead_seconds, leg.calls) < 0
    )


def _of_samples(samples: Samples) -> Iterator[str]:
    count = len(samples.sessions)
    legs = [leg for block in samples.blocks for leg in block.legs]
    if not all(0 <= leg.session < count for leg in legs):
        yield "a turn belongs to no session"
    if not all(leg.times_ns and min(leg.times_ns) > 0 for leg in legs):
        yield "a call took no time"
    replicates = {session.replicate for session in samples.sessions}
    strange = {block.replicate for block in samples.blocks} - replicates
    if strange or not all(0 <= number < count for number in replicates):
        yield "a block belongs to no replicate"
