"""Measure latency, cold start and memory of variants, and compare them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgecnn.cli._bench_show import print_bench
from edgecnn.cli._durations import to_seconds
from edgecnn.cli._options import (
    find_bundle,
    json_option,
    names,
    note,
    plain_options,
    print_report,
    provider_option,
    runtime_option,
    threads_option,
    variant_option,
)
from edgecnn.cli._progress import progress_bar

if TYPE_CHECKING:
    from edgecnn.benchmark import BenchReport
    from edgecnn.bundle import Bundle
    from edgecnn.reports import Report


@click.command
@click.argument("models", nargs=-1, type=click.Path(path_type=Path), metavar="[BUNDLE|FILE...]")
@variant_option
@runtime_option
@provider_option
@threads_option
@click.option(
    "--batch-size",
    type=click.IntRange(min=1),
    help="Images in one call.  [default: 1, or what the first ONNX file takes]",
)
@click.option(
    "--duration",
    callback=to_seconds,
    metavar="TIME",
    help="Time for measuring; opening and warm-up come on top.  [default: 6s]",
)
@click.option(
    "--iterations",
    type=click.IntRange(min=1),
    help="Timed calls of each variant, at least, in place of --duration.",
)
@click.option(
    "--budget",
    callback=to_seconds,
    metavar="TIME",
    help="Time for everything, openings and warm-ups too, in place of --duration.",
)
@click.option(
    "--warmup",
    type=click.IntRange(min=0),
    help="Runs before measuring.  [default: until the times are steady]",
)
@click.option(
    "--cold-start/--no-cold-start",
    default=True,
    show_default=True,
    help="Report the time to the first answer in a fresh process.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the report to this file too; that of ONNX files is kept nowhere else.",
)
@plain_options
@json_option
@click.pass_context
def command(
    context: click.Context,
    /,
    models: tuple[Path, ...],
    variants: str | None,
    output: Path | None,
    *,
    as_json: bool,
    **options: Any,
) -> None:
    """Measure a bundle's variants, or ONNX files; the others are compared with the first.

    Every variant or file runs in processes of its own, which take turns. The first is also
    compared with itself: a difference that is no larger than that is none.
    """
    from edgecnn.benchmark import Interrupted, bench
    from edgecnn.runtime import check_available

    check_available(options["runtime"], options["provider"])
    bundle = _bundle(models)
    keeper = _Keeper(bundle.folder if bundle else None, output)
    chosen = names(variants or "")
    try:
        with progress_bar(still=True) as progress:
            report = bench(
                bundle or models, variants=chosen, keep=keeper.keep, progress=progress, **options
            )
    except Interrupted as stop:
        report = stop.report
    if as_json:
        print_report(keeper.last)
    else:
        print_bench(report)
    if bundle and not chosen:
        _say_left_out(bundle, report)
    for path in keeper.paths:
        note(f"Report: {path}")
    if not bundle and not output:
        note("The report is not kept: ONNX files have no place for it. Name one with --output.")
    context.exit(_exit_code(report))


def _bundle(models: tuple[Path, ...]) -> Bundle | None:
    """Open the bundle that is meant; None where ONNX files are."""
    from edgecnn.plain import is_file_name

    files = [is_file_name(path) for path in models]
    if any(files):
        if not all(files):
            folder = models[files.index(False)]
            raise click.UsageError(f"{folder} is no ONNX file: name one bundle, or files alone.")
        return None
    if len(models) > 1:
        raise click.UsageError("Only one bundle can be measured at a time.")
    return find_bundle(models[0] if models else None)


def _say_left_out(bundle: Bundle, report: BenchReport) -> None:
    measured = {row.variant for row in report.variants}
    left_out = [each.name for each in bundle.manifest.variants if each.name not in measured]
    if left_out:
        note(f"Left out, as they take other batches: {', '.join(left_out)}.")


def _exit_code(report: BenchReport) -> int:
    if report.interrupted:
        return 130
    if report.samples.failures:
        return 4
    return 0 if report.valid else 5


class _Keeper:
    """Writes the report anew after each stage, and remembers the last."""

    def __init__(self, folder: Path | None, output: Path | None) -> None:
        self._folder = folder
        self._output = output
        self.last: Report
        self.paths: tuple[Path, ...] = ()

    def keep(self, report: Report) -> None:
        from edgecnn.disk import write_atomically
        from edgecnn.errors import InputError
        from edgecnn.records import to_json
        from edgecnn.reports import write_report

        self.last, written = report, list[Path]()
        if self._output:
            write_atomically(self._output, to_json(report))
            written.append(self._output)
        if self._folder:
            try:
                written.append(write_report(report, self._folder))
            except InputError as error:
                note(f"The report is not kept: {error.problem}")
                self._folder = None
        self.paths = tuple(written)
