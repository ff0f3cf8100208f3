"""What a gate can be set on: the name, what it measures, and which way is worse."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edgecnn.units import Kind

Command = Literal["bench", "eval"]
Worse = Literal["more", "less"]


@dataclass(frozen=True)
class Metric:
    """One figure that a gate can be set on.

    Attributes:
        name: As it is typed.
        command: Which command measures it.
        kind: What a limit is measured in.
        worse: Which way is worse.
        meaning: What it is, in a few words.
        example: A limit, as it is typed.
        change: What a change against the baseline is measured in; None where it is one itself.
        change_example: A limit of such a change, as it is typed.
    """

    name: str
    command: Command
    kind: Kind
    worse: Worse
    meaning: str
    example: str
    change: Kind | None = "share"
    change_example: str = "+3%"

    @property
    def example_gate(self) -> str:
        """A whole gate."""
        return f"{self.name} {'>' if self.worse == 'more' else '<'} {self.example}"


def _latency(name: str, meaning: str) -> Metric:
    return Metric(f"latency.{name}", "bench", "time", "more", meaning, "5ms")


_ALL = (
    _latency("median", "median of the steady calls"),
    _latency("p90", "90th percentile of them"),
    _latency("p95", "95th percentile"),
    _latency("p99", "99th percentile"),
    _latency("min", "the quickest call"),
    Metric("cold_start", "bench", "time", "more", "fresh process to first answer", "2s"),
    Metric("first_run", "bench", "time", "more", "first run of a session", "20ms"),
    Metric("throughput", "bench", "rate", "less", "images in a second", "1000/s", "share", "-3%"),
    Metric("memory.peak", "bench", "size", "more", "most memory of the process", "150MB"),
    Metric("size", "bench", "size", "more", "the variant's files", "200kB"),
    Metric("accuracy", "eval", "number", "less", "share recognised", "0.85", "points", "-0.5pp"),
    Metric("agreement", "eval", "number", "less", "same answers as the baseline", "0.99", None),
)
METRICS = {metric.name: metric for metric in _ALL}
