"""A float core in half precision: fp16 weights and arithmetic, float32 in and out.

ONNX Runtime's own converter cuts off weights that are too large and moves those that are too small,
without a word; here they are refused, or become the nearest number that there is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgecnn.errors import ModelError

if TYPE_CHECKING:
    import numpy as np
    import onnx_ir as ir
    from numpy.typing import NDArray

LARGEST = 65_504.0
# Inputs that ONNX wants in float32 whatever the others are: Resize's region and scales.
_STAY = {"Resize": (1, 2), "Upsample": (1,)}


def to_fp16(core: ir.Model) -> ir.Model:
    """Turn a float core into one that computes in fp16.

    Args:
        core: A float core; it is left as it is. Its inputs and outputs stay float32.

    Raises:
        ModelError: A weight is too large for fp16, or the core is quantized.
    """
    from edgecnn.graph.clean import clean

    model = core.clone()
    graph = model.graph
    _refuse_quantized(graph)
    for value in list(graph.initializers.values()):
        _halve_constant(value)
    for node in list(graph):
        _halve_attributes(node)
        for output in node.outputs:
            output.type, output.shape = None, output.shape if output.is_graph_output() else None
    for value in list(graph.inputs):
        _cast_in(graph, value)
    for value in list(graph.outputs):
        _cast_out(graph, value)
    return clean(model)


def _refuse_quantized(graph: ir.Graph) -> None:
    if any(node.op_type in ("QuantizeLinear", "DequantizeLinear") for node in graph):
        raise ModelError(
            "The model is quantized already.", "Name an fp32 variant with --variant, or import one."
        )


def _halve_constant(value: ir.Value) -> None:
    import onnx_ir as ir

    tensor = value.const_value
    if tensor is None or tensor.dtype != ir.DataType.FLOAT or _must_stay(value):
        return
    value.const_value = ir.Tensor(_halved(tensor.numpy(), str(value.name)), name=value.name)
    value.type = ir.TensorType(ir.DataType.FLOAT16)


def _must_stay(value: ir.Value) -> bool:
    return all(index in _STAY.get(node.op_type, ()) for node, index in value.uses())


def _halved(array: NDArray[Any], name: str) -> NDArray[np.float16]:
    import numpy as np

    largest = float(np.abs(array).max(initial=0.0))
    if not largest <= LARGEST:
        raise ModelError(
            f"The weight '{name}' reaches {largest:.3g}, more than fp16's {LARGEST:,.0f}.",
            "Keep the fp32 variant.",
        )
    return array.astype(np.float16)


def _halve_attributes(node: ir.Node) -> None:
    import onnx_ir as ir

    to = node.attributes.get("to")
    if node.op_type == "Cast" and to is not None and to.as_int() == int(ir.DataType.FLOAT):
        node.attributes["to"] = ir.AttrInt64("to", int(ir.DataType.FLOAT16))
    constant = node.attributes.get("value")
    if node.op_type == "Constant" and constant is not None:
        tensor = constant.as_tensor()
        if tensor.dtype == ir.DataType.FLOAT and not _must_stay(node.outputs[0]):
            halved = ir.Tensor(_halved(tensor.numpy(), str(node.outputs[0].name)))
            node.attributes["value"] = ir.AttrTensor("value", halved)


def _cast_in(graph: ir.Graph, value: ir.Value) -> None:
    import onnx_ir as ir

    if value.dtype != ir.DataType.FLOAT:
        return
    uses = list(value.uses())
    cast = ir.node("Cast", [value], {"to": int(ir.DataType.FLOAT16)}, name=f"{value.name}/to_fp16")
    cast.outputs[0].name = f"{value.name}/fp16"
    for node, index in uses:
        node.replace_input_with(index, cast.outputs[0])
    graph.insert_before(graph[0], cast)


def _cast_out(graph: ir.Graph, value: ir.Value) -> None:
    import onnx_ir as ir

    node = value.producer()
    if node is None:
        return
    name, shape = value.name, value.shape
    cast = ir.node("Cast", [value], {"to": int(ir.DataType.FLOAT)}, name=f"{name}/to_fp32")
    outer = cast.outputs[0]
    graph.outputs[graph.outputs.index(value)] = outer
    value.name, value.shape = f"{name}/fp16", None
    outer.name, outer.shape, outer.type = name, shape, ir.TensorType(ir.DataType.FLOAT)
    graph.append(cast)
