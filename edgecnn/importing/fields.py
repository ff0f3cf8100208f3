"""Fields of an input contract as people write them: on the command line and in contract.toml."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, get_args

from edgecnn.data import read_labels
from edgecnn.errors import InputError
from edgecnn.importing.contract import Choice, flag
from edgecnn.recipe import read_toml
from edgecnn.spec import Color, Layout, OutputKind


def make_choice(values: Mapping[str, object], *, folder: Path = Path(), where: str = "") -> Choice:
    """Read fields of a contract from text, numbers or lists, as TOML gives them.

    Args:
        values: By the names of `Choice`'s fields; None is left out.
        folder: Where a labels file is looked for.
        where: What is being read, for an error; the flags by default.

    Raises:
        InputError: A value cannot be read.
    """
    found = {}
    for name, value in values.items():
        if value is None:
            continue
        try:
            found[name] = _READERS[name](value, folder)
        except (ValueError, TypeError, ZeroDivisionError) as error:
            label = f"'{flag(name)}' in {where}" if where else f"--{flag(name)}"
            raise InputError(
                f"{label} is {_quoted(value)}, which cannot be read.", f"Write {error}."
            ) from error
    return Choice(**found)


def read_contract(path: Path) -> Choice:
    """Read contract.toml: its keys are the flags' names, without the hyphens in front.

    `labels` is a list of names, or the path of a labels file seen from contract.toml.

    Raises:
        InputError: It cannot be read, or holds a key that nobody knows.
    """
    values = read_toml(path)
    known = {flag(name): name for name in _READERS}
    unknown = sorted(values.keys() - known.keys())
    if unknown:
        raise InputError(
            f"{path} holds what no contract has: {', '.join(unknown)}.",
            f"Its keys are {', '.join(known)}.",
        )
    named = {known[key]: value for key, value in values.items()}
    return make_choice(named, folder=path.parent, where=str(path))


def read_size(value: object) -> tuple[int, int]:
    """Read a height and a width: `224x160`, or one number for both.

    Raises:
        ValueError: It is none; the text says how to write it.
    """
    parts = value.lower().split("x") if isinstance(value, str) else _listed(value)
    try:
        numbers = [int(str(part)) for part in parts]
    except ValueError:
        numbers = []
    if len(numbers) not in {1, 2}:
        raise ValueError("HEIGHTxWIDTH, such as 224x224")
    return numbers[0], numbers[-1]


def read_numbers(value: object) -> tuple[float, ...]:
    """Read one number for each channel: `0.5,0.5,0.5`, or a list.

    Raises:
        ValueError: They are none; the text says how to write them.
    """
    parts = value.split(",") if isinstance(value, str) else _listed(value)
    try:
        return tuple(_number(part) for part in parts)
    except (ValueError, TypeError, ZeroDivisionError):
        raise ValueError("one number for each channel, such as 0.5,0.5,0.5") from None


def read_scale(value: object) -> float:
    """Read a number, or a fraction such as `1/255`.

    Raises:
        ValueError: It is none; the text says how to write it.
    """
    try:
        return _number(value)
    except (ValueError, TypeError, ZeroDivisionError):
        raise ValueError("a number or a fraction, such as 1/255 or 1") from None


def read_resize(value: object) -> str:
    """Read a resize rule; `crop:256` is `crop 256`. Whether it is one, the contract judges.

    Raises:
        TypeError: It is no text; the message says how to write it.
    """
    if not isinstance(value, str):
        raise TypeError("stretch, crop:N or letterbox")
    return value.replace(":", " ", 1)


def _number(value: object) -> float:
    if isinstance(value, bool):
        raise TypeError
    above, _, below = str(value).partition("/")
    number = float(above) / float(below or 1)
    if not math.isfinite(number):
        raise ValueError
    return number


def _listed(value: object) -> list[object]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _one_of(kind: Any) -> Callable[[object, Path], str]:
    allowed = get_args(kind)

    def read(value: object, folder: Path) -> str:
        if value not in allowed:
            raise ValueError(f"{', '.join(allowed[:-1])} or {allowed[-1]}")
        return str(value)

    return read


def _text(value: object, folder: Path) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("a name")
    return value


def _labels(value: object, folder: Path) -> tuple[str, ...]:
    if isinstance(value, str | Path):
        return read_labels(folder / value)
    if not isinstance(value, list | tuple) or not all(isinstance(name, str) for name in value):
        raise ValueError("a list of names, or the path of a file with one on each line")
    return tuple(value)


def _quoted(value: object) -> str:
    return f"'{value}'" if isinstance(value, str) else str(value)


_READERS: dict[str, Callable[[object, Path], Any]] = {
    "input_size": lambda value, _: read_size(value),
    "color": _one_of(Color),
    "scale": lambda value, _: read_scale(value),
    "mean": lambda value, _: read_numbers(value),
    "std": lambda value, _: read_numbers(value),
    "resize": lambda value, _: read_resize(value),
    "filter": _text,
    "layout": _one_of(Layout),
    "labels": _labels,
    "output_kind": _one_of(OutputKind),
    "output": _text,
}
