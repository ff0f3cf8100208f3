"""The engine with real workers: whatever happens in one of them, the others go on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecnn.benchmark import BenchReport, Interrupted, bench, compare_latency
from edgecnn.benchmark.engine import Place, Run
from edgecnn.benchmark.estimate import FEWEST_BLOCKS
from edgecnn.benchmark.jobs import bundle_job
from edgecnn.benchmark.plan import make_plan
from edgecnn.bundle import Bundle
from edgecnn.errors import BundleError, InputError, RuntimeCrashed
from edgecnn.reports import Report, read_body
from edgecnn.worker import Worker

TROUBLED = str(Path(__file__).parents[1] / "runtimes" / "troubled")
MakeBundle = Callable[..., Bundle]


def troubled(make_bundle: MakeBundle, **settings: dict[str, str]) -> Bundle:
    """Make a bundle whose variants bring their trouble with them."""
    slow = {"delay": "0.001"}
    names = ("fp32", "int8")
    changes = {name: {"settings": slow | settings.get(name, {})} for name in names}
    return make_bundle(changes=changes)


def measure(bundle: Bundle, **arguments: Any) -> Any:
    return bench(bundle, runtime=TROUBLED, threads=1, iterations=24, warmup=2, **arguments)


def test_every_variant_is_measured_and_compared(make_bundle: MakeBundle) -> None:
    kept: list[Report] = []
    told: list[float] = []
    report = measure(
        troubled(make_bundle, int8={"delay": "0.003"}),
        keep=kept.append,
        progress=lambda text, share: told.append(share),
    )
    fp32, int8 = report.variants
    assert fp32.calls == int8.calls >= 24
    assert fp32.minimum_seconds > 0.001
    assert int8.minimum_seconds > 0.003
    assert [(one.first, one.second) for one in report.comparisons] == [("fp32", "int8")]
    assert report.comparisons[0].ratio > 1.5
    assert report.comparisons[0].noise_floor > 0
    first_four = [session.variant for session in report.samples.sessions[:4]]
    assert first_four == ["fp32", "int8", "int8", "fp32"]
    assert [leg.session for leg in report.samples.blocks[0].legs] == [0, 1, 2, 3, 3, 2, 1, 0]
    assert fp32.intervals["median"].low <= fp32.intervals["median"].high
    assert fp32.cpu_seconds is not None
    assert all(session.warmup.runs == 2 for session in report.samples.sessions)
    assert min(row.resident_bytes for row in report.variants) > 1_000_000
    assert report.setup.images == "8 golden images, in turn in 8 batches of 1"
    assert read_body(kept[-1], BenchReport) == report
    assert set(kept[-1].measured) == {"fp32.onnx", "int8.onnx"}
    assert sorted(told) == told
    assert told[0] == 0


def test_a_subject_may_bring_a_process_of_its_own(make_bundle: MakeBundle) -> None:
    began: list[dict[str, Any]] = []

    def launch(**limits: Any) -> Worker:
        began.append(limits)
        return Worker(**limits)

    plan = make_plan(iterations=4, warmup=1)
    job = bundle_job(make_bundle(), ("fp32", "int8"), 1, Place(threads=1), plan)
    own = replace(job.subjects[1], launch=launch)
    run = Run([job.subjects[0], own], plan, lambda: None, lambda text, share: None)
    run.go()
    assert len(began) == len(run.samples.by_session("int8")) == 2 * plan.replicates
    assert all(set(limits) == {"limit", "memory_limit", "cores"} for limits in began)


@pytest.mark.parametrize(("what", "when"), [("segfault", "run"), ("raise", "open")])
def test_a_crash_is_a_row_in_the_table(make_bundle: MakeBundle, what: str, when: str) -> None:
    bundle = troubled(make_bundle, int8={"what": what, "when": when, "after": "8"})
    report = measure(bundle)
    fp32, int8 = report.variants
    assert fp32.calls >= 24
    assert fp32.failure == ""
    assert int8.failure
    assert sum(one.variant == "int8" for one in report.samples.sessions) <= 2
    assert "int8 failed" in report.reasons
    assert not report.valid


def test_if_the_first_crashes_the_others_are_measured(make_bundle: MakeBundle) -> None:
    report = measure(troubled(make_bundle, fp32={"what": "segfault", "after": "8"}))
    assert "SIGSEGV" in report.variants[0].failure
    assert report.variants[1].calls >= 24
    assert report.comparisons == ()


def test_if_all_crash_so_does_the_bench(make_bundle: MakeBundle) -> None:
    trouble = {"what": "abort", "when": "open"}
    bundle = troubled(make_bundle, fp32=trouble, int8=trouble)
    with pytest.raises(RuntimeCrashed, match="SIGABRT"):
        measure(bundle)


def test_one_variant_has_a_noise_floor_too(make_bundle: MakeBundle) -> None:
    report = measure(troubled(make_bundle), variants=["int8"], batch_size=5, cold_start=False)
    (row,) = report.variants
    assert row.images_per_second < 5 / 0.001
    assert row.cold_start is None
    assert report.noise_floor is not None
    assert report.setup.images == "30 golden images, in turn in 6 batches of 5"


def test_time_bounds_it(make_bundle: MakeBundle) -> None:
    report = bench(troubled(make_bundle), runtime=TROUBLED, variants=["fp32"], duration=0.2)
    assert report.plan.replicates == 2
    assert [len(own) >= 1 for own in report.samples.levels("fp32")] == [True, True]
    assert all(session.warmup.runs >= 9 for session in report.samples.sessions)


def test_a_budget_bounds_the_whole(make_bundle: MakeBundle) -> None:
    told: list[float] = []
    report = bench(
        troubled(make_bundle),
        runtime=TROUBLED,
        variants=["fp32"],
        budget=0.1,
        progress=lambda text, share: told.append(share),
    )
    replicates = {block.replicate for block in report.samples.blocks}
    assert replicates == {0}
    assert "fewer than 2 replicates" in report.reasons
    assert told[-1] <= 1


def test_blocks_begin_with_each_session_in_turn(make_bundle: MakeBundle) -> None:
    report = bench(
        troubled(make_bundle), runtime=TROUBLED, variants=["fp32"], iterations=400, warmup=0
    )
    first = [block.legs[0].session for block in report.samples.blocks if block.replicate == 0]
    assert first[:2] == [0, 1]
    times = [leg.at_seconds for block in report.samples.blocks for leg in block.legs]
    assert times == sorted(times)


def test_without_golden_images_random_ones_are_used_and_so_called(make_bundle: MakeBundle) -> None:
    bundle = troubled(make_bundle)
    files = {name: file for name, file in bundle.files.items() if name != "golden.npz"}
    from dataclasses import replace

    bare = replace(bundle, manifest=replace(bundle.manifest, files=files))
    assert "random images" in measure(bare, variants=["fp32"]).setup.images


def test_two_variants_alone(make_bundle: MakeBundle) -> None:
    bundle = troubled(make_bundle, int8={"delay": "0.004"})
    images = np.zeros((4, 8, 8, 3), np.uint8)
    contract = bundle.manifest.contract
    first, second = bundle.locate("fp32"), bundle.locate("int8")
    found = compare_latency(first, second, images, contract, runtime=TROUBLED, seconds=0.3)
    assert (found.first, found.second) == ("fp32", "int8")
    assert found.ratio > 1.5
    short = compare_latency(first, second, images, contract, runtime=TROUBLED, seconds=0.001)
    assert "; not valid: fewer than 5 blocks of each comparison" in short.verdict
    with pytest.raises(InputError, match="Both variants are called 'fp32'"):
        compare_latency(first, first, images, contract)


def test_slow_variants_get_the_blocks_that_a_verdict_needs(make_bundle: MakeBundle) -> None:
    bundle = troubled(make_bundle, fp32={"delay": "0.012"}, int8={"delay": "0.006"})
    images = np.zeros((4, 8, 8, 3), np.uint8)
    first, second = bundle.locate("fp32"), bundle.locate("int8")
    contract = bundle.manifest.contract
    found = compare_latency(first, second, images, contract, runtime=TROUBLED, seconds=1.2)
    assert found.blocks >= FEWEST_BLOCKS
    assert found.outcome != "inconclusive"


def test_a_crash_of_one_of_two_is_an_error(make_bundle: MakeBundle) -> None:
    bundle = troubled(make_bundle, int8={"what": "abort", "when": "open"})
    images = np.zeros((4, 8, 8, 3), np.uint8)
    with pytest.raises(RuntimeCrashed, match="'int8' crashed"):
        compare_latency(
            bundle.locate("fp32"),
            bundle.locate("int8"),
            images,
            bundle.manifest.contract,
            runtime=TROUBLED,
            seconds=0.1,
        )


def test_what_cannot_be_measured_is_refused(make_bundle: MakeBundle) -> None:
    bundle = make_bundle(changes={"int8": {"batch": 1}})
    with pytest.raises(InputError, match="named twice"):
        bench(bundle, variants=["fp32", "fp32"])
    with pytest.raises(BundleError, match="no variant 'fp16'"):
        bench(bundle, variants=["fp16"])
    with pytest.raises(InputError, match="takes batches of 1, not 4") as caught:
        bench(bundle, variants=["fp32", "int8"], batch_size=4)
    assert "--variant" in caught.value.remedy
    with pytest.raises(InputError, match="holds no image"):
        bench(bundle, batch_size=0)
    with pytest.raises(BundleError, match="no variant to measure"):
        bench(make_bundle("empty", variants=()))


def test_by_default_what_takes_other_batches_is_left_out(make_bundle: MakeBundle) -> None:
    report = bench(make_bundle(changes={"int8": {"batch": 1}}), batch_size=4, duration=0.1)
    assert [row.variant for row in report.variants] == ["fp32"]


def test_ctrl_c_hands_over_what_was_measured(make_bundle: MakeBundle) -> None:
    def stop(text: str, share: float) -> None:
        if share > 0:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted) as caught:
        measure(troubled(make_bundle), progress=stop)
    report = caught.value.report
    assert report.interrupted
    assert report.samples.times_ns("fp32")
