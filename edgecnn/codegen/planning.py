"""Where each tensor lies: one block of memory, in which buffers follow one another in time.

A buffer lives from the layer that makes it to the last one that reads it. The largest are placed
first, each at the lowest place that is free during its life (the greedy-by-size strategy of
Pisarchyk and Lee, Efficient Memory Management for Deep Neural Net Inference, 2020).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from edgecnn.codegen.program import ITEM_BYTES, NO_PADS, Layer, Pads, Program, Tensor

ALIGNMENT = 64
# Kernels read bytes by fours, and vectors of weights' width behind the last pixel of a row.
_SLACK = 64


@dataclass(frozen=True, eq=False)
class Buffer:
    """Where a tensor lies.

    Attributes:
        tensor: The tensor.
        offset: Of its first byte in the arena.
        bytes: Its size, with what is around the picture.
        pads: Rows and columns around the picture: top, left, bottom, right.
        first: The layer that makes it; -1 of what is there before.
        last: The last layer that reads it.
    """

    tensor: Tensor
    offset: int
    bytes: int
    pads: Pads
    first: int
    last: int

    @property
    def row(self) -> int:
        """Numbers from one row to the next: what is behind one is before the next."""
        _, left, _, right = self.pads
        return (self.tensor.width + max(left, right)) * self.tensor.channels

    @property
    def start(self) -> int:
        """Numbers before the picture's first pixel."""
        top, left, _, _ = self.pads
        return top * self.row + left * self.tensor.channels

    @property
    def behind(self) -> int:
        """Numbers behind the picture's last pixel."""
        _, _, bottom, right = self.pads
        return bottom * self.row + right * self.tensor.channels


@dataclass(frozen=True, eq=False)
class Plan:
    """Where everything lies.

    Attributes:
        buffers: By tensor; what the caller brings and gets is not among them.
        bytes: Size of the arena.
    """

    buffers: Mapping[Tensor, Buffer]
    bytes: int


def plan(program: Program) -> Plan:
    """Place every tensor of a program that is neither its input nor one of its outputs."""
    placed: list[Buffer] = []
    for draft in sorted(_drafts(program), key=lambda each: (-each.bytes, each.first)):
        offset = _lowest(draft, placed)
        placed.append(
            Buffer(draft.tensor, offset, draft.bytes, draft.pads, draft.first, draft.last)
        )
    end = max((each.offset + each.bytes for each in placed), default=0)
    return Plan({each.tensor: each for each in placed}, _aligned(end + _SLACK))


def _drafts(program: Program) -> Iterator[Buffer]:
    outside = {program.input, *program.outputs}
    for step, layer in enumerate(program.layers):
        if layer.writes in outside or layer.part:
            continue
        pads, last = _needs(layer.writes, program.layers, step)
        draft = Buffer(layer.writes, 0, 0, pads, step, last)
        numbers = draft.start + draft.row * (layer.writes.height - 1) + draft.behind
        numbers += layer.writes.width * layer.writes.channels
        size = _aligned(numbers * ITEM_BYTES[layer.writes.number])
        yield Buffer(layer.writes, 0, size, pads, step, last)


def _needs(tensor: Tensor, layers: Sequence[Layer], step: int) -> tuple[Pads, int]:
    pads, last = NO_PADS, step
    for place, layer in enumerate(layers):
        for read in layer.reads:
            if read.tensor.memory is tensor:
                top, left, bottom, right = map(max, zip(pads, read.pads, strict=True))
                pads, last = (top, left, bottom, right), place
    return pads, last


def _lowest(draft: Buffer, placed: Sequence[Buffer]) -> int:
    offset = 0
    for other in sorted(placed, key=lambda each: each.offset):
        together = draft.first <= other.last and other.first <= draft.last
        if together and offset + draft.bytes > other.offset:
            offset = max(offset, other.offset + other.bytes)
    return offset


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
