"""Drift, spinning and the machine's conditions in a bench's doubts, on samples that are made up."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from edgecnn.benchmark import BenchReport
from edgecnn.benchmark.doubts import drift
from edgecnn.benchmark.plan import make_plan
from edgecnn.benchmark.report import Setup
from edgecnn.benchmark.samples import Block, Leg, Samples, SessionRecord, Warmup
from edgecnn.benchmark.summing import Measured, sum_up
from edgecnn.cli._bench_show import print_bench
from edgecnn.conditions import Conditions
from edgecnn.records import from_builtins, to_builtins

SETUP = Setup("ort", "cpu", 2, {"onnxruntime": "1"}, 1, "images")
BOTH = [Measured(name, "fp32", 1000, "ort/cpu", 2) for name in ("fp32", "int8")]
PAIR = [("fp32", "int8")]
QUIET = Conditions(10.0, 6, cpus=(0, 1), physical_cores=2, others_cpus=0.03)
Course = Callable[[float], float]


def run(
    course: Course, replicates: int = 5, *, noise: float = 0.002, seed: int = 0, spin_ns: int = 0
) -> Samples:
    """Make a run of fp32 and int8 over ten seconds, whose times follow a course (0 to 1)."""
    random = np.random.default_rng(seed)
    sessions, blocks = list[SessionRecord](), list[Block]()
    for replicate in range(replicates):
        first, off = len(sessions), random.normal(0, noise, 4)
        for name in ("fp32", "int8", "int8", "fp32"):
            sessions.append(SessionRecord(name, replicate, 1, 1, 1, 1, Warmup(9, True), 1))
        for block in range(3):
            legs = []
            for place, session in enumerate((0, 1, 2, 3, 3, 2, 1, 0)):
                done = (replicate + (block + place / 8) / 3) / replicates
                level = 100_000 if session in (0, 3) else 50_000
                time = int(level * course(done) * math.exp(off[session]))
                legs.append(Leg(first + session, 10 * done, [time] * 5, 5 * time, spin_ns, True))
            blocks.append(Block(replicate, tuple(legs)))
    return Samples(tuple(sessions), tuple(blocks))


def report(samples: Samples, conditions: Conditions | None = None) -> BenchReport:
    return sum_up(samples, BOTH, PAIR, SETUP, make_plan(), conditions=conditions)


def test_a_quiet_run_on_a_quiet_machine_is_not_doubted() -> None:
    found = report(run(lambda at: 1.0), QUIET)
    assert found.valid
    assert found.doubts == ()


@pytest.mark.parametrize(("end", "became"), [(1.06, "slower"), (0.94, "faster")])
def test_a_steady_trend_is_named_with_its_size(end: float, became: str) -> None:
    samples = run(lambda at: 1 + (end - 1) * at)
    found = drift(samples)
    assert found is not None
    assert found.change == pytest.approx(end - 1, abs=0.01)
    assert found.seconds == pytest.approx(10, abs=0.5)
    [doubt] = report(samples).doubts
    assert f"% {became} over the 10 s of the run" in doubt.what
    assert "cpupower" in doubt.remedy
    assert not doubt.invalid


def test_a_large_trend_makes_the_run_not_valid() -> None:
    found = report(run(lambda at: 1 + 0.25 * at))
    assert not found.valid
    [reason] = found.reasons
    assert "slower" in reason


def test_a_trend_inside_the_noise_floor_is_not_named() -> None:
    found = report(run(lambda at: 1 + 0.008 * at, noise=0.0))
    assert found.doubts == ()


@pytest.mark.parametrize(
    "samples",
    [
        run(lambda at: 1 + 0.06 * at, replicates=3, noise=0.0),
        run(lambda at: 1 + 0.06 * (at > 0.5) * (at < 0.7)),
        replace(
            run(lambda at: 1 + 0.06 * at),
            blocks=tuple(
                replace(block, legs=tuple(replace(leg, at_seconds=0.0) for leg in block.legs))
                for block in run(lambda at: 1 + 0.06 * at).blocks
            ),
        ),
        Samples(),
    ],
    ids=["too few replicates", "a step and back", "a report that does not say when", "nothing"],
)
def test_what_is_no_steady_trend(samples: Samples) -> None:
    assert drift(samples) is None


def test_noise_is_rarely_taken_for_a_trend() -> None:
    runs = (run(lambda at: 1.0, noise=0.03, seed=seed) for seed in range(300))
    assert sum(drift(samples) is not None for samples in runs) <= 9  # 1 % of them, and chance


def test_threads_that_spin_are_a_note_with_what_they_cost() -> None:
    [doubt] = report(run(lambda at: 1.0, spin_ns=20_000_000)).doubts
    assert "spin 20 ms of CPU time after a call, as long as 200 calls take" in doubt.what
    assert "`--concurrency 1`" in doubt.remedy
    assert not doubt.invalid
    assert report(run(lambda at: 1.0, spin_ns=500_000)).doubts == ()


def test_what_the_machine_was_like_makes_a_run_not_valid() -> None:
    found = report(run(lambda at: 1.0), replace(QUIET, others_cpus=1.0))
    assert not found.valid
    assert found.reasons == ("other processes kept 1.00 of 2 CPUs busy",)
    assert found.conditions is not None
    assert from_builtins(BenchReport, to_builtins(found), where="it") == found


def test_only_threads_on_cpus_need_them() -> None:
    busy = replace(QUIET, others_cpus=1.0)
    away = [replace(one, place="ort/cuda", threads=2) for one in BOTH]
    found = sum_up(run(lambda at: 1.0), away, PAIR, SETUP, make_plan(), conditions=busy)
    assert found.valid
    assert [doubt.invalid for doubt in found.doubts] == [False]


def test_a_report_without_conditions_still_reads() -> None:
    old = to_builtins(report(run(lambda at: 1.0)))
    del old["conditions"], old["doubts"], old["setup"]["cores"]
    new = from_builtins(BenchReport, old, where="it")
    assert (new.conditions, new.doubts, new.setup.cores) == (None, (), ())


def test_doubts_are_printed_with_their_remedies(capsys: pytest.CaptureFixture[str]) -> None:
    print_bench(report(run(lambda at: 1.0), replace(QUIET, others_cpus=1.0, turbo=True)))
    printed = capsys.readouterr()
    assert (
        "\nNot valid: other processes kept 1.00 of 2 CPUs busy. "
        "End the other processes or wait, or leave them a CPU with `--threads 1`.\n"
    ) in printed.out
    assert printed.err.startswith("Turbo is on, so that")
    assert "`echo 0 | sudo tee" in printed.err


def test_a_valid_run_is_called_so_whatever_is_good_to_know(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_bench(report(run(lambda at: 1.0), replace(QUIET, governor="powersave")))
    printed = capsys.readouterr()
    assert printed.out.endswith("\nVALID\n")
    assert "performance" in printed.err


def test_two_reasons_with_one_remedy_give_it_once(capsys: pytest.CaptureFixture[str]) -> None:
    samples = run(lambda at: 1.0, replicates=1)
    print_bench(report(replace(samples, blocks=samples.blocks[:1])))
    printed = capsys.readouterr().out
    assert "; fewer than 2 replicates. Measure longer" in printed
    assert printed.count("Measure longer") == 1
