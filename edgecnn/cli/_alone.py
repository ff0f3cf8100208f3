"""Flags that make a command do something else, with which few others go."""

from __future__ import annotations

from collections.abc import Collection

import click


def refuse_others(together: Collection[str], why: str) -> None:
    """Refuse every option that was typed and does not go with a flag.

    Args:
        together: Names of the parameters that do.
        why: What the flag does, as the beginning of the sentence: `…: leave --atol out.`
    """
    context = click.get_current_context()
    given = [
        option
        for option in context.command.params
        if option.name
        and option.name not in together
        and context.get_parameter_source(option.name) is click.core.ParameterSource.COMMANDLINE
    ]
    if given:
        name = given[0].opts[0] if given[0].param_type_name == "option" else "OTHER"
        raise click.UsageError(f"{why}: leave {name} out.")
