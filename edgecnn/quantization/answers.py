"""Fully connected layers that answer in float.

ONNX Runtime's quantizer rounds a net's answers to 256 steps, which only loses: where the last layer
is fully connected, its integer sums become floats in one multiplication either way, and without the
rounding there is one operator less.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx_ir as ir


def answer_in_float(model: ir.Model) -> ir.Model:
    """Take the rounding off the outputs that a fully connected layer (Gemm) gives.

    Args:
        model: A QDQ model; it is left as it is.
    """
    from edgecnn.graph.clean import clean

    found = model.clone()
    for output in list(found.graph.outputs):
        rounding = _rounding(output)
        if rounding:
            _answer_directly(rounding)
    return clean(found)


def _rounding(output: ir.Value) -> list[ir.Node] | None:
    """Give the Gemm, QuantizeLinear and DequantizeLinear that end in an output, if they do."""
    chain: list[ir.Node] = []
    value: ir.Value | None = output
    for kind in ("DequantizeLinear", "QuantizeLinear", "Gemm"):
        node = value.producer() if value is not None else None
        if node is None or node.op_type != kind or (chain and not _is_used_once(node.outputs[0])):
            return None
        chain.insert(0, node)
        value = node.inputs[0]
    return chain


def _is_used_once(value: ir.Value) -> bool:
    return len(value.uses()) == 1 and not value.is_graph_output()


def _answer_directly(chain: list[ir.Node]) -> None:
    layer, quantize, dequantize = chain
    old, new = dequantize.outputs[0], layer.outputs[0]
    name, new.shape, new.type = old.name, old.shape, old.type
    old.replace_all_uses_with(new, replace_graph_outputs=True)
    layer.graph.remove([dequantize, quantize], safe=True)  # type: ignore[union-attr]
    new.name = name
