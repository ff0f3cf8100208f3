"""The type and shape of every tensor of a graph, found node by node within limits.

onnx's own inference walks a whole graph at once, without a limit: Gather doubles the rank with
each node, Concat the length of a shape, and thirty nodes fill any memory. Here each node's result
is checked before the next one sees it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from edgecnn.graph.limits import LIVE_BYTES, RANK, SETTING, Refusal, shown, size_text
from edgecnn.graph.operators import MICROSOFT, OWN, Usage, place_of
from edgecnn.graph.tensors import item_bits
from edgecnn.graph.values import Array, compute, read_value

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, OperatorSetIdProto, TypeProto

_STRING = 8  # onnx.TensorProto.STRING
# How ONNX Runtime's own integer operators shape their result: as which operator, on which inputs.
_STAND_INS = {
    "QLinearAdd": ("Add", (0, 3)),
    "QLinearMul": ("Mul", (0, 3)),
    "QLinearLeakyRelu": ("Identity", (0,)),
    "QLinearSigmoid": ("Identity", (0,)),
    "QLinearSoftmax": ("Identity", (0,)),
    "QLinearAveragePool": ("AveragePool", (0,)),
    "QLinearGlobalAveragePool": ("GlobalAveragePool", (0,)),
    "QLinearConcat": ("Concat", ()),
    "QLinearWhere": ("Where", (0, 1, 4)),
    "QGemm": ("Gemm", (0, 3)),
    "QuantizeLinear": ("QuantizeLinear", (0, 1, 2)),
    "DequantizeLinear": ("DequantizeLinear", (0, 1, 2)),
}
# What these inputs hold becomes sizes; above this, onnx's own arithmetic overflows unseen.
_SIZES = {"Tile": 1, "Expand": 1, "ConstantOfShape": 0, "Reshape": 1, "Pad": 1, "OneHot": 1}
# Where a Constant without a tensor keeps its numbers: field, type in onnx.TensorProto, dtype.
_CONSTANTS = {
    "value_float": ("f", 1, np.float32),
    "value_floats": ("floats", 1, np.float32),
    "value_int": ("i", 7, np.int64),
    "value_ints": ("ints", 7, np.int64),
}


class Contradiction(Refusal):
    """A node does not take what the graph gives it."""


@dataclass
class Walk:
    """What is known of a graph's tensors, by name.

    Attributes:
        types: Element type and shape, as far as they are known.
        values: The numbers of small tensors from which shapes are computed.
    """

    types: dict[str, TypeProto] = field(default_factory=dict)
    values: dict[str, Array] = field(default_factory=dict)


def walk(model: ModelProto, batch: int | None = 1) -> Walk:
    """Find the type and shape of every tensor of a graph.

    Args:
        model: A model whose nodes are in the order they run; it is left as it is.
        batch: What the first axis of each input is taken to be where it is open; None leaves it.

    Raises:
        Refusal: A tensor would have too many axes or a negative size.
        Contradiction: A node does not take what the graph gives it.
    """
    found = Walk()
    opsets, usage = {item.domain: item for item in model.opset_import}, Usage(model)
    constants = {tensor.name for tensor in model.graph.initializer}
    for value in model.graph.input:
        if value.name not in constants:
            found.types[value.name] = opened(value.type, batch)
    for tensor in model.graph.initializer:
        found.types[tensor.name] = _type(tensor.data_type, tensor.dims)
        _keep(found, tensor.name, read_value(tensor))
    for node in model.graph.node:
        if _holds_graphs(node):
            continue
        if node.domain in OWN and node.op_type != "Constant":
            usage.check(node)
        for name, kind in _outputs(node, found, opsets):
            check_type(name, kind)
            found.types[name] = kind
        _evaluate(node, found)
    return found


def check_type(name: str, kind: TypeProto) -> None:
    """Refuse what is no tensor, and one of too many axes or of a negative or forbidding size.

    Raises:
        Refusal: It is such a one.
    """
    if kind.tensor_type.elem_type == _STRING:
        raise Refusal(f"has {shown(name)}, a text, where only numbers are allowed")
    if kind.WhichOneof("value") not in ("tensor_type", None):
        what = str(kind.WhichOneof("value")).removesuffix("_type").replace("_", " ")
        article = "an" if what[0] in "aeiou" else "a"
        raise Refusal(f"has {shown(name)}, {article} {what}, where only tensors are allowed")
    axes = kind.tensor_type.shape.dim
    if len(axes) > RANK:
        raise Refusal(f"makes {shown(name)} of {len(axes):,} axes, of which {RANK} are allowed")
    if any(axis.dim_value < 0 for axis in axes):
        sizes = [axis.dim_value if axis.HasField("dim_value") else "?" for axis in axes]
        raise Refusal(f"makes {shown(name)} of a negative size, {sizes}")
    if least_bytes(kind) > LIVE_BYTES or any(axis.dim_value > SETTING for axis in axes):
        raise Refusal(
            f"makes {shown(name)} of {size_text(least_bytes(kind))} at batch 1, of which "
            f"{size_text(LIVE_BYTES)} are allowed"
        )


def least_elements(kind: TypeProto) -> int:
    """Count a tensor's elements; an open axis counts as one."""
    axes = kind.tensor_type.shape.dim
    return math.prod(axis.dim_value for axis in axes if axis.HasField("dim_value"))


