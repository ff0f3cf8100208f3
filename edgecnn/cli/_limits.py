"""Options that say what an engine may take before it counts as lost."""

from __future__ import annotations

import click

from edgecnn.cli._durations import to_seconds
from edgecnn.cli._options import Command


def limit_options(command: Command) -> Command:
    """Add `--time-limit` and `--memory-limit`: keywords `time_limit` and `memory_limit`."""
    return _time_option(_memory_option(command))


def _to_bytes(context: click.Context, option: click.Parameter, value: str | None) -> int | None:
    from edgecnn.errors import InputError
    from edgecnn.units import size_bytes

    if value is None:
        return None
    try:
        found = size_bytes(value)
    except InputError as error:
        text = f"'{value}' is no size. Write such as 500MB or 2GB."
        raise click.BadParameter(text, context, option) from error
    if found < 1:
        raise click.BadParameter(f"'{value}' is no size above zero.", context, option)
    return found


_time_option = click.option(
    "--time-limit",
    metavar="TIME",
    callback=to_seconds,
    help="Time that the engine may take to open a model, and for each run, before it counts as "
    "hung.  [default: 2min]",
)
_memory_option = click.option(
    "--memory-limit",
    metavar="SIZE",
    callback=_to_bytes,
    help="Memory that a model may take beyond Python and the engine, such as 2GB.  [default: what "
    "is free]",
)
