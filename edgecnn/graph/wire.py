"""Protobuf's wire format, read without building a message: is a file safe to parse?

A parser allocates as it reads, so a file must be counted before: two bytes on disk can become 200
in memory, and a message can hold itself. Wire format: <https://protobuf.dev/programming-guides/encoding>.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from edgecnn.graph.limits import DEPTH, FIELDS, Refusal, largest_file, size_text

Descriptor = Any  # google.protobuf.descriptor.Descriptor, which comes without types

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MESSAGE = 11  # FieldDescriptor.TYPE_MESSAGE
# Integers are packed by their size: one byte of a list can become a number of eight.
_SQUEEZED, _SQUEEZED_BYTES = (3, 4, 5, 8, 13, 14), 8


class _Count:
    """What has been counted so far."""

    fields = 0
    bytes = 0


def check_wire(content: bytes, message: Descriptor) -> None:
    """Refuse bytes that could not be parsed within the limits.

    Args:
        content: A serialised message.
        message: What it is to be parsed as.

    Raises:
        Refusal: It is damaged, nests too deep, has too many fields or too large ones.
    """
    count = _Count()
    count.bytes = len(content)
    if len(content) > largest_file():
        raise too_large(len(content))
    _walk(content, 0, len(content), message, count, 1)
    if count.bytes > 2 * largest_file():
        raise Refusal(f"would take {size_text(count.bytes)} in memory when it is read")


def _walk(
    content: bytes, start: int, end: int, message: Descriptor, count: _Count, depth: int
) -> None:
    if depth > DEPTH:
        raise Refusal(f"nests more than {DEPTH} messages in one another")
    kinds = _kinds(message)
    while start < end:
        key, start = _number(content, start, end)
        count.fields += 1
        if count.fields > FIELDS:
            raise Refusal(f"has more than {FIELDS:,} fields")
        wire = key & 7
        if wire == _BYTES:
            size, start = _number(content, start, end)
            kind = kinds.get(key >> 3)
            if size > end - start:
                raise _damaged()
            if kind == _SQUEEZED_BYTES:
                count.bytes += size * _SQUEEZED_BYTES
            elif kind is not None:
                _walk(content, start, start + size, kind, count, depth + 1)
            start += size
        elif wire == _VARINT:
            _, start = _number(content, start, end)
        elif wire == _FIXED32:
            start += 4
        elif wire == _FIXED64:
            start += 8
        else:
            raise _damaged()
    if start != end:
        raise _damaged()


def _number(content: bytes, start: int, end: int) -> tuple[int, int]:
    number = shift = 0
    while start < end and shift < 70:
        byte = content[start]
        start += 1
        number |= (byte & 127) << shift
        if byte < 128:
            return number, start
        shift += 7
    raise _damaged()


@cache
def _kinds(message: Descriptor) -> dict[int, Any]:
    """For some fields of a message: the message it holds, or that its numbers are squeezed."""
    fields = {}
    for field in message.fields:
        if field.type == _MESSAGE:
            fields[field.number] = field.message_type
        elif field.type in _SQUEEZED:
            fields[field.number] = _SQUEEZED_BYTES
    return fields


def too_large(size: int) -> Refusal:
    """Say that a file of so many bytes is not read on this machine."""
    return Refusal(
        f"has {size_text(size)}, of which this machine can take {size_text(largest_file())}",
        "Keep its weights in a file beside it, or use a machine with more memory.",
    )


def _damaged() -> Refusal:
    return Refusal("is no ONNX file, or only a part of one", "Check the path, and fetch it again.")
