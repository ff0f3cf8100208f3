"""The report, from samples that are made up."""

from __future__ import annotations

import pytest

from edgecnn.benchmark.plan import make_plan
from edgecnn.benchmark.report import Measured, Setup, doubts, latency, sum_up
from edgecnn.benchmark.samples import Block, Checks, Failure, Samples, SessionRecord, Warmup

SETUP = Setup("ort", "cpu", 1, {"onnxruntime": "1"}, 4, "images")
FP32 = Measured("fp32", "fp32", 1000)


def session(variant: str = "fp32", *, replicate: int = 0, seconds: float = 1.0) -> SessionRecord:
    warm = Warmup(100, True)
    parts = (seconds, 2 * seconds, 3 * seconds, 4 * seconds)
    return SessionRecord(variant, False, replicate, *parts, warm, 10_000_000, 12_000_000, 1.5)


def block(first: int, second: int, other: str = "fp32", replicate: int = 0) -> Block:
    return Block(replicate, "fp32", other, ([first],) * 2, ([second],) * 2, idle=True)


def quiet(other: str = "int8", time: int = 50) -> tuple[Block, ...]:
    null = [block(100, 100, replicate=n // 3) for n in range(6)]
    return (*null, *(block(100, time, other, n // 3) for n in range(6)))


def blocks_of(calls: int) -> Samples:
    return Samples(blocks=(Block(0, "fp32", "fp32", (list(range(1, calls + 1)),), (), True),))


@pytest.mark.parametrize(
    ("field", "needed"),
    [("p90_seconds", 29), ("p95_seconds", 59), ("p99_seconds", 299), ("p999_seconds", 2995)],
)
def test_a_percentile_needs_enough_calls(field: str, needed: int) -> None:
    assert getattr(latency(FP32, blocks_of(needed - 1), 1), field) is None
    assert getattr(latency(FP32, blocks_of(needed), 1), field) > 0


def test_the_figures_of_a_row() -> None:
    samples = Samples(
        sessions=(session(seconds=1), session(seconds=5), session(seconds=2)),
        blocks=(block(100, 300), block(200, 300, "int8")),
        checks=(Checks("fp32", [50, 70, 60], [20, 10, 30]),),
    )
    row = latency(FP32, samples, 4)
    assert row.calls == 6
    assert row.median_seconds == pytest.approx(200e-9)
    assert row.minimum_seconds == pytest.approx(100e-9)
    assert row.images_per_second == pytest.approx(4 * 6 / 1200e-9)
    assert row.checks_seconds == pytest.approx(40e-9)
    assert (row.resident_bytes, row.peak_bytes, row.size_bytes) == (10_000_000, 12_000_000, 1000)
    assert row.cold_start is not None
    assert row.cold_start.load_seconds == 6
    assert row.cold_start.total_seconds == 20
    assert row.cold_start.processes == 3


def test_nothing_measured_is_no_figure() -> None:
    row = latency(FP32, Samples(failures=(Failure("fp32", "It crashed.", ""),)), 1)
    assert row.failure == "It crashed."
    assert row.cold_start is None
    assert {row.median_seconds, row.minimum_seconds, row.images_per_second} == {None}


def test_a_quiet_run_is_valid_and_has_a_winner() -> None:
    measured = [FP32, Measured("int8", "int8", 300)]
    report = sum_up(Samples((session(),), quiet()), measured, SETUP, make_plan())
    assert report.valid, report.reasons
    assert report.noise_floor == pytest.approx(0)
    (compared,) = report.comparisons
    assert compared.ratio == pytest.approx(0.5)
    assert compared.outcome == "faster"


def test_a_half_measured_block_is_not_compared() -> None:
    half = Block(0, "fp32", "int8", ([100],), ([1], [1]), idle=True)
    report = sum_up(
        Samples((session(),), (*quiet(), half)),
        [FP32, Measured("int8", "int8", 300)],
        SETUP,
        make_plan(),
    )
    assert report.comparisons[0].blocks == 6
    assert min(report.samples.times_ns("int8")) == 1


def test_without_the_first_variant_nothing_is_compared() -> None:
    alone = tuple(Block(0, "fp32", "int8", (), ([50], [50]), idle=True) for _ in range(6))
    samples = Samples((session("int8"),), alone, (), (Failure("fp32", "It crashed.", ""),))
    report = sum_up(samples, [FP32, Measured("int8", "int8", 300)], SETUP, make_plan())
    assert report.comparisons == ()
    assert report.noise_floor is None
    assert report.variants[1].median_seconds == pytest.approx(50e-9)
    assert not report.valid


@pytest.mark.parametrize(
    ("samples", "interrupted", "says"),
    [
        (Samples((session(),), quiet()), True, "it was interrupted"),
        (Samples((session(),), quiet()[:4]), False, "fewer than 5 blocks"),
        (Samples((session(),), quiet()[:3]), False, "fewer than 2 replicates"),
        (Samples(), False, "fewer than 5 blocks"),
        (Samples((session(),), (*quiet(), block(100, 120, replicate=9))), False, "floor is 20 %"),
        (Samples(failures=(Failure("int8", "x", ""),)), False, "int8 failed"),
        (
            Samples((SessionRecord("a", False, 0, 1, 1, 1, 1, Warmup(9, False)),)),
            False,
            "a was not steady",
        ),
        (
            Samples((), (Block(0, "fp32", "fp32", ([1],), ([1],), idle=False),)),
            False,
            "kept using the CPU",
        ),
    ],
)
def test_what_makes_a_run_not_valid(samples: Samples, interrupted: bool, says: str) -> None:
    assert any(says in reason for reason in doubts(samples, "fp32", interrupted=interrupted))


def test_nothing_else_makes_a_run_not_valid() -> None:
    assert doubts(Samples((session(),), quiet()), "fp32", interrupted=False) == []
