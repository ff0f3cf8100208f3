"""The report, from samples that are made up."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from edgecnn.benchmark.doubts import find_doubts
from edgecnn.benchmark.plan import make_plan
from edgecnn.benchmark.report import BenchReport, Setup
from edgecnn.benchmark.samples import Block, Checks, Failure, Leg, Samples, SessionRecord, Warmup
from edgecnn.benchmark.summing import Measured, contrasts, latency, sum_up
from edgecnn.records import from_builtins, to_builtins

SETUP = Setup("ort", "cpu", 1, {"onnxruntime": "1"}, 4, "images")
FP32, INT8 = Measured("fp32", "fp32", 1000), Measured("int8", "int8", 300)
PAIR = [("fp32", "int8")]


def session(variant: str = "fp32", *, replicate: int = 0, seconds: float = 1.0) -> SessionRecord:
    warm = Warmup(100, True)
    parts = (seconds, 2 * seconds, 3 * seconds, 4 * seconds)
    return SessionRecord(variant, replicate, *parts, warm, 10_000_000, 12_000_000, 1.5)


def leg(number: int, *times: int, idle: bool = True) -> Leg:
    return Leg(number, 0.0, list(times), cpu_ns=2 * sum(times), settle_cpu_ns=500, idle=idle)


def run(*rows: tuple[int, int], times: tuple[int, int] = (100, 50), idle: bool = True) -> Samples:
    """Make a run of fp32 and int8: for each replicate, its blocks and one fp32 session's excess."""
    sessions, blocks = list[SessionRecord](), list[Block]()
    for replicate, (count, excess) in enumerate(rows):
        at = len(sessions)
        sessions += [session(name, replicate=replicate) for name in ("fp32", "int8") * 2]
        fp32, int8 = times
        row = (leg(at, fp32, idle=idle), leg(at + 1, int8), leg(at + 3, int8))
        there = (*row, leg(at + 2, fp32 + excess))
        blocks += [Block(replicate, (*there, *reversed(there)))] * count
    return Samples(tuple(sessions), tuple(blocks))


QUIET = run((3, 0), (3, 0))


def calls(count: int) -> Samples:
    return Samples((session(),), (Block(0, (leg(0, *range(1, count + 1)),)),))


def why(samples: Samples, *, interrupted: bool = False) -> list[str]:
    found = contrasts(samples, ["fp32", "int8"], PAIR)
    return [doubt.what for doubt in find_doubts(samples, found, (), interrupted=interrupted)]


@pytest.mark.parametrize(
    ("field", "needed"),
    [("p90_seconds", 29), ("p95_seconds", 59), ("p99_seconds", 299), ("p999_seconds", 2995)],
)
def test_a_percentile_needs_enough_calls(field: str, needed: int) -> None:
    assert getattr(latency(FP32, calls(needed - 1), 1), field) is None
    assert getattr(latency(FP32, calls(needed), 1), field) > 0


def test_the_figures_of_a_row() -> None:
    samples = Samples(
        sessions=(session(seconds=1), session(seconds=5), session(seconds=2), session("int8")),
        blocks=(
            Block(0, (leg(0, 100), leg(1, 300), leg(1, 300), leg(0, 100))),
            Block(0, (leg(2, 200), leg(3, 7), leg(3, 7), leg(2, 200))),
        ),
        checks=(Checks("fp32", [50, 70, 60], [20, 10, 30]),),
    )
    row = latency(FP32, samples, 4)
    assert row.calls == 6
    assert row.median_seconds == pytest.approx(200e-9)
    assert row.minimum_seconds == pytest.approx(100e-9)
    assert row.images_per_second == pytest.approx(4 * 6 / 1200e-9)
    assert row.checks_seconds == pytest.approx(40e-9)
    assert row.cpu_seconds == pytest.approx(400e-9)
    assert row.spin_seconds == pytest.approx(500e-9)
    assert (row.resident_bytes, row.peak_bytes, row.size_bytes) == (10_000_000, 12_000_000, 1000)
    assert row.cold_start is not None
    assert row.cold_start.load_seconds == 6
    assert row.cold_start.total_seconds == 20
    assert row.cold_start.processes == 3
    assert set(row.intervals) == {"median"}
    middle = row.intervals["median"]
    assert middle.estimate == pytest.approx((100 * 300 * 200) ** (1 / 3) * 1e-9)
    assert middle.low < middle.estimate < middle.high


