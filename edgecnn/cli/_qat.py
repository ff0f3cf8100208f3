"""`edgecnn train --qat`: a bundle's net is fine-tuned as int8, and becomes a variant of it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgecnn.cli._alone import typed_beside
from edgecnn.cli._int8 import print_int8
from edgecnn.cli._options import keep_report, print_report
from edgecnn.cli._progress import progress_bar
from edgecnn.errors import InputError

if TYPE_CHECKING:
    from edgecnn.training.report import Tell

# What the bundle settles already: its net, its pictures, its place.
_TAKEN = (
    "recipe",
    "data",
    "data_dir",
    "epochs",
    "batch_size",
    "learning_rate",
    "seed",
    "threads",
    "device",
)

qat_option = click.option(
    "--qat",
    "bundle",
    metavar="BUNDLE",
    type=click.Path(path_type=Path),
    help="Fine-tune this bundle's net as int8 and add it as int8-qat; RECIPE then only says how "
    "pictures are mirrored and moved.",
)


def fine_tune(
    bundle: Path,
    options: dict[str, Any],
    live: Callable[[], AbstractContextManager[Tell]],
    *,
    as_json: bool,
) -> None:
    """Fine-tune, measure, add the variant and print what was found.

    Args:
        bundle: The bundle's folder.
        options: Those of `edgecnn train`.
        live: Gives what the events of the training are told to, while they are shown.
        as_json: Print the report as JSON.

    Raises:
        InputError: An option was given that a bundle leaves no choice about.
    """
    _refuse_settled()
    from edgecnn.bundle import open_bundle
    from edgecnn.reports import make_report
    from edgecnn.training.qat import add_variant, qat

    opened = open_bundle(bundle)
    taken = {name: options[name] for name in _TAKEN}
    with live() as tell:
        found = qat(opened, tell=tell, **taken)
    with progress_bar(still=True) as progress:
        measured = add_variant(opened, found, progress=progress)
    report = make_report("quantize", measured, {measured.file: measured.sha256})
    keep_report(report, opened.folder)
    if as_json:
        print_report(report)
    else:
        from edgecnn.cli._show import next_step

        print_int8(measured)
        next_step("bench", bundle)


def _refuse_settled() -> None:
    for flag in typed_beside({*_TAKEN, "bundle", "as_json"}):
        raise InputError(
            f"{flag} and --qat cannot be had together: --qat goes on from a bundle.",
            f"Leave {flag} out.",
        )