def least_bytes(kind: TypeProto) -> int:
    """Count a tensor's bytes; an open axis counts as one element, an unknown type as one byte."""
    return (least_elements(kind) * (item_bits(kind.tensor_type.elem_type) or 8) + 7) // 8


def full_shape(kind: TypeProto) -> tuple[int, ...] | None:
    """Give a tensor's shape; None where an axis is open."""
    shape = kind.tensor_type.shape
    if not kind.tensor_type.HasField("shape"):
        return None
    sizes = tuple(axis.dim_value for axis in shape.dim if axis.HasField("dim_value"))
    return sizes if len(sizes) == len(shape.dim) else None


def opened(kind: TypeProto, batch: int | None = None) -> TypeProto:
    """Copy a type with its open axes really open, and the first one at a batch if that is given.

    PaddlePaddle writes the size -1 into open axes.
    """
    from onnx import TypeProto

    own = TypeProto()
    own.CopyFrom(kind)
    axes = own.tensor_type.shape.dim
    for axis in axes:
        if axis.dim_value == -1:
            axis.ClearField("dim_value")
    if batch is not None and axes and not axes[0].HasField("dim_value"):
        name = axes[0].dim_param
        for axis in axes:
            if axis is axes[0] or (name and axis.dim_param == name):
                axis.dim_value = batch
    return own


def _type(kind: int, shape: Any) -> TypeProto:
    from onnx import helper

    return helper.make_tensor_type_proto(kind, list(shape))


def _outputs(
    node: NodeProto, found: Walk, opsets: Mapping[str, OperatorSetIdProto]
) -> Iterator[tuple[str, TypeProto]]:
    if node.op_type == "Constant" and node.domain in OWN:
        yield from _constant(node, found)
    else:
        yield from _inferred(node, found, opsets)


def _holds_graphs(node: NodeProto) -> bool:
    return any(attribute.HasField("g") or attribute.graphs for attribute in node.attribute)


def _constant(node: NodeProto, found: Walk) -> Iterator[tuple[str, TypeProto]]:
    for attribute in node.attribute:
        if attribute.HasField("t"):
            yield node.output[0], _type(attribute.t.data_type, attribute.t.dims)
            _keep(found, node.output[0], read_value(attribute.t))
        elif attribute.name in _CONSTANTS:
            where, kind, dtype = _CONSTANTS[attribute.name]
            value = np.asarray(getattr(attribute, where), dtype)
            yield node.output[0], _type(kind, value.shape)
            _keep(found, node.output[0], value)


