"""Find pictures: files, folders, patterns, and what comes in on stdin; one by one, as asked for."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from edgecnn.errors import DataError, InputError
from edgecnn.images import MAX_PIXELS, SUFFIXES, read_piped

Note = Callable[[str], None]

STDIN = "-"
_LONGEST_PATH = 1 << 16
_NAMED = 3
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f]")  # of no path that people give; of every binary file
# What the formats that are read begin with, so that a list of paths is not taken for a picture.
_PICTURE = re.compile(
    rb"\xff\xd8\xff|\x89PNG\r\n\x1a\n|GIF8[79]a.{0,6}[^ -~\r\n]|BM.{4}\0{4}|II[*+]\0|MM\0[*+]"
    rb"|RIFF.{4}WEBP|P[1-6]\s+(#[^\n]*\n\s*)*\d+\s+\d+\s",
    re.S,
)


class Stdin(Protocol):
    """What is needed of `sys.stdin.buffer`, or of any `io.BufferedReader`."""

    def peek(self, size: int, /) -> bytes:
        """Give what is there without taking it."""
        ...

    def read(self, size: int, /) -> bytes:
        """Take so many bytes, or all there are until the end."""
        ...

    def read1(self, size: int, /) -> bytes:
        """Take what is there."""
        ...


@dataclass(frozen=True)
class Source:
    """A picture that is still to be read.

    Attributes:
        name: What to call it; bytes that are no UTF-8 are written as escapes.
        content: Where it lies, or what it holds.
        problem: Why it cannot be read; empty if nothing is known against it.
    """

    name: str
    content: Path | bytes
    problem: str = ""


def find_pictures(
    places: Iterable[str],
    *,
    stdin: Stdin | None = None,
    max_pixels: int = MAX_PIXELS,
    note: Note = lambda text: None,
) -> Iterator[Source]:
    """Give the pictures that some places name, in their order.

    Args:
        places: Files; folders, whose pictures are found by their suffixes, at any depth, hidden
            ones left out; patterns such as `photos/**/*.jpg`, where no file has that very name.
        stdin: Where `-` reads from: one picture, or paths, each ended by a new line or by NUL.
        max_pixels: The most pixels of a picture on stdin.
        note: Called with what should be known of what was left out.

    Returns:
        Sources, each found when it is asked for; a place where there is nothing is one too, with
        its problem.
    """
    for place in places:
        if place == STDIN and stdin is not None:
            yield from _from_stdin(stdin, max_pixels, note)
        else:
            yield from _from_place(place, note)


def display(text: str) -> str:
    """Make a name harmless on a terminal: what cannot be printed is written as an escape."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def _from_place(place: str, note: Note) -> Iterator[Source]:
    if os.path.lexists(place) or not glob.has_magic(place):
        yield from _from_path(place, note)
        return
    found = sorted(glob.glob(place, recursive=True))  # noqa: PTH207  a Path drops a leading `./`
    if not found:
        yield Source(_name(place), Path(place), "nothing matches this pattern")
    for path in found:
        yield from _from_path(path, note)


def _from_path(path: str, note: Note) -> Iterator[Source]:
    if not os.path.isdir(path):  # noqa: PTH112  a Path raises where it may not look
        yield Source(_name(path), Path(path))
        return
    others: list[str] = []
    empty = True
    for source in _walk(path, frozenset(), others):
        empty = False
        yield source
    if empty:
        yield Source(_name(path), Path(path), "there are no images in this folder")
    if others:
        named = ", ".join(map(display, others[:_NAMED])) + (", …" if len(others) > _NAMED else "")
        note(
            f"{display(path)}: {len(others)} files that are no images by their suffix were left "
            f"out: {named}"
        )


def _walk(folder: str, above: frozenset[str], others: list[str]) -> Iterator[Source]:
    here = os.path.realpath(folder)
    if here in above:  # a link that leads back
        return
    try:
        with os.scandir(folder) as entries:
            visible = sorted(e.name for e in entries if not e.name.startswith("."))
    except OSError as error:
        yield Source(_name(folder), Path(folder), error.strerror or str(error))
        return
    for name in visible:
        path = os.path.join(folder, name)  # noqa: PTH118
        if os.path.isdir(path):  # noqa: PTH112
            yield from _walk(path, above | {here}, others)
        elif Path(name).suffix.lower() in SUFFIXES:
            yield Source(_name(path), Path(path))
        else:
            others.append(name)


def _from_stdin(stdin: Stdin, max_pixels: int, note: Note) -> Iterator[Source]:
    head = stdin.peek(64)
    if _PICTURE.match(head):
        try:
            yield Source(STDIN, read_piped(stdin.read, max_pixels))
        except DataError as error:
            yield Source(STDIN, b"", error.problem)
        return
    lines = (os.fsdecode(line).removesuffix("\r") for line in _split(stdin, _end(head)))
    for number, place in enumerate(filter(None, lines)):
        if number == 0 and _CONTROL.search(place) and not os.path.lexists(place):
            raise _neither()
        yield from _from_place(place, note)


def _end(head: bytes) -> bytes:
    return b"\0" if b"\0" in head else b"\n"


def _split(stdin: Stdin, end: bytes) -> Iterator[bytes]:
    rest = b""
    while piece := stdin.read1(1 << 16):  # what is there, so that a slow writer is kept up with
        *whole, rest = (rest + piece).split(end)
        yield from whole
        if len(rest) > _LONGEST_PATH:
            raise _neither()
    if rest:
        yield rest


def _neither() -> InputError:
    return InputError(
        "What comes in on stdin is neither a picture that can be read nor a list of paths.",
        "Give paths, one on each line, as `find photos -name '*.jpg'` does.",
    )


def _name(path: str) -> str:
    return os.fsencode(path).decode("utf-8", "backslashreplace")
