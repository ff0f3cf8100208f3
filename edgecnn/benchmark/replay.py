"""`edgecnn bench --replay`: the same files with the same settings again."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from edgecnn.benchmark.choice import make_job, pinned
from edgecnn.benchmark.engine import Place
from edgecnn.benchmark.measure import carry_out
from edgecnn.benchmark.replayed import Again, Replay, another_machine, differences, hold, judge
from edgecnn.benchmark.report import BenchReport
from edgecnn.benchmark.scenarios import Wanted
from edgecnn.benchmark.summing import intervals
from edgecnn.bundle import MANIFEST, Bundle, open_bundle
from edgecnn.errors import InputError
from edgecnn.machine import this_machine
from edgecnn.plain import NO_INPUTS, RANDOM, Request
from edgecnn.progress import Progress
from edgecnn.reports import Report, read_body, read_report
from edgecnn.runtime import Options
from edgecnn.shelves import runtime_names
from edgecnn.worker import check_guarded


def replay(
    file: Path | str,
    model: Bundle | Path | str | Sequence[Path | str] = (),
    *,
    baseline: Bundle | Path | str | None = None,
    runtime: str | None = None,
    options: Options | None = None,
    inputs: Path | str | None = None,
    input_shapes: Mapping[str, Sequence[int]] | None = None,
    keep: Callable[[Report], None] | None = None,
    progress: Progress | None = None,
) -> BenchReport:
    """Measure what a report measured, with its settings, and say whether it comes out the same.

    Scenarios are not measured again.

    Args:
        file: A report of `edgecnn bench`, of any version.
        model: The bundle or files that it measured; by default the bundle in which it lies.
        baseline: The baseline that it measured; by default the one that it names.
        runtime: Name or path of the runtime; by default the report's.
        options: The runtime's own options; by default the report's.
        inputs: For files: what they ran on, where that was the user's own.
        input_shapes: For files: shapes of inputs with open sizes, by name.
        keep: Called with the new report after each stage.
        progress: Called with a line of text and the share (0 to 1) that is done.

    Returns:
        The new report; its `replay` says how it compares.

    Raises:
        InputError: The file is no such report, or other files lie there now.
    """
    path = Path(file)
    report = read_report(path)
    before = read_body(report, BenchReport, where=str(path))
    setup = before.setup
    chosen = runtime or _known_runtime(setup.runtime, path)
    provider = check_guarded(chosen, setup.provider)
    how = setup.options if options is None else options
    place = Place(chosen, provider, setup.threads, how, min_coverage=setup.min_coverage)
    if setup.cores:
        place = pinned(place, Wanted())
    measured = model or own_bundle(path)
    if setup.inputs and _is_bundle(measured):
        raise InputError(f"{path} measured ONNX files, not a bundle.", _how_to(path, before))
    job = make_job(
        measured,
        _names(before) if _is_bundle(measured) else (),
        baseline or _known_baseline(before, path),
        _request(setup.inputs, inputs, input_shapes),
        setup.batch_size,
        place,
        before.plan,
    )
    _refuse_other_files(job.measured, report.measured, path)
    return carry_out(job, keep, progress, finish=partial(compare, report, before))


def compare(report: Report, before: BenchReport, now: BenchReport) -> BenchReport:
    """Hold a run against an earlier report, and keep in it how they compare.

    Args:
        report: What wraps the earlier one.
        before: The earlier one.
        now: The run.
    """
    machine = this_machine()
    found = tuple(_again(before, now))
    doubts = [f"Then: {reason}." for reason in before.reasons]
    doubts += [f"Now: {reason}." for reason in now.reasons]
    missing = {row.variant for row in before.variants} - {one.variant for one in found}
    doubts += [f"{name} has no figure in one of the two." for name in sorted(missing)]
    elsewhere = another_machine(report.machine, machine)
    outcome, reasons = judge(found, doubts, elsewhere=elsewhere)
    different = differences(report.machine, machine, (before.setup.versions, now.setup.versions))
    if before.scenarios.wanted.count:
        different = (*different, "scenarios: measured before, not measured now")
    if elsewhere or doubts:  # then a variant has no verdict of its own either
        found = tuple(replace(one, outcome="inconclusive") for one in found)
    result = Replay(
        created=report.created,
        command=report.command,
        machine=report.machine,
        outcome=outcome,
        reasons=reasons,
        differences=different,
        variants=found,
    )
    return replace(now, replay=result)


def _again(before: BenchReport, now: BenchReport) -> Iterator[Again]:
    floor = max(before.noise_floor or 0.0, now.noise_floor or 0.0)
    for name in (row.variant for row in before.variants):
        # Computed anew: reports of version 1 hold no intervals.
        old, new = (intervals(name, run.samples).get("median") for run in (before, now))
        if old and new:
            yield hold(name, old, new, floor)


def own_bundle(path: Path) -> Bundle:
    """Open the bundle among whose reports a file lies.

    Raises:
        InputError: It lies in none, or is no report of a bench.
    """
    folder = path.absolute().parent.parent
    if path.absolute().parent.name != "reports" or not (folder / MANIFEST).exists():
        before = read_body(read_report(path), BenchReport, where=str(path))
        raise InputError(
            f"{path} lies in no bundle, so where to find what it measured is not known.",
            _how_to(path, before),
        )
    return open_bundle(folder)


def _how_to(path: Path, before: BenchReport) -> str:
    what = _names(before) if before.setup.inputs else ("BUNDLE",)
    named = "the files" if before.setup.inputs else "the bundle"
    command = shlex.join(["edgecnn", "bench", *what, "--replay", str(path)])
    return f"Name {named}: `{command}`."


def _known_baseline(before: BenchReport, path: Path) -> str | None:
    if before.baseline is None:
        return None
    model = before.baseline.model
    if not Path(model).exists():
        raise InputError(
            f"{path} was measured beside {model}, which is not there.",
            "Name where it is now with --baseline.",
        )
    return model


def _known_runtime(name: str, path: Path) -> str:
    # A path would be code that runs because a file from elsewhere says so.
    if name not in runtime_names():
        raise InputError(
            f"{path} measured with the runtime '{name}', which is none of "
            f"{', '.join(runtime_names())}.",
            "Name the folder that holds its runtime.py with `--runtime`, if you trust it.",
        )
    return name


def _is_bundle(model: Bundle | Path | str | Sequence[Path | str]) -> bool:
    return isinstance(model, Bundle) or (isinstance(model, Path | str) and Path(model).is_dir())


def _names(before: BenchReport) -> tuple[str, ...]:
    rivals = {pair.baseline for pair in before.baseline.pairs} if before.baseline else set()
    return tuple(row.variant for row in before.variants if row.variant not in rivals)


def _request(
    known: str, inputs: Path | str | None, shapes: Mapping[str, Sequence[int]] | None
) -> Request:
    if known not in ("", RANDOM, NO_INPUTS) and inputs is None:
        raise InputError(
            f"The report was measured on {known}, which it does not hold.",
            f"Name it with `--inputs {known}`.",
        )
    return Request(None if inputs is None else Path(inputs), shapes or {})


def _refuse_other_files(now: Mapping[str, str], before: Mapping[str, str], path: Path) -> None:
    changed = [name for name in before if now.get(name) != before[name]]
    if changed or len(now) != len(before):
        what = changed or [name for name in now if name not in before]
        raise InputError(
            f"{', '.join(what)}: not what {path} measured, so nothing can be measured again.",
            "Bring back the files that were measured, or measure anew without --replay.",
        )
