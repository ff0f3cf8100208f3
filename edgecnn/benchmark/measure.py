"""Measuring a bundle's variants, or two variants alone: what the engine is used for."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from edgecnn.benchmark.engine import Batches, Place, Progress, Run, Subject
from edgecnn.benchmark.estimate import LatencyComparison
from edgecnn.benchmark.inputs import Images, bundle_images, describe, make_batches
from edgecnn.benchmark.plan import Plan, make_plan
from edgecnn.benchmark.report import BenchReport, Measured, Setup, sum_up
from edgecnn.bundle import Bundle, open_bundle
from edgecnn.errors import BundleError, InputError, RuntimeCrashed
from edgecnn.records import to_builtins
from edgecnn.reports import Report, make_report
from edgecnn.runtime import Options, check_available
from edgecnn.spec import InputContract, Variant

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgecnn.worker import Opened

_KEEP_SECONDS = 1.0


class Interrupted(KeyboardInterrupt):
    """Ctrl-C while something was being measured.

    Args:
        report: What was measured until then.
    """

    def __init__(self, report: BenchReport) -> None:
        super().__init__()
        self.report = report


def bench(
    bundle: Bundle | Path | str,
    *,
    variants: Sequence[str] = (),
    runtime: str = "ort",
    provider: str | None = None,
    threads: int | None = None,
    options: Options | None = None,
    batch_size: int = 1,
    duration: float | None = None,
    iterations: int | None = None,
    warmup: int | None = None,
    cold_start: bool = True,
    keep: Callable[[Report], None] | None = None,
    progress: Progress | None = None,
) -> BenchReport:
    """Measure the latency of a bundle's variants, each in a process of its own, taking turns.

    Args:
        bundle: A bundle or its folder.
        variants: Names of variants, the one to compare with first; by default all that take this
            batch size.
        runtime: Name or path of the runtime.
        provider: Where to compute; the runtime's first provider by default.
        threads: Threads within an operator; by default the cores that this process may use.
        options: The runtime's own options.
        batch_size: Images in one call.
        duration: Seconds of measuring in all, openings and warm-ups not counted; 6 by default.
        iterations: Timed calls of each variant, at least, in place of a duration.
        warmup: Runs of each session before measuring; by default until the times are steady.
        cold_start: Report how long a fresh process takes until its first answer.
        keep: Called with the report after each stage, so that a crash need lose nothing.
        progress: Called with a line of text and the share (0 to 1) that is done.

    Raises:
        InputError: A number cannot be, or a variant does not take this batch size.
        BundleError: The bundle or a variant is missing, stale or damaged.
        UnavailableError: The runtime or provider is not to be had here.
        RuntimeCrashed: Every variant crashed; if only some did, the report says so.
        Interrupted: Ctrl-C; it holds what was measured until then. If that is nothing, it is a
            plain KeyboardInterrupt.
    """
    plan = replace(make_plan(duration, iterations, warmup), cold_start=cold_start)
    target = check_available(runtime, provider)
    opened = bundle if isinstance(bundle, Bundle) else open_bundle(bundle)
    located = [opened.locate(name) for name in _chosen(opened, variants, batch_size)]
    job = _Job(
        variants=tuple(located),
        contract=opened.manifest.contract,
        images=bundle_images(opened),
        batch_size=batch_size,
        place=Place(runtime, target.provider, threads, options),
        plan=plan,
    )
    files = {Path(file).name for variant in located for file in variant.files}
    digests = {name: opened.files[name].sha256 for name in sorted(files)}
    blank = make_report("bench", {}, digests)
    save = partial(_save, blank, keep) if keep else _nowhere
    return _measure(job, save, progress or _silent)


def compare_latency(
    first: Variant,
    second: Variant,
    images: NDArray[np.uint8],
    contract: InputContract,
    *,
    runtime: str = "ort",
    provider: str | None = None,
    threads: int | None = None,
    options: Options | None = None,
    batch_size: int = 1,
    seconds: float = 3.0,
    progress: Progress | None = None,
) -> LatencyComparison:
    """Compare the latency of two variants, as `bench` does.

    Args:
        first: The located variant to compare with.
        second: The located variant to compare.
        images: uint8 [N, height, width, channels]; the first 8 batches are used.
        contract: How pictures become input.
        runtime: Name or path of the runtime.
        provider: Where to compute; the runtime's first provider by default.
        threads: Threads within an operator; by default the cores that this process may use.
        options: The runtime's own options.
        batch_size: Images in one call.
        seconds: How long to measure; openings and warm-ups, about 4 s, come on top.
        progress: Called with a line of text and the share (0 to 1) that is done.

    Raises:
        InputError: The two have the same name, or do not take this batch size.
        UnavailableError: The runtime or provider is not to be had here.
        RuntimeCrashed: One of the two crashed or hung.
        Interrupted: Ctrl-C.
    """
    if first.name == second.name:
        raise InputError(f"Both variants are called '{first.name}'.", "Give them two names.")
    job = _Job(
        variants=(first, second),
        contract=contract,
        images=Images(images, "images"),
        batch_size=batch_size,
        place=Place(runtime, provider, threads, options),
        plan=make_plan(seconds),
    )
    report = _measure(job, _nowhere, progress or _silent)
    for failure in report.samples.failures:
        raise RuntimeCrashed(failure.problem, failure.remedy)
    return report.comparisons[0]


@dataclass(frozen=True)
class _Job:
    variants: tuple[Variant, ...]
    contract: InputContract
    images: Images
    batch_size: int
    place: Place
    plan: Plan


def _measure(job: _Job, save: Callable[[BenchReport], None], progress: Progress) -> BenchReport:
    saved = time.perf_counter()

    def keep() -> None:
        nonlocal saved
        if time.perf_counter() - saved > _KEEP_SECONDS:
            save(_report(job, run, interrupted=True))
            saved = time.perf_counter()

    subjects = [Subject(variant, partial(_batches, job, variant)) for variant in job.variants]
    for variant in job.variants:
        _refuse_batch(variant, job.batch_size)
    run, interrupted = Run(subjects, job.plan, job.place, keep, progress), False
    try:
        run.go()
    except KeyboardInterrupt:
        if not run.samples.sessions:
            raise
        interrupted = True
    if not run.samples.sessions:
        failure = run.samples.failures[0]
        raise RuntimeCrashed(failure.problem, failure.remedy)
    report = _report(job, run, interrupted=interrupted)
    save(report)
    if interrupted:
        raise Interrupted(report)
    return report


def _report(job: _Job, run: Run, *, interrupted: bool) -> BenchReport:
    assert run.opened is not None, "a session was opened"
    setup = Setup(
        runtime=run.opened.runtime,
        provider=run.opened.provider,
        threads=run.opened.threads,
        versions=run.opened.versions,
        batch_size=job.batch_size,
        images=describe(job.images, job.batch_size),
    )
    measured = [
        Measured(
            variant.name, variant.precision, sum(Path(f).stat().st_size for f in variant.files)
        )
        for variant in job.variants
    ]
    return sum_up(run.samples, measured, setup, job.plan, interrupted=interrupted)


def _batches(job: _Job, variant: Variant, opened: Opened) -> Batches:
    return make_batches(job.contract, variant, opened, job.images.pixels, job.batch_size)


def _chosen(bundle: Bundle, variants: Sequence[str], batch_size: int) -> Sequence[str]:
    every = bundle.manifest.variants
    fitting = [variant.name for variant in every if variant.batch in ("dynamic", batch_size)]
    names = variants or fitting or [variant.name for variant in every]
    if not names:
        raise BundleError(
            f"{bundle.folder} has no variant to measure yet.",
            f"Make one with `edgecnn export {bundle.folder}`.",
        )
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise InputError(
            f"The variant '{min(twice)}' is named twice.",
            "Name it once; the first variant is compared with itself in any case.",
        )
    return names


def _refuse_batch(variant: Variant, batch_size: int) -> None:
    if batch_size < 1:
        raise InputError(f"A batch of {batch_size} holds no image.", "Use --batch-size 1 or more.")
    if variant.batch not in ("dynamic", batch_size):
        raise InputError(
            f"The variant '{variant.name}' takes batches of {variant.batch}, not {batch_size}.",
            f"Use --batch-size {variant.batch}, or name other variants with --variant.",
        )


def _save(blank: Report, keep: Callable[[Report], None], report: BenchReport) -> None:
    keep(replace(blank, body=to_builtins(report)))


def _nowhere(report: BenchReport) -> None:
    pass


def _silent(text: str, share: float) -> None:
    pass
