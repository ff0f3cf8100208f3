"""The terminal: how wide it is, how sentences become lines, and what it cannot write."""

from __future__ import annotations

import codecs
import os
import re
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

WIDTH = 80  # where there is no terminal
_NARROWEST = 20
_PLAIN = "edgecnn.plain"
_PLAINER = str.maketrans({"µ": "u", "…": "...", "─": "-"})
# What must not be torn apart: a command in backticks or at the end, and a number from its unit.
_WORDS = re.compile(r"(?<=: )edgecnn .+|(?:`[^`]+`|(?<=\d) (?=%|[µmkMG]?[sBW]\b)|\S)+")
_INDENT = re.compile(r" *(?:- )?")


def console(*, stderr: bool = False) -> Console:
    """Give a rich console on stdout or stderr; 80 columns where there is no terminal."""
    from rich.console import Console

    width = columns(sys.stderr if stderr else sys.stdout)
    return Console(stderr=stderr, width=width, highlight=False, emoji=False)


def show(sheet: RenderableType, *, stderr: bool = False) -> None:
    """Print what rich draws, without the blanks with which it fills lines up."""
    screen = console(stderr=stderr)
    with screen.capture() as taken:
        screen.print(sheet)
    lines = (line.rstrip() for line in taken.get().split("\n"))
    # Not click.echo: it opens a stream of its own where the encoding is poor, and order is lost.
    stream = sys.stderr if stderr else sys.stdout
    print("\n".join(lines), end="", file=stream, flush=True)


def say(text: str, *, stderr: bool = False) -> None:
    """Print sentences: on a terminal broken between words, else as they are.

    Where it is piped, a sentence is one line, so that grep finds it. What stands in backticks is
    never broken: it is there to be pasted.
    """
    stream = sys.stderr if stderr else sys.stdout
    if stream.isatty():
        width = columns(stream)
        text = "\n".join(line for part in text.split("\n") for line in broken(part, width))
    print(text, file=stream, flush=True)


def columns(stream: TextIO) -> int:
    """Give a terminal's width in characters; COLUMNS goes before what the terminal says."""
    asked = os.environ.get("COLUMNS", "")
    try:
        size = int(asked) if asked.isdecimal() else os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError):
        size = WIDTH
    return max(_NARROWEST, size) if size else WIDTH


def broken(line: str, width: int) -> Iterator[str]:
    """Break a line between words; one word that is wider stays whole, on a line of its own.

    >>> list(broken("  Say `edgecnn train lenet` first.", 26))
    ['  Say', '  `edgecnn train lenet`', '  first.']
    """
    from rich.cells import cell_len

    start = _INDENT.match(line)
    indent = start[0] if start else ""
    now, filled = indent, False
    for first, last in words(line[len(indent) :]):
        word = line[len(indent) :][first:last]
        if filled and cell_len(f"{now} {word}") > width:
            yield now
            now, filled = " " * len(indent), False
        now += f" {word}" if filled else word
        filled = True
    yield now


def words(line: str) -> Iterator[tuple[int, int]]:
    """Give where each word begins and ends that must not be torn apart."""
    return (found.span() for found in _WORDS.finditer(line))


def forgive() -> None:
    """Let what stdout and stderr cannot encode be written plainly: µs as us, … as three dots."""
    for stream in (sys.stdout, sys.stderr):
        if encodes(stream, "µ…─█"):
            continue
        codecs.register_error(_PLAIN, _plainly)
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=_PLAIN)


def encodes(stream: TextIO, text: str) -> bool:
    """Say whether a stream can write a text."""
    try:
        text.encode(getattr(stream, "encoding", None) or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _plainly(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    text = error.object[error.start : error.end].translate(_PLAINER)
    return text.encode("ascii", "replace").decode(), error.end
