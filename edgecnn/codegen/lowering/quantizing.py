"""QuantizeLinear and DequantizeLinear that no kernel takes in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgecnn.codegen.lowering.refusing import unsupported
from edgecnn.codegen.lowering.rules import lowers
from edgecnn.codegen.lowering.values import sizes_of
from edgecnn.codegen.program import Tensor

if TYPE_CHECKING:
    import onnx_ir as ir

    from edgecnn.codegen.lowering.state import Lowering


@lowers("QuantizeLinear")
def lower_quantize(lower: Lowering, node: ir.Node) -> None:
    """Quantize floats, with one scale for all."""
    scale, old = lower.scale_of(node), lower.floats(node.inputs[0])
    if scale is None:
        raise unsupported(node, "which quantizes each channel with a scale of its own")
    made = Tensor(str(node.outputs[0].name), old.shape, "uint8", old.picture)
    lower.add(node, "quantize_u8", (old,), made, shape=sizes_of(old, scale))
    lower.give(lower.target(node, clip=False), made)


@lowers("DequantizeLinear")
def lower_dequantize(lower: Lowering, node: ir.Node) -> None:
    """Do nothing yet: it is computed where something wants floats."""
    if node.outputs[0].is_graph_output():
        lower.floats(node.outputs[0])
