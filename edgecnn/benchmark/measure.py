"""Measuring variants of a bundle, plain files, or two variants alone, with the engine."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from edgecnn.benchmark.choice import how_to_measure, make_job, pinned
from edgecnn.benchmark.engine import Place, Run, Subject
from edgecnn.benchmark.estimate import LatencyComparison
from edgecnn.benchmark.figures import judge
from edgecnn.benchmark.inputs import Images
from edgecnn.benchmark.jobs import Job, image_job
from edgecnn.benchmark.plan import DURATION_SECONDS, Plan, make_plan
from edgecnn.benchmark.report import BenchReport, Setup
from edgecnn.benchmark.scenarios import Material, ScenarioRun, Wanted
from edgecnn.benchmark.scenarios.run import shorten
from edgecnn.benchmark.summing import Measured, sum_up
from edgecnn.bundle import Bundle
from edgecnn.conditions import Conditions, Watch
from edgecnn.errors import InputError, RuntimeCrashed
from edgecnn.gating import parse_gates, refuse_unknown
from edgecnn.placement import allow_fallback
from edgecnn.plain import Request
from edgecnn.progress import Progress
from edgecnn.records import to_builtins
from edgecnn.reports import Report, make_report, version_of
from edgecnn.runtime import Options
from edgecnn.spec import InputContract, Variant
from edgecnn.worker import WorkerLimits, check_guarded

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_KEEP_SECONDS = 1.0


def _as_it_is(report: BenchReport) -> BenchReport:
    return report


class Interrupted(KeyboardInterrupt):
    """Ctrl-C while something was being measured.

    Args:
        report: What was measured until then.
    """

    def __init__(self, report: BenchReport) -> None:
        super().__init__()
        self.report = report


def bench(
    model: Bundle | Path | str | Sequence[Path | str],
    *,
    variants: Sequence[str] = (),
    runtime: str | None = None,
    provider: str | None = None,
    threads: int | None = None,
    pin: bool = False,
    options: Options | None = None,
    batch_size: int | None = None,
    inputs: Path | str | None = None,
    input_shapes: Mapping[str, Sequence[int]] | None = None,
    duration: float | None = None,
    iterations: int | None = None,
    warmup: int | None = None,
    budget: float | None = None,
    cold_start: bool = True,
    fallback: bool = False,
    min_coverage: float | None = None,
    time_limit: float | None = None,
    memory_limit: int | None = None,
    scenarios: Wanted | None = None,
    baseline: Bundle | Path | str | None = None,
    fail_if: Sequence[str] = (),
    keep: Callable[[Report], None] | None = None,
    progress: Progress | None = None,
) -> BenchReport:
    """Measure the latency of a bundle's variants, or of ONNX files, which take turns.

    Each runs in processes of its own.

    Args:
        model: A bundle or its folder; or one ONNX file, or several, the one to compare with first.
        variants: Names of variants, the one to compare with first; by default all that take this
            batch size.
        runtime: Name or path of the runtime; by default, where nothing is said of variants or how
            to run them, as the bundle is deployed, else `ort`.
        provider: Where to compute; the runtime's first provider by default.
        threads: Threads within an operator; by default the cores that this process may use.
        pin: Pin each process to as many physical cores as it has threads, by default to all of
            them. The processes take turns, so they share the cores.
        options: The runtime's own options.
        batch_size: Images in one call; by default 1, or what the first of some files takes.
        inputs: For files: an npz file with an array for each input; by default they are drawn.
        input_shapes: For files: shapes of inputs with open sizes, by name.
        duration: Seconds of measuring in all, openings and warm-ups not counted; 6 by default.
        iterations: Timed calls of each variant, at least, in place of a duration.
        warmup: Runs of each session before measuring; by default until the times are steady.
        budget: Seconds that everything may take together, in place of a duration. At least one
            replicate is measured, however long it takes.
        cold_start: Report how long a fresh process takes until its first answer.
        fallback: Let the CPU compute what the provider cannot; the report says how much that is.
        min_coverage: The share (0 to 1) of the time that must be spent on the provider, while the
            CPU may compute the rest.
        time_limit: Seconds that a session may take to open, and a run; 120 by default.
        memory_limit: Bytes that a session may take beyond Python and the engine.
        scenarios: What to measure beyond the steady state; each takes about the duration more for
            each variant.
        baseline: Another bundle, or file, to measure in the same run; variants are compared with
            its ones of the same names, files with it.
        fail_if: Gates, such as `latency.median > +3%`; the report's `gates` say what became of
            them.
        keep: Called with the report after each stage, so that a crash need lose nothing.
        progress: Called with a line of text and the share (0 to 1) that is done.

    Raises:
        InputError: A number cannot be, or a variant does not take this batch size.
        DataError: An image file cannot be used.
        BundleError: The bundle or a variant is missing, stale or damaged.
        ModelError: A file is refused.
        UnavailableError: The runtime or provider is not to be had here, or nothing can be pinned.
        RuntimeCrashed: Every variant crashed; if only some did, the report says so.
        Interrupted: Ctrl-C; it holds what was measured until then. If that is nothing, it is a
            plain KeyboardInterrupt.
    """
    plan = replace(make_plan(duration, iterations, warmup, budget), cold_start=cold_start)
    gates = parse_gates(fail_if, "bench", baseline=baseline is not None)
    limits = WorkerLimits.of(time_limit, memory_limit) or WorkerLimits()
    how = how_to_measure(
        model,
        variant=variants,
        runtime=runtime,
        provider=provider,
        threads=threads,
        options=options,
        batch_size=batch_size,
    )
    provider, options = check_guarded(how.runtime, how.provider, limits), how.options
    if fallback or min_coverage is not None:
        options = allow_fallback(options)
    place = Place(
        how.runtime, provider, how.threads, options, min_coverage=min_coverage, limits=limits
    )
    if pin:
        place = pinned(place, scenarios or Wanted())
    request = Request(None if inputs is None else Path(inputs), input_shapes or {})
    job = make_job(model, variants, baseline, request, how.batch_size, place, plan)
    refuse_unknown(gates, job.own_names)
    return carry_out(job, keep, progress, scenarios, finish=partial(judge, gates))


def carry_out(
    job: Job,
    keep: Callable[[Report], None] | None,
    progress: Progress | None,
    wanted: Wanted | None = None,
    *,
    finish: Callable[[BenchReport], BenchReport],
) -> BenchReport:
    """Carry out what a bench measures.

    Args:
        job: What.
        keep: As in `bench`.
        progress: As in `bench`.
        wanted: What to measure beyond the steady state.
        finish: Adds to the report what is made of it at the end.
    """
    blank = make_report(BenchReport.KIND, {}, job.measured)
    save = partial(_save, blank, keep) if keep else _nowhere
    return _measure(job, save, progress or _silent, wanted or Wanted(), finish)


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
    place, plan = Place(runtime, provider, threads, options), make_plan(seconds)
    job = image_job((first, second), Images(images, "images"), contract, batch_size, place, plan)
    report = _measure(job, _nowhere, progress or _silent, Wanted())
    for failure in report.samples.failures:
        raise RuntimeCrashed(failure.problem, failure.remedy)
    found = report.comparisons[0]
    if report.valid:
        return found
    return replace(found, verdict=f"{found.verdict}; not valid: {'; '.join(report.reasons)}")


def _measure(
    job: Job,
    save: Callable[[BenchReport], None],
    progress: Progress,
    wanted: Wanted,
    finish: Callable[[BenchReport], BenchReport] = _as_it_is,
) -> BenchReport:
    saved = began = time.perf_counter()
    watch = Watch()
    watch.look()
    more = ScenarioRun(shorten(wanted), _material(job))
    shares = _shares(job, more)

    def keep() -> None:
        nonlocal saved
        if time.perf_counter() - saved > _KEEP_SECONDS:
            save(_report(job, run, more, watch.conditions, interrupted=True))
            saved = time.perf_counter()

    plan, tell = _steady_plan(job.plan, wanted), partial(_part, progress, *shares)
    run = Run(job.subjects, plan, keep, tell, between=watch.look)
    interrupted = False
    try:
        run.go()
        if run.samples.sessions and wanted.count:
            last = partial(_part, progress, shares[1], 1.0)
            deadline = began + (job.plan.budget_seconds or math.inf)
            more.go(_seconds(job.plan), last, deadline, run.samples.medians())
    except KeyboardInterrupt:
        if not run.samples.sessions:
            raise
        interrupted = True
    if not run.samples.sessions:
        failure = run.samples.failures[0]
        raise RuntimeCrashed(failure.problem, failure.remedy)
    watch.look()
    report = finish(_report(job, run, more, watch.conditions, interrupted=interrupted))
    save(report)
    if interrupted:
        raise Interrupted(report)
    return report


def _material(job: Job) -> Material:
    return Material(
        subjects=job.subjects,
        contracts={each.name: each.contract for each in job.subjects if each.contract},
        pixels=job.own_images.pixels if job.own_images else None,
        batch_size=job.batch_size,
        warmup_runs=job.plan.warmup_runs,
    )


def _steady_plan(plan: Plan, wanted: Wanted) -> Plan:
    """Leave half of a budget to the scenarios, if there are any."""
    if not wanted.count or plan.budget_seconds is None:
        return plan
    return replace(plan, budget_seconds=plan.budget_seconds / 2)


def _seconds(plan: Plan) -> float:
    return plan.duration_seconds or plan.budget_seconds or DURATION_SECONDS


def _shares(job: Job, more: ScenarioRun) -> tuple[float, float]:
    """Give which part of the progress the steady state is: from nothing to its share of it all."""
    opening = 2 * len(job.subjects) * job.plan.replicates
    steady = job.plan.budget_seconds or _seconds(job.plan) + opening
    return 0.0, steady / (steady + more.expected_seconds(_seconds(job.plan)))


def _part(progress: Progress, start: float, end: float, text: str, share: float) -> None:
    progress(text, start + (end - start) * min(1.0, share))


def _report(
    job: Job, run: Run, more: ScenarioRun, conditions: Conditions | None, *, interrupted: bool
) -> BenchReport:
    opened = next(iter(run.opened.values()))
    setup = Setup(
        runtime=opened.runtime,
        provider=opened.provider,
        threads=opened.threads,
        versions=opened.versions,
        batch_size=job.batch_size,
        images=job.images,
        inputs=job.inputs,
        cores=job.subjects[0].place.cores or (),
        precision=opened.precision,
        options=dict(job.subjects[0].place.options or {}),
        min_coverage=job.subjects[0].place.min_coverage,
    )
    measured = [_measured(subject, run) for subject in job.subjects]
    samples = replace(run.samples, failures=(*run.samples.failures, *more.failures))
    report = sum_up(
        samples,
        measured,
        job.pairs,
        setup,
        job.plan,
        interrupted=interrupted,
        scenarios=more.report,
        conditions=conditions,
    )
    return replace(report, baseline=job.baseline)


def _measured(subject: Subject, run: Run) -> Measured:
    opened = run.opened.get(subject.name)
    size = sum(Path(file).stat().st_size for file in subject.variant.files)
    place = f"{opened.runtime}/{opened.provider}" if opened else ""
    threads = opened.threads if opened else 0
    placement = run.placements.get(subject.name)
    return Measured(subject.name, subject.variant.precision, size, place, threads, placement)


def _save(blank: Report, keep: Callable[[Report], None], report: BenchReport) -> None:
    version = version_of(BenchReport)
    keep(replace(blank, body_version=version, body=to_builtins(report)))


def _nowhere(report: BenchReport) -> None:
    pass


def _silent(text: str, share: float) -> None:
    pass
