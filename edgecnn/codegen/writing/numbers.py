"""Numbers and names as C has them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

C_TYPES = {"float32": "float", "int8": "int8_t", "uint8": "uint8_t", "int32": "int32_t"}
_WIDTH = 100
# What C and C++ keep for themselves, as far as a net's name could be one of them.
_RESERVED = frozenset(
    """
    asm auto bool break case catch char class const continue default delete
    do double else enum explicit export extern false float for friend goto
    if inline int long mutable namespace new operator private protected public register
    restrict return short signed sizeof static struct switch template this throw true
    try typedef typeid typename union unsigned using virtual void volatile while main
    """.split()  # noqa: SIM905 - a list of seventy words in quotes is not easier to read
)


def identifier(name: str) -> str:
    """Make a name that C takes out of any name."""
    made = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_") or "net"
    return f"net_{made}" if made[0].isdigit() or made in _RESERVED else made


def comment(text: str) -> str:
    """Make a text one that can stand within a comment, whoever chose it."""
    text = text.replace("…", "...").replace("/*", "/ *").replace("*/", "* /")
    text = text.encode("ascii", "backslashreplace").decode()
    text = "".join(each if each.isprintable() else "?" for each in text)
    # Two of them in a row may begin a trigraph.
    return re.sub(r"\?(?=\?)", "? ", text)


def string(text: str) -> str:
    """Write a string; what is not ASCII as bytes of UTF-8."""
    plain = {*range(0x20, 0x7F)} - {*b'"\\\\?'}
    # Three octal digits end where they end, whatever follows.
    parts = (chr(byte) if byte in plain else f"\\{byte:03o}" for byte in text.encode())
    return f'"{"".join(parts)}"'


def literal(value: float, kind: str) -> str:
    """Write one number; floats so that the same float32 is read again."""
    if kind != "float":
        assert value == int(value), value
        return str(int(value))
    text = f"{np.float32(value):.9g}"
    return f"{text}f" if any(mark in text for mark in ".e") else f"{text}.0f"


def array(values: NDArray[Any]) -> str:
    """Write the numbers of an array, in lines of at most 100 characters."""
    kind = C_TYPES[values.dtype.name]
    words = [literal(value, kind) for value in values.reshape(-1).tolist()]
    lines, line = [], "   "
    for word in words:
        if len(line) + len(word) + 2 > _WIDTH:
            lines.append(line)
            line = "   "
        line += f" {word},"
    return "\n".join([*lines, line])
