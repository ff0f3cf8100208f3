"""`edgecnn export --format NAME`: the options of a conversion, and how it is shown."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from edgecnn.cli._alone import typed_beside
from edgecnn.cli._c_target import C_OPTIONS
from edgecnn.cli._durations import to_seconds
from edgecnn.cli._options import (
    find_bundle,
    keep_report,
    not_empty,
    note,
    parse_engine_options,
    print_report,
)
from edgecnn.cli._progress import progress_bar
from edgecnn.cli._terminal import say

if TYPE_CHECKING:
    from edgecnn.converting import ConvertReport

Command = TypeVar("Command", bound=Callable[..., Any])

ONNX = "onnx"
_CONVERSION = {"source", "engine_options", "name", "runtime", "time_limit"}
_BOTH = {"bundle", "format", "precision", "threads", "as_json"}


def convert_options(command: Command) -> Command:
    """Add the options about formats other than ONNX."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def refuse_other_formats(wanted: str) -> None:
    """Refuse options that mean nothing beside a format, by name.

    Raises:
        UsageError: One was given.
    """
    every = {str(option.name) for option in click.get_current_context().command.params}
    together, remedy = (
        every - _CONVERSION,
        "is about another --format than onnx; name one, or leave it out.",
    )
    if wanted != ONNX:
        together = _CONVERSION | _BOTH | C_OPTIONS
        remedy = (
            f"is about ONNX files; leave it out, or export such a file first and name it with "
            f"--from beside --format {wanted}."
        )
    for flag in typed_beside(together):
        raise click.UsageError(f"{flag} {remedy}")


def convert_bundle(
    folder: Path | None,
    wanted: str,
    *,
    runtime: str | None,
    precision: str | None,
    engine_options: tuple[str, ...],
    as_json: bool,
    **options: Any,
) -> ConvertReport:
    """Convert a variant of a bundle, keep the report and print it."""
    from edgecnn.bundle import open_bundle
    from edgecnn.converting import convert
    from edgecnn.reports import make_report

    opened = find_bundle(folder)
    chosen = parse_engine_options(precision, engine_options)
    with progress_bar(still=True) as progress:
        found = convert(
            opened, wanted, runtime=runtime, options=chosen, progress=progress, **options
        )
    files = open_bundle(opened.folder).files
    report = make_report("convert", found, {name: files[name].sha256 for name in found.files})
    keep_report(report, opened.folder)
    if as_json:
        print_report(report)
    else:
        _print(found, folder, runtime or found.runtime)
    return found


def _print(found: ConvertReport, folder: Path | None, runtime: str) -> None:
    from edgecnn.cli._show import next_step, size

    pixels = "uint8 NHWC pixels" if found.preprocessing else "normalised floats"
    batch = "any batch" if found.batch == "dynamic" else f"batch {found.batch}"
    first, *others = found.files
    more = f" and {len(others)} more" if others else ""
    images = "stand-in" if found.stand_in else "golden"
    say(
        f"{found.variant}: {found.bundle}/{first}{more}, {size(sum(found.files.values()))}, "
        f"{pixels} in, {batch}.\n"
        f"On {found.runtime}/{found.provider} it agrees with float64 on {found.images} {images} "
        f"images: {'; '.join(_errors(found))}."
    )
    for name in found.stale:
        note(f"'{name}' was made from a file that has changed, and is stale.")
    next_step(f"bench --runtime {shlex.quote(runtime)} --variant {found.variant}", folder)


def _errors(found: ConvertReport) -> Iterable[str]:
    for name, output in found.outputs.items():
        which = f"'{name}': " if len(found.outputs) > 1 else ""
        yield which + "; ".join(gate.sentence for gate in output.gates)


_OPTIONS = (
    click.option(
        "--format",
        "format",
        default=ONNX,
        show_default=True,
        metavar="NAME",
        callback=not_empty,
        help="onnx, or the format of another engine, which its runtime writes.",
    ),
    click.option(
        "--from",
        "source",
        default="fp32",
        metavar="VARIANT",
        callback=not_empty,
        help="Of another format: the variant to convert.  [default: fp32]",
    ),
    click.option(
        "--option",
        "engine_options",
        multiple=True,
        metavar="NAME=VALUE",
        help="Of another format: an option of its converter; may be repeated.",
    ),
    click.option(
        "--name",
        metavar="NAME",
        callback=not_empty,
        help="Of another format: the new variant's name.  [default: FORMAT-PRECISION]",
    ),
    click.option(
        "--runtime",
        metavar="NAME|PATH",
        callback=not_empty,
        help="Of another format: what writes it.  [default: the runtime on the shelf]",
    ),
    click.option(
        "--time-limit",
        metavar="TIME",
        callback=to_seconds,
        help="Of another format: time that its converter may take.  [default: 10min]",
    ),
)
