"""`edgecnn bench --replay`: its option, how it is called, what it prints, its exit code."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from edgecnn.cli._alone import refuse_others
from edgecnn.cli._terminal import say

if TYPE_CHECKING:
    from edgecnn.benchmark import BenchReport
    from edgecnn.benchmark.replayed import Replay
    from edgecnn.bundle import Bundle

# What may stand beside it: where the files are, and where results go.
_BESIDE = (
    "models",
    "replay_file",
    "baseline",
    "runtime",
    "inputs",
    "input_shapes",
    "output",
    "markdown",
    "as_json",
)
_CODES = {"reproduced": 0, "not reproduced": 1, "another machine": 5, "inconclusive": 5}

replay_option = click.option(
    "--replay",
    "replay_file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="REPORT.json",
    help="Measure again what this report measured, with its settings, and say whether it comes "
    "out the same.",
)


def replaying(
    context: click.Context, models: tuple[Path, ...]
) -> tuple[Bundle | None, Callable[..., BenchReport]]:
    """Give the bundle that a replay measures, and the function that does it.

    Raises:
        UsageError: Another setting is given: they are the report's.
    """
    from edgecnn.benchmark.replay import own_bundle, replay
    from edgecnn.cli._measured import named_bundle

    given = {
        name: context.params[name]
        for name in context.params
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE
    }
    refuse_others(_BESIDE, "--replay measures with the report's settings")
    file = context.params["replay_file"]
    bundle = named_bundle(models) if models else own_bundle(file)
    places = {name: given.get(name) for name in ("baseline", "runtime", "inputs", "input_shapes")}

    def run(**others: Any) -> BenchReport:
        return replay(file, bundle or models, **places, **others)

    return bundle, run


def print_replay(found: Replay) -> None:
    """Print whether a report was reproduced."""
    from rich.markup import escape

    from edgecnn.cli._show import microseconds, table

    rows = [
        (
            escape(one.variant),
            microseconds(one.before.estimate),
            microseconds(one.now.estimate),
            f"{one.ratio.estimate:.3f}",
            f"{one.ratio.low:.3f} to {one.ratio.high:.3f}",
            one.outcome,
        )
        for one in found.variants
    ]
    columns = ("", "before", "now", "ratio", "95 % interval", "")
    table(f"Median latency, now and on {found.created[:10]}", columns, rows)
    for difference in found.differences:
        say(f"Different: {difference}.")
    for reason in found.reasons:
        say(reason)
    say(found.outcome.upper())


def replay_code(report: BenchReport) -> int:
    """Give the exit code: 0 reproduced, 1 not, 5 no verdict."""
    from edgecnn.cli._bench_gates import bench_code

    code = bench_code(report, None)
    return code if code in (4, 130) or report.replay is None else _CODES[report.replay.outcome]
