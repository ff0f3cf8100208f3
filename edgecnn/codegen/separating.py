"""Copies where one buffer cannot serve all who read it.

A picture whose reader wants something around it needs a buffer with a border. What the caller
brings has none and ends where it ends, a view of it lies without one, and a border holds one value.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from edgecnn.codegen.program import NO_PADS, Layer, Program, Read, Tensor


def separate(program: Program) -> Program:
    """Copy a picture for its readers wherever it cannot have the border that they want."""
    copies: dict[tuple[Tensor, int], Tensor] = {}
    layers = tuple(each for layer in program.layers for each in _separated(program, layer, copies))
    return replace(program, layers=layers)


def _separated(
    program: Program, layer: Layer, copies: dict[tuple[Tensor, int], Tensor]
) -> Iterator[Layer]:
    reads = []
    for read in layer.reads:
        if _needs_copy(program, read):
            key = (read.tensor, read.fill)
            if key not in copies:
                copies[key] = replace(read.tensor, view_of=None)
                yield _copy(layer, read.tensor, copies[key])
            reads.append(replace(read, tensor=copies[key]))
        else:
            reads.append(read)
    yield replace(layer, reads=tuple(reads))


def _needs_copy(program: Program, read: Read) -> bool:
    tensor = read.tensor
    if read.beyond and tensor.memory is program.input:
        return True
    if read.pads == NO_PADS:
        return False
    if tensor.view_of is not None or tensor in (program.input, *program.outputs):
        return True
    others = [each for layer in program.layers for each in layer.reads]
    same = [each for each in others if each.tensor.memory is tensor]
    viewed = any(each.tensor is not tensor for each in same)
    first = next(each.fill for each in same if each.pads != NO_PADS)
    return viewed or read.fill != first


def _copy(layer: Layer, old: Tensor, new: Tensor) -> Layer:
    sizes = {"height": old.height, "width": old.width, "channels": old.channels}
    return Layer(f"{layer.name}/border", f"copy_{old.suffix}", (Read(old),), new, shape=sizes)
