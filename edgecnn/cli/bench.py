"""Measure latency, cold start and memory of variants, and compare them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from edgecnn.cli._bench_boards import board_option, run_boards
from edgecnn.cli._bench_gates import baseline_options, bench_code, say_left_out
from edgecnn.cli._bench_replay import print_replay, replay_code, replay_option, replaying
from edgecnn.cli._bench_scenarios import scenario_options, wanted
from edgecnn.cli._bench_show import print_bench
from edgecnn.cli._deployed import fill_in
from edgecnn.cli._durations import to_seconds
from edgecnn.cli._gates import (
    note_gates,
    print_gates,
    refuse_unwritable,
    refuse_vain,
    write_markdown,
)
from edgecnn.cli._limits import limit_options
from edgecnn.cli._measured import (
    Keeper,
    measured_batch_option,
    models_argument,
    named_bundle,
    output_option,
)
from edgecnn.cli._options import (
    engine_options,
    json_option,
    names,
    plain_options,
    print_report,
    provider_option,
    runtime_option,
    threads_option,
    variant_option,
)
from edgecnn.cli._placement import placement_options
from edgecnn.cli._progress import progress_bar
from edgecnn.cli._unread import say_unread

if TYPE_CHECKING:
    from edgecnn.benchmark import BenchReport
    from edgecnn.bundle import Bundle


@click.command
@models_argument
@variant_option
@runtime_option
@provider_option
@engine_options
@placement_options
@threads_option
@limit_options
@click.option(
    "--pin/--no-pin",
    default=False,
    show_default=True,
    help="Pin each process to a physical core for each of its threads.",
)
@measured_batch_option
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
@baseline_options
@replay_option
@board_option
@output_option
@scenario_options
@plain_options
@json_option
@click.pass_context
def command(
    context: click.Context,
    /,
    models: tuple[Path, ...],
    variants: str | None,
    output: Path | None,
    inconclusive: Literal["pass", "fail"] | None,
    markdown: Path | None,
    replay_file: Path | None,
    boards: str | None,
    *,
    as_json: bool,
    **options: Any,
) -> None:
    """Measure a bundle's variants, or ONNX files; the others are compared with the first.

    Every variant or file runs in fresh processes of its own, two at a time, which take turns. So
    each is also compared with itself: a difference that is no larger than that is none.

    A gate says what fails: latency.p90 > 5ms, latency.median > +3% (against the baseline), size >
    200kB, cold_start, first_run, throughput, memory.peak. It holds for every variant, or for the
    one named before a colon. It fails or passes only if the whole interval does; else the exit
    code is 5, or what --inconclusive says. What is not valid never passes.

    With --board, C variants run on emulated microcontrollers instead: whether their answers are
    right there, and what they need of flash, RAM, stack and instructions.
    """
    from edgecnn.benchmark import Interrupted

    if boards:
        run_boards(models, output, as_json=as_json)
        return
    refuse_vain(options["fail_if"], inconclusive)
    refuse_unwritable(output, markdown)
    chosen = names(variants or "")
    if replay_file:
        bundle, measure = replaying(context, models)
    else:
        bundle, measure = _measuring(models, chosen, options)
    keeper = Keeper(bundle.folder if bundle else None, output)
    try:
        with progress_bar(still=True) as progress:
            report = measure(keep=keeper.keep, progress=progress)
    except Interrupted as stop:
        report = stop.report
    if as_json:
        print_report(keeper.last)
        note_gates(report.gates)
    else:
        print_bench(report)
        print_gates(report.gates)
        if report.replay:
            print_replay(report.replay)
    if markdown:
        from edgecnn.reporting.markdown import bench_summary

        write_markdown(markdown, bench_summary(keeper.last, report))
    if bundle and not chosen and not replay_file:
        say_left_out(bundle, report)
        say_unread(bundle, options["runtime"])
    keeper.say_where()
    context.exit(replay_code(report) if replay_file else bench_code(report, inconclusive))


def _measuring(
    models: tuple[Path, ...], variants: tuple[str, ...], options: dict[str, Any]
) -> tuple[Bundle | None, Callable[..., BenchReport]]:
    """Give the bundle that is measured, None where files are, and the function that does it."""
    from edgecnn.benchmark import bench
    from edgecnn.deployment import USUAL_RUNTIME
    from edgecnn.worker import WorkerLimits, check_guarded

    limits = WorkerLimits.of(options["time_limit"], options["memory_limit"])
    if options["runtime"] or options["provider"]:  # before there need be a bundle
        check_guarded(options["runtime"] or USUAL_RUNTIME, options["provider"], limits)
    bundle = named_bundle(models)
    fill_in(bundle, options, ",".join(variants))
    options["scenarios"] = wanted(options)
    return bundle, partial(bench, bundle or models, variants=variants, **options)
