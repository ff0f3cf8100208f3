"""Caches, bandwidth, times and roofs: the parts that need no runtime."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from edgecnn.profiling.bandwidth import memory_peaks
from edgecnn.profiling.caches import Cache, read_caches
from edgecnn.profiling.report import Peak, Peaks
from edgecnn.profiling.roofline import place_operators, profile_cost
from edgecnn.profiling.timing import quiet, quiet_median
from edgecnn.profiling.work import Graph, Work
from edgecnn.spec import OperatorRun, TensorSpec

PEAKS = Peaks(
    threads=1,
    runtime="ort 1",
    cpu="a processor",
    measured="2026-01-01",
    cached=False,
    arithmetic=(Peak("fp32", 1e11, 0.0, ""), Peak("int8", 4e11, 0.0, "")),
    memory=(
        Peak("L2", 1e11, 0.0, "", 1_000_000),
        Peak("L3", 5e10, 0.0, "", 10_000_000),
        Peak("DRAM", 1e10, 0.0, ""),
    ),
    dispatch_seconds=0.3e-6,
    call_seconds=5e-6,
    clock_seconds=2e-6,
)


def write_cache(folder: Path, number: int, **facts: str) -> None:
    index = folder / f"index{number}"
    index.mkdir(parents=True)
    for name, text in facts.items():
        (index / name).write_text(f"{text}\n")


def test_caches_are_read_as_linux_writes_them(tmp_path: Path) -> None:
    write_cache(tmp_path, 0, level="1", type="Data", size="32K", shared_cpu_list="0,8")
    write_cache(tmp_path, 1, level="1", type="Instruction", size="64K", shared_cpu_list="0,8")
    write_cache(tmp_path, 2, level="2", type="Unified", size="1M", shared_cpu_list="0,8")
    write_cache(tmp_path, 3, level="3", type="Unified", size="32768K", shared_cpu_list="0-7,8-15")
    write_cache(tmp_path, 4, level="4", type="Unified", size="", shared_cpu_list="0")
    found = read_caches(tmp_path)
    assert found == (Cache(1, 32 << 10, 2), Cache(2, 1 << 20, 2), Cache(3, 32 << 20, 16))
    assert read_caches(tmp_path / "none") == ()


def test_threads_have_as_many_caches_as_they_spread_over() -> None:
    assert Cache(2, 100, 2).room(1) == 100
    assert Cache(2, 100, 2).room(3) == 200
    assert Cache(3, 100, 16).room(3) == 100


def test_every_level_from_the_second_on_is_measured() -> None:
    caches = (Cache(1, 32 << 10, 1), Cache(2, 256 << 10, 1))
    nearer, dram = memory_peaks(2, caches)
    assert (nearer.what, nearer.bytes) == ("L2", 512 << 10)
    assert (dram.what, dram.bytes) == ("DRAM", 0)
    assert all(peak.rate > 1e8 and 0 <= peak.spread < 1 for peak in (nearer, dram))


def test_an_unknown_cache_is_not_invented() -> None:
    assert [peak.what for peak in memory_peaks(1, ())] == ["DRAM"]


def run_of(times_ns: list[int], finer_ns: list[int] | None = None) -> OperatorRun:
    made = (TensorSpec("y", "float32", (1, 4)),)
    return OperatorRun("op", "Conv", (), (), made, times_ns, finer_ns or [])


def work(seconds: float, operations: int = 0, activations: int = 0, weights: int = 0) -> Work:
    return Work(
        run=run_of([5], [round(seconds * 1e9)] * 4),
        layers=(),
        role="compute",
        macs=operations // 2,
        operations=operations,
        arithmetic="fp32" if operations else "",
        bytes_in=activations,
        bytes_weights=weights,
        bytes_out=0,
    )


GRAPH = Graph((), (), {}, None)  # type: ignore[arg-type]


def placed(*works: Work) -> list[tuple[str, float, str]]:
    found = place_operators(works, GRAPH, PEAKS, 1e-3)
    return [(each.bound, round(each.reached, 3), each.memory) for each in found]


def test_the_largest_of_three_times_bounds_an_operator() -> None:
    assert placed(work(20e-6, operations=1_000_000)) == [("arithmetic", 0.5, "L2")]
    assert placed(work(10e-6, activations=500_000)) == [("memory", 0.5, "L2")]
    assert placed(work(0.6e-6)) == [("dispatch", 0.5, "L2")]


def test_what_no_roof_explains_is_bound_by_the_code() -> None:
    assert placed(work(100e-6, operations=1_000_000)) == [("code", 0.1, "L2")]
    assert placed(work(0.0)) == [("dispatch", 1.0, "L2")]


def test_bytes_move_at_the_speed_of_the_memory_that_holds_them() -> None:
    assert placed(work(100e-6, activations=5_000_000)) == [("memory", 1.0, "L3")]
    assert placed(work(1e-2, activations=50_000_000)) == [("memory", 0.5, "DRAM")]


def test_weights_come_from_the_memory_that_holds_those_of_the_whole_model() -> None:
    small = work(20e-6, weights=500_000)
    assert placed(small) == [("memory", 0.25, "L2")]
    large = work(1e-2, weights=50_000_000)
    assert placed(small, large)[0] == ("memory", 1.0, "DRAM")


def test_shares_are_of_the_whole_run_and_of_the_peak() -> None:
    (found,) = place_operators([work(100e-6, operations=5_000_000)], GRAPH, PEAKS, 200e-6)
    assert found.share == pytest.approx(0.5)
    assert found.peak_share == pytest.approx(0.5)
    assert [found.low, found.high] == pytest.approx([100e-6, 100e-6])


def profiled(times_us: list[int]) -> Work:
    return replace(work(0), run=run_of([1_000 * each for each in times_us]))


def test_what_the_profile_adds_makes_the_times_sum_to_a_run() -> None:
    works = [profiled([13] * 4), profiled([23] * 4)]
    assert profile_cost(works, PEAKS, 35e-6) == pytest.approx(3e-6)
    found = place_operators(works, GRAPH, PEAKS, 35e-6)
    assert [round(each.seconds * 1e6) for each in found] == [10, 20]


def test_what_the_profile_adds_stays_within_reason() -> None:
    works = [profiled([13] * 4), profiled([23] * 4)]
    assert profile_cost(works, PEAKS, 60e-6) == pytest.approx(2e-6)
    assert profile_cost(works, PEAKS, 10e-6) == pytest.approx(6e-6)
    assert profile_cost([work(1e-6)], PEAKS, 1e-6) == 0


def test_only_the_quicker_half_of_the_runs_counts() -> None:
    whole = [10, 90, 20, 80]
    (kept,) = quiet([run_of([1, 2, 3, 4], [7])], whole)
    assert kept.times_ns == [1, 3]
    assert kept.finer_ns == [7]
    assert quiet_median(whole) == 15
