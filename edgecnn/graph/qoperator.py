"""Integer operators written as float operators between DequantizeLinear and QuantizeLinear.

ONNX Runtime's quantizer writes either form, and runs both with the same integer kernels. Only in
this one can a graph be computed in float64, looked into, and read by other runtimes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from edgecnn.errors import ModelError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from onnx import ModelProto, NodeProto

MICROSOFT = "com.microsoft"
# The bias is an int32 whose scale the operator makes up itself: it has to be written out.
_MATRICES = {"QLinearConv", "QLinearMatMul", "QGemm"}
_ON_TWO = {"QLinearAdd": "Add", "QLinearMul": "Mul"}
_ON_ONE = {
    "QLinearAveragePool": "AveragePool",
    "QLinearGlobalAveragePool": "GlobalAveragePool",
    "QLinearLeakyRelu": "LeakyRelu",
    "QLinearReduceMean": "ReduceMean",
    "QLinearSigmoid": "Sigmoid",
    "QLinearSoftmax": "Softmax",
}
_SAME = {"QuantizeLinear", "DequantizeLinear"}


@dataclass
class _Writer:
    """The graph that is being written: its nodes, and the constants that are new in it."""

    constants: dict[str, NDArray[Any]]
    nodes: list[NodeProto] = field(default_factory=list)
    new: dict[str, NDArray[Any]] = field(default_factory=dict)

    def node(
        self, operator: str, inputs: Sequence[str], output: str, name: str, **attributes: Any
    ) -> str:
        from onnx import helper

        self.nodes.append(helper.make_node(operator, inputs, [output], name=name, **attributes))
        return output

    def floats(self, node: NodeProto, first: int, axis: int | None = None) -> str:
        """Dequantize three inputs of a node: numbers, scale, zero point."""
        numbers, scale, zero_point = (*node.input[first : first + 3], "", "")[:3]
        known = self.constants.get(scale)
        attributes = {} if axis is None or known is None or known.size == 1 else {"axis": axis}
        stem = f"{node.name or node.output[0]}/in{first}"
        inputs = [numbers, scale, zero_point] if zero_point else [numbers, scale]
        return self.node("DequantizeLinear", inputs, stem, f"{stem}_dq", **attributes)

    def bias(self, node: NodeProto, place: int, scales: Sequence[str], factor: float = 1) -> str:
        """Dequantize an int32 bias, whose scale is the product of two others."""
        import numpy as np

        stem = f"{node.name or node.output[0]}/bias"
        a, b = (_needed(self.constants, name, node) for name in scales)
        scale = np.asarray(factor * a.astype(np.float32) * b.astype(np.float32), np.float32)
        scale = scale.reshape(-1) if scale.size > 1 else scale.reshape(())
        self.new[f"{stem}_scale"] = scale
        inputs = [node.input[place], f"{stem}_scale"]
        axis = {"axis": 0} if scale.size > 1 else {}
        return self.node("DequantizeLinear", inputs, stem, f"{stem}_dq", **axis)

    def numbers(self, node: NodeProto, value: str, scale: str, zero_point: str) -> None:
        """Quantize a float into what a node gave."""
        inputs = [value, scale, zero_point] if zero_point else [value, scale]
        self.node("QuantizeLinear", inputs, node.output[0], f"{value}_q")


def has_integer_operators(model: ModelProto) -> bool:
    """Say whether a graph has operators that take numbers, scales and zero points at once."""
    return any(
        node.op_type.startswith("QLinear") or node.op_type == "QGemm" or _is_foreign_pair(node)
        for node in model.graph.node
    )


def spell_out(model: ModelProto) -> ModelProto:
    """Write a graph's integer operators as float ones between DequantizeLinear and QuantizeLinear.

    Args:
        model: A model of opset 13 or newer; it is left as it is.

    Raises:
        ModelError: It has an integer operator that is not known here.
    """
    from onnx import ModelProto, numpy_helper

    spelled = ModelProto()
    spelled.CopyFrom(model)
    graph = spelled.graph
    small = (t for t in graph.initializer if len(t.dims) < 2)
    writer = _Writer({tensor.name: numpy_helper.to_array(tensor) for tensor in small})
    for node in graph.node:
        _spell(node, writer)
    del graph.node[:]
    graph.node.extend(writer.nodes)
    graph.initializer.extend(numpy_helper.from_array(v, name) for name, v in writer.new.items())
    if not any(node.domain == MICROSOFT for node in graph.node):
        kept = [item for item in spelled.opset_import if item.domain != MICROSOFT]
        del spelled.opset_import[:]
        spelled.opset_import.extend(kept)
    return spelled


def _spell(node: NodeProto, writer: _Writer) -> None:
    if node.op_type in _MATRICES:
        {"QLinearConv": _conv, "QLinearMatMul": _matmul, "QGemm": _gemm}[node.op_type](node, writer)
    elif node.op_type in _ON_TWO:
        _elementwise(node, writer)
    elif node.op_type in _ON_ONE:
        _on_one(node, writer)
    elif node.op_type in _OTHERS:
        _OTHERS[node.op_type](node, writer)
    elif _is_foreign_pair(node):
        writer.nodes.append(_plain(node))
    elif node.op_type.startswith("QLinear") or node.domain == MICROSOFT:
        raise _unknown(node)
    else:
        writer.nodes.append(node)


def _conv(node: NodeProto, writer: _Writer) -> None:
    _refuse_channels_last(node)
    inputs = [writer.floats(node, 0), writer.floats(node, 3, axis=0)]
    if len(node.input) > 8 and node.input[8]:
        inputs.append(writer.bias(node, 8, [node.input[1], node.input[4]]))
    attributes = _attributes(node, but={"channels_last"})
    _finish(node, writer, "Conv", inputs, (6, 7), attributes)


def _matmul(node: NodeProto, writer: _Writer) -> None:
    # Scales of a matrix with many are those of its columns.
    inputs = [writer.floats(node, 0), writer.floats(node, 3, axis=-1)]
    _finish(node, writer, "MatMul", inputs, (6, 7), {})


def _gemm(node: NodeProto, writer: _Writer) -> None:
    attributes = _attributes(node)
    inputs = [writer.floats(node, 0), writer.floats(node, 3, 0 if attributes.get("transB") else 1)]
    if len(node.input) > 6 and node.input[6]:
        alpha = attributes.get("alpha", 1.0)
        inputs.append(writer.bias(node, 6, [node.input[1], node.input[4]], alpha))
    if len(node.input) > 7 and node.input[7]:
        _finish(node, writer, "Gemm", inputs, (7, 8), attributes)
    else:
        writer.node("Gemm", inputs, node.output[0], node.name, **attributes)


def _elementwise(node: NodeProto, writer: _Writer) -> None:
    inputs = [writer.floats(node, 0), writer.floats(node, 3)]
    _finish(node, writer, _ON_TWO[node.op_type], inputs, (6, 7), {})


def _on_one(node: NodeProto, writer: _Writer) -> None:
    _refuse_channels_last(node)
    attributes = _attributes(node, but={"channels_last", "opset"})
    if node.op_type == "QLinearSoftmax" and _attributes(node).get("opset", 13) < 13:
        _old_softmax(node, writer)
        return
    _finish(node, writer, _ON_ONE[node.op_type], [writer.floats(node, 0)], (3, 4), attributes)


def _old_softmax(node: NodeProto, writer: _Writer) -> None:
    # Up to opset 12, softmax runs over all axes from its own on at once.
    image, stem = writer.floats(node, 0), node.name or node.output[0]
    axis = _attributes(node).get("axis", 1)
    rows = writer.node("Flatten", [image], f"{stem}/rows", f"{stem}/flatten", axis=axis)
    shares = writer.node("Softmax", [rows], f"{stem}/shares", f"{stem}/softmax", axis=-1)
    shape = writer.node("Shape", [image], f"{stem}/shape", f"{stem}/measure")
    _finish(node, writer, "Reshape", [shares, shape], (3, 4), {})


def _concat(node: NodeProto, writer: _Writer) -> None:
    inputs = [writer.floats(node, first) for first in range(2, len(node.input), 3)]
    _finish(node, writer, "Concat", inputs, (0, 1), _attributes(node))


def _where(node: NodeProto, writer: _Writer) -> None:
    inputs = [node.input[0], writer.floats(node, 1), writer.floats(node, 4)]
    _finish(node, writer, "Where", inputs, (7, 8), {})


_OTHERS: dict[str, Callable[[Any, _Writer], None]] = {
    "QLinearConcat": _concat,
    "QLinearWhere": _where,
}


def _finish(
    node: NodeProto,
    writer: _Writer,
    operator: str,
    inputs: Sequence[str],
    places: tuple[int, int],
    attributes: dict[str, Any],
) -> None:
    value = f"{node.name or node.output[0]}/out"
    writer.node(operator, inputs, value, node.name, **attributes)
    scale, zero_point = (node.input[i] if i < len(node.input) else "" for i in places)
    writer.numbers(node, value, scale, zero_point)


def _plain(node: NodeProto) -> NodeProto:
    from onnx import NodeProto

    plain = NodeProto()
    plain.CopyFrom(node)
    plain.domain = ""
    return plain


def _is_foreign_pair(node: NodeProto) -> bool:
    return node.domain == MICROSOFT and node.op_type in _SAME


def _attributes(node: NodeProto, but: set[str] | None = None) -> dict[str, Any]:
    from onnx import helper

    kept = [item for item in node.attribute if item.name not in (but or set())]
    return {item.name: helper.get_attribute_value(item) for item in kept}


def _refuse_channels_last(node: NodeProto) -> None:
    if _attributes(node).get("channels_last"):
        raise _unknown(node, " in its channels-last form")


def _needed(constants: dict[str, NDArray[Any]], name: str, node: NodeProto) -> NDArray[Any]:
    if name not in constants:
        raise ModelError(
            f"The scale '{name}' of {node.op_type} '{node.name}' is computed, not constant.",
            "Import the float net from which it was quantized.",
        )
    return constants[name]


def _unknown(node: NodeProto, form: str = "") -> ModelError:
    return ModelError(
        f"The integer operator {node.op_type}{form} cannot be written as a float one between "
        "QuantizeLinear and DequantizeLinear.",
        "Import the float net, or quantize it in the QDQ form.",
    )
