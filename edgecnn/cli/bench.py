"""Measure latency, cold start and memory of variants, and compare them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

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
    from edgecnn.benchmark.report import ColdStart, VariantLatency
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
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="Time for measuring; opening and warm-up come on top.  [default: 6]",
)
@click.option(
    "--iterations",
    type=click.IntRange(min=1),
    help="Timed calls of each variant, at least, in place of --duration.",
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
        _print(report)
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


def _print(report: BenchReport) -> None:
    _print_setup(report)
    _print_latency(report)
    if report.comparisons:
        _print_comparisons(report)
    starts = [(row.variant, row.cold_start) for row in report.variants if row.cold_start]
    if starts:
        _print_cold_starts(starts)
    for comparison in report.comparisons:
        click.echo(f"{comparison.verdict}.")
    for row in report.variants:
        if row.failure:
            click.echo(f"{row.variant} failed: {row.failure}")
    _print_checks(report)
    if report.valid:
        click.echo("VALID")
    else:
        click.echo(f"Not valid: {'; '.join(report.reasons)}.")
        note("Close what else is running, then try again, with a longer --duration if need be.")


def _print_setup(report: BenchReport) -> None:
    from edgecnn.cli._show import facts
    from edgecnn.machine import this_machine

    machine, setup = this_machine(), report.setup
    versions = ", ".join(f"{name} {number}" for name, number in setup.versions.items())
    threads = "1 thread" if setup.threads == 1 else f"{setup.threads} threads"
    facts(
        (
            ("CPU", f"{machine.cpu}, {machine.allowed_cores} of {machine.cores} cores"),
            ("features", ", ".join(machine.features) or "none that matter here"),
            ("runtime", f"{setup.runtime} ({versions}) on {setup.provider}, {threads}"),
            ("inputs" if setup.inputs else "images", setup.images),
        )
    )


def _print_checks(report: BenchReport) -> None:
    costs = [
        f"{row.checks_seconds * 1e6:.1f} µs with {row.variant}"
        for row in report.variants
        if row.checks_seconds is not None
    ]
    if costs:
        click.echo(f"edgecnn's own checks are not in these figures: {', '.join(costs)}.")


def _print_latency(report: BenchReport) -> None:
    from rich.markup import escape

    from edgecnn.cli._show import size, table

    medians = [row.median_seconds for row in report.variants if row.median_seconds]
    scale, unit = (1e3, "ms") if max(medians, default=0) >= 0.01 else (1e6, "µs")

    def time(seconds: float | None) -> str:
        return "-" if seconds is None else _three_digits(seconds * scale)

    def cells(row: VariantLatency) -> Sequence[str]:
        return (
            escape(row.variant),
            time(row.median_seconds),
            *map(time, (row.p90_seconds, row.p95_seconds, row.p99_seconds, row.minimum_seconds)),
            "-" if row.images_per_second is None else f"{row.images_per_second:,.0f}",
            f"{row.resident_bytes / 1e6:,.0f} MB" if row.resident_bytes else "-",
            size(row.size_bytes),
        )

    setup = report.setup
    table(
        ", ".join(filter(None, (f"Latency in {unit}", f"batch {setup.batch_size}", setup.inputs))),
        ("", "median", "p90", "p95", "p99", "min", "images/s", "memory", "size"),
        map(cells, report.variants),
        caption="Memory is the whole process: Python, the engine and the model.",
    )


def _print_comparisons(report: BenchReport) -> None:
    from rich.markup import escape

    from edgecnn.cli._show import table

    rows = [
        (
            escape(f"{one.second} / {one.first}"),
            f"{one.ratio:.3f}",
            f"{one.low:.3f} to {'-' if one.high is None else f'{one.high:.3f}'}",
            f"{100 * one.noise_floor:.1f} %",
            f"{one.blocks} in {one.replicates}",
            one.outcome,
        )
        for one in report.comparisons
    ]
    headers = ("times", "ratio", "95 % interval", "noise floor", "blocks", "outcome")
    inputs = report.setup.inputs
    table(f"Compared, block by block{inputs and f', {inputs}'}", headers, rows)


def _print_cold_starts(starts: Sequence[tuple[str, ColdStart]]) -> None:
    from rich.markup import escape

    from edgecnn.cli._show import table

    rows = [
        (
            escape(name),
            *(
                _three_digits(seconds * 1e3)
                for seconds in (
                    cold.start_seconds,
                    cold.import_seconds,
                    cold.load_seconds,
                    cold.first_run_seconds,
                    cold.total_seconds,
                )
            ),
            str(cold.processes),
        )
        for name, cold in starts
    ]
    headers = ("", "Python", "import", "load", "first run", "in all", "processes")
    table("Cold start in ms (median of fresh processes)", headers, rows)


def _three_digits(value: float) -> str:
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:,.{digits}f}"
