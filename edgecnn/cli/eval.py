"""Measure accuracy on labelled images, and compare variants on the same ones."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from edgecnn.cli._deployed import fill_in
from edgecnn.cli._gates import (
    gate_options,
    note_gates,
    print_gates,
    refuse_unwritable,
    refuse_vain,
    write_markdown,
)
from edgecnn.cli._limits import limit_options
from edgecnn.cli._lost import lost_row, stop_if_lost
from edgecnn.cli._options import (
    batch_size_option,
    bundle_argument,
    data_dir_option,
    data_option,
    engine_options,
    find_bundle,
    json_option,
    keep_report,
    names,
    note,
    print_report,
    provider_option,
    runtime_option,
    threads_option,
    variant_option,
)
from edgecnn.cli._placement import fallback_option
from edgecnn.cli._terminal import say
from edgecnn.cli._unread import say_unread

if TYPE_CHECKING:
    from edgecnn.evaluation import EvalReport, PairedAccuracy
    from edgecnn.stats import Interval


@click.command()
@bundle_argument
@variant_option
@data_option
@data_dir_option
@click.option(
    "--split",
    type=click.Choice(["test", "train"]),
    default="test",
    show_default=True,
    help="Which images.",
)
@runtime_option
@provider_option
@engine_options
@fallback_option
@threads_option
@batch_size_option
@limit_options
@click.option(
    "--baseline",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="BUNDLE",
    help="A bundle to answer the same images, and to compare with.",
)
@gate_options("accuracy < -0.5pp")
@json_option
@click.pass_context
def command(
    context: click.Context,
    /,
    bundle: Path | None,
    variants: str | None,
    inconclusive: Literal["pass", "fail"] | None,
    markdown: Path | None,
    *,
    as_json: bool,
    **options: Any,
) -> None:
    """Measure accuracy on labelled images, and compare variants on the same ones.

    Accuracy is given with Wilson's 95 % interval; each later variant is compared with the first,
    and with the baseline's of the same name, by Tango's paired score interval.

    A gate says what fails: accuracy < 0.85, accuracy < -0.5pp (points against the baseline),
    agreement < 0.99 (same answers as the baseline). It holds for every variant, or for the one
    named before a colon. It fails or passes only if the whole interval does; else the exit code is
    5, or what --inconclusive says.
    """
    from edgecnn.cli._progress import progress_bar
    from edgecnn.cli._show import see_it_all
    from edgecnn.evaluation import evaluate
    from edgecnn.gating import exit_code
    from edgecnn.reports import make_report

    refuse_vain(options["fail_if"], inconclusive)
    refuse_unwritable(markdown)
    opened = find_bundle(bundle)
    fill_in(opened, options, variants)
    with progress_bar() as progress:
        found = evaluate(
            opened, names(variants) if variants else None, progress=progress, **options
        )
    for text in found.notes:
        note(text)
    if not variants:
        say_unread(opened, options["runtime"])
    report = make_report("eval", found, found.measured)
    keep_report(report, opened.folder)
    if markdown:
        from edgecnn.reporting.markdown import eval_summary

        write_markdown(markdown, eval_summary(report, found))
    if as_json:
        print_report(report)
        note_gates(found.gates)
    else:
        _print(found)
        say(see_it_all(opened.folder))
    stop_if_lost(found.failures)
    context.exit(exit_code(found.gates, inconclusive))


def _print(found: EvalReport) -> None:
    from rich.markup import escape

    from edgecnn.cli._show import percent, table

    rows = [
        [
            escape(each.name),
            escape(each.engine),
            f"{each.correct:,}",
            percent(each.accuracy.estimate),
            _range(each.accuracy),
        ]
        for each in found.variants
    ]
    rows += [lost_row(failure, 5) for failure in found.failures]
    title = f"Accuracy on {found.images:,} {found.split} images of {escape(found.data)}"
    table(title, ["", "runtime", "correct", "accuracy", "95 % interval"], rows)
    _print_classes(found)
    for pair in (*found.comparisons, *(found.baseline.comparisons if found.baseline else ())):
        _print_pair(pair, found.images)
    print_gates(found.gates)


def _print_classes(found: EvalReport) -> None:
    from rich.markup import escape

    from edgecnn.cli._show import percent, table

    brief = len(found.variants) > 2
    rows = []
    for index, label in enumerate(found.labels):
        row = [escape(label), f"{found.variants[0].classes[index].images:,}"]
        for each in found.variants:
            share = each.classes[index].accuracy
            text = "" if share is None else percent(share.estimate)
            row.append(text if brief or share is None else f"{text}  ({_range(share)})")
        rows.append(row)
    table("By class", ["", "images", *(escape(each.name) for each in found.variants)], rows)


def _print_pair(pair: PairedAccuracy, images: int) -> None:
    from edgecnn.stats import smallest_provable_drop

    differing = pair.only_first + pair.only_second
    provable = smallest_provable_drop(images, differing / images)
    say(
        f"{pair.second} against {pair.first}: a drop of {_points(pair.drop.estimate)} points "
        f"(95 % interval {_points(pair.drop.low)} to {_points(pair.drop.high)}).\n"
        f"  {pair.only_first:,} images only {pair.first} got right, "
        f"{pair.only_second:,} only {pair.second}; "
        f"{100 * pair.same:.2f} % of answers are equal.\n"
        f"  The smallest drop that so many images can rule out is {_points(provable)} points."
    )


def _range(interval: Interval) -> str:
    return f"{100 * interval.low:.1f} to {100 * interval.high:.1f}"


def _points(share: float) -> str:
    return f"{100 * share:.2f}"
