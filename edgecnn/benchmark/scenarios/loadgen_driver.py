"""Runs LoadGen in front of a session, in the process that holds it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from edgecnn.benchmark.scenarios.loadgen_log import LoadGenLog, read_log
from edgecnn.benchmark.scenarios.wanted import LoadGenName, LoadGenTest

_FEWEST_QUERIES = 100  # LoadGen's default; fewer where they do not fit
_MULTI_STREAM_SAMPLES = 8  # LoadGen's default
_SHARE_OF_RATE = 0.5
_BOUND_OF_CALLS = 10
# LoadGen draws its queries beforehand; with fewer than it needs, the run ends early.
_SPARE_QUERIES = 2.0
_LONGER_SECONDS = 1.0

Call = Callable[[], object]


@dataclass(frozen=True)
class LoadGenSettings:
    """How LoadGen asks.

    Attributes:
        scenario: `single-stream`, `multi-stream`, `offline` or `server`.
        seconds: How long at least.
        steady_seconds: What a call takes in the steady state, about.
        rate: Samples in a second, in Server; None elsewhere.
        bound_seconds: When an answer comes too late, in Server; None elsewhere.
        fewest_queries: How many queries at least.
    """

    scenario: LoadGenName
    seconds: float
    steady_seconds: float
    rate: float | None = None
    bound_seconds: float | None = None
    fewest_queries: int = 1


def make_settings(
    test: LoadGenTest, steady: float, deadline: float | None, seconds: float
) -> LoadGenSettings:
    """Decide how LoadGen asks a session whose steady call takes so long."""
    rate = bound = None
    each = steady
    if test.scenario == "multi-stream":
        each *= _MULTI_STREAM_SAMPLES
    elif test.scenario == "server":
        rate = test.rate or _SHARE_OF_RATE / steady
        bound = deadline or _BOUND_OF_CALLS * steady
        each = 1 / rate
    fewest = 1 if test.scenario == "offline" else max(1, int(seconds / each))
    fewest = min(_FEWEST_QUERIES, fewest)
    return LoadGenSettings(test.scenario, seconds, steady, rate, bound, fewest)


def drive(
    settings: LoadGenSettings, calls: Sequence[Call], replicate: int
) -> tuple[list[int], LoadGenLog]:
    """Run LoadGen once.

    Args:
        settings: How it asks.
        calls: What answers a sample, by the sample's number.
        replicate: Seeds the order of samples and when queries come.

    Returns:
        The time of each call, in nanoseconds, and what LoadGen's log says.

    Raises:
        Exception: What a call raised.
    """
    import mlperf_loadgen

    times, errors = list[int](), list[Exception]()
    answer = _answering(mlperf_loadgen, calls, times, errors)
    system = mlperf_loadgen.ConstructSUT(answer, nothing)
    samples = mlperf_loadgen.ConstructQSL(len(calls), len(calls), _loaded, _loaded)
    with TemporaryDirectory() as folder:
        asks = _settings(mlperf_loadgen, settings, replicate)
        logs = _logs(mlperf_loadgen, folder)
        # Unless another is named, an audit.config in the working folder changes the settings.
        audit = str(Path(folder) / "audit.config")
        mlperf_loadgen.StartTestWithLogSettings(system, samples, asks, logs, audit)
        mlperf_loadgen.DestroyQSL(samples)
        mlperf_loadgen.DestroySUT(system)
        if errors:
            raise errors[0]
        return times, read_log(Path(folder) / "mlperf_log_detail.txt")


def _answering(
    loadgen: Any, calls: Sequence[Call], times: list[int], errors: list[Exception]
) -> Callable[[Sequence[Any]], None]:
    clock = time.perf_counter_ns
    complete, response = loadgen.QuerySamplesComplete, loadgen.QuerySampleResponse

    def answer(query: Sequence[Any]) -> None:
        for sample in query:
            call = nothing if errors else calls[sample.index]
            start = clock()
            # An error that came out of here would bring the process down.
            try:
                call()
            except Exception as error:
                errors.append(error)
            end = clock()
            complete([response(sample.id, 0, 0)])
            times.append(end - start)

    return answer


def _settings(loadgen: Any, settings: LoadGenSettings, replicate: int) -> Any:
    asks = loadgen.TestSettings()
    name = settings.scenario.title().replace("-", "")
    asks.scenario = getattr(loadgen.TestScenario, name)
    asks.mode = loadgen.TestMode.PerformanceOnly
    asks.min_duration_ms = round(settings.seconds * 1e3)
    # Where the rate is far too high, the answers would go on coming long after the last query.
    if settings.scenario == "server":
        asks.max_duration_ms = round((2 * settings.seconds + _LONGER_SECONDS) * 1e3)
    asks.min_query_count = settings.fewest_queries
    asks.sample_index_rng_seed = asks.schedule_rng_seed = replicate
    expected = settings.steady_seconds * 1e9 / _SPARE_QUERIES
    asks.single_stream_expected_latency_ns = max(1, round(expected))
    asks.multi_stream_samples_per_query = _MULTI_STREAM_SAMPLES
    asks.multi_stream_expected_latency_ns = max(1, round(expected * _MULTI_STREAM_SAMPLES))
    asks.offline_expected_qps = 1 / settings.steady_seconds  # LoadGen asks for a tenth more
    if settings.rate and settings.bound_seconds:
        asks.server_target_qps = settings.rate
        asks.server_target_latency_ns = max(1, round(settings.bound_seconds * 1e9))
    return asks


def _logs(loadgen: Any, folder: str) -> Any:
    logs = loadgen.LogSettings()
    logs.enable_trace = False
    logs.log_output.outdir = folder
    logs.log_output.copy_summary_to_stdout = False
    return logs


def nothing() -> None:
    """Answer a sample with nothing."""


def _loaded(samples: Sequence[int]) -> None:
    """Load or unload samples: they are in memory from the start."""
