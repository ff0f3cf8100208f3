"""Batch normalisations that no convolution took in, written as convolutions.

ONNX Runtime computes BatchNormalization in float even between int8 operators, which costs
densenet121 a third of its time. A convolution of each channel with one weight computes the same,
stays in integers and takes the ReLU behind it in; a single weight for each channel loses nothing
by being rounded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import onnx_ir as ir
    from numpy.typing import NDArray

_NAME = "BatchNormalization"


def convolve_normalisations(model: ir.Model) -> ir.Model:
    """Turn each BatchNormalization of images into a 1x1 convolution of each channel.

    Args:
        model: A float core; it is left as it is.

    Returns:
        A model that computes the same.
    """
    if not any(node.op_type == _NAME for node in model.graph):
        return model
    from edgecnn.graph.clean import clean

    ranks, found = _ranks(model), model.clone()
    for node in list(found.graph):
        if node.op_type == _NAME and ranks.get(_name(node.inputs[0])) == 4:
            _convolve(found.graph, node)
    return clean(found)


def _convolve(graph: ir.Graph, node: ir.Node) -> None:
    import numpy as np
    import onnx_ir as ir

    values = [None if value is None else value.const_value for value in node.inputs[1:5]]
    if any(value is None for value in values) or any(map(_used, node.outputs[1:])):
        return
    scale, shift, mean, variance = (v.numpy().astype(np.float64) for v in values if v is not None)
    epsilon = node.attributes.get("epsilon")
    factor = scale / np.sqrt(variance + (1e-5 if epsilon is None else epsilon.as_float()))
    weight = _constant(graph, node, "weight", factor.reshape(-1, 1, 1, 1))
    bias = _constant(graph, node, "bias", shift - mean * factor)
    attributes: dict[str, Any] = {"group": len(factor), "kernel_shape": [1, 1]}
    conv = ir.node("Conv", [node.inputs[0], weight, bias], attributes, name=node.name)
    ir.convenience.replace_nodes_and_values(
        graph, node, [node], [conv], [node.outputs[0]], [conv.outputs[0]]
    )


def _used(value: ir.Value) -> bool:
    return bool(value.uses()) or value.is_graph_output()


def _name(value: ir.Value | None) -> str:
    return "" if value is None else str(value.name)


def _constant(graph: ir.Graph, node: ir.Node, what: str, array: NDArray[Any]) -> ir.Value:
    import numpy as np
    import onnx_ir as ir

    name = f"{node.name or node.outputs[0].name}/{what}"
    tensor = ir.Tensor(array.astype(np.float32), name=name)
    value = ir.Value(
        name=tensor.name, shape=tensor.shape, type=ir.TensorType(tensor.dtype), const_value=tensor
    )
    graph.register_initializer(value)
    return value


def _ranks(model: ir.Model) -> dict[str, int]:
    import onnx_ir as ir

    from edgecnn.graph.shapes import static_shapes

    shapes = static_shapes(ir.to_proto(model))
    return {name: len(found.shape) for name, found in shapes.items() if found.shape is not None}
