"""Softmax along an axis."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from edgecnn.codegen.lowering.attributes import number
from edgecnn.codegen.lowering.rules import lowers

if TYPE_CHECKING:
    import onnx_ir as ir
    from numpy.typing import NDArray

    from edgecnn.codegen.lowering.state import Lowering
    from edgecnn.codegen.lowering.values import Source, Target
    from edgecnn.codegen.program import Tensor

# Before it, Softmax goes over all axes from one on.
_ONE_AXIS = 13


@lowers("Softmax")
def lower_softmax(lower: Lowering, node: ir.Node) -> None:
    """Turn numbers along an axis into shares of one."""
    source, target = lower.source(node.inputs[0]), lower.target(node, clip=False)
    whole = lower.graph.opset_imports[""] < _ONE_AXIS
    axis = number(node, "axis", 1 if whole else -1) % len(source.tensor.shape)
    if source.scale is not None and target.scale is not None:
        _lower_bytes(lower, node, source, target, (axis, whole))
        return
    old = _laid(lower, node, lower.floats(node.inputs[0]), axis, whole=whole)
    made = lower.tensor(target, like=old, number="float32")
    lower.add(node, "softmax_f32", (old,), made, shape=_sizes(old, axis, whole=whole))
    lower.finish(node, target, made)


def _lower_bytes(
    lower: Lowering, node: ir.Node, source: Source, target: Target, along: tuple[int, bool]
) -> None:
    axis, whole = along
    assert source.scale is not None
    assert target.scale is not None
    old = _laid(lower, node, source.tensor, axis, whole=whole)
    made = lower.tensor(target, like=old)
    sizes = _sizes(old, axis, whole=whole)
    table = _table(source.scale.scale, int(sizes["length"]))
    steps = math.floor(np.float32(1) / np.float32(target.scale.scale))
    more = {"steps": float(steps), "zero": target.scale.zero}
    lower.add(node, "softmax_u8", (old,), made, (table,), sizes | more)
    lower.give(target, made)


def _table(scale: float, length: int) -> NDArray[np.float32]:
    """Give a power of e for each byte, as ONNX Runtime's QLinearSoftmax (qlinear_softmax.cc).

    The largest is as large as it can be if the sum of all shall be a float.
    """
    room = math.log(np.float32(np.finfo(np.float32).max) / np.float32(length))
    shift = max(0.0, room - 5) / float(np.float32(scale))
    powers = np.exp((np.arange(256) - 255.0 + shift) * float(np.float32(scale)))
    return np.asarray(powers, np.float32)


def _laid(lower: Lowering, node: ir.Node, tensor: Tensor, axis: int, *, whole: bool) -> Tensor:
    """Give a tensor so that its axis has steps: a picture over its channels, others as ONNX has."""
    if tensor.picture and axis == 1 and not whole:
        return tensor
    return lower.plain(tensor, node)


def _sizes(tensor: Tensor, axis: int, *, whole: bool) -> dict[str, int | float]:
    if tensor.picture:
        sizes = {"height": tensor.height, "width": tensor.width}
        return {**sizes, "length": tensor.channels, "step": 1}
    before, behind = tensor.shape[:axis], tensor.shape[axis:]
    length = math.prod(behind) if whole else behind[0]
    inner = math.prod(behind) // length
    return {
        "height": math.prod(before),
        "width": inner,
        "length": length,
        "step": inner,
        "in_row": length * inner,
        "out_row": length * inner,
        "in_pixel": 1,
        "out_pixel": 1,
    }
