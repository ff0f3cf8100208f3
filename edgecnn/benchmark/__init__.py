"""Measuring: latency, memory and cold start of variants, and how they compare."""

from edgecnn.benchmark.estimate import LatencyComparison
from edgecnn.benchmark.measure import Interrupted, bench, compare_latency
from edgecnn.benchmark.replay import replay
from edgecnn.benchmark.report import BenchReport

__all__ = ["BenchReport", "Interrupted", "LatencyComparison", "bench", "compare_latency", "replay"]