def test_nothing_measured_is_no_figure() -> None:
    row = latency(FP32, Samples(failures=(Failure("fp32", "It crashed.", ""),)), 1)
    assert row.failure == "It crashed."
    assert row.cold_start is None
    assert row.intervals == {}
    assert {row.median_seconds, row.minimum_seconds, row.images_per_second} == {None}
    assert {row.cpu_seconds, row.spin_seconds} == {None}


def test_a_quiet_run_is_valid_and_has_a_winner() -> None:
    report = sum_up(QUIET, [FP32, INT8], PAIR, SETUP, make_plan())
    assert report.valid, report.reasons
    assert report.noise_floor == pytest.approx(0)
    (compared,) = report.comparisons
    assert compared.ratio == pytest.approx(0.5)
    assert compared.outcome == "faster"
    assert (compared.blocks, compared.replicates) == (6, 2)


def test_any_two_can_be_compared() -> None:
    report = sum_up(QUIET, [FP32, INT8], [("int8", "fp32")], SETUP, make_plan())
    assert report.comparisons[0].ratio == pytest.approx(2)
    assert sum_up(QUIET, [FP32, INT8], [], SETUP, make_plan()).comparisons == ()


def test_one_variant_alone_has_a_noise_floor() -> None:
    report = sum_up(run((3, 10), (3, 0)), [FP32], [], SETUP, make_plan())
    # Halves of the two log ratios: log(1.1) / 2 and 0; Student's t of 2 is 4.3027.
    half = math.log(1.1) / 2
    assert report.noise_floor == pytest.approx(math.expm1(4.3026527 * half / math.sqrt(2)))


def test_a_half_measured_block_is_not_compared() -> None:
    half = Block(1, (leg(4, 100), leg(5, 1), leg(7, 1)))
    samples = replace(QUIET, blocks=(*QUIET.blocks, half))
    report = sum_up(samples, [FP32, INT8], PAIR, SETUP, make_plan())
    assert report.comparisons[0].blocks == 6
    assert min(report.samples.times_ns("int8")) == 1


def test_without_the_first_variant_nothing_is_compared() -> None:
    only = tuple(
        Block(block.replicate, tuple(leg for leg in block.legs if leg.session % 2))
        for block in QUIET.blocks
    )
    samples = replace(QUIET, blocks=only, failures=(Failure("fp32", "It crashed.", ""),))
    report = sum_up(samples, [FP32, INT8], PAIR, SETUP, make_plan())
    assert report.comparisons == ()
    assert report.noise_floor is None
    assert report.variants[1].median_seconds == pytest.approx(50e-9)
    assert not report.valid


@pytest.mark.parametrize(
    ("samples", "says"),
    [
        (run((2, 0), (2, 0)), "fewer than 5 blocks"),
        (run((6, 0)), "fewer than 2 replicates"),
        (Samples(), "fewer than 5 blocks"),
        (run((3, 30), (3, 0)), "the noise floor is "),
        (Samples(failures=(Failure("int8", "x", ""),)), "int8 failed"),
        (
            Samples((SessionRecord("a", 0, 1, 1, 1, 1, Warmup(9, False)),)),
            "a was not steady",
        ),
        (run((3, 0), (3, 0), idle=False), "kept using the CPU"),
    ],
)
def test_what_makes_a_run_not_valid(samples: Samples, says: str) -> None:
    assert any(says in reason for reason in why(samples))


def test_nothing_else_makes_a_run_not_valid() -> None:
    assert why(QUIET) == []
    assert why(QUIET, interrupted=True) == ["it was interrupted"]


def test_a_report_of_the_first_version_still_reads() -> None:
    report = sum_up(QUIET, [FP32, INT8], PAIR, SETUP, make_plan())
    old = to_builtins(report)
    one = {**old["samples"]["sessions"][0], "repeat": False}
    other, int8 = {**one, "repeat": True}, {**one, "variant": "int8", "repeat": False}
    block = {"replicate": 0, "first_ns": [[1], [4]], "second_ns": [[2], [3]], "idle": True}
    old["samples"]["sessions"] = [one, other, int8]
    old["samples"]["blocks"] = [
        {**block, "first": "fp32", "second": "fp32"},
        {**block, "first": "fp32", "second": "int8"},
    ]
    new = from_builtins(BenchReport, BenchReport.upgrade(old, 1), where="it")
    legs = [[(leg.session, leg.times_ns) for leg in block.legs] for block in new.samples.blocks]
    assert legs[0] == [(0, [1]), (1, [2]), (1, [3]), (0, [4])]
    assert legs[1] == [(0, [1]), (2, [2]), (2, [3]), (0, [4])]
    assert new.comparisons == report.comparisons
