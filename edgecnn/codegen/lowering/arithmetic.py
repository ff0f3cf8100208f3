"""Add, of two pictures of the same size."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgecnn.codegen.lowering.refusing import unsupported
from edgecnn.codegen.lowering.rules import lowers
from edgecnn.codegen.lowering.values import sizes_of

if TYPE_CHECKING:
    import onnx_ir as ir

    from edgecnn.codegen.lowering.state import Lowering


@lowers("Add")
def lower_add(lower: Lowering, node: ir.Node) -> None:
    """Add what two branches give."""
    first, second = (lower.source(value) for value in node.inputs)
    if first.tensor.shape != second.tensor.shape:
        raise unsupported(node, "which adds tensors of two shapes")
    target = lower.target(node)
    if first.scale is None or second.scale is None or target.scale is None:
        one, other = (lower.floats(value) for value in node.inputs)
        if one.picture != other.picture:
            one, other = (lower.plain(each, node) for each in (one, other))
        made = lower.tensor(target, like=one, number="float32")
        shape = sizes_of(made) | {"low": target.low, "high": target.high}
        lower.add(node, "add_f32", (one, other), made, shape=shape)
        lower.finish(node, target, made)
        return
    one, other = first.tensor, second.tensor
    if one.picture != other.picture:
        one, other = (lower.plain(each, node) for each in (one, other))
    made = lower.tensor(target, like=one)
    step = np.float32(target.scale.scale)
    factors = [np.float32(each.scale) / step for each in (first.scale, second.scale)]
    zeros = [np.float32(each.zero) for each in (first.scale, second.scale)]
    constant = np.float32(target.scale.zero) - (factors[0] * zeros[0] + factors[1] * zeros[1])
    low, high = target.byte_range
    shape = sizes_of(made) | {
        "in_factor": float(factors[0]),
        "other_factor": float(factors[1]),
        "constant": float(constant),
        "low": low,
        "high": high,
    }
    lower.add(node, "add_u8", (one, other), made, shape=shape)
    lower.give(target, made)
