"""`edgecnn bench` as it is typed, with ONNX Runtime."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgecnn.benchmark import BenchReport, bench
from edgecnn.bundle import Bundle
from edgecnn.cli import main
from edgecnn.cli._bench_show import print_bench
from edgecnn.errors import UnavailableError
from edgecnn.records import from_builtins
from edgecnn.reports import read_report
from edgecnn.runtime import check_available

TROUBLED = str(Path(__file__).parents[1] / "runtimes" / "troubled")
QUICK = ["--threads", "1", "--duration", "0.5"]
MakeBundle = Callable[..., Bundle]
Capture = pytest.CaptureFixture[str]


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as stop:
        main(["bench", *arguments])
    return int(stop.value.code or 0)


def test_it_prints_tables_and_keeps_a_report(make_bundle: MakeBundle, capsys: Capture) -> None:
    bundle = make_bundle()
    code = run(str(bundle.folder), *QUICK)
    printed = capsys.readouterr()
    assert code in (0, 5), printed
    assert ("\nVALID\n" in printed.out) == (code == 0)
    assert ("Not valid: " in printed.out) == (code == 5)
    for text in ("median", "images/s", "int8 / fp32", "noise floor", "Cold start", "1 thread"):
        assert text in printed.out
    tables = [line.rstrip() for line in printed.out.splitlines() if "  " in line or "─" in line]
    assert max(map(len, tables)) <= 80
    (path,) = (bundle.folder / "reports").iterdir()
    assert f"Report: {path}" in printed.err
    report = from_builtins(BenchReport, read_report(path).body, where="report")
    assert [row.variant for row in report.variants] == ["fp32", "int8"]
    assert report.setup.versions["onnxruntime"]


def test_json_is_one_document_with_raw_samples(
    make_bundle: MakeBundle, capsys: Capture, tmp_path: Path
) -> None:
    file = tmp_path / "bench.json"
    options = ["--variant", "int8", "--iterations", "20", "--warmup", "3", "--no-cold-start"]
    run(str(make_bundle().folder), *options, "--threads", "1", "--json", "--output", str(file))
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert document == json.loads(file.read_text())
    report = from_builtins(BenchReport, document["body"], where="report")
    assert document["kind"] == "bench"
    assert document["machine"]["cpu"]
    assert set(document["measured"]) == {"int8.onnx"}
    assert len(report.samples.times_ns("int8")) == report.variants[0].calls >= 20
    assert report.variants[0].cold_start is None


def test_a_bundle_that_cannot_be_written_is_measured(
    make_bundle: MakeBundle, capsys: Capture
) -> None:
    bundle = make_bundle()
    (bundle.folder / "reports").write_text("in the way")
    code = run(str(bundle.folder), "--variant", "fp32", *QUICK)
    printed = capsys.readouterr()
    assert code in (0, 5)
    assert "fp32" in printed.out
    assert printed.err.count("The report is not kept") == 1


def test_a_crash_is_exit_4_and_the_rest_is_shown(make_bundle: MakeBundle, capsys: Capture) -> None:
    trouble = {"what": "segfault", "after": "10"}
    bundle = make_bundle(changes={"int8": {"settings": trouble}})
    assert run(str(bundle.folder), "--runtime", TROUBLED, *QUICK) == 4
    assert "int8 failed: The runtime" in capsys.readouterr().out


def test_cuda_is_refused_before_anything_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    try:
        check_available("ort", "cuda")
    except UnavailableError:
        assert run("--provider", "cuda") == 3
        printed = capsys.readouterr()
        assert printed.out == ""
        assert "cuda" in printed.err.lower()
    else:
        pytest.skip("CUDA is here")


@pytest.mark.parametrize(("sign", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_what_was_measured_outlives_the_command(
    make_bundle: MakeBundle, sign: signal.Signals, code: int
) -> None:
    bundle = make_bundle()
    start = "from edgecnn.cli import main; main()"
    command = [sys.executable, "-c", start, "bench", str(bundle.folder), "--duration", "60"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        path = _report_with_blocks(bundle.folder / "reports")
        # As Ctrl-C in a terminal does: to every process of the group.
        os.killpg(process.pid, sign)
        out, err = process.communicate(timeout=30)
    assert process.returncode == code, err
    report = from_builtins(BenchReport, read_report(path).body, where="report")
    assert report.interrupted
    assert report.samples.times_ns("fp32")
    if sign == signal.SIGINT:
        assert "Not valid: it was interrupted" in out
        assert "median" in out


def test_what_the_checks_cost_is_never_below_nothing(
    make_bundle: MakeBundle, capsys: Capture
) -> None:
    report = bench(make_bundle(), threads=1, iterations=8, warmup=1, cold_start=False)
    costs = {"fp32": -3e-6, "int8": 3e-6}
    rows = tuple(replace(row, checks_seconds=costs[row.variant]) for row in report.variants)
    print_bench(replace(report, variants=rows))
    told = [line for line in capsys.readouterr().out.splitlines() if "own checks" in line]
    assert told == [
        "edgecnn's own checks are not in these figures: 3.0 µs with int8.",
        "What edgecnn's own checks take is too little to be measured with fp32.",
    ]


def _report_with_blocks(folder: Path) -> Path:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        for path in folder.glob("[!.]*.json"):
            if read_report(path).body["samples"]["blocks"]:
                return path
        time.sleep(0.1)
    raise AssertionError("no report was written")
