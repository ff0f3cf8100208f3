"""Rank a net's tensors by how much int8 hurts, and show what float would cost."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgecnn.cli._durations import to_seconds
from edgecnn.cli._options import (
    bundle_argument,
    data_dir_option,
    data_option,
    find_bundle,
    json_option,
    keep_report,
    note,
    print_report,
    threads_option,
)
from edgecnn.cli._progress import progress_bar
from edgecnn.cli._terminal import say

if TYPE_CHECKING:
    from edgecnn.quantization.sensitivity import Effect, SensitivityReport

_TOP = 20


@click.command
@bundle_argument
@click.option("--variant", default="fp32", show_default=True, help="The fp32 variant.")
@click.option(
    "--selection-samples",
    type=click.IntRange(min=1),
    help="Training images that answers are compared on.  [default: 1024, or 128 large ones]",
)
@data_option
@data_dir_option
@threads_option
@click.option(
    "--duration",
    callback=to_seconds,
    metavar="TIME",
    help="Time for timing the layers of each precision; openings come on top.  [default: 2s]",
)
@click.option(
    "--top",
    type=click.IntRange(min=0),
    default=_TOP,
    show_default=True,
    help="Show so many tensors, those that hurt most; 0 for all.",
)
@json_option
def command(bundle: Path | None, *, top: int, as_json: bool, **options: Any) -> None:
    """Round one tensor of a bundle's fp32 at a time as int8 does, and compare the answers.

    Activations and weights are ranked by how much the margin of the likeliest class changes. The
    images are of the training split and calibrate nothing. Each layer's time in fp32 and in int8
    shows what it would cost to leave it in float, as `edgecnn quantize --mixed` does.
    """
    from edgecnn.quantization.sensitivity import sensitivity
    from edgecnn.reports import make_report

    opened = find_bundle(bundle)
    with progress_bar(still=True) as progress:
        found = sensitivity(opened, note=note, progress=progress, **options)
    report = make_report("sensitivity", found, {found.file: found.sha256})
    keep_report(report, opened.folder)
    if as_json:
        print_report(report)
    else:
        from edgecnn.cli._show import next_step

        _print(found, top)
        next_step("quantize --mixed", bundle)


def _print(report: SensitivityReport, top: int) -> None:
    from rich.markup import escape

    from edgecnn.cli._show import table

    shown = report.effects[: top or len(report.effects)]
    error = "margin error" if report.classes else "noise / signal"
    flips = ("flips",) if report.classes else ()
    table(
        f"Tensors of {escape(report.variant)}, each rounded alone, on {report.images:,} training "
        f"images of {escape(report.data)}; times in µs",
        ("layer", "what", error, "share", *flips, "fp32", "int8", "cost"),
        [_row(report, each) for each in shown],
        left=2,
        caption=_caption(report, len(shown)),
    )
    say(_whole(report))


def _row(report: SensitivityReport, each: Effect) -> tuple[str, ...]:
    from rich.markup import escape

    flips = () if each.distance.flips is None else (f"{each.distance.flips:,}",)
    return (
        escape(each.layer or each.tensor),
        each.kind,
        f"{each.error.estimate:.4f} ±{each.error.high - each.error.estimate:.4f}",
        f"{100 * each.share:.0f} %",
        *flips,
        *_times(report, each),
        f"{1e6 * report.cost_seconds(each.in_float):+,.1f}",
    )


def _times(report: SensitivityReport, each: Effect) -> tuple[str, str]:
    """Write a layer's two times; a plus marks an operator that computes other layers too."""
    found = next((layer for layer in report.layers if layer.layer == each.layer), None)
    if found is None:
        return "", ""
    fp32, int8 = (
        "" if one is None else f"{1e6 * one.seconds:,.1f}{'+' if len(one.layers) > 1 else ''}"
        for one in (found.fp32, found.int8)
    )
    return fp32, int8


def _caption(report: SensitivityReport, shown: int) -> str:
    others = len(report.effects) - shown
    more = f"{others} more hurt less; --top 0 shows them. " if others > 0 else ""
    chance = (
        f"Of {report.images:,} images a few flips are chance: the margin error ranks. "
        if report.classes
        else ""
    )
    return (
        f"{more}{chance}±: 95 % interval. Share: of the sum of all errors squared. +: the operator "
        "computes other layers too. Cost: of all layers that touch the tensor in float, without "
        "the conversions that this adds."
    )


def _whole(report: SensitivityReport) -> str:
    total = sum(each.error.estimate**2 for each in report.effects) ** 0.5
    whole = report.whole
    flips = f", {whole.flips:,} flips" if whole.flips is not None else ""
    return (
        f"All together: {report.whole_error.estimate:.4f}{flips}, {whole.sqnr_db:.1f} dB; "
        f"independent errors would add up to {total:.4f}. fp32 takes "
        f"{1e6 * report.fp32_seconds:,.1f} µs, int8 {1e6 * report.int8_seconds:,.1f} µs."
    )
