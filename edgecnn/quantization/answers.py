"""Fully connected layers that answer in float.

ONNX Runtime's quantizer rounds a net's answers to 256 steps, which only loses: where the last layer
is fully connected, its integer sums become floats in one multiplication either way, and without the
rounding there is one operator less.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgecnn.quantization.placing import JOINED, squashing_before

if TYPE_CHECKING:
    import onnx_ir as ir


def answer_in_float(model: ir.Model, core: ir.Model) -> ir.Model:
    """Take the rounding off the outputs that a fully connected layer (Gemm) gives.

    A Softmax or Sigmoid in float may come after it. A Relu or Clip may not: the quantizer leaves it
    to the rounding, which cuts off what is below zero.

    Args:
        model: A QDQ model; it is left as it is.
        core: The float core that it was made from.
    """
    from edgecnn.graph.clean import clean

    found = model.clone()
    outputs = list(found.graph.outputs)
    squashed = [node.inputs[0] for each in outputs for node in squashing_before(each)]
    for value in (*outputs, *squashed):
        rounding = _rounding(value)
        if rounding and not _is_cut(str(rounding[0].name), core):
            _answer_directly(rounding)
    return clean(found)


def _rounding(output: ir.Value | None) -> list[ir.Node] | None:
    """Give the Gemm, QuantizeLinear and DequantizeLinear that end in a value, if they do."""
    chain: list[ir.Node] = []
    value = output
    for kind in ("DequantizeLinear", "QuantizeLinear", "Gemm"):
        node = value.producer() if value is not None else None
        if node is None or node.op_type != kind or (chain and not _is_used_once(node.outputs[0])):
            return None
        chain.insert(0, node)
        value = node.inputs[0]
    return chain


def _is_cut(layer: str, core: ir.Model) -> bool:
    """Say whether a Relu or Clip follows a layer in the float core."""
    return any(
        user.op_type in JOINED
        for node in core.graph
        if node.name == layer
        for user, _ in node.outputs[0].uses()
    )


def _is_used_once(value: ir.Value) -> bool:
    return len(value.uses()) == 1 and not value.is_graph_output()


def _answer_directly(chain: list[ir.Node]) -> None:
    layer, quantize, dequantize = chain
    old, new = dequantize.outputs[0], layer.outputs[0]
    name, new.shape, new.type = old.name, old.shape, old.type
    old.replace_all_uses_with(new, replace_graph_outputs=True)
    layer.graph.remove([dequantize, quantize], safe=True)  # type: ignore[union-attr]
    if new.is_graph_output():
        new.name = name
