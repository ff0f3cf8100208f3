"""Options that say how much must be computed on the provider, and what is printed of it."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any, cast

import click

from edgecnn.cli._options import Command, names

if TYPE_CHECKING:
    from edgecnn.benchmark import BenchReport

_fallback_option = click.option(
    "--fallback/--no-fallback",
    default=False,
    show_default=True,
    help="Let the CPU compute what the provider cannot; the result says so.",
)


def placement_options(command: Command) -> Command:
    """Add `--fallback` and `--min-coverage`, as keywords of `edgecnn.bench`."""
    return _fallback_option(_coverage_option(command))


def fallback_option(command: Command) -> Command:
    """Add `--fallback`, which goes into the keyword `options`: put it below `engine_options`."""

    @wraps(command)
    def with_fallback(
        *arguments: Any,
        fallback: bool,
        options: dict[str, str] | None,
        runtime: str | None,
        **others: Any,
    ) -> Any:
        if fallback:
            options = {**(options or {}), **_allowing(names(runtime or "ort"))}
        return command(*arguments, options=options, runtime=runtime, **others)

    return cast(Command, _fallback_option(with_fallback))


def _allowing(runtimes: tuple[str, ...]) -> dict[str, str]:
    """Give the option for a runtime, or for those of several that have it."""
    from edgecnn.placement import FALLBACK, allow_fallback
    from edgecnn.runtime import load_runtime

    adapters = [load_runtime(name) for name in runtimes]
    takers = [each.NAME for each in adapters if FALLBACK in getattr(each, "OPTIONS", {})]
    if len(runtimes) == 1 or not takers:
        return allow_fallback(None)
    return {f"{name}:{FALLBACK}": "on" for name in takers}


def print_placements(report: BenchReport) -> None:
    """Say where the operators were computed, and list those that were not on the provider."""
    from edgecnn.cli._show import table
    from edgecnn.cli._terminal import say
    from edgecnn.placement import describe

    for row in report.variants:
        placement = row.placement
        if placement is None:
            continue
        rows = [
            (each.operator, each.name, each.provider, f"{each.time_ns / 1e3:,.0f} µs")
            for each in placement.elsewhere
        ]
        if rows:
            headers = ("operator", "name", "computed on", "time")
            table(f"{row.variant}: not on {placement.provider}", headers, rows, left=3)
        say(f"{row.variant}: {describe(placement)}.")


def _share(context: click.Context, option: click.Parameter, value: str | None) -> float | None:
    from edgecnn.errors import InputError
    from edgecnn.units import parse

    if value is None:
        return None
    try:
        quantity = parse(value)
    except InputError as error:
        raise click.BadParameter(error.problem, context, option) from error
    if quantity.kind != "share" or quantity.signed or not 0 < quantity.value <= 1:
        raise click.BadParameter("write a share such as 95%.", context, option)
    return quantity.value


_coverage_option = click.option(
    "--min-coverage",
    metavar="SHARE",
    callback=_share,
    help="Share of the time that must be spent on the provider, such as 95%; the CPU may compute "
    "the rest.  [default: everything]",
)
