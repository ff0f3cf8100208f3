"""Times as people type them: `250ms`, `10s`, `2min`, or a number of seconds."""

from __future__ import annotations

import click


def to_seconds(context: click.Context, option: click.Parameter, text: str | None) -> float | None:
    """Read a time above zero, in seconds: the callback of an option that takes one."""
    from edgecnn.errors import InputError
    from edgecnn.units import seconds

    if text is None:
        return None
    try:
        found = seconds(text)
    except InputError as error:
        text = f"'{text}' is no time. Write such as 250ms, 10s or 2min."
        raise click.BadParameter(text, context, option) from error
    if not found > 0:
        raise click.BadParameter(f"'{text}' is no time above zero.", context, option)
    return found
