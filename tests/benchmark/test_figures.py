"""Gates on a bench: figures by hand from made-up samples, and a real run against a baseline."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

import pytest

import edgecnn
from edgecnn.benchmark.choice import make_job
from edgecnn.benchmark.engine import Place
from edgecnn.benchmark.estimate import contrast, ratio_interval
from edgecnn.benchmark.figures import figures, judge
from edgecnn.benchmark.plan import make_plan
from edgecnn.benchmark.report import Baseline, BaselinePair, BenchReport, Setup
from edgecnn.benchmark.samples import Block, Leg, Samples, SessionRecord, Warmup
from edgecnn.benchmark.summing import Measured, sum_up
from edgecnn.bundle import GOLDEN
from edgecnn.errors import InputError
from edgecnn.gating import METRICS, Figure, parse_gates
from edgecnn.plain import Request
from edgecnn.stats import Interval

if TYPE_CHECKING:
    from edgecnn.reports import Report
    from tests.conftest import MakeBundle

OLD, NEW = "baseline fp32", "fp32"
PAIRS = ((OLD, NEW),)


def session(variant: str, replicate: int, seconds: float, peak: int) -> SessionRecord:
    return SessionRecord(variant, replicate, seconds, 0, 0, seconds / 10, Warmup(9, True), 1, peak)


def made_up(
    slower: float = 1.1, *, calls: int = 40, replicates: int = 4, wobble: float = 0.001
) -> BenchReport:
    """Calls of 100 µs, the new ones slower; the second session of each a little slower."""
    sessions, blocks = list[SessionRecord](), list[Block]()
    for replicate in range(replicates):
        base = len(sessions)
        for place, name in enumerate((OLD, NEW, NEW, OLD)):
            factor = 1.2 if name == NEW else 1.0
            peak = 110 if name == NEW else 100
            sessions.append(session(name, replicate, factor * (1 + place / 100), peak))
        for _ in range(3):
            legs = []
            for place in (0, 1, 2, 3, 3, 2, 1, 0):
                own = slower if place in (1, 2) else 1.0
                own *= 1 + wobble * (place > 1)
                times = [round(100_000 * own * (1 + k / 1000)) for k in range(calls)]
                legs.append(Leg(base + place, 0.0, times, 0, 0, True))
            blocks.append(Block(replicate, tuple(legs)))
    samples = Samples(tuple(sessions), tuple(blocks))
    setup = Setup("ort", "cpu", 1, {}, 2, "images")
    measured = [Measured(OLD, "fp32", 1000), Measured(NEW, "fp32", 1100)]
    report = sum_up(samples, measured, PAIRS, setup, make_plan(6))
    return replace(report, baseline=Baseline("old", (BaselinePair(OLD, NEW),)))


def figure(report: BenchReport, metric: str, *, relative: bool = False) -> Figure:
    (found,) = (f for f in figures(report) if (f.metric, f.relative) == (metric, relative))
    assert found.variant == NEW
    return found


def close(found: Interval | None, wanted: float, within: float = 1e-3) -> bool:
    assert found is not None
    assert found.low <= found.estimate <= found.high
    return math.isclose(found.estimate, wanted, rel_tol=within)


def test_every_metric_of_bench_has_both_figures() -> None:
    found = [(f.metric, f.relative) for f in figures(made_up())]
    wanted = [name for name, metric in METRICS.items() if metric.command == "bench"]
    assert sorted(found) == sorted((name, relative) for name in wanted for relative in (0, 1))


def test_absolute_figures_by_hand() -> None:
    report = made_up(wobble=0)
    assert close(figure(report, "latency.median").value, 110e-6 * 1.0195)
    assert close(figure(report, "latency.min").value, 110e-6)
    assert close(figure(report, "latency.p90").value, 110e-6 * 1.0351)
    mean = fmean(1 + k / 1000 for k in range(40)) * 110e-6
    assert close(figure(report, "throughput").value, 2 / mean)  # two images in a call
    assert close(figure(report, "cold_start").value, 1.2 * 1.1 * 1.015)
    assert close(figure(report, "first_run").value, 0.12 * 1.015)
    assert figure(report, "memory.peak").value == Interval(110, 110, 110)
    assert figure(report, "size").value == Interval(1100, 1100, 1100)


def test_changes_by_hand() -> None:
    report = made_up()
    for metric in ("latency.median", "latency.p90", "latency.p95", "latency.min"):
        assert close(figure(report, metric, relative=True).value, 0.1, 0.02), metric
    assert close(figure(report, "throughput", relative=True).value, 1 / 1.1 - 1, 0.02)
    assert close(figure(report, "memory.peak", relative=True).value, 0.1)
    assert close(figure(report, "size", relative=True).value, 0.1)
    change = figure(report, "latency.median", relative=True).value
    ratio = ratio_interval(contrast(report.samples, OLD, NEW))
    assert change == Interval(ratio.estimate - 1, ratio.low - 1, ratio.high - 1)


def test_sessions_that_differ_widen_a_change() -> None:
    narrow, wide = (
        figure(made_up(wobble=wobble), "latency.p90", relative=True) for wobble in (0.001, 0.05)
    )
    assert narrow.value is not None
    assert wide.value is not None
    assert wide.value.high - wide.value.low > 10 * (narrow.value.high - narrow.value.low)
    assert wide.floor > 10 * narrow.floor


def test_what_too_few_calls_cannot_tell_is_not_known() -> None:
    report = made_up(calls=40)  # 240 in a session: p99 needs 299
    for relative in (False, True):
        found = figure(report, "latency.p99", relative=relative)
        assert found.value is None
        assert "240 calls in a process are too few" in found.doubt
    assert figure(made_up(calls=60), "latency.p99").value is not None


def test_too_few_processes_tell_no_cold_start() -> None:
    found = figure(made_up(replicates=2), "cold_start")  # 4 processes
    assert found.value is None
    assert "4 processes are too few" in found.doubt


def test_a_run_that_is_not_valid_says_nothing_of_times_but_of_sizes() -> None:
    report = replace(made_up(), valid=False, reasons=("others took the CPU",))
    judged = judge(parse_gates(_gates("> 1us", "> 1kB"), "bench", baseline=True), report)
    outcomes = {result.metric: (result.outcome, result.believed) for result in judged.gates}
    assert outcomes == {"latency.median": ("inconclusive", False), "size": ("fail", True)}
    assert "others took the CPU" in judged.gates[0].reason


def _gates(time: str, size: str) -> Sequence[str]:
    return [f"latency.median {time}", f"size {size}"]


def test_a_variant_without_a_baseline_is_not_passed() -> None:
    report = replace(made_up(), baseline=Baseline("old", ()))
    judged = judge(parse_gates(_gates("> +900%", "> +900%"), "bench", baseline=True), report)
    assert {(one.outcome, one.believed) for one in judged.gates} == {("inconclusive", False)}


def test_a_bundle_against_another(make_bundle: MakeBundle) -> None:
    old, new = make_bundle("old", variants=("fp32",)), make_bundle("new")
    gates = ["fp32: latency.median > +900%", "size > +0%", "int8: size > 1B", "cold_start > 1h"]
    report = edgecnn.bench(
        new, baseline=old.folder, fail_if=gates, threads=1, iterations=60, warmup=3
    )
    assert [row.variant for row in report.variants] == ["baseline fp32", "fp32", "int8"]
    (pair,) = report.comparisons
    assert (pair.first, pair.second) == ("baseline fp32", "fp32")
    assert report.baseline is not None
    assert report.baseline.model == str(old.folder)
    found = [(one.variant, one.metric, one.outcome) for one in report.gates]
    assert found[1:4] == [
        ("fp32", "size", "pass"),
        ("int8", "size", "inconclusive"),
        ("int8", "size", "fail"),
    ]
    assert {name for name, _, _ in found[4:]} == {"fp32", "int8"}
    assert found[0][:2] == ("fp32", "latency.median")
    assert report.gates[0].outcome == ("pass" if report.valid else "inconclusive")


def test_a_change_is_not_known_where_the_baseline_failed() -> None:
    report = made_up()
    rows = [
        replace(row, failure="it crashed") if row.variant == OLD else row for row in report.variants
    ]
    gone = replace(report, variants=tuple(rows), samples=replace(report.samples, blocks=()))
    assert figure(gone, "latency.p90", relative=True).doubt == "the baseline failed"


def test_a_baseline_of_another_size_gets_its_own_images(make_bundle: MakeBundle) -> None:
    old, new = make_bundle("old"), make_bundle("new")
    contract = replace(old.manifest.contract, height=4, width=4)
    files = {name: file for name, file in old.files.items() if name != GOLDEN}
    other = replace(old, manifest=replace(old.manifest, contract=contract, files=files))
    place, request = Place("ort", "cpu", 1, None), Request(None, {})
    alike = make_job(new, (), old, request, None, place, make_plan(1))
    assert alike.images == "8 golden images, in turn in 8 batches of 1"
    job = make_job(new, (), other, request, None, place, make_plan(1))
    own = "8 random images, for the bundle has no golden ones, in turn in 8 batches of 1"
    assert job.images == f"{alike.images}; for the baseline {own}"


def test_files_against_another(make_bundle: MakeBundle) -> None:
    old, new = make_bundle("old").folder, make_bundle("new").folder
    files = [new / "fp32.onnx", new / "int8.onnx"]
    kept: list[Report] = []
    report = edgecnn.bench(
        files, baseline=old / "fp32.onnx", threads=1, iterations=10, warmup=3, keep=kept.append
    )
    names = [row.variant for row in report.variants]
    assert names == ["baseline old/fp32.onnx", "new/fp32.onnx", "new/int8.onnx"]
    assert [(one.first, one.second) for one in report.comparisons] == [
        ("baseline old/fp32.onnx", "new/fp32.onnx"),
        ("baseline old/fp32.onnx", "new/int8.onnx"),
    ]
    assert sorted(kept[-1].measured) == ["baseline old/fp32.onnx", "new/fp32.onnx", "new/int8.onnx"]


def test_what_cannot_be_compared_is_refused(make_bundle: MakeBundle, tmp_path: Path) -> None:
    fp32, int8 = make_bundle("a", variants=("fp32",)), make_bundle("b", variants=("int8",))
    with pytest.raises(InputError, match="has none of the variants fp32; it has int8"):
        edgecnn.bench(fp32, baseline=int8)
    with pytest.raises(InputError, match="is a bundle and"):
        edgecnn.bench(fp32, baseline=fp32.folder / "fp32.onnx")
    with pytest.raises(InputError, match="is an ONNX file and"):
        edgecnn.bench([fp32.folder / "fp32.onnx"], baseline=int8)
    with pytest.raises(InputError, match="none is named"):
        edgecnn.bench(tmp_path, fail_if=["size > +3%"])
    with pytest.raises(InputError, match="for 'int8', which is not measured"):
        edgecnn.bench(fp32, fail_if=["int8: size > 3kB"])
