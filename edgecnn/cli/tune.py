"""Find the variant, runtime, threads and options that are fastest here, and deploy them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgecnn.cli._alone import refuse_others
from edgecnn.cli._durations import to_seconds
from edgecnn.cli._options import (
    bundle_argument,
    data_dir_option,
    data_option,
    find_bundle,
    json_option,
    names,
    not_empty,
    note,
    print_report,
    runtimes_option,
    variant_option,
)
from edgecnn.cli._progress import progress_bar
from edgecnn.cli._terminal import say

if TYPE_CHECKING:
    from edgecnn.bundle import Bundle
    from edgecnn.reports import Report


def _to_share(context: click.Context, option: click.Parameter, text: str | None) -> float | None:
    from edgecnn.cli._int8 import parse_points

    try:
        return None if text is None else parse_points(text)
    except ValueError as error:
        raise click.BadParameter(str(error), context, option) from error


@click.command
@bundle_argument
@runtimes_option("Engines to try.  [default: all that are here but reference]", default=None)
@variant_option
@click.option(
    "--provider",
    metavar="NAME",
    callback=not_empty,
    help="Where to compute.  [default: wherever an engine can]",
)
@click.option(
    "--threads",
    type=click.IntRange(min=1),
    help="Threads, also of the default.  [default: 1, 2, 4, … up to the physical cores]",
)
@click.option(
    "--precision",
    metavar="NAME",
    callback=not_empty,
    help="What float32 operators compute in.  [default: fp32; with --max-drop all that engines "
    "offer]",
)
@click.option(
    "--max-drop",
    callback=_to_share,
    metavar="POINTS",
    help="Largest loss of accuracy allowed, such as 0.5pp.  [default: answers must agree with the "
    "golden vectors]",
)
@data_option
@data_dir_option
@click.option(
    "--budget",
    callback=to_seconds,
    metavar="TIME",
    default="60s",
    show_default=True,
    help="Time for everything; the first round and the second run take what they need.",
)
@click.option(
    "--batch-size",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Images in one call.",
)
@click.option(
    "--store/--no-store",
    default=True,
    show_default=True,
    help="Make what is found the bundle's deployment.",
)
@click.option(
    "--reset", is_flag=True, help="Take the bundle's deployment back, and measure nothing."
)
@json_option
def command(
    bundle: Path | None,
    runtime: str | None,
    variants: str | None,
    *,
    reset: bool,
    as_json: bool,
    store: bool,
    **options: Any,
) -> None:
    """Find how a bundle runs fastest on this machine, with right answers, and deploy it so.

    Variants, runtimes and numbers of threads race against the default (fp32 on ONNX Runtime as it
    is by itself), then the options of the best. A second run must show that the winner is faster;
    if it does not, the default is deployed. predict, bench, eval, profile and edgecnn.load then
    run it so wherever none of --variant, --runtime, --provider, --threads, --precision, --option
    and --batch-size is given. `edgecnn inspect` shows the deployment.
    """
    if reset:
        refuse_others({"bundle", "reset"}, "--reset measures nothing")
        _reset(find_bundle(bundle))
        return
    opened = find_bundle(bundle)
    from edgecnn.cli._tune_show import print_tune
    from edgecnn.errors import Inconclusive
    from edgecnn.tuning import Interrupted, tune

    keeper = _Keeper(opened.folder)
    options |= {"runtimes": names(runtime or ""), "variants": names(variants or "")}
    try:
        with progress_bar(still=True) as progress:
            found = tune(opened, store=store, keep=keeper.keep, progress=progress, **options)
    except Interrupted as stop:
        found = stop.report
    if as_json and keeper.last:
        print_report(keeper.last)
    else:
        print_tune(found)
    keeper.say_where()
    if found.interrupted:
        raise KeyboardInterrupt
    if found.outcome == "inconclusive":
        raise Inconclusive(
            f"{found.verdict} The deployment is left as it was.",
            "Close what else is running, or give it more time with --budget.",
        )
    if store:
        _say_deployed(opened)


class _Keeper:
    """Writes the report into the bundle, and remembers it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path: Path | None = None
        self.last: Report | None = None

    def keep(self, report: Report) -> Path | None:
        from edgecnn.errors import InputError
        from edgecnn.reports import write_report

        self.last = report
        try:
            self._path = write_report(report, self._folder)
        except InputError as error:
            note(f"The report is not kept: {error.problem}")
        return self._path

    def say_where(self) -> None:
        from edgecnn.cli._show import see_it_all

        if self._path:
            note(f"Report: {self._path}")
            note(see_it_all(self._folder))


def _reset(bundle: Bundle) -> None:
    from edgecnn.deployment import in_words
    from edgecnn.tuning import without_deployment

    had = bundle.manifest.deployment
    without_deployment(bundle)
    say(
        f"{bundle.folder} is no longer deployed as {in_words(had)}."
        if had
        else f"{bundle.folder} has no deployment."
    )


def _say_deployed(bundle: Bundle) -> None:
    from edgecnn.bundle import open_bundle
    from edgecnn.deployment import in_words

    found = open_bundle(bundle.folder).manifest.deployment
    if found:
        undo = f"edgecnn tune {bundle.folder} --reset"
        note(f"Deployed: {in_words(found)}. `{undo}` takes that back.")
