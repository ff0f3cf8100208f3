"""Profiling variants of a bundle, or plain files: `edgecnn profile`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import cast, get_args

from edgecnn import extras
from edgecnn.benchmark.choice import how_to_measure
from edgecnn.benchmark.engine import Batches, Place, Subject
from edgecnn.benchmark.jobs import Job, bundle_job, files_job
from edgecnn.benchmark.plan import make_plan
from edgecnn.bundle import Bundle, open_bundle
from edgecnn.deployment import USUAL_RUNTIME, HowToRun, how_without_bundle
from edgecnn.errors import InputError, ModelError
from edgecnn.graph.limits import Refusal
from edgecnn.plain import Request, is_file_name, open_files
from edgecnn.profiling.advice import Whole, advise
from edgecnn.profiling.findings import hints, inserted, unfused
from edgecnn.profiling.peaks import find_peaks
from edgecnn.profiling.report import Bound, Peaks, ProfileReport, ProfileSetup, VariantProfile
from edgecnn.profiling.roofline import place_operators, profile_cost
from edgecnn.profiling.timing import quiet, quiet_median, read_profile
from edgecnn.profiling.work import Graph, measure_work, read_graph
from edgecnn.progress import Progress
from edgecnn.reports import Report, make_report
from edgecnn.runtime import Options, load_runtime, profile_options
from edgecnn.spec import OperatorRun, TensorSpec
from edgecnn.worker import Opened, Worker, check_guarded

DURATION_SECONDS = 3.0
_ROUNDS = 12
_WARMUP_SECONDS = 0.2
_FEWEST_RUNS = 24
_MOST_EVENTS = 40_000  # one for each operator of each run; the profile takes 600 bytes for one


@dataclass(frozen=True)
class _Measured:
    """The times of one variant, as they were measured."""

    bare_ns: list[int]
    profiled_ns: list[int]
    operators: tuple[OperatorRun, ...]


def profile(
    model: Bundle | Path | str | Sequence[Path | str],
    *,
    variants: Sequence[str] = (),
    runtime: str | None = None,
    provider: str | None = None,
    threads: int | None = None,
    options: Options | None = None,
    batch_size: int | None = None,
    inputs: Path | str | None = None,
    input_shapes: Mapping[str, Sequence[int]] | None = None,
    duration: float = DURATION_SECONDS,
    measure_peaks: bool = False,
    keep: Callable[[Report], None] | None = None,
    progress: Progress | None = None,
) -> ProfileReport:
    """Say where a model's time goes, operator by operator, and what bounds each.

    Every variant is opened in two fresh processes, with the runtime's own profile and without,
    which take turns: what the profile adds to a run is known, and taken off.

    Args:
        model: A bundle or its folder; or one ONNX file, or several.
        variants: Names of variants; by default all that take this batch size.
        runtime: Name or path of the runtime; by default, where nothing is said of variants or how
            to run them, as the bundle is deployed, else `ort`.
        provider: Where to compute; the runtime's first provider by default.
        threads: Threads within an operator; by default the cores that this process may use.
        options: The runtime's own options.
        batch_size: Images in one run; by default 1, or what the first of some files takes.
        inputs: For files: an npz file with an array for each input; by default they are drawn.
        input_shapes: For files: shapes of inputs with open sizes, by name.
        duration: Seconds of measuring for each variant, about.
        measure_peaks: Measure the machine's peaks anew, even if they are known from earlier.
        keep: Called with the report at the end.
        progress: Called with a line of text and the share (0 to 1) that is done.

    Raises:
        InputError: A number cannot be, or a variant does not take this batch size.
        BundleError: The bundle or a variant is missing, stale or damaged.
        ModelError: A file is refused.
        UnavailableError: The runtime or provider is not to be had here, or does not time its
            operators; or `onnx` is not installed.
        RuntimeCrashed: A variant crashed.
    """
    extras.require("Profiling", "onnx")
    if not duration > 0:
        raise InputError(f"A duration of {duration:g} s cannot be measured.", "Use more than 0.")
    how = how_to_profile(
        how_to_measure(
            model,
            variant=variants,
            runtime=runtime,
            provider=provider,
            threads=threads,
            options=options,
            batch_size=batch_size,
        )
    )
    runtime, options = how.runtime, how.options
    provider = check_guarded(runtime, how.provider)
    timing = profile_options(load_runtime(runtime))
    place = Place(runtime, provider, how.threads, options)
    request = Request(_path(inputs), input_shapes or {})
    job = _job(model, variants, how.batch_size, place, request)
    say = progress or _silent
    measured, opened = [], None
    for number, subject in enumerate(job.subjects):
        tell = _part(say, number / len(job.subjects), 0.9 / len(job.subjects))
        opened, given, times = _measure(subject, place, timing, duration, tell)
        measured.append((subject, given, times))
    assert opened is not None, "a job has a subject"
    say("Measuring the machine's peaks", 0.9)
    peaks = find_peaks(
        runtime, opened.provider, opened.threads, opened.versions, options or {}, anew=measure_peaks
    )
    setup = ProfileSetup(
        runtime=opened.runtime,
        provider=opened.provider,
        threads=opened.threads,
        versions=opened.versions,
        batch_size=job.batch_size,
        images=job.images,
        precision=opened.precision,
        options=dict(options or {}),
    )
    found = tuple(_sum_up(*one, peaks, job.batch_size) for one in measured)
    report = ProfileReport(setup, peaks, found)
    if keep:
        keep(make_report("profile", report, job.measured))
    return report


def how_to_profile(how: HowToRun) -> HowToRun:
    """Give how a bundle is profiled: as deployed, if that runtime times its operators."""
    if not how.deployed or hasattr(load_runtime(how.runtime), "PROFILE_OPTIONS"):
        return how
    text = (
        f"Profiled on {USUAL_RUNTIME}, not as deployed: {how.runtime} does not time its operators."
    )
    return replace(how_without_bundle(), note=text)


def _job(
    model: Bundle | Path | str | Sequence[Path | str],
    variants: Sequence[str],
    batch_size: int | None,
    place: Place,
    request: Request,
) -> Job:
    plan = make_plan(1.0)  # of its turns none is taken here
    paths = _files(model)
    if paths:
        if variants:
            raise InputError("ONNX files have no variants.", "Leave --variant out.")
        return files_job(open_files(paths), request, batch_size, place, plan)
    request.refuse_for("A bundle is profiled on its golden images.")
    opened = model if isinstance(model, Bundle) else open_bundle(cast("Path | str", model))
    size = 1 if batch_size is None else batch_size
    return bundle_job(opened, variants, size, place, plan)


def _files(model: Bundle | Path | str | Sequence[Path | str]) -> Sequence[Path | str]:
    if isinstance(model, Bundle):
        return ()
    if isinstance(model, Path | str):
        return (model,) if is_file_name(model) else ()
    return model


def _measure(
    subject: Subject,
    place: Place,
    profiling: Options,
    duration: float,
    say: Callable[[float], None],
) -> tuple[Opened, Batches, _Measured]:
    """Time a variant's runs and operators, in two processes that take turns."""
    with ExitStack() as stack:
        bare, _, given = _open(stack, subject, place, {})
        timing, opened, given = _open(stack, subject, place, profiling)
        bare.run_for(_WARMUP_SECONDS, at_least=2)
        warm = timing.run_for(_WARMUP_SECONDS, at_least=2).times_ns
        runs = _runs(subject, duration / 2, median(warm) / 1e9)
        bare_ns, profiled_ns = list[int](), list[int]()
        for number in range(_ROUNDS):
            bare_ns += bare.run_for(duration / 2 / _ROUNDS, at_least=2, lead_seconds=0.003).times_ns
            profiled_ns += timing.run(runs).times_ns
            say((number + 1) / _ROUNDS)
        operators = timing.carry_out(read_profile)
    steady = [replace(each, times_ns=each.times_ns[-len(profiled_ns) :]) for each in operators]
    return opened, given, _Measured(bare_ns, profiled_ns, tuple(steady))


