"""Flags that make a command do something else, with which few others go."""

from __future__ import annotations

from collections.abc import Collection

import click


def typed_beside(together: Collection[str]) -> tuple[str, ...]:
    """Give what was typed of a command's parameters but for some, as the help writes them.

    Args:
        together: Names of the parameters that may be typed.
    """
    context, typed = click.get_current_context(), click.core.ParameterSource.COMMANDLINE
    return tuple(
        max(parameter.opts, key=len)
        if isinstance(parameter, click.Option)
        else parameter.human_readable_name.strip("[]")
        for parameter in context.command.params
        if parameter.name
        and parameter.name not in together
        and context.get_parameter_source(parameter.name) is typed
    )


def refuse_others(together: Collection[str], why: str) -> None:
    """Refuse what was typed and does not go with a flag.

    Args:
        together: Names of the parameters that do.
        why: What the flag does, as the beginning of the sentence: `…: leave --atol out.`
    """
    for flag in typed_beside(together):
        raise click.UsageError(f"{why}: leave {flag} out.")
