"""Say what is seen in pictures."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from edgecnn.cli._deployed import fill_in
from edgecnn.cli._limits import limit_options
from edgecnn.cli._options import (
    batch_size_option,
    engine_options,
    find_bundle,
    json_option,
    not_empty,
    note,
    provider_option,
    runtime_option,
    threads_option,
)
from edgecnn.cli._placement import fallback_option
from edgecnn.cli._progress import Tell, progress_bar

if TYPE_CHECKING:
    from edgecnn.errors import RuntimeCrashed
    from edgecnn.prediction import Found, Predictions, Stdin


@click.command()
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...")
@click.option(
    "--bundle",
    type=click.Path(path_type=Path, file_okay=False),
    help="Bundle whose net answers.  [default: the newest under runs/]",
)
@click.option(
    "--variant",
    metavar="NAME",
    callback=not_empty,
    help="Variant that answers.  [default: as tuned, or fp32]",
)
@click.option(
    "--top",
    type=click.IntRange(min=1),
    default=5,
    show_default=True,
    help="How many of the likeliest classes to give.",
)
@click.option(
    "--max-pixels",
    type=click.IntRange(min=1),
    default=64_000_000,
    show_default=True,
    help="Refuse pictures with more pixels, before they are unpacked.",
)
@runtime_option
@provider_option
@engine_options
@fallback_option
@threads_option
@batch_size_option
@limit_options
@json_option
@click.option("--jsonl", "as_lines", is_flag=True, help="Print one line of JSON for each picture.")
def command(
    images: tuple[str, ...],
    bundle: Path | None,
    *,
    as_json: bool,
    as_lines: bool,
    **options: Any,
) -> None:
    """Say what is seen in pictures.

    IMAGE is a file, a folder (its pictures at any depth), a quoted pattern such as
    'photos/**/*.jpg', or - for a picture or paths on stdin. A picture that cannot be read is named,
    the rest goes on, and the command ends with 1.
    """
    from edgecnn.prediction import predict

    if as_json and as_lines:
        raise click.UsageError("--json and --jsonl are two forms of the same; choose one.")
    form = _print_json if as_json else _print_lines if as_lines else _print_table
    stdin = None if sys.stdin is None else cast("Stdin", sys.stdin.buffer)
    shown = form is _print_table or not sys.stdout.isatty()
    with _warnings_as_notes(), progress_bar() if shown else nullcontext() as progress:
        opened = find_bundle(bundle)
        options["variant"] = fill_in(opened, options, options["variant"])
        found = predict(opened, images, stdin=stdin, note=note, **options)
        counts = {"pictures": 0, "broken": 0}
        crashes: list[RuntimeCrashed] = []
        pictures = _told(_until_crash(found.images, crashes), counts)
        form(found, _counted(pictures, images, progress) if progress else pictures)
    for crash in crashes:
        raise crash
    _stop_if_broken(**counts)


def _until_crash(images: Iterator[Found], crashes: list[RuntimeCrashed]) -> Iterator[Found]:
    """End where the engine crashes, so that what is printed gets its end, too."""
    from edgecnn.errors import RuntimeCrashed

    try:
        yield from images
    except RuntimeCrashed as crash:
        crashes.append(crash)


def _told(images: Iterator[Found], counts: dict[str, int]) -> Iterator[Found]:
    """Count the pictures, and say on stderr what is to be known of each."""
    from edgecnn.prediction import display

    for found in images:
        counts["pictures"] += 1
        counts["broken"] += bool(found.error)
        if found.error:
            note(found.error)
        for text in found.notes:
            note(f"{display(found.image)}: {text}")
        yield found


def _counted(pictures: Iterator[Found], places: Sequence[str], progress: Tell) -> Iterator[Found]:
    """Say how many pictures have an answer, and of how many; of what stdin names nobody knows."""
    from edgecnn.prediction import find_pictures

    known = sys.stderr.isatty() and "-" not in places
    total = sum(1 for _ in find_pictures(places)) if known else None
    for number, found in enumerate(pictures, 1):
        of = "" if total is None else f" of {total:,}"
        progress(f"{number:,}{of} pictures", None if total is None else number / max(total, number))
        yield found


def _stop_if_broken(pictures: int, broken: int) -> None:
    from edgecnn.errors import GateFailed, InputError

    if not pictures:
        raise InputError("No images were named.", "Give files, folders, patterns, or - for stdin.")
    if broken:
        whose = "picture" if pictures == 1 else "pictures"
        have = "has" if broken == 1 else "have"
        raise GateFailed(
            f"{broken:,} of {pictures:,} {whose} {have} no answer.", "The lines above say why."
        )


@contextmanager
def _warnings_as_notes() -> Iterator[None]:
    # Pillow warns of damage that it mends, in two lines with a path into its own code.
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_, **__: note(f"Warning: {message}")
        yield


def _print_lines(predictions: Predictions, images: Iterator[Found]) -> None:
    from edgecnn.prediction import to_plain
    from edgecnn.records import to_json_line

    for found in images:
        click.echo(to_json_line(to_plain(found)), nl=False)


def _print_json(predictions: Predictions, images: Iterator[Found]) -> None:
    from edgecnn.prediction import to_plain, without_pictures
    from edgecnn.records import stream_json
    from edgecnn.reports import make_report

    report = make_report("predict", without_pictures(predictions), predictions.measured)
    for piece in stream_json(report, map(to_plain, images)):
        click.echo(piece, nl=False)


def _print_table(predictions: Predictions, images: Iterator[Found]) -> None:
    add: Callable[[Found], None] | None = None
    for found in images:
        if found.error:
            continue
        if add is None:
            add = (_class_table if found.ranked else _output_table)(predictions)
            if found.ranked and found.outputs:
                note(f"--json and --jsonl also give {', '.join(found.outputs)}.")
        add(found)


def _class_table(predictions: Predictions) -> Callable[[Found], None]:
    from rich.markup import escape

    from edgecnn.cli._show import open_table, percent
    from edgecnn.prediction import display

    widest = max((len(display(label)) for label in predictions.labels), default=0)
    columns, widths = ["image", "answer", "", "then"], [24, max(6, min(20, widest)), 8, 0]
    add_row = open_table(_title(predictions), columns, widths, right=(2,))

    def add(found: Found) -> None:
        best, *others = found.ranked
        then = ", ".join(
            f"{escape(display(each.label))} {percent(each.probability)}" for each in others
        )
        name = escape(display(found.image))
        add_row([name, escape(display(best.label)), percent(best.probability), then])

    return add


def _output_table(predictions: Predictions) -> Callable[[Found], None]:
    from rich.markup import escape

    from edgecnn.cli._show import open_table
    from edgecnn.prediction import display

    columns, widths = (
        ["image", "output", "shape", "least", "mean", "greatest"],
        [17, 0, 9, *[10] * 3],
    )
    add_row = open_table(_title(predictions), columns, widths, right=(2, 3, 4, 5))

    def add(found: Found) -> None:
        for name, value in found.outputs.items():
            shape = "x".join(map(str, value.shape)) or "one number"
            figures = (value.min(), value.mean(), value.max()) if value.size else ()
            cells = [f"{figure:.4g}" for figure in figures] or ["", "", ""]
            add_row([escape(display(found.image)), escape(name), shape, *cells])

    return add


def _title(predictions: Predictions) -> str:
    from rich.markup import escape

    return escape(f"{predictions.variant} of {predictions.bundle} on {predictions.engine}")
