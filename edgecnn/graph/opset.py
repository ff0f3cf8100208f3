"""Writing a graph in the operators of opset 17.

The exporter writes opset 18 at the least, and onnx's own converter knows no way back for Split and
Pad and leaves an attribute on ReduceMean that opset 17 does not have.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgecnn.errors import ModelError
from edgecnn.graph.rewrite import constant_ints

if TYPE_CHECKING:
    import onnx_ir as ir

_RESIZE_DEFAULTS = {"antialias": 0, "keep_aspect_ratio_policy": "stretch"}


def lower_to_17(model: ir.Model) -> None:
    """Turn a model of opset 18 into one of opset 17 that computes the same, in place.

    Args:
        model: A model of opset 18 whose inner shapes are known.

    Raises:
        ModelError: An operator cannot be said in opset 17.
    """
    import onnx

    for node in model.graph:
        if node.domain:
            continue
        if onnx.defs.get_schema(node.op_type, 18).since_version == 18:
            _lower(node)
    model.opset_imports[""] = 17


def _lower(node: ir.Node) -> None:
    done = False
    if node.op_type.startswith("Reduce"):
        done = _lower_reduce(node)
    elif node.op_type == "Split":
        done = _lower_split(node)
    elif node.op_type == "Resize":
        done = _drop(node, _RESIZE_DEFAULTS) and "axes" not in node.attributes
    elif node.op_type == "Pad":
        done = len(node.inputs) < 4 or node.inputs[3] is None
    if not done:
        raise ModelError(
            f"The operator {node.op_type} of '{node.name}' cannot be written in opset 17.",
            "Use --opset 18, the default.",
        )


def _lower_reduce(node: ir.Node) -> bool:
    import onnx_ir as ir

    axes = constant_ints(node.inputs[1]) if len(node.inputs) > 1 else []
    if axes is None or not _drop(node, {"noop_with_empty_axes": 0}):
        return False
    node.resize_inputs(1)
    if axes:
        node.attributes["axes"] = ir.AttrInt64s("axes", axes)
    return True


def _lower_split(node: ir.Node) -> bool:
    import numpy as np
    import onnx_ir as ir

    if node.attributes.pop("num_outputs", None) is None:
        return True
    axis = node.attributes["axis"].as_int() if "axis" in node.attributes else 0
    sizes = [value.shape[axis] if value.shape else None for value in node.outputs]
    if not all(isinstance(size, int) for size in sizes) or node.graph is None:
        return False
    tensor = ir.Tensor(np.asarray(sizes, np.int64), name=f"{node.name}/sizes")
    value = ir.Value(name=tensor.name, const_value=tensor)
    node.graph.register_initializer(value)
    node.resize_inputs(2)
    node.replace_input_with(1, value)
    return True


def _drop(node: ir.Node, defaults: dict[str, Any]) -> bool:
    for name, default in defaults.items():
        attribute = node.attributes.pop(name, None)
        if attribute is not None and attribute.value != default:
            return False
    return True
