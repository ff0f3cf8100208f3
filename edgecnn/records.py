"""Frozen dataclasses to and from JSON, strictly: a key nobody knows is an error, not a shrug."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from edgecnn.errors import InputError

Record = TypeVar("Record")

# No string can match it: in JSON a line never breaks inside one.
_NUMBERS = re.compile(rb"\[\n[-+.\deE,\s]+\]")


def to_builtins(record: object) -> Any:
    """Turn a record into plain dicts, lists and scalars, as its JSON would be read."""
    import msgspec

    return msgspec.json.decode(msgspec.json.encode(record))


def to_json(record: object) -> bytes:
    """Write a record as indented JSON, ending in a newline; same record, same bytes.

    Numbers in a list share a line, or raw samples would take one each. Non-finite floats become
    `null`: JSON has no word for them.
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
        record = msgspec.convert(data, kind, strict=True)
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
