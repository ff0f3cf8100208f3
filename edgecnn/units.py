"""Quantities as people type them: `250ms`, `2min`, `200kB`, `3%`, `0.5pp`, `1000/s`.

One place for every flag and gate that takes one. SI prefixes are those of the standard: kB is 1,000
bytes, KiB 1,024.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal

from edgecnn.errors import InputError

Kind = Literal["time", "size", "share", "points", "rate", "number"]

_UNITS: dict[str, tuple[Kind, float]] = {
    "": ("number", 1),
    "ns": ("time", 1e-9),
    "us": ("time", 1e-6),
    "µs": ("time", 1e-6),
    "ms": ("time", 1e-3),
    "s": ("time", 1),
    "sec": ("time", 1),
    "min": ("time", 60),
    "h": ("time", 3600),
    "B": ("size", 1),
    "kB": ("size", 1e3),
    "KB": ("size", 1e3),
    "MB": ("size", 1e6),
    "GB": ("size", 1e9),
    "KiB": ("size", 2**10),
    "MiB": ("size", 2**20),
    "GiB": ("size", 2**30),
    "%": ("share", 0.01),
    "pp": ("points", 0.01),
    "/s": ("rate", 1),
    "images/s": ("rate", 1),
}
EXAMPLES: dict[Kind, str] = {
    "time": "250ms, 10s or 2min",
    "size": "200kB, 5MB or 3MiB",
    "share": "3%",
    "points": "0.5pp",
    "rate": "1000/s",
    "number": "0.85",
}
_QUANTITY = re.compile(r"([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*([^\d\s.]\S*|)")


@dataclass(frozen=True)
class Quantity:
    """A number with what it measures.

    Attributes:
        value: In seconds, bytes, a share (3 % is 0.03), points of 1 (0.5pp is 0.005), 1/second, or
            a number without a unit.
        kind: Which of these.
        signed: It was typed with a sign.
    """

    value: float
    kind: Kind
    signed: bool = False


def parse(text: str) -> Quantity:
    """Read a quantity with its unit.

    Raises:
        InputError: It is no number, or nothing is called so.

    >>> parse("250ms")
    Quantity(value=0.25, kind='time', signed=False)
    >>> parse("+3 %")
    Quantity(value=0.03, kind='share', signed=True)
    """
    typed = text.strip()
    # Keyboards give the micro sign, and the Greek letter that looks like it.
    found = _QUANTITY.fullmatch(typed.replace("\N{GREEK SMALL LETTER MU}", "µ"))
    if found is None:
        raise InputError(f"'{text}' is no number with a unit.", f"Write such as {_all_examples()}.")
    kind, factor = _unit(found[2])
    value = float(found[1]) * factor
    if not math.isfinite(value):
        raise InputError(f"'{text}' is too large.", "Write a smaller number.")
    return Quantity(value, kind, typed[0] in "+-")


def seconds(text: str) -> float:
    """Read a time, in seconds; a number without a unit is in seconds too.

    Raises:
        InputError: It is none, or below nothing.

    >>> seconds("2min"), seconds("250ms"), seconds("6")
    (120.0, 0.25, 6.0)
    """
    return _positive(text, "time")


def size_bytes(text: str) -> int:
    """Read a size, in bytes; a number without a unit is in bytes too.

    Raises:
        InputError: It is none, or below nothing.

    >>> size_bytes("200kB"), size_bytes("1MiB")
    (200000, 1048576)
    """
    return round(_positive(text, "size"))


def time_text(value: float) -> str:
    """Write a time in the unit that suits it, as it can be read back.

    >>> time_text(0.25), time_text(10), time_text(120), time_text(0)
    ('250ms', '10s', '2min', '0s')
    """
    units = (("h", 3600.0), ("min", 60.0), ("s", 1.0), ("ms", 1e-3), ("us", 1e-6), ("ns", 1e-9))
    whole = [(name, size) for name, size in units if _is_whole(value / size)]
    name, size = whole[0] if value and whole else ("s", 1.0)
    return f"{value / size:.10g}{name}"


def _positive(text: str, kind: Kind) -> float:
    try:
        quantity = parse(text)
    except InputError as error:  # of all kinds of units, these are meant
        raise InputError(error.problem, f"Write such as {EXAMPLES[kind]}.") from None
    what = {"time": "time", "size": "size"}[kind]
    if quantity.kind not in (kind, "number"):
        raise InputError(f"'{text}' is no {what}.", f"Write such as {EXAMPLES[kind]}.")
    if quantity.value < 0:
        raise InputError(f"'{text}' is below nothing.", f"Write such as {EXAMPLES[kind]}.")
    return quantity.value


def _unit(name: str) -> tuple[Kind, float]:
    if name in _UNITS:
        return _UNITS[name]
    # Units in another case are understood where nothing else is meant: `10S`, `5mb`.
    alike = {_UNITS[known] for known in _UNITS if known.lower() == name.lower()}
    if len(alike) == 1:
        return alike.pop()
    known = ", ".join(name for name in _UNITS if name.isascii() and name)
    raise InputError(f"Nothing is measured in '{name}'.", f"Units are: {known}.")


def _is_whole(value: float) -> bool:
    return value >= 1 and math.isclose(value, round(value), rel_tol=1e-9)


def _all_examples() -> str:
    return ", ".join(examples.split(",")[0] for examples in EXAMPLES.values())