def _inferred(
    node: NodeProto, found: Walk, opsets: Mapping[str, OperatorSetIdProto]
) -> Iterator[tuple[str, TypeProto]]:
    from onnx import TensorProto, defs, shape_inference

    own, node = node.op_type, _stand_in(node)
    domain = "" if node.domain == "ai.onnx" else node.domain
    types = {name: found.types[name] for name in node.input if name in found.types}
    if domain not in opsets or len(types) < len(set(filter(None, node.input))):
        return
    if not defs.has(node.op_type, opsets[domain].version, domain):
        return
    _check_sizes(node, found)
    _check_axis(node, found)
    schema = defs.get_schema(node.op_type, opsets[domain].version, domain)
    data = {name: _tensor(found.values[name]) for name in node.input if name in found.values}
    if node.op_type != own:
        types = {name: _of_type(kind, TensorProto.FLOAT) for name, kind in types.items()}
    try:
        results = shape_inference.infer_node_outputs(
            schema, node, types, data, opset_imports=list(opsets.values())
        )
    except Exception as error:  # whatever C++ throws there
        reason = " ".join(str(error).split())[:200].rstrip(".")
        raise Contradiction(
            f"contradicts itself at {place_of(node)} ({node.op_type}): {reason}"
        ) from error
    if node.op_type == own:
        yield from results.items()
        return
    # Integer operators give what goes into them, and their stand-ins know floats.
    elements = found.types[node.input[0]].tensor_type.elem_type
    yield from ((name, _of_type(kind, elements)) for name, kind in results.items())


def _of_type(kind: TypeProto, elements: int) -> TypeProto:
    from onnx import TypeProto

    other = TypeProto()
    other.CopyFrom(kind)
    other.tensor_type.elem_type = elements
    return other


def _check_sizes(node: NodeProto, found: Walk) -> None:
    number = _SIZES.get(node.op_type, len(node.input))
    value = found.values.get(node.input[number]) if number < len(node.input) else None
    if value is not None and value.size and np.abs(value.astype(float)).max() > SETTING:
        raise Refusal(f"sets a size beyond {SETTING:,} at {place_of(node)}")


def _check_axis(node: NodeProto, found: Walk) -> None:
    # Not every operator's inference looks before it counts axes from there.
    kind = found.types.get(node.input[0]) if node.input else None
    if kind is None or not kind.tensor_type.HasField("shape"):
        return
    count = len(kind.tensor_type.shape.dim)
    for attribute in node.attribute:
        if attribute.name == "axis" and abs(attribute.i) > count + 1:
            raise Contradiction(f"counts {attribute.i} axes of {count} at {place_of(node)}")


def _evaluate(node: NodeProto, found: Walk) -> None:
    shape = full_shape(found.types[node.output[0]]) if node.output[0] in found.types else None
    if shape is None or node.domain not in OWN:
        return
    if node.op_type in ("Shape", "Size"):
        _keep(found, node.output[0], _measure(node, found))
    else:
        inputs = [found.values.get(name) for name in node.input]
        _keep(found, node.output[0], compute(node, inputs, math.prod(shape)))


def _measure(node: NodeProto, found: Walk) -> Array | None:
    shape = full_shape(found.types[node.input[0]])
    if shape is None:
        return None
    if node.op_type == "Size":
        return np.asarray(math.prod(shape))
    bounds = {each.name: each.i for each in node.attribute}
    return np.asarray(shape[bounds.get("start", 0) : bounds.get("end", len(shape))], np.int64)


def _keep(found: Walk, name: str, value: Array | None) -> None:
    if value is not None:
        found.values[name] = value


def _tensor(value: Array) -> Any:
    from onnx import numpy_helper

    return numpy_helper.from_array(value)


def _stand_in(node: NodeProto) -> NodeProto:
    from onnx import defs, helper

    if node.domain != MICROSOFT or node.op_type not in _STAND_INS:
        return node
    if any(each.name == "channels_last" and each.i for each in node.attribute):
        return node
    operator, chosen = _STAND_INS[node.op_type]
    if operator == "Concat":
        chosen = tuple(range(2, len(node.input), 3))
    inputs = [node.input[number] for number in chosen if number < len(node.input)]
    other = helper.make_node(operator, inputs, node.output, name=node.name)
    known = defs.get_schema(operator).attributes
    other.attribute.extend(each for each in node.attribute if each.name in known)
    return other
