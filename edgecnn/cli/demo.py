"""Train, export, quantize, check and measure two nets, in two minutes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgecnn.cli._options import json_option, note, print_report
from edgecnn.cli._terminal import say

if TYPE_CHECKING:
    from edgecnn.demo import DemoReport, DemoRow


@click.command()
@click.option(
    "--output",
    default="edgecnn-demo",
    show_default=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of the two bundles.",
)
@click.option("--force", is_flag=True, help="Replace bundles that are there.")
@json_option
def command(output: Path, *, force: bool, as_json: bool) -> None:
    """Take two nets from nothing to a verdict: is int8 worth having?

    lenet, the PyTorch tutorial's net, and resnet8, MLPerf Tiny's, learn to tell drawn shapes apart;
    both are exported, quantized, checked against float64 and measured. No download, no GPU.
    """
    from edgecnn.cli._progress import progress_bar
    from edgecnn.demo import demo
    from edgecnn.reports import make_report

    with progress_bar(still=True) as progress:
        found = demo(output, force=force, tell=note, progress=progress)
    if as_json:
        print_report(make_report("demo", found, {}))
    else:
        _print(found)


def _print(found: DemoReport) -> None:
    from edgecnn.cli._show import see_it_all, table

    columns = ["", "fp32", "int8", "same", "size", "time of int8", "parity", "int8?"]
    table("fp32 and int8 under ONNX Runtime, one thread", columns, map(_row, found.rows))
    for row in found.rows:
        say(f"{row.net}: {' '.join(row.verdict.reasons)}")
    bundle = found.rows[0].bundle
    say(f"\nNext: `edgecnn inspect {bundle}`, or `edgecnn train` with your own --data.")
    for row in found.rows:
        say(see_it_all(Path(row.bundle)))


def _row(row: DemoRow) -> list[str]:
    from edgecnn.cli._show import percent

    fp32, int8, paired = row.quantized.fp32, row.quantized.int8, row.quantized.paired
    # The shapes are classes, so every part has an accuracy.
    assert fp32.accuracy is not None
    assert int8.accuracy is not None
    assert paired is not None
    ratio = f"{row.latency.ratio:.2f} x fp32" if row.latency else "not measured"
    return [
        row.net,
        percent(fp32.accuracy.estimate),
        percent(int8.accuracy.estimate),
        percent(paired.same),
        f"{int8.size / fp32.size:.2f} x",
        ratio,
        row.parity.outcome,
        {"pass": "yes", "fail": "no", "inconclusive": "unclear"}[row.verdict.outcome],
    ]
