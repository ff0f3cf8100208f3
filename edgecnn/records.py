"""Frozen dataclasses to and from JSON, strictly: a key nobody knows is an error, not a shrug."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import math
import re
import typing
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeAlias, TypeVar

from edgecnn.errors import InputError

Record = TypeVar("Record")


@dataclass(frozen=True)
class NullIs:
    """What a float is read as where JSON, which has no word for it, says `null`."""

    value: float


# Floats of a record that may be no number, or infinite; in memory they are what they are.
MaybeNaN: TypeAlias = Annotated[float, NullIs(math.nan)]
MaybeInfinite: TypeAlias = Annotated[float, NullIs(math.inf)]

# No string can match it: in JSON a line never breaks inside one.
_NUMBERS = re.compile(rb"\[\n[-+.\deE,\s]+\]")


def to_builtins(record: object) -> Any:
    """Turn a record into plain dicts, lists and scalars, as its JSON would be read."""
    import msgspec

    return msgspec.json.decode(msgspec.json.encode(record))


def to_json(record: object) -> bytes:
    """Write a record as indented JSON, ending in a newline; same record, same bytes.

    Numbers in a list share a line, or raw samples would take one each. Non-finite floats become
    `null`: JSON has no word for them, and a field that is no `MaybeNaN` or `MaybeInfinite` is then
    not read back.
    """
    import msgspec

    text = msgspec.json.format(msgspec.json.encode(record), indent=2)
    return _NUMBERS.sub(_on_one_line, text) + b"\n"


def to_json_line(record: object) -> bytes:
    """Write a record as JSON on one line, ending in a newline; numbers as `to_json` does."""
    import msgspec

    return msgspec.json.encode(record) + b"\n"


def stream_json(record: object, items: Iterable[object]) -> Iterator[bytes]:
    """Write a record piece by piece, as `to_json` would, with items that come one by one.

    Args:
        record: Its last value, at any depth, is an empty list.
        items: What goes into that list; each is written when it comes, and none is kept.
    """
    head, _, tail = to_json(record).rpartition(b"[]")
    indent = b"\n" + b" " * (2 + _last_indent(head))
    yield head + b"["
    mark = b""
    for item in items:
        yield mark + indent + to_json(item).rstrip().replace(b"\n", indent)
        mark = b","
    yield (indent[:-2] if mark else b"") + b"]" + tail


def _last_indent(text: bytes) -> int:
    line = text.rpartition(b"\n")[2]
    return len(line) - len(line.lstrip())


def from_builtins(kind: type[Record], data: object, *, where: str) -> Record:
    """Read a record from plain values.

    Args:
        kind: The dataclass to read.
        data: Dicts, lists and scalars, as JSON or TOML give them.
        where: What is being read, for the error.

    Raises:
        InputError: A value is missing, of the wrong type, or unknown.
    """
    import msgspec

    try:
        record = msgspec.convert(_without_nulls(kind, data), kind, strict=True)
    except msgspec.ValidationError as error:
        raise InputError(f"{where} is not valid: {error}.") from error
    unknown = _unknown_keys(data, to_builtins(record))
    if unknown:
        raise InputError(f"{where} is not valid: nothing is called {', '.join(unknown)}.")
    return record


def from_json(kind: type[Record], text: bytes, *, where: str) -> Record:
    """Read a record from JSON bytes.

    Raises:
        InputError: The text is not JSON, or not this record.
    """
    return from_builtins(kind, parse_json(text, where=where), where=where)


def parse_json(text: bytes, *, where: str) -> dict[str, Any]:
    """Read a JSON object into plain values.

    Raises:
        InputError: The text is not a JSON object.
    """
    import msgspec

    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{where} is not a JSON object: {error}.") from error


def schema(kind: type) -> dict[str, Any]:
    """Give the JSON schema of a record."""
    import msgspec

    return msgspec.json.schema(kind)


def sha256(content: bytes) -> str:
    """Give the SHA-256 of some bytes, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def file_sha256(path: Path) -> str:
    """Give the SHA-256 of a file, in hexadecimal, read in pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def _without_nulls(kind: Any, data: Any) -> Any:
    """Put floats in the place of nulls that stand for them; nothing else is changed."""
    if not _may_be_null(kind):
        return data
    for mark in getattr(kind, "__metadata__", ()):
        if isinstance(mark, NullIs) and data is None:
            return mark.value
    hints = _hints(kind)
    if hints and isinstance(data, Mapping):
        return {key: _without_nulls(hints.get(key), value) for key, value in data.items()}
    parts = [part for part in typing.get_args(kind) if _may_be_null(part)]
    if typing.get_origin(kind) is dict and isinstance(data, Mapping):
        return {key: _without_nulls(parts[-1], value) for key, value in data.items()}
    if typing.get_origin(kind) in (list, tuple) and isinstance(data, list):
        return [_without_nulls(parts[0], value) for value in data]
    return functools.reduce(lambda value, part: _without_nulls(part, value), parts, data)


@functools.cache
def _may_be_null(kind: Any) -> bool:
    """Say whether a type holds, at any depth, a float that may be written as null."""
    if any(isinstance(mark, NullIs) for mark in getattr(kind, "__metadata__", ())):
        return True
    parts = [*_hints(kind).values(), *typing.get_args(kind)]
    return any(_may_be_null(part) for part in parts)


@functools.cache
def _hints(kind: Any) -> dict[str, Any]:
    if not (isinstance(kind, type) and dataclasses.is_dataclass(kind)):
        return {}
    hints = typing.get_type_hints(kind, include_extras=True)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind)}


def _on_one_line(numbers: re.Match[bytes]) -> bytes:
    return b"[" + b" ".join(numbers[0][1:-1].split()) + b"]"


def _unknown_keys(data: object, known: object, path: str = "") -> list[str]:
    if isinstance(data, Mapping) and isinstance(known, Mapping):
        found = [f"`{path}{key}`" for key in data if key not in known]
        for key in data.keys() & known.keys():
            found += _unknown_keys(data[key], known[key], f"{path}{key}.")
        return found
    if isinstance(data, list) and isinstance(known, list):
        pairs = zip(data, known, strict=False)
        return [name for a, b in pairs for name in _unknown_keys(a, b, path)]
    return []
