"""Show where a model's time goes, operator by operator, and what bounds each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edgecnn.cli._deployed import fill_in
from edgecnn.cli._durations import to_seconds
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
from edgecnn.cli._progress import progress_bar
from edgecnn.cli._unread import say_unread

_TOP = 30


@click.command
@models_argument
@variant_option
@runtime_option
@provider_option
@engine_options
@threads_option
@measured_batch_option
@click.option(
    "--duration",
    callback=to_seconds,
    metavar="TIME",
    default="3s",
    show_default=True,
    help="Time for measuring each variant; openings come on top.",
)
@click.option(
    "--top",
    type=click.IntRange(min=0),
    default=_TOP,
    show_default=True,
    help="Show so many operators, the costliest; 0 for all.",
)
@click.option(
    "--measure-peaks",
    is_flag=True,
    help="Measure the machine's peaks anew, even if they are known from an earlier run.",
)
@output_option
@plain_options
@json_option
def command(
    models: tuple[Path, ...],
    variants: str | None,
    output: Path | None,
    *,
    top: int,
    as_json: bool,
    **options: Any,
) -> None:
    """Show where the time of a bundle's variants, or of ONNX files, goes.

    Each operator that the runtime runs is named by the model's layers that are in it, timed, and
    held against what this machine was measured to do: arithmetic, memory, and what calling an
    operator costs. The machine's peaks are measured once and kept.
    """
    from edgecnn.cli._profile_show import print_profile
    from edgecnn.profiling import profile
    from edgecnn.profiling.run import how_to_profile
    from edgecnn.worker import check_guarded

    bundle = named_bundle(models)
    fill_in(bundle, options, variants, fit=how_to_profile)
    check_guarded(options["runtime"], options["provider"])
    keeper = Keeper(bundle.folder if bundle else None, output)
    with progress_bar(still=True) as progress:
        report = profile(
            bundle or models,
            variants=names(variants or ""),
            keep=keeper.keep,
            progress=progress,
            **options,
        )
    if as_json:
        print_report(keeper.last)
    else:
        print_profile(report, top)
    if bundle and not variants:
        say_unread(bundle, options["runtime"])
    keeper.say_where()
