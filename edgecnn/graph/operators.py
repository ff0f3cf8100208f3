"""The operators that a foreign ONNX file may use, and how."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from edgecnn.graph.limits import (
    NAME_CHARACTERS,
    RANK,
    SETTING,
    TEXT_BYTES,
    Refusal,
    shown,
)

if TYPE_CHECKING:
    from onnx import AttributeProto, ModelProto, NodeProto

OWN, MICROSOFT = ("", "ai.onnx"), "com.microsoft"
# ONNX Runtime's own operators on integers, as its quantizer writes them.
_ON_INTEGERS = {
    "DequantizeLinear",
    "QGemm",
    "QLinearAdd",
    "QLinearAveragePool",
    "QLinearConcat",
    "QLinearConv",
    "QLinearGlobalAveragePool",
    "QLinearLeakyRelu",
    "QLinearMul",
    "QLinearReduceMean",
    "QLinearSigmoid",
    "QLinearSoftmax",
    "QLinearWhere",
    "QuantizeLinear",
}
_RANDOM = {
    "Bernoulli",
    "Multinomial",
    "RandomNormal",
    "RandomNormalLike",
    "RandomUniform",
    "RandomUniformLike",
}
# Strides, sizes and counts by which engines divide or step.
_ABOVE_ZERO = {
    "blocksize",
    "dilations",
    "group",
    "kernel_shape",
    "num_groups",
    "num_outputs",
    "size",
    "strides",
}


def check_names(model: ModelProto) -> None:
    """Refuse names that are too long to show, or would steer a terminal that shows them.

    Raises:
        Refusal: There is such a one.
    """
    graph = model.graph
    for name in _all_names(model):
        if not isinstance(name, str):  # protobuf gives bytes where they are no UTF-8
            raise Refusal(f"has a name that is no text, {shown(name)}")
        if len(name) > NAME_CHARACTERS:
            raise Refusal(f"has a name of {len(name):,} characters, {shown(name)}")
        if not name.isprintable():
            raise Refusal(f"has a name with control characters in it, {shown(name)}")
    if not all(value.name for value in (*graph.input, *graph.output)):
        raise Refusal("has an input or output without a name")


def _all_names(model: ModelProto) -> Iterator[str]:
    graph = model.graph
    yield from (model.producer_name, model.producer_version)
    yield from (item.domain for item in model.opset_import)
    for value in (*graph.input, *graph.output, *graph.value_info):
        yield value.name
        yield from (axis.dim_param for axis in value.type.tensor_type.shape.dim)
    yield from (tensor.name for tensor in graph.initializer)
    for node in graph.node:
        yield from (node.name, node.op_type, node.domain, *node.input, *node.output)
        yield from (attribute.name for attribute in node.attribute)


def check_operators(model: ModelProto) -> None:
    """Refuse operators that are not known, or need what no plain net needs.

    Raises:
        Refusal: There is such a one.
    """
    versions = {item.domain: item.version for item in model.opset_import}
    for node in model.graph.node:
        _check_operator(node, place_of(node), versions)
        for attribute in node.attribute:
            _check_kind(attribute, node)


class Usage:
    """How a model's operators may be used, by the versions that it asks for.

    What passes can be given to onnx's shape inference, which would crash on some of the rest.
    """

    def __init__(self, model: ModelProto) -> None:
        from onnx import checker

        self._check_node = checker.check_node
        self._error = checker.ValidationError
        self._context = checker.C.CheckerContext()
        self._context.ir_version = model.ir_version
        self._context.opset_imports = {item.domain: item.version for item in model.opset_import}

    def check(self, node: NodeProto) -> None:
        """Check a node of ONNX's own that holds no graphs.

        Raises:
            Refusal: It has too few inputs, an attribute of the wrong kind, or a forbidding one.
        """
        for attribute in node.attribute:
            _check_numbers(attribute, node)
        try:
            self._check_node(node, self._context)
        except (self._error, RuntimeError, ValueError) as error:
            reason = " ".join(str(error).split("==> Context")[0].split())[:200].rstrip(".")
            raise Refusal(f"uses {node.op_type} wrongly at {place_of(node)}: {reason}") from error


def place_of(node: NodeProto) -> str:
    """Name a node for a message, by its first output where it has no name."""
    return shown(node.name or next(iter(node.output), ""))


def _check_operator(node: NodeProto, place: str, versions: dict[str, int]) -> None:
    from onnx import defs

    if not any(node.output):
        raise Refusal(f"uses {shown(node.op_type)} wrongly: it gives nothing")
    if node.domain == MICROSOFT and node.op_type in _ON_INTEGERS and MICROSOFT in versions:
        return
    if node.domain not in OWN:
        raise Refusal(
            f"needs {shown(f'{node.domain}:{node.op_type}')} at {place}, which is not ONNX's own",
            "Export it with ONNX's own operators.",
        )
    version = versions.get("", versions.get("ai.onnx", 0))
    if not defs.has(node.op_type, version):
        raise Refusal(
            f"needs {shown(node.op_type)} at {place}, which opset {version} does not have"
        )
    if node.op_type in _RANDOM:
        raise Refusal(
            f"draws random numbers at {place} ({node.op_type})", "Export it for inference."
        )
    if not all(_is_tensor(kind) for kind in defs.get_schema(node.op_type, version).outputs):
        raise Refusal(f"needs {node.op_type} at {place}, which gives something else than tensors")


def _is_tensor(parameter: Any) -> bool:
    # Operators on any type, such as Identity, are not meant: what goes into them here are tensors.
    return any(kind.startswith("tensor(") and "string" not in kind for kind in parameter.types)


def _check_kind(attribute: AttributeProto, node: NodeProto) -> None:
    kind = _setting(attribute, node)
    if attribute.HasField("g") or attribute.graphs:
        raise Refusal(
            f"holds a graph within the graph, {kind}",
            "Export it without control flow: traced, or with the branch taken.",
        )
    if attribute.HasField("sparse_tensor") or attribute.sparse_tensors:
        raise Refusal(f"holds a sparse tensor, {kind}", "Export it with dense ones.")
    if attribute.HasField("tp") or attribute.type_protos or attribute.ref_attr_name:
        raise Refusal(f"holds what only functions and sequences need, {kind}")


def _check_numbers(attribute: AttributeProto, node: NodeProto) -> None:
    name, kind = attribute.name, _setting(attribute, node)
    if max(map(len, (attribute.s, *attribute.strings))) > TEXT_BYTES:
        raise Refusal(f"holds a text of more than {TEXT_BYTES:,} bytes, {kind}")
    numbers = [*attribute.ints, *([attribute.i] if attribute.HasField("i") else [])]
    if not numbers:
        return
    if name in _ABOVE_ZERO and min(numbers) < 1:
        raise Refusal(f"sets {kind} to {min(numbers)}, which must be above zero")
    if name == "num_outputs" and numbers != [len(node.output)]:
        raise Refusal(f"sets {kind} to {numbers[0]}, but has {len(node.output)}")
    if name == "batch_dims" and min(numbers) < 0:
        raise Refusal(f"sets {kind} to {min(numbers)}, which must not be negative")
    if name in ("axis", "axes") and max(map(abs, numbers)) > RANK:
        raise Refusal(f"sets {kind} to {max(numbers, key=abs)}, where {RANK} axes are allowed")
    if node.op_type != "Slice" and max(map(abs, numbers)) > SETTING:
        raise Refusal(f"sets {kind} beyond {SETTING:,}")


def _setting(attribute: AttributeProto, node: NodeProto) -> str:
    return f"{shown(attribute.name)} at {place_of(node)} ({shown(node.op_type)[1:-1]})"
