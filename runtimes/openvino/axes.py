"""Names of open axes, which OpenVINO drops: read from the ONNX file, without the onnx package.

An ONNX file is a message in protobuf's wire format, of which only the way to the names is walked:
<https://protobuf.dev/programming-guides/encoding> and <https://github.com/onnx/onnx/blob/main/onnx/onnx.proto>.
"""

from __future__ import annotations

from collections.abc import Iterator
from mmap import ACCESS_READ, mmap
from pathlib import Path

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
# Numbers of the fields, message by message.
_GRAPH = 7
_INPUT, _OUTPUT = 11, 12
_NAME, _TYPE = 1, 2
_TENSOR, _SHAPE, _AXIS, _AXIS_NAME = 1, 2, 1, 2


Axes = dict[str, tuple[str, ...]]
Span = tuple[int, int]


def axis_names(path: Path) -> tuple[Axes, Axes]:
    """Give the names of the axes of every input, and of every output, by the tensor's name.

    An axis without a name has an empty one.

    Args:
        path: An ONNX file that an engine has read without complaint.
    """
    with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as content:
        return _declared(content, _INPUT), _declared(content, _OUTPUT)


def _declared(content: mmap, kind: int) -> Axes:
    return {
        content[slice(*name)].decode(): tuple(_axes(content, value))
        for graph in _parts(content, (0, len(content)), _GRAPH)
        for value in _parts(content, graph, kind)
        for name in _parts(content, value, _NAME)
    }


def _axes(content: mmap, value: Span) -> Iterator[str]:
    spans = [value]
    for number in (_TYPE, _TENSOR, _SHAPE, _AXIS):
        spans = [part for span in spans for part in _parts(content, span, number)]
    for axis in spans:
        names = [content[slice(*name)].decode() for name in _parts(content, axis, _AXIS_NAME)]
        yield names[-1] if names else ""


def _parts(content: mmap, span: Span, wanted: int) -> Iterator[Span]:
    """Give where the parts of a message lie whose field has this number."""
    start, end = span
    while start < end:
        key, start = _number(content, start)
        wire = key & 7
        if wire == _BYTES:
            size, start = _number(content, start)
            if key >> 3 == wanted:
                yield start, start + size
            start += size
        elif wire == _VARINT:
            _, start = _number(content, start)
        else:
            start += {_FIXED64: 8, _FIXED32: 4}[wire]


def _number(content: mmap, start: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = content[start]
        number |= (byte & 127) << shift
        start, shift = start + 1, shift + 7
        if byte < 128:
            return number, start
