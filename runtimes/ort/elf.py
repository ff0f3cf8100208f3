"""Which shared libraries a shared library asks for."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

_ELF64_LITTLE_ENDIAN = b"\x7fELF\x02\x01"
_PT_LOAD, _PT_DYNAMIC = 1, 2
_DT_NEEDED, _DT_STRTAB = 1, 5


class _Segment(NamedTuple):
    kind: int
    offset: int
    address: int
    length: int


def needed_libraries(path: Path) -> list[str]:
    """Read the DT_NEEDED entries of a 64-bit little-endian ELF file, in their order.

    Nothing is loaded and the file, which may have hundreds of MB, is not read whole. Any other
    file gives an empty list. Source: System V ABI, chapters 4 and 5.
    """
    with path.open("rb") as file:
        if file.read(6) != _ELF64_LITTLE_ENDIAN:
            return []
        segments = list(_segments(file))
        entries = [entry for part in segments for entry in _dynamic(file, part)]
        strings = next(_offset(segments, value) for tag, value in entries if tag == _DT_STRTAB)
        return [_string(file, strings + value) for tag, value in entries if tag == _DT_NEEDED]


def _segments(file: BinaryIO) -> Iterator[_Segment]:
    file.seek(32)
    (start,) = struct.unpack("<Q", file.read(8))
    file.seek(54)
    size, count = struct.unpack("<HH", file.read(4))
    for number in range(count):
        file.seek(start + number * size)
        kind, _, offset, address, _, length = struct.unpack("<IIQQQQ", file.read(40))
        yield _Segment(kind, offset, address, length)


def _dynamic(file: BinaryIO, segment: _Segment) -> Iterator[tuple[int, int]]:
    if segment.kind == _PT_DYNAMIC:
        file.seek(segment.offset)
        yield from struct.iter_unpack("<QQ", file.read(segment.length))


def _offset(segments: list[_Segment], address: int) -> int:
    return next(
        part.offset + address - part.address
        for part in segments
        if part.kind == _PT_LOAD and part.address <= address < part.address + part.length
    )


def _string(file: BinaryIO, offset: int) -> str:
    file.seek(offset)
    return file.read(256).partition(b"\0")[0].decode()
