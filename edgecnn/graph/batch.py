"""The batch of a graph: fixed, or open. Whether an open one is right must be proved by running it.

Renaming the first axis is not enough: exporters write sizes into Reshape and Resize, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgecnn.graph.clean import BATCH, to_bytes
from edgecnn.graph.rewrite import constant_ints
from edgecnn.graph.shapes import static_shapes

if TYPE_CHECKING:
    import onnx_ir as ir

    from edgecnn.graph.shapes import Tensor


def with_batch(model: ir.Model, batch: int | str) -> ir.Model:
    """Copy a model with another size of its inputs' and outputs' first axis; nothing else changes.

    Args:
        model: A model whose inputs have declared shapes.
        batch: A size, or a name where it is open.
    """
    import onnx_ir as ir

    copy = model.clone()
    for value in (*copy.graph.inputs, *copy.graph.outputs):
        if value.shape is not None:  # some files leave out what an output's is
            value.shape = ir.Shape([batch, *list(value.shape)[1:]])
    return copy


def open_batch(model: ir.Model) -> ir.Model:
    """Copy a model of a fixed batch, opened: Reshape and Resize no longer name its size.

    Args:
        model: A model whose input has a fixed shape. What merges the batch into another axis, or
            squeezes it, is wrong afterwards.
    """
    import onnx

    [image] = model.graph.inputs
    assert image.shape is not None
    batch = image.shape[0]
    assert isinstance(batch, int)
    shapes = static_shapes(onnx.load_model_from_string(to_bytes(model)), batch)
    opened = with_batch(model, BATCH)
    for node in opened.graph:
        if node.op_type == "Reshape":
            _open_reshape(opened, node, batch, shapes)
        elif node.op_type == "Resize":
            _open_resize(opened, node, batch, shapes)
    return opened


def _open_reshape(model: ir.Model, node: ir.Node, batch: int, shapes: dict[str, Tensor]) -> None:
    sizes = constant_ints(node.inputs[1])
    result = _shape(node.outputs[0], shapes)
    if not sizes or sizes[0] != batch or result is None:
        return
    _set_input(model, node, 1, [-1, *result[1:]])


def _open_resize(model: ir.Model, node: ir.Node, batch: int, shapes: dict[str, Tensor]) -> None:
    sizes = constant_ints(node.inputs[3]) if len(node.inputs) > 3 else None
    image = _shape(node.inputs[0], shapes)
    if not sizes or image is None or sizes[0] != batch or "axes" in node.attributes:
        return
    import numpy as np

    scales = np.array([1, *np.divide(sizes[1:], image[1:])], np.float32)
    # Runtimes round down: only where that gives the sizes again are scales the same.
    if np.floor(np.array(image[1:]) * scales[1:]).astype(int).tolist() == sizes[1:]:
        _set_input(model, node, 2, scales)
        node.replace_input_with(3, None)
        node.resize_inputs(3)


def _set_input(model: ir.Model, node: ir.Node, place: int, values: Any) -> None:
    import numpy as np
    import onnx_ir as ir

    array = np.asarray(values)
    tensor = ir.Tensor(array, name=f"{node.name}/open_{place}")
    value = ir.Value(
        name=tensor.name, shape=tensor.shape, type=ir.TensorType(tensor.dtype), const_value=tensor
    )
    model.graph.register_initializer(value)
    node.replace_input_with(place, value)


def _shape(value: ir.Value | None, shapes: dict[str, Tensor]) -> tuple[int, ...] | None:
    tensor = None if value is None else shapes.get(str(value.name))
    return None if tensor is None else tensor.shape
