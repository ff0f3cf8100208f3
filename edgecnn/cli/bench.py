"""Measure latency, cold start and memory of variants, and compare them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgecnn.cli._bench_show import print_bench
from edgecnn.cli._durations import to_seconds
from edgecnn.cli._measured import Keeper, models_argument, named_bundle, output_option
from edgecnn.cli._options import (
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


@click.command
@models_argument
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
@output_option
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

    Every variant or file runs in fresh processes of its own, two at a time, which take turns. So
    each is also compared with itself: a difference that is no larger than that is none.
    """
    from edgecnn.benchmark import Interrupted, bench
    from edgecnn.runtime import check_available

    check_available(options["runtime"], options["provider"])
    bundle = named_bundle(models)
    keeper = Keeper(bundle.folder if bundle else None, output)
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
    keeper.say_where()
    context.exit(_exit_code(report))


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
