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
        core: A float core; it is left as it is. Its inputs and outputs keep their types.

    Raises:
        ModelError: A weight is too large for fp16, the core is quantized, or it computes the
            scales of a Resize.
    """
    import onnx_ir as ir

    from edgecnn.graph.clean import clean

    model = _prepared(core)
    graph = model.graph
    for value in _float_constants(graph):
        value.const_value = ir.Tensor(_halved(value), name=value.name)
        value.type = ir.TensorType(ir.DataType.FLOAT16)
    for node in list(graph):
        _halve_attributes(node)
        for output in _float_outputs(node):
            output.type = ir.TensorType(ir.DataType.FLOAT16)
    for value in graph.inputs:
        if value.dtype == ir.DataType.FLOAT:
            _cast_in(graph, value)
    for value in list(graph.outputs):
        if value.dtype == ir.DataType.FLOAT16 and value.producer() is not None:
            _cast_out(graph, value)
    return clean(model)


def rounded_to_fp16(core: ir.Model) -> ir.Model:
    """Make a float32 core whose numbers are rounded to fp16 wherever fp16 would be stored.

    ONNX Runtime's CPU keeps float32 between the layers of an fp16 model, so that it shows neither
    what rounding costs on a GPU nor what overflows there; this does, on any CPU.

    Args:
        core: A float core; it is left as it is.

    Raises:
        ModelError: As `to_fp16`.
    """
    import numpy as np
    import onnx_ir as ir

    model = _prepared(core)
    for value in _float_constants(model.graph):
        value.const_value = ir.Tensor(_halved(value).astype(np.float32), name=value.name)
    for node in list(model.graph):
        for output in _float_outputs(node):
            _round(model.graph, output)
    for value in model.graph.inputs:
        if value.dtype == ir.DataType.FLOAT:
            _round(model.graph, value)
    return model


def _prepared(core: ir.Model) -> ir.Model:
    """Copy a core, its constants as initializers and the types of its tensors known."""
    from onnx_ir.passes import common

    model = core.clone()
    if any(node.op_type in ("QuantizeLinear", "DequantizeLinear") for node in model.graph):
        raise ModelError(
            "The model is quantized already.", "Name an fp32 variant with --variant, or import one."
        )
    lift = common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)
    model = common.ShapeInferencePass()(lift(model).model).model
    for value in list(model.graph.initializers.values()):
        _keep_apart(model.graph, value)
    _refuse_computed_scales(model.graph)
    return model


def _keep_apart(graph: ir.Graph, value: ir.Value) -> None:
    """Give what must stay float32 a constant of its own where others read it, too."""
    import onnx_ir as ir

    uses = list(value.uses())
    staying = [(node, index) for node, index in uses if index in _STAY.get(node.op_type, ())]
    if not staying or len(staying) == len(uses):
        return
    own = ir.Value(
        name=f"{value.name}/fp32", shape=value.shape, type=value.type, const_value=value.const_value
    )
    graph.register_initializer(own)
    for node, index in staying:
        node.replace_input_with(index, own)


def _refuse_computed_scales(graph: ir.Graph) -> None:
    for node in graph:
        places = _STAY.get(node.op_type, ())
        values = [node.inputs[index] for index in places if index < len(node.inputs)]
        if any(value is not None and value.const_value is None for value in values):
            raise ModelError(
                f"'{node.name}' ({node.op_type}) computes its scales, and rounded to fp16 they "
                "could give another size.",
                "Keep the fp32 variant, or resize to a fixed size.",
            )


def _float_constants(graph: ir.Graph) -> list[ir.Value]:
    import onnx_ir as ir

    return [
        value
        for value in graph.initializers.values()
        if value.const_value is not None
        and value.const_value.dtype == ir.DataType.FLOAT
        and not all(index in _STAY.get(node.op_type, ()) for node, index in value.uses())
    ]


def _float_outputs(node: ir.Node) -> list[ir.Value]:
    import onnx_ir as ir

    return [output for output in node.outputs if output.dtype == ir.DataType.FLOAT]


def _halved(value: ir.Value) -> NDArray[np.float16]:
    import numpy as np

    assert value.const_value is not None
    array: NDArray[Any] = value.const_value.numpy()
    largest = float(np.abs(array).max(initial=0.0))
    if not largest <= LARGEST:
        raise ModelError(
            f"The weight '{value.name}' reaches {largest:.3g}, more than fp16's {LARGEST:,.0f}.",
            "Keep the fp32 variant.",
        )
    return array.astype(np.float16)


def _halve_attributes(node: ir.Node) -> None:
    import numpy as np
    import onnx_ir as ir

    to = node.attributes.get("to")
    if node.op_type == "Cast" and to is not None and to.as_int() == int(ir.DataType.FLOAT):
        node.attributes["to"] = ir.AttrInt64("to", int(ir.DataType.FLOAT16))
    if node.op_type == "ConstantOfShape" and _float_outputs(node):
        given = node.attributes.get("value")
        array = np.zeros(1, np.float32) if given is None else given.as_tensor().numpy()
        node.attributes["value"] = ir.AttrTensor("value", ir.Tensor(array.astype(np.float16)))


def _cast_in(graph: ir.Graph, value: ir.Value) -> None:
    import onnx_ir as ir

    uses = list(value.uses())
    cast = ir.node("Cast", [value], {"to": int(ir.DataType.FLOAT16)}, name=f"{value.name}/to_fp16")
    cast.outputs[0].name = f"{value.name}/fp16"
    for node, index in uses:
        node.replace_input_with(index, cast.outputs[0])
    graph.insert_before(graph[0], cast)


def _cast_out(graph: ir.Graph, value: ir.Value) -> None:
    import onnx_ir as ir

    cast = ir.node("Cast", [value], {"to": int(ir.DataType.FLOAT)}, name=f"{value.name}/to_fp32")
    _take_place(graph, value, cast.outputs[0])
    graph.append(cast)


def _round(graph: ir.Graph, value: ir.Value) -> None:
    import onnx_ir as ir

    uses, producer, name = list(value.uses()), value.producer(), value.name
    down = ir.node("Cast", [value], {"to": int(ir.DataType.FLOAT16)}, name=f"{name}/down")
    up = ir.node("Cast", [down.outputs[0]], {"to": int(ir.DataType.FLOAT)}, name=f"{name}/up")
    down.outputs[0].name, up.outputs[0].name = f"{name}/fp16", f"{name}/rounded"
    for node, index in uses:
        node.replace_input_with(index, up.outputs[0])
    if value.is_graph_output():
        _take_place(graph, value, up.outputs[0])
    if producer is None:
        graph.insert_before(graph[0], [down, up])
    else:
        graph.insert_after(producer, [down, up])


def _take_place(graph: ir.Graph, value: ir.Value, outer: ir.Value) -> None:
    """Make `outer` the graph's output instead of `value`, under its name."""
    import onnx_ir as ir

    name, shape = value.name, value.shape
    for index, output in enumerate(graph.outputs):
        if output is value:
            graph.outputs[index] = outer
    value.name, value.shape = f"{name}/inner", None
    outer.name, outer.shape, outer.type = name, shape, ir.TensorType(ir.DataType.FLOAT)
