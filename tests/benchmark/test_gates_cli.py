"""`edgecnn bench` with a baseline and gates, as it is typed."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from edgecnn.benchmark import BenchReport
from edgecnn.benchmark.samples import Failure
from edgecnn.cli._bench_gates import bench_code
from edgecnn.gating import Figure, check, parse_gate
from edgecnn.reporting.markdown import bench_summary
from edgecnn.reports import Report, make_report, read_body, read_report
from edgecnn.stats import Interval
from tests.benchmark.test_figures import made_up

if TYPE_CHECKING:
    from tests.conftest import MakeBundle, TypeCommand

QUICK = ("--threads", 1, "--iterations", 60, "--warmup", 3)


def test_gates_decide_the_exit_code(
    make_bundle: MakeBundle, type_command: TypeCommand, tmp_path: Path
) -> None:
    old, new = make_bundle("old").folder, make_bundle("new").folder
    summary, output = tmp_path / "summary.md", tmp_path / "bench.json"
    words = ["bench", new, "--variant", "fp32", "--baseline", old, *QUICK]
    words += ["--markdown", summary, "--output", output]
    failed = type_command(*words, "--fail-if", "size > 1B", "--fail-if", "latency.p90 > 1h")
    assert failed.code == 1, failed
    assert "baseline fp32" in failed.out
    assert "\n  fail " in failed.out
    assert "fp32: size is " in failed.out
    assert summary.read_text().startswith("### edgecnn bench: FAILED\n")
    report = read_report(output)
    body = read_body(report, BenchReport)
    assert body.gates[0].outcome == "fail"
    assert set(report.measured) == {"fp32.onnx", "baseline fp32.onnx"}


def test_what_cannot_be_written_is_found_before_measuring(
    make_bundle: MakeBundle, type_command: TypeCommand, tmp_path: Path
) -> None:
    folder = make_bundle().folder
    (tmp_path / "file").write_text("in the way")
    began = time.perf_counter()
    for option in ("--output", "--markdown"):
        done = type_command("bench", folder, "--duration", 60, option, tmp_path / "file" / "x")
        assert (done.code, done.out) == (2, "")
        assert "could not be written" in done.err
    assert time.perf_counter() - began < 30
    assert not (folder / "reports").exists()
    assert (tmp_path / "file").read_text() == "in the way"


def test_a_gate_that_cannot_be_read_costs_no_time(
    make_bundle: MakeBundle, type_command: TypeCommand
) -> None:
    folder = make_bundle().folder
    for words, said in (
        (["--fail-if", "latency > 5ms"], "\n  latency > 5ms\n  ^\n"),
        (["--fail-if", "latency.p90 > +3%"], "--baseline"),
        (["--inconclusive", "pass"], "--fail-if"),
        (["--fail-if", "accuracy < 0.9"], "measured by `edgecnn eval`"),
    ):
        done = type_command("bench", folder, "--duration", 60, *words)
        assert (done.code, done.out) == (2, "")
        assert said in done.err


@pytest.mark.parametrize(
    ("ends", "valid", "codes"),
    [
        ((0.001, 0.002), True, (0, 0, 0)),
        ((0.006, 0.007), True, (1, 1, 1)),
        ((0.004, 0.006), True, (5, 0, 1)),
        ((0.001, 0.002), False, (5, 5, 1)),
        ((0.006, 0.007), False, (5, 5, 1)),
    ],
)
def test_what_is_not_valid_never_passes(
    ends: tuple[float, float], valid: bool, codes: tuple[int, ...]
) -> None:
    report = judged(ends, valid=valid)
    assert tuple(bench_code(report, choice) for choice in (None, "pass", "fail")) == codes


def judged(ends: tuple[float, float], *, valid: bool) -> BenchReport:
    doubt = "" if valid else "the run is not valid: others took the CPU"
    figure = Figure("latency.p90", "fp32", Interval(sum(ends) / 2, *ends), doubt=doubt)
    gates = check([parse_gate("latency.p90 > 5ms", "bench")], [figure])
    reasons = () if valid else ("others took the CPU",)
    return replace(made_up(), valid=valid, reasons=reasons, gates=gates)


def test_a_size_in_a_run_that_is_not_valid() -> None:
    figure = Figure("size", "fp32", Interval(1, 1, 1))
    for gate, code, word in (("size > 5B", 5, "not valid"), ("size >= 1B", 1, "FAILED")):
        gates = check([parse_gate(gate, "bench")], [figure])
        report = replace(made_up(), valid=False, reasons=("noise",), gates=gates)
        assert bench_code(report, "pass") == code
        summary = bench_summary(wrapped(report), report)
        assert summary.startswith(f"### edgecnn bench: {word}\n")


def test_interruptions_and_crashes_go_first() -> None:
    report = judged((0.006, 0.007), valid=True)
    crashed = replace(report.samples, failures=(Failure("fp32", "It crashed.", ""),))
    assert bench_code(replace(report, samples=crashed), None) == 4
    assert bench_code(replace(report, interrupted=True), None) == 130


def test_a_summary_says_what_is_doubtful() -> None:
    body = judged((0.004, 0.006), valid=False)
    text = bench_summary(wrapped(body), body)
    assert "### edgecnn bench: inconclusive" in text
    assert "**Not valid:** others took the CPU." in text
    assert "| fp32 against baseline fp32 | +10.0 % |" in text


def wrapped(body: BenchReport) -> Report:
    report = make_report("bench", body, {"fp32.onnx": "0" * 64})
    assert json.dumps(report.body)
    return report
