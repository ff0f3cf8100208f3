"""`edgecnn parity --as-cpu`: the golden vectors on other CPUs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from edgecnn.cli._alone import refuse_others
from edgecnn.cli._options import keep_report, names, print_report
from edgecnn.cli._terminal import say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgecnn.bundle import Bundle
    from edgecnn.emulation import EmulatedVariant, EmulationReport

_COLOURS = {"pass": "green", "inconclusive": "yellow"}
# What --as-cpu goes with; every other option says something of how models are compared.
_TOGETHER = {"model", "variants", "cpus", "threads", "as_json"}


def run(
    bundle: Bundle | None,
    cpus: Sequence[str],
    variants: str | None,
    *,
    threads: int | None,
    as_json: bool,
) -> None:
    """Run them, print and keep the report, and raise what was found."""
    from edgecnn.cli._progress import progress_bar
    from edgecnn.emulation import parity_as, raise_unless_alike
    from edgecnn.reports import make_report

    refuse_others(_TOGETHER, "--as-cpu takes golden vectors as they are")
    if bundle is None:
        raise click.UsageError("--as-cpu runs a bundle's golden vectors: name a bundle.")
    chosen = names(variants) if variants else None
    with progress_bar() as progress:
        found = parity_as(bundle, cpus, chosen, threads=threads, progress=progress)
    report = make_report(found.KIND, found, found.measured)
    keep_report(report, bundle.folder)
    if as_json:
        print_report(report)
    else:
        _print(found)
    raise_unless_alike(found)


def _print(found: EmulationReport) -> None:
    from edgecnn.cli._show import table

    columns = ["Variant", "as", "bits as here", "as when made", "other labels", "max abs", ""]
    title = f"{found.images} {found.inputs} on other CPUs, under qemu"
    table(title, columns, [_row(each, found.images) for each in found.variants], left=2)
    if found.verdict.outcome == "pass":
        say("Every answer is within its tolerance, and equal bit for bit where that was promised.")


def _row(each: EmulatedVariant, images: int) -> list[str]:
    from rich.markup import escape

    coloured = f"[{_COLOURS.get(each.outcome, 'red')}]{each.outcome}[/]"
    who = [escape(each.variant), escape(each.model)]
    if each.outcome in ("crashed", "refused"):
        return [*who, "", "", "", "", coloured]
    expected = "" if each.equal_expected is None else f"{each.equal_expected} of {images}"
    return [
        *who,
        f"{each.equal_here} of {images}",
        expected,
        "" if each.other_labels is None else str(each.other_labels),
        f"{each.largest_error:.1e}" if each.largest_error else "0",
        coloured,
    ]