def _open(
    stack: ExitStack, subject: Subject, place: Place, more: Mapping[str, str]
) -> tuple[Worker, Opened, Batches]:
    worker = stack.enter_context(Worker(memory_limit=subject.memory_limit))
    opened = worker.open(
        subject.variant,
        runtime=place.runtime,
        provider=place.provider,
        threads=place.threads,
        options={**(place.options or {}), **more},
    )
    given = subject.batches(opened)
    worker.feed(given)
    return worker, opened, given


def _runs(subject: Subject, seconds: float, each: float) -> int:
    """Give the profiled runs of one round: as many as the time and the profile's size allow."""
    nodes = _node_count(Path(subject.variant.files[0]).read_bytes())
    total = min(seconds / max(each, 1e-6), _MOST_EVENTS / max(1, nodes))
    return max(_FEWEST_RUNS // _ROUNDS, round(total / _ROUNDS))


def _node_count(content: bytes) -> int:
    from edgecnn.graph.gate import parse

    return len(parse(content, where="the model").graph.node)


def _sum_up(
    subject: Subject, given: Batches, times: _Measured, peaks: Peaks, batch_size: int
) -> VariantProfile:
    graph = _graph(subject, given)
    works, mapped = measure_work(graph, quiet(times.operators, times.profiled_ns))
    latency = quiet_median(times.bare_ns) / 1e9
    operators = place_operators(works, graph, peaks, latency)
    inside = sum(each.seconds for each in operators)
    odd, added = unfused(graph, works, operators), inserted(operators)
    bounds: dict[str, float] = dict.fromkeys(get_args(Bound), 0.0)
    for each in operators:
        bounds[each.bound] += each.seconds
    outside = max(0.0, latency - inside)
    whole = Whole(latency, outside, batch_size, operators, odd, added, peaks, hints(graph, works))
    return VariantProfile(
        variant=subject.variant.name,
        precision=subject.variant.precision,
        runs=len(times.profiled_ns),
        latency_seconds=latency,
        profiled_seconds=quiet_median(times.profiled_ns) / 1e9,
        timing="prefixes" if all(work.run.finer_ns for work in works) else "profile",
        clock_seconds=profile_cost(works, peaks, latency),
        operators_seconds=inside,
        call_seconds=peaks.call_seconds,
        unattributed_seconds=latency - inside - peaks.call_seconds,
        operators=operators,
        bounds=bounds,
        unfused=odd,
        inserted=added,
        removed=tuple(map(graph.name, mapped.removed)),
        advice=advise(whole),
    )


def _graph(subject: Subject, given: Batches) -> Graph:
    path = Path(subject.variant.files[0])
    shapes = [TensorSpec(name, value.dtype.name, value.shape) for name, value in given[0].items()]
    try:
        return read_graph(path.read_bytes(), where=str(path), inputs=shapes)
    except Refusal as refusal:
        raise ModelError(f"{path} {refusal.reason}.", refusal.remedy) from None


def _path(inputs: Path | str | None) -> Path | None:
    return None if inputs is None else Path(inputs)


def _part(say: Progress, start: float, length: float) -> Callable[[float], None]:
    return lambda share: say("Timing operators", start + share * length)


def _silent(text: str, share: float) -> None:
    pass
