"""A whole bench with scenarios: in workers, kept raw, and printed."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from edgecnn.benchmark import BenchReport, Interrupted, bench
from edgecnn.benchmark.engine import Batches, Place, Subject
from edgecnn.benchmark.scenarios import Arrival, Material, ScenarioRun, Wanted
from edgecnn.benchmark.scenarios.meters import Counter, Meter
from edgecnn.benchmark.scenarios.run import shorten
from edgecnn.bundle import Bundle
from edgecnn.cli._bench_scenarios import wanted
from edgecnn.cli._bench_show import print_bench
from edgecnn.cli.bench import command
from edgecnn.errors import InputError
from edgecnn.records import from_builtins, to_builtins
from edgecnn.spec import Variant
from edgecnn.worker import Opened

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import TinyNet, TypeCommand

TROUBLED = str(Path(__file__).parents[2] / "runtimes" / "troubled")
EVERYTHING = Wanted(
    idle=(0.02,),
    arrivals=(Arrival("periodic", 200),),
    callers=(2,),
    end_to_end=True,
    energy=True,
)


@pytest.fixture(scope="module")
def bundle(session_bundle: Callable[[str], Bundle]) -> Bundle:
    return session_bundle("scenarios")


@pytest.fixture(scope="module")
def report(bundle: Bundle) -> BenchReport:
    return bench(bundle, variants=["fp32"], threads=2, duration=0.1, warmup=3, scenarios=EVERYTHING)


def test_every_scenario_is_measured(report: BenchReport) -> None:
    found = report.scenarios
    assert found.replicates == 4
    assert [row.variant for row in found.idle] == ["fp32"]
    assert [row.variant for row in found.end_to_end] == ["fp32"]
    assert {row.waiting for row in found.arrivals} == {"sleeping", "watching"}
    assert {(row.spinning, row.callers) for row in found.concurrency} == {
        (spinning, count) for spinning in ("off", "on") for count in (1, 2)
    }


def test_each_figure_has_its_raw_samples_and_an_interval(report: BenchReport) -> None:
    found = report.scenarios
    for row in to_builtins((*found.idle, *found.arrivals, *found.concurrency, *found.end_to_end)):
        assert [turn["replicate"] for turn in row["turns"]] == [0, 1, 2, 3]
    assert all(row.first_interval and row.ratio for row in found.idle)
    assert all(row.interval and row.call_interval for row in found.arrivals)
    assert all(row.images_per_second and row.agrees for row in found.concurrency)
    assert all(row.interval and row.model_interval and row.ratio for row in found.end_to_end)
    assert all(row.gain for row in found.concurrency if row.callers == 2)


def test_a_report_with_scenarios_is_read_back(report: BenchReport) -> None:
    again = from_builtins(BenchReport, to_builtins(report), where="report")
    assert to_builtins(again) == to_builtins(report)
    assert again.scenarios.wanted == EVERYTHING


def test_energy_is_measured_or_it_is_said_why_not(report: BenchReport) -> None:
    missing = [each.what for each in report.scenarios.not_measured]
    assert bool(report.scenarios.energy) != ("energy" in missing)


def test_nothing_more_is_measured_unless_it_is_wanted(bundle: Bundle) -> None:
    found = bench(bundle, variants=["fp32"], threads=1, iterations=4, warmup=0).scenarios
    assert (found.replicates, found.wanted) == (0, Wanted())
    assert not found.not_measured


def test_files_are_not_measured_end_to_end(tiny_net: TinyNet, tmp_path: Path) -> None:
    file = tmp_path / "tiny.onnx"
    file.write_bytes(tiny_net.onnx())
    with pytest.raises(InputError) as refused:
        bench(file, input_shapes={"pixels": (1, 8, 8, 3)}, scenarios=Wanted(end_to_end=True))
    assert "edgecnn import" in refused.value.remedy


def material(*subjects: Subject) -> Material:
    return Material(subjects, {}, None, batch_size=1, warmup_runs=0)


def troubled(name: str = "net", threads: int = 1, **options: str) -> Subject:
    variant = Variant(name, "fp32", "onnx", ("nowhere.onnx",))
    place = Place(TROUBLED, threads=threads, options=options)
    return Subject(name, variant, _ones, place)


def _ones(opened: Opened) -> Batches:
    return [{"pixels": np.ones((1, 8, 8, 3), np.uint8)}]


def quiet(text: str, share: float) -> None:
    assert 0 <= share < 1


def test_who_crashes_is_left_out_and_named() -> None:
    run = ScenarioRun(
        Wanted(idle=(0.001,), callers=(2,)),
        material(troubled("good"), troubled("bad", what="kill", after="20")),
    )
    run.go(0.01, quiet)
    assert [failure.variant for failure in run.failures] == ["bad"]
    assert "SIGKILL" in run.failures[0].problem
    assert {row.spinning for row in run.report.concurrency} == {"-"}  # on one thread
    good = [row for row in run.report.idle if row.variant == "good"]
    assert [turn.replicate for turn in good[0].turns] == [0, 1, 2, 3]


def test_who_does_not_spin_anyway_is_measured_once() -> None:
    run = ScenarioRun(Wanted(callers=(2,)), material(troubled(threads=2, spinning="off")))
    run.go(0.01, quiet)
    assert {row.spinning for row in run.report.concurrency} == {"off"}


def test_where_all_have_crashed_the_scenarios_that_follow_find_nobody() -> None:
    wanted = Wanted(idle=(0.001,), callers=(2,))
    run = ScenarioRun(wanted, material(troubled("bad", what="kill", after="8")))
    run.go(0.01, quiet)
    assert "SIGKILL" in run.failures[0].problem
    assert run.report.concurrency == ()


def test_a_runtime_whose_threads_never_spin_is_measured_once(
    tiny_net: TinyNet, tmp_path: Path
) -> None:
    file = tmp_path / "tiny.onnx"
    file.write_bytes(tiny_net.onnx())
    variant = Variant("net", "fp32", "onnx", (str(file),))
    slow = Subject("net", variant, _ones, Place("reference", threads=2))
    run = ScenarioRun(Wanted(callers=(2,)), material(slow))
    run.go(0.01, quiet)
    assert {row.spinning for row in run.report.concurrency} == {"-"}
    assert run.report.not_measured == ()


def test_energy_is_read_in_the_worker(tmp_path: Path) -> None:
    file = tmp_path / "energy_uj"
    file.write_text("0")
    run = ScenarioRun(Wanted(energy=True), material(troubled()), Meter("a meter", (Counter(file),)))
    run.go(0.01, quiet)
    (row,) = run.report.energy
    assert (row.meter, row.joules, row.busy_watts) == ("a meter", None, 0)
    assert row.calls > 0


def test_a_budget_shortens_all_and_leaves_out_what_does_not_fit() -> None:
    slow, quick = Arrival("periodic", 0.1), Arrival("periodic", 1000)
    run = ScenarioRun(Wanted(idle=(60.0, 0.001), arrivals=(slow, quick)), material(troubled()))
    began = time.perf_counter()
    run.go(60.0, quiet, began + 6)
    assert time.perf_counter() - began < 30
    assert {row.pause_seconds for row in run.report.idle} == {0.001}
    assert {row.arrival for row in run.report.arrivals} == {"periodic:1000"}
    missing = [(one.what, one.remedy) for one in run.report.not_measured]
    left_out = ("after 1min idle", "inputs arriving periodic:0.1")
    assert missing == [(what, "Raise --budget.") for what in left_out]


def test_interrupted_it_keeps_what_it_has(bundle: Bundle) -> None:
    def stop(text: str, share: float) -> None:
        if text.startswith("inputs arriving"):
            raise KeyboardInterrupt

    more = Wanted(idle=(0.001,), arrivals=(Arrival("periodic", 1000),))
    with pytest.raises(Interrupted) as stopped:
        bench(
            bundle,
            variants=["fp32"],
            threads=1,
            iterations=4,
            warmup=0,
            scenarios=more,
            progress=stop,
        )
    found = stopped.value.report
    assert found.interrupted
    assert found.scenarios.idle
    assert not found.valid


def test_what_is_named_twice_is_measured_once() -> None:
    twice = Wanted(idle=(1.0, 1.0), callers=(4, 2, 4))
    assert shorten(twice) == Wanted(idle=(1.0,), callers=(4, 2))


def test_all_of_it_is_printed_and_fits(
    report: BenchReport, capsys: pytest.CaptureFixture[str]
) -> None:
    print_bench(report)
    printed = capsys.readouterr().out
    for text in (
        "The first call after a pause",
        "From arrival to answer, periodic:200",
        "Several callers on one session",
        "From an image file to the answer",
        "peak memory",
    ):
        assert text in printed
    assert ("Not measured: energy, for" in printed) != ("\nEnergy" in printed)
    tables = [line.rstrip() for line in printed.splitlines() if "  " in line or "─" in line]
    assert max(map(len, tables)) <= 80


def test_the_options_are_read() -> None:
    typed = ["--idle", "1s,250ms", "--arrival", "periodic:30,poisson:5", "--arrival", "poisson:1"]
    typed += ["--deadline", "20ms", "--concurrency", "2,4", "--end-to-end", "--image", "cat.jpg"]
    context = command.make_context("bench", [*typed, "--energy"])
    assert wanted(context.params) == Wanted(
        idle=(1.0, 0.25),
        arrivals=(Arrival("periodic", 30), Arrival("poisson", 5), Arrival("poisson", 1)),
        deadline_seconds=0.02,
        callers=(2, 4),
        end_to_end=True,
        images=("cat.jpg",),
        energy=True,
    )


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--idle", "soon"], "'soon' is no time"),
        (["--idle", ","], "it names nothing"),
        (["--arrival", "camera:30"], "periodic:30 or poisson:50"),
        (["--concurrency", "two"], "no list of numbers"),
        (["--concurrency", "0"], "0 callers cannot be measured"),
        (["--deadline", "10ms"], "--deadline needs something that arrives"),
        (["--image", "cat.jpg"], "Add --end-to-end"),
        (["--end-to-end", "--image", "none.jpg"], "none.jpg"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_runs(
    bundle: Bundle, type_command: TypeCommand, options: list[str], says: str
) -> None:
    done = type_command("bench", bundle.folder, "--threads", "1", *options)
    assert (done.code, done.out) == (2, "")
    assert says in " ".join(done.err.split())
