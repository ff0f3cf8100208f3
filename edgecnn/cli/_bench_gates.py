"""`edgecnn bench` with a baseline and gates: its options and its exit code."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import click

from edgecnn.cli._gates import gate_options
from edgecnn.cli._options import note

if TYPE_CHECKING:
    from edgecnn.benchmark import BenchReport
    from edgecnn.bundle import Bundle

Command = TypeVar("Command", bound=Callable[..., Any])

_baseline_option = click.option(
    "--baseline",
    type=click.Path(path_type=Path),
    metavar="BUNDLE|FILE",
    help="Measure this one in the same run, and compare with it.",
)


def baseline_options(command: Command) -> Command:
    """Add `--baseline`, `--fail-if`, `--inconclusive` and `--markdown`."""
    return _baseline_option(gate_options("latency.median > +3%")(command))


def bench_code(report: BenchReport, inconclusive: Literal["pass", "fail"] | None) -> int:
    """Give the exit code: an interruption and a crash go before gates, and those before doubts."""
    from edgecnn.gating import exit_code

    if report.interrupted:
        return 130
    if report.samples.failures:
        return 4
    code = exit_code(report.gates, inconclusive)
    return code if code == 1 or report.valid else 5


def say_left_out(bundle: Bundle, report: BenchReport) -> None:
    """Name the variants that were not measured for their batch."""
    measured = {row.variant for row in report.variants}
    size = report.setup.batch_size
    batches = [
        each.name
        for each in bundle.manifest.variants
        if each.name not in measured and each.batch not in ("dynamic", size)
    ]
    if batches:
        note(f"Left out, as they take other batches: {', '.join(batches)}.")
