"""The operators that a foreign ONNX file may use, how, and what they may need in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgecnn.graph.limits import (
    LIVE_BYTES,
    NAME_CHARACTERS,
    NODES,
    SETTING,
    TEXT_BYTES,
    Refusal,
    shown,
    size_text,
)
from edgecnn.graph.walk import MICROSOFT, STAND_INS, Walk, least_bytes

if TYPE_CHECKING:
    from onnx import AttributeProto, ModelProto, NodeProto

OWN = ("", "ai.onnx")
_MICROSOFT = {*STAND_INS, "QLinearConv", "QLinearReduceMean"}
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


def check_operators(model: ModelProto) -> None:
    """Check each node alone: a known operator, used as ONNX says, without graphs inside.

    Raises:
        Refusal: One is not; the reason names it.
    """
    from onnx import checker

    if len(model.graph.node) > NODES:
        raise Refusal(f"has {len(model.graph.node):,} operators, of which {NODES:,} are allowed")
    versions = {item.domain: item.version for item in model.opset_import}
    context = checker.C.CheckerContext()
    context.ir_version = model.ir_version
    context.opset_imports = versions
    for node in model.graph.node:
        place = shown(node.name or next(iter(node.output), ""))
        _check_operator(node, place, versions)
        for attribute in node.attribute:
            _check_attribute(attribute, node, place)
        if node.op_type == "Constant" or node.domain == MICROSOFT:
            continue  # its tensor has been checked; onnx does not know the other
        try:
            checker.check_node(node, context)
        except (checker.ValidationError, RuntimeError) as error:
            reason = " ".join(str(error).split("==> Context")[0].split())[:200].rstrip(".")
            raise Refusal(f"uses {node.op_type} wrongly at {place}: {reason}") from error


def _check_operator(node: NodeProto, place: str, versions: dict[str, int]) -> None:
    from onnx import defs

    for name in (node.name, node.op_type, node.domain, *node.input, *node.output):
        check_name(name)
    if node.domain == MICROSOFT and node.op_type in _MICROSOFT and MICROSOFT in versions:
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


def _is_tensor(parameter: object) -> bool:
    # Operators on any type, such as Identity, say so themselves: their inputs are tensors here.
    kinds = {str(kind).partition("(")[0] for kind in parameter.types}  # type: ignore[attr-defined]
    return "tensor" in kinds and next(iter(parameter.types)) != "tensor(string)"  # type: ignore[attr-defined]


def _check_attribute(attribute: AttributeProto, node: NodeProto, place: str) -> None:
    check_name(attribute.name)
    kind = f"{shown(attribute.name)} at {place} ({node.op_type})"
    if attribute.HasField("g") or attribute.graphs:
        raise Refusal(
            f"holds a graph within the graph, {kind}",
            "Export it without control flow: traced, or with the branch taken.",
        )
    if attribute.HasField("sparse_tensor") or attribute.sparse_tensors:
        raise Refusal(f"holds a sparse tensor, {kind}", "Export it with dense ones.")
    if attribute.HasField("tp") or attribute.type_protos or attribute.ref_attr_name:
        raise Refusal(f"holds what only functions and sequences need, {kind}")
    if max(map(len, (attribute.s, *attribute.strings))) > TEXT_BYTES:
        raise Refusal(f"holds a text of more than {TEXT_BYTES:,} bytes, {kind}")
    whole = (attribute.i, *attribute.ints)
    if attribute.name in _ABOVE_ZERO and attribute.ints and min(attribute.ints) < 1:
        raise Refusal(f"sets {kind} to {list(attribute.ints)[:4]}, which must be above zero")
    if attribute.name in _ABOVE_ZERO and attribute.HasField("i") and attribute.i < 1:
        raise Refusal(f"sets {kind} to {attribute.i}, which must be above zero")
    if node.op_type not in ("Slice", "Constant") and max(map(abs, whole)) > SETTING:
        raise Refusal(f"sets {kind} beyond {SETTING:,}")


def check_memory(model: ModelProto, found: Walk) -> None:
    """Add up what must exist at once: activations while they are needed, computed constants all.

    Engines compute beforehand what no input reaches, and keep it.
    """
    graph = model.graph
    constants = {tensor.name for tensor in graph.initializer}
    last_use = {name: step for step, node in enumerate(graph.node) for name in node.input}
    last_use |= {value.name: len(graph.node) for value in graph.output}
    ends: dict[int, int] = {}
    live = 0
    for step, node in enumerate(graph.node):
        constant = all(name in constants for name in filter(None, node.input))
        for name in filter(None, node.output):
            size = least_bytes(found.types[name]) if name in found.types else 0
            live += size
            if constant:
                constants.add(name)
            else:
                end = last_use.get(name, step)
                ends[end] = ends.get(end, 0) + size
        if live > LIVE_BYTES:
            raise Refusal(
                f"needs {size_text(live)} for its activations at {shown(node.name)} "
                f"({node.op_type}) at batch 1, of which {size_text(LIVE_BYTES)} are allowed"
            )
        live -= ends.get(step, 0)


def check_name(name: str) -> None:
    """Refuse a name that is too long to show, or would steer a terminal that shows it.

    Raises:
        Refusal: It is such a one.
    """
    if len(name) > NAME_CHARACTERS:
        raise Refusal(f"has a name of {len(name):,} characters, {shown(name)}")
    if not name.isprintable():
        raise Refusal(f"has a name with control characters in it, {shown(name)}")
