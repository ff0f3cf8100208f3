"""HardSigmoid without an operator: to round and cut to 8 bits is what it does.

`HardSigmoid(x) = min(max(alpha * x + beta, 0), 1)`. QuantizeLinear computes
`min(max(round(x / scale) + zero_point, 0), 255)`: with the scale `1 / (255 * alpha)` and the zero
point `255 * beta` that is the HardSigmoid in steps of 1/255, which DequantizeLinear reads with the
scale 1/255 and the zero point 0. ONNX Runtime has no integer kernel for HardSigmoid, and so the net
would turn to float and back around each. Where other operators need the input, too, a LeakyRelu of
slope 1 stands between, whose integer kernel changes scales by a table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import onnx_ir as ir

_STEPS = 255


def round_as_hard_sigmoids(model: ir.Model) -> ir.Model:
    """Let rounding to uint8 compute each HardSigmoid that stands between integers.

    Args:
        model: A QDQ model with uint8 activations; it is left as it is.

    Returns:
        A model whose gates are off by half a step at most, beside rounding: 0.2 % of their range.
    """
    from edgecnn.graph.clean import clean

    found = model.clone()
    for node in list(found.graph):
        around = _around(node) if node.op_type == "HardSigmoid" else None
        if around is not None:
            _replace(found.graph, node, *around)
    return clean(found)


def is_plain_pair(quantize: ir.Node, dequantize: ir.Node) -> bool:
    """Say whether what is rounded is read back as the same number, and not as its HardSigmoid."""
    return quantize.inputs[1] is dequantize.inputs[1]


def _around(node: ir.Node) -> tuple[ir.Node, ir.Node, ir.Node] | None:
    """Give the DequantizeLinear before a gate and the pair behind it, if all are there."""
    image, gate = node.inputs[0], node.outputs[0]
    before = image.producer() if image is not None else None
    behind = _only_user(gate, "QuantizeLinear")
    back = _only_user(behind.outputs[0], "DequantizeLinear") if behind is not None else None
    if before is None or before.op_type != "DequantizeLinear" or behind is None or back is None:
        return None
    zero = behind.inputs[2] if len(behind.inputs) > 2 else None
    numbers = zero.const_value if zero is not None else None
    is_uint8 = numbers is not None and numbers.numpy().dtype == "uint8"
    alpha, beta = _line(node)
    return (before, behind, back) if is_uint8 and alpha > 0 and 0 <= beta <= 1 else None


def _replace(
    graph: ir.Graph, node: ir.Node, before: ir.Node, behind: ir.Node, back: ir.Node
) -> None:
    import numpy as np

    image, name = node.inputs[0], str(node.outputs[0].name)
    alpha, beta = _line(node)
    rounding = before.inputs[0].producer() if before.inputs[0] is not None else None
    alone = image is not None and len(image.uses()) == 1 and not image.is_graph_output()
    if alone and rounding is not None and _only_user(rounding.outputs[0], "DequantizeLinear"):
        source = rounding.inputs[0]
        behind.replace_input_with(0, source)
    else:
        behind.replace_input_with(0, _rescaled(graph, node))
    _set(graph, behind, np.float32(1 / (_STEPS * alpha)), np.uint8(round(_STEPS * beta)), name)
    _set(graph, back, np.float32(1 / _STEPS), np.uint8(0), f"{name}/read")
    graph.remove(node, safe=True)
    # It is the gate's value now, and bears its name.
    back.outputs[0].name = name


def _rescaled(graph: ir.Graph, node: ir.Node) -> ir.Value:
    import onnx_ir as ir

    step = ir.node(
        "LeakyRelu", [node.inputs[0]], {"alpha": 1.0}, name=f"{node.name or ''}/rescaled"
    )
    step.outputs[0].name = f"{node.outputs[0].name}/rescaled"
    graph.insert_before(node, [step])
    return step.outputs[0]


def _set(graph: ir.Graph, node: ir.Node, scale: Any, zero_point: Any, name: str) -> None:
    import onnx_ir as ir

    for place, part, array in ((1, "scale", scale), (2, "zero_point", zero_point)):
        tensor = ir.tensor(array, name=f"{name}/{part}")
        value = ir.Value(name=tensor.name, type=ir.TensorType(tensor.dtype), const_value=tensor)
        graph.register_initializer(value)
        node.replace_input_with(place, value)


def _only_user(value: ir.Value, kind: str) -> ir.Node | None:
    users = [user for user, _ in value.uses()]
    one = len(users) == 1 and users[0].op_type == kind and not value.is_graph_output()
    return users[0] if one else None


def _line(node: ir.Node) -> tuple[float, float]:
    given = {name: node.attributes.get(name) for name in ("alpha", "beta")}
    alpha, beta = (each.as_float() if each is not None else None for each in given.values())
    return 0.2 if alpha is None else alpha, 0.5 if beta is None else beta
