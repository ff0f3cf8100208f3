"""QuantizeLinear and DequantizeLinear that no kernel takes in, and Cast."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from edgecnn.codegen.lowering.attributes import number
from edgecnn.codegen.lowering.refusing import unsupported
from edgecnn.codegen.lowering.rules import lowers
from edgecnn.codegen.lowering.scales import check_bytes, scale_of
from edgecnn.codegen.lowering.values import Scale, Source, sizes_of
from edgecnn.codegen.program import Tensor

if TYPE_CHECKING:
    import onnx_ir as ir
    from numpy.typing import NDArray

    from edgecnn.codegen.lowering.state import Lowering

# ONNX's numbers for the types that C has.
_FLOAT, _UINT8 = 1, 2


@lowers("QuantizeLinear")
def lower_quantize(lower: Lowering, node: ir.Node) -> None:
    """Quantize floats."""
    scale, old = scale_of(node), lower.floats(node.inputs[0])
    if scale is None:
        _along_axis(lower, node, "quantize_axis_u8", old, "uint8")
        return
    made = Tensor(str(node.outputs[0].name), old.shape, "uint8", old.picture)
    lower.add(node, "quantize_u8", (old,), made, shape=sizes_of(old, scale))
    lower.give(lower.target(node, clip=False), made)


@lowers("DequantizeLinear")
def lower_dequantize(lower: Lowering, node: ir.Node) -> None:
    """Do nothing yet if one scale serves all: it is computed where something wants floats."""
    read = node.inputs[0]
    if scale_of(node) is None and lower.constant(read) is None:
        _along_axis(lower, node, "dequantize_axis_u8", lower.source(read).tensor, "float32")
    elif node.outputs[0].is_graph_output():
        lower.floats(node.outputs[0])


@lowers("Cast")
def lower_cast(lower: Lowering, node: ir.Node) -> None:
    """Turn bytes into floats, or floats into bytes."""
    source, kind = lower.at_hand(node.inputs[0]), number(node, "to", 0)
    floats = source.tensor.number == "float32" or source.scale is not None
    if kind == _FLOAT and not floats:
        lower.sources[node.outputs[0]] = Source(source.tensor, Scale(1.0, 0))
    elif kind == _FLOAT:
        lower.sources[node.outputs[0]] = source
    elif kind == _UINT8 and floats:
        old = lower.floats(node.inputs[0])
        made = Tensor(str(node.outputs[0].name), old.shape, "uint8", old.picture)
        lower.add(node, "cast_u8", (old,), made, shape=sizes_of(old))
        lower.sources[node.outputs[0]] = Source(made)
    else:
        raise unsupported(node, "which casts to something other than float32 or uint8")


def _along_axis(lower: Lowering, node: ir.Node, kernel: str, tensor: Tensor, kind: Any) -> None:
    """Use a scale and a zero point for each place along an axis."""
    scales, zeros = _constants(lower, node)
    old, axis = lower.plain(tensor, node), number(node, "axis", 1) % len(tensor.shape)
    if number(node, "block_size", 0) or scales.shape != (old.shape[axis],):
        raise unsupported(node, "whose scales are neither one nor one for each channel")
    made = Tensor(str(node.outputs[0].name), old.shape, kind)
    sizes = {
        "count": math.prod(old.shape[:axis]),
        "channels": old.shape[axis],
        "inner": math.prod(old.shape[axis + 1 :]),
    }
    lower.add(node, kernel, (old,), made, (scales, zeros), sizes)
    lower.sources[node.outputs[0]] = Source(made)


def _constants(lower: Lowering, node: ir.Node) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    scales = lower.constant(node.inputs[1])
    zeros = lower.constant(node.inputs[2]) if len(node.inputs) > 2 else None
    if scales is None or (zeros is None and len(node.inputs) > 2):
        raise unsupported(node, "whose scale is computed, not constant")
    check_bytes(node)
    points = np.zeros(scales.shape, np.uint8) if zeros is None else zeros
    middle = 128 * (points.dtype == np.int8)
    return scales.astype(np.float32), points.astype(np.int32) + middle
