"""Means over whole maps, written as global average pools.

ONNX Runtime's quantizer gives what comes out of an AveragePool the scale of what goes in, though
means reach nowhere near the largest value: on a ResNet that alone was more than half of int8's
error. A GlobalAveragePool gets a scale of its own, and its integer kernel rounds only once. A scale
of its own for AveragePool would not help: its kernel rounds the mean in the scale of what goes in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import onnx_ir as ir

Shapes = dict[str, "tuple[int, ...]"]


def pool_whole_maps(model: ir.Model) -> ir.Model:
    """Turn each AveragePool and ReduceMean over the whole of a map into a GlobalAveragePool.

    Args:
        model: A float core, its maps [N, C, H, W]; it is left as it is.

    Returns:
        A model that computes the same.
    """
    if not any(node.op_type in ("AveragePool", "ReduceMean") for node in model.graph):
        return model
    from edgecnn.graph.clean import clean

    shapes, found = _shapes(model), model.clone()
    for node in list(found.graph):
        shape = shapes.get(_name(node.inputs[0])) if node.inputs else None
        if shape is None or len(shape) != 4:
            continue
        if node.op_type == "AveragePool" and _takes_all(node, shape[2:]):
            _pool(found.graph, node, flat=False)
        elif node.op_type == "ReduceMean" and _axes(node) == [2, 3]:
            _pool(found.graph, node, flat=_int(node, "keepdims", 1) == 0)
    return clean(found)


def _pool(graph: ir.Graph, node: ir.Node, *, flat: bool) -> None:
    import onnx_ir as ir

    pool = ir.node("GlobalAveragePool", [node.inputs[0]], name=node.name)
    steps, last = [pool], pool
    if flat:
        pool.outputs[0].name = f"{node.outputs[0].name}/mean"
        last = ir.node("Flatten", [pool.outputs[0]], {"axis": 1}, name=f"{node.name}/flatten")
        steps.append(last)
    ir.convenience.replace_nodes_and_values(
        graph, node, [node], steps, [node.outputs[0]], [last.outputs[0]]
    )


def _takes_all(node: ir.Node, size: Sequence[int]) -> bool:
    """Say whether an AveragePool's one window is the whole map and nothing else."""
    padded = any(_ints(node, "pads"))
    return _ints(node, "kernel_shape") == list(size) and not padded and _is_explicit(node)


def _is_explicit(node: ir.Node) -> bool:
    mode = node.attributes.get("auto_pad")
    return mode is None or mode.as_string() in ("NOTSET", "VALID")


def _axes(node: ir.Node) -> list[int]:
    axes = _ints(node, "axes")
    if not axes and len(node.inputs) > 1 and node.inputs[1] is not None:
        constant = node.inputs[1].const_value
        axes = [] if constant is None else [int(axis) for axis in constant.numpy()]
    return sorted(axis % 4 for axis in axes)


def _ints(node: ir.Node, name: str) -> list[int]:
    found = node.attributes.get(name)
    return [] if found is None else list(found.as_ints())


def _int(node: ir.Node, name: str, default: int) -> int:
    found = node.attributes.get(name)
    return default if found is None else found.as_int()


def _name(value: ir.Value | None) -> str:
    return "" if value is None else str(value.name)


def _shapes(model: ir.Model) -> Shapes:
    import onnx_ir as ir

    from edgecnn.graph.shapes import static_shapes

    shapes = static_shapes(ir.to_proto(model))
    return {name: tuple(found.shape) for name, found in shapes.items() if found.shape is not None}
