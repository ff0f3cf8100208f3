"""ReduceMean and ReduceMax over any axes: pictures of what stays by what goes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from edgecnn.codegen.lowering.attributes import ints, number
from edgecnn.codegen.lowering.pooling import picture_sizes
from edgecnn.codegen.lowering.refusing import unsupported
from edgecnn.codegen.lowering.rules import lowers
from edgecnn.codegen.lowering.values import sizes_of
from edgecnn.codegen.program import Read

if TYPE_CHECKING:
    import onnx_ir as ir

    from edgecnn.codegen.lowering.state import Lowering
    from edgecnn.codegen.program import Tensor

_SPATIAL = {2, 3}


@lowers("ReduceMean")
def lower_reduce_mean(lower: Lowering, node: ir.Node) -> None:
    """Take the mean over some axes, of floats: so does ONNX Runtime between bytes, too."""
    axes, target = _axes(lower, node), lower.target(node, clip=False)
    image = _as_picture(lower, node, lower.floats(node.inputs[0]), axes)
    made = lower.tensor(target, number="float32", picture=False)
    read = Read(image, beyond=True)
    lower.add(node, "global_mean_f32", (read,), made, shape=picture_sizes(image))
    lower.finish(node, target, made)


@lowers("ReduceMax")
def lower_reduce_max(lower: Lowering, node: ir.Node) -> None:
    """Take the largest number over some axes; bytes stay bytes."""
    axes, moved = _axes(lower, node), lower.moved(node)
    image = _as_picture(lower, node, moved.tensor, axes)
    made = lower.tensor(moved.target, number=image.number, picture=False)
    shape = sizes_of(made) | {"height": 1, "width": 1, "channels": image.channels}
    shape |= {"in_height": image.height, "in_width": image.width, "top": 0, "left": 0}
    shape |= {"rows": image.height, "columns": image.width, "dilation_y": 1, "dilation_x": 1}
    shape |= {"stride_y": 1, "stride_x": 1}
    read = Read(image, beyond=True)
    lower.add(node, f"max_pool_{image.suffix}", (read,), made, shape=shape)
    lower.finish(node, moved.target, made)


def _axes(lower: Lowering, node: ir.Node) -> set[int]:
    """Read the axes that go; all of them, if none are named."""
    count = len(lower.shape(node.inputs[0]))
    value = node.inputs[1] if len(node.inputs) > 1 else None
    found = lower.constant(value)
    if value is not None and found is None:
        raise unsupported(node, "whose axes are computed, not constant")
    named = ints(node, "axes", ()) if found is None else tuple(map(int, found.reshape(-1)))
    if not named and number(node, "noop_with_empty_axes", 0):
        return set()
    return {axis % count for axis in named} or set(range(count))


def _as_picture(lower: Lowering, node: ir.Node, tensor: Tensor, axes: set[int]) -> Tensor:
    """Give a picture whose channels are what stays, and whose pixels go."""
    if tensor.picture and axes == _SPATIAL:
        return tensor
    stays = [axis for axis in range(len(tensor.shape)) if axis not in axes]
    strided = lower.layouts.strided(tensor).transposed([*stays, *sorted(axes)])
    channels = math.prod(tensor.shape[axis] for axis in stays)
    turned = strided.reshaped((1, channels, 1, tensor.size // channels))
    assert turned is not None
    return lower.picture(lower.layouts.move(tensor.name, turned), node)
