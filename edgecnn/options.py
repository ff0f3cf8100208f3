"""A runtime's own options: what each may be, which are whose, and what people read of them.

One of them has a meaning of its own. `precision` is what operators that are float32 in the graph
compute in: `fp32`, unless somebody asked for less.
"""

from __future__ import annotations

from collections.abc import Mapping

from edgecnn.errors import InputError

Options = Mapping[str, str]
Choices = Mapping[str, tuple[str, ...]]

PRECISION = "precision"
FP32 = "fp32"


def choose_options(runtime: str, choices: Choices, given: Options) -> dict[str, str]:
    """Complete a runtime's options: what was not given gets its first choice.

    Args:
        runtime: The runtime's name.
        choices: What each option may be, the default first: the runtime's `OPTIONS`.
        given: What was asked for.

    Raises:
        InputError: There is no such option, or it cannot be that.
    """
    for key, value in given.items():
        if key not in choices:
            raise InputError(
                f"The runtime '{runtime}' has no option '{key}'.",
                f"It has {', '.join(choices) or 'none'}.",
            )
        if value not in choices[key]:
            raise InputError(
                f"The option '{key}' of '{runtime}' cannot be '{value}'.",
                f"Use {' or '.join(choices[key])}.",
            )
    return {key: given.get(key, values[0]) for key, values in choices.items()}


def precision_asked(runtime: str, choices: Choices, given: Options) -> str:
    """Give what float32 operators are asked to compute in.

    Args:
        runtime: The runtime's name.
        choices: The runtime's `OPTIONS`; one without `precision` computes in fp32 alone.
        given: What was asked for.

    Raises:
        InputError: The runtime cannot be asked for that.
    """
    possible = choices.get(PRECISION, (FP32,))
    asked = given.get(PRECISION, possible[0])
    if asked not in possible:
        raise InputError(
            f"The runtime '{runtime}' does not compute float32 operators in '{asked}'.",
            f"Use --precision {' or '.join(possible)}.",
        )
    return asked


def own_options(runtime: str, given: Options | None) -> dict[str, str]:
    """Give what is meant for one of several runtimes.

    Args:
        runtime: The runtime's name.
        given: Options for all of them, and others for one, such as `openvino:precision`, which
            go before those for all.

    >>> own_options("openvino", {"precision": "fp32", "openvino:precision": "bf16", "ort:a": "b"})
    {'precision': 'bf16'}
    """
    given = given or {}
    general = {key: value for key, value in given.items() if ":" not in key}
    prefix = f"{runtime}:"
    own = {key[len(prefix) :]: value for key, value in given.items() if key.startswith(prefix)}
    return general | own


def refuse_strangers(runtimes: list[str], given: Options | None) -> None:
    """Refuse options for a runtime that is not among some.

    Args:
        runtimes: Names of runtimes.
        given: As in `own_options`.

    Raises:
        InputError: An option is for another runtime.
    """
    for key in given or {}:
        owner, colon, _ = key.rpartition(":")
        if colon and owner not in runtimes:
            raise InputError(
                f"The option '{key}' is for the runtime '{owner}', which is not asked to run.",
                f"It is {' and '.join(runtimes)}: write `{runtimes[0]}:NAME=VALUE`.",
            )


def computing(precision: str, options: Options) -> str:
    """Say how an engine computes, where that is not what it does by itself; else nothing.

    Args:
        precision: What float32 operators compute in.
        options: Those that were given.

    >>> computing("bf16", {"precision": "bf16", "spinning": "off"})
    'in bf16, spinning=off'
    """
    words = [] if precision == FP32 else [f"in {precision}"]
    words += [f"{key}={value}" for key, value in options.items() if key != PRECISION]
    return ", ".join(words)


def engine_name(
    runtime: str, provider: str, precision: str = FP32, options: Options | None = None
) -> str:
    """Name a runtime and provider for people, and how it computes where that is to be known.

    >>> engine_name("ort", "cpu")
    'ort/cpu'
    >>> engine_name("openvino", "cpu", "bf16")
    'openvino/cpu in bf16'
    """
    how = computing(precision, options or {})
    separator = "" if not how else " " if how.startswith("in ") else ", "
    return f"{runtime}/{provider}{separator}{how}"
