"""What the benchmarks of engines keep of a run: every turn, the machine's peaks, the plan."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

from lanes import tell

from edgecnn.benchmark.plan import make_plan
from edgecnn.benchmark.samples import Samples
from edgecnn.bundle import Bundle
from edgecnn.inspection import inspect
from edgecnn.profiling.peaks import measure_peaks
from edgecnn.profiling.report import Peaks


@dataclass(frozen=True)
class Turn:
    """One turn of one process; times in nanoseconds.

    Attributes:
        lane: The runtime with its settings, the variant and the threads.
        replicate: Counted from 0.
        process: Its place among all.
        at_seconds: When it began, since the run did.
        calls: Timed calls.
        median_ns: Median.
        minimum_ns: Fastest.
        cpu_ns: CPU time of all threads during these calls.
    """

    lane: str
    replicate: int
    process: int
    at_seconds: float
    calls: int
    median_ns: float
    minimum_ns: int
    cpu_ns: int


def plan(options: argparse.Namespace) -> Any:
    return replace(make_plan(options.seconds), replicates=options.replicates)


def peaks(threads: int) -> Peaks:
    tell(f"measuring what this machine can do on {threads} threads", 0)
    return measure_peaks("ort", "cpu", threads, {}, {})


def multiply_accumulates(bundle: Bundle) -> int | None:
    (found,) = inspect(bundle, ["fp32"]).variants
    return found.graph.macs if found.graph else None


def turns(samples: Samples) -> Iterator[Turn]:
    for block in samples.blocks:
        for leg in block.legs:
            times, lane = leg.times_ns, samples.sessions[leg.session].variant
            figures = (len(times), median(times), min(times), leg.cpu_ns)
            yield Turn(lane, block.replicate, leg.session, leg.at_seconds, *figures)
