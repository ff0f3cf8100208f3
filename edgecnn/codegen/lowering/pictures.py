"""Pictures of one or two axes: a row [1, C, W] is a picture of height 1."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgecnn.codegen.lowering.refusing import unsupported
from edgecnn.codegen.lowering.values import Moved, Source
from edgecnn.codegen.program import Number, Tensor

if TYPE_CHECKING:
    import onnx_ir as ir

    from edgecnn.codegen.lowering.state import Lowering
    from edgecnn.codegen.lowering.values import Target

_ROW, _PICTURE = 3, 4


def picture_shape(node: ir.Node, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Give a shape [1, C, H, W]; a row's with a height of 1.

    Raises:
        ModelError: It is neither, or of several pictures.
    """
    if len(shape) not in (_ROW, _PICTURE):
        sizes = ", ".join(map(str, shape))
        raise unsupported(node, f"which works on [{sizes}], not on a picture of one or two axes")
    if shape[0] != 1:
        raise unsupported(node, f"which works on {shape[0]} pictures at once, and C on one")
    return shape if len(shape) == _PICTURE else (*shape[:2], 1, shape[2])


def picture_source(lower: Lowering, node: ir.Node) -> Source:
    """Give the first input of a node as a picture: floats, or bytes."""
    source = lower.at_hand(node.inputs[0])
    return Source(_picture(lower, node, source.tensor), source.scale)


def picture_floats(lower: Lowering, node: ir.Node) -> Tensor:
    """Give the first input of a node as a picture of floats."""
    value = node.inputs[0]
    if len(lower.shape(value)) == _PICTURE:
        return _picture(lower, node, lower.floats(value))
    return lower.as_floats(picture_source(lower, node), node)


def moved_picture(lower: Lowering, node: ir.Node) -> Moved:
    """Give the picture that a node moves; bytes stay bytes where the same scale follows."""
    source = picture_source(lower, node)
    target = lower.target(node, clip=False, only=source.scale)
    if target.scale == source.scale:
        return Moved(source.tensor, target)
    return Moved(picture_floats(lower, node), target)


def picture_for(lower: Lowering, node: ir.Node, target: Target, number: Number) -> Tensor:
    """Make the picture that a kernel's result goes into."""
    value = target.values[0]
    return Tensor(str(value.name), picture_shape(node, lower.shape(value)), number, picture=True)


def finish_picture(lower: Lowering, node: ir.Node, target: Target, made: Tensor) -> None:
    """Make a result known in the shape that the graph has, quantized if it should be."""
    lower.finish(node, target, made)
    value = target.values[0]
    shape, given = lower.shape(value), lower.sources[value].tensor
    if shape != given.shape:
        strided = lower.layouts.strided(given).reshaped(shape)
        assert strided is not None
        lower.give(target, lower.layouts.move(given.name, strided))


def _picture(lower: Lowering, node: ir.Node, tensor: Tensor) -> Tensor:
    shape = picture_shape(node, tensor.shape)
    if shape != tensor.shape:
        strided = lower.layouts.strided(tensor).reshaped(shape)
        assert strided is not None
        tensor = lower.layouts.move(tensor.name, strided)
    return lower.picture(tensor, node)
