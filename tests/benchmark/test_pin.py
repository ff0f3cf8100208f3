"""Pinning: the processes of a bench run on the cores that it says, and on no others."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from edgecnn.benchmark import BenchReport, bench, replay
from edgecnn.benchmark.choice import pinned
from edgecnn.benchmark.engine import Batches, Place, Subject
from edgecnn.benchmark.scenarios import Material, ScenarioRun, Wanted
from edgecnn.bundle import Bundle
from edgecnn.cli import main
from edgecnn.conditions.cores import physical_cores
from edgecnn.errors import InputError
from edgecnn.reports import Report, write_report
from edgecnn.spec import Variant
from edgecnn.worker import Opened, Worker

pytestmark = pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="affinity is Linux's")
TROUBLED = str(Path(__file__).parents[1] / "runtimes" / "troubled")
MakeBundle = Callable[..., Bundle]


def affinities() -> Iterator[set[int]]:
    """Give what the workers that this process started may run on."""
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(entry.read_text().rpartition(")")[2].split()[1])
            command = (entry.parent / "cmdline").read_text()
            if parent == os.getpid() and "edgecnn.worker" in command:
                yield os.sched_getaffinity(int(entry.parent.name))
        except (OSError, IndexError):
            continue


def physical() -> int:
    return len(physical_cores(os.sched_getaffinity(0)))


def test_a_worker_runs_where_it_is_told() -> None:
    before = os.sched_getaffinity(0)
    core = max(before)
    with Worker(cores=(core,)) as worker:
        assert os.sched_getaffinity(worker.pid) == {core}
        worker.open(Variant("net", "fp32", "onnx", ("nowhere",)), runtime=TROUBLED)
        assert os.sched_getaffinity(worker.pid) == {core}
    with Worker() as worker:
        assert os.sched_getaffinity(worker.pid) == before
    assert os.sched_getaffinity(0) == before


def test_a_pinned_bench_says_where_it_ran(make_bundle: MakeBundle) -> None:
    bundle, kept, seen = make_bundle(), list[Report](), list[set[int]]()

    def progress(text: str, share: float) -> None:
        seen.extend(affinities())

    report = bench(
        bundle,
        variants=["fp32"],
        threads=1,
        pin=True,
        iterations=8,
        warmup=0,
        progress=progress,
        keep=kept.append,
    )
    (core,) = report.setup.cores
    assert seen
    assert all(where == {core} for where in seen)
    again = replay(write_report(kept[-1], bundle.folder))
    assert again.setup.cores == report.setup.cores
    assert bench(bundle, variants=["fp32"], threads=1, iterations=4, warmup=0).setup.cores == ()


def test_without_a_number_of_threads_each_physical_core_gets_one(make_bundle: MakeBundle) -> None:
    bundle = make_bundle()
    report: BenchReport = bench(bundle, variants=["fp32"], pin=True, iterations=4, warmup=0)
    assert report.setup.threads == len(report.setup.cores) == physical()


def test_scenarios_are_pinned_too() -> None:
    place = pinned(Place(TROUBLED, threads=1), Wanted())
    seen: list[set[int]] = []

    def ones(opened: Opened) -> Batches:
        seen.extend(affinities())
        return [{"pixels": np.ones((1, 8, 8, 3), np.uint8)}]

    net = Subject("net", Variant("net", "fp32", "onnx", ("nowhere",)), ones, place)
    run = ScenarioRun(Wanted(idle=(0.001,)), Material((net,), {}, None, 1, warmup_runs=0))
    run.go(0.01, lambda text, share: None)
    assert seen
    assert all(where == set(place.cores or ()) for where in seen)


def test_what_cannot_be_pinned_is_refused() -> None:
    with pytest.raises(InputError, match="--pin") as caught:
        pinned(Place(threads=1), Wanted(callers=(2,)))
    assert "--concurrency" in caught.value.remedy


def test_on_the_command_line(
    make_bundle: MakeBundle,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = str(make_bundle().folder)
    quick = ["--variant", "fp32", "--iterations", "4", "--warmup", "0", "--pin"]

    def run(*arguments: str) -> int:
        with pytest.raises(SystemExit) as stop:
            main(["bench", folder, *quick, *arguments])
        return int(stop.value.code or 0)

    assert run("--threads", "1") in (0, 5)
    assert "1 thread, pinned to CPU " in capsys.readouterr().out
    assert run("--threads", str(physical() + 1)) == 2
    assert "cannot be pinned to" in capsys.readouterr().err
    monkeypatch.delattr(os, "sched_setaffinity")
    assert run("--threads", "1") == 3
    assert "Leave --pin out" in capsys.readouterr().err
