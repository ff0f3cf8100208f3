"""The shapes of every tensor of an ONNX graph, at one batch size."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgecnn.spec import TensorSpec

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, TensorShapeProto, ValueInfoProto

# Larger constants are weights: shape inference needs their shape, never their values.
_LARGEST_SHAPE_CONSTANT = 1024


@dataclass(frozen=True)
class Tensor:
    """Element type and shape of a tensor; None where an axis is open.

    Attributes:
        dtype: A NumPy dtype name; empty if unknown.
        item_bytes: Bytes of one element; 0 if unknown.
        shape: Sizes of the axes; None if not all are known.
    """

    dtype: str = ""
    item_bytes: float = 0
    shape: tuple[int, ...] | None = None

    @property
    def elements(self) -> int | None:
        """Number of elements; None if unknown."""
        return None if self.shape is None else math.prod(self.shape)

    @property
    def bytes(self) -> int | None:
        """Size in bytes; None if unknown."""
        if self.elements is None or not self.item_bytes:
            return None
        return math.ceil(self.elements * self.item_bytes)


def static_shapes(
    model: ModelProto, batch: int = 1, inputs: Iterable[TensorSpec] = ()
) -> dict[str, Tensor]:
    """Infer the shape of every tensor of a graph.

    Args:
        model: A model; it is left as it is.
        batch: What the first axis of each input is taken to be where it is open.
        inputs: Inputs whose open sizes are known all the same.

    Returns:
        Every tensor by its name, initializers too; those that inference cannot tell are missing or
        have no shape.

    Raises:
        onnx.shape_inference.InferenceError: The graph contradicts itself.
    """
    from onnx import shape_inference

    light = _without_weights(model)
    sizes = {spec.name: spec.shape for spec in inputs}
    for value in real_inputs(light.graph):
        shape = value.type.tensor_type.shape
        _fix_sizes(shape, sizes.get(value.name, ()))
        _fix_batch(shape, batch)
    graph = shape_inference.infer_shapes(light, data_prop=True).graph
    known = {item.name: _tensor(item) for item in (*graph.input, *graph.value_info, *graph.output)}
    for weight in model.graph.initializer:
        known[weight.name] = Tensor(*_element(weight.data_type), tuple(weight.dims))
    return known


def real_inputs(graph: GraphProto) -> list[ValueInfoProto]:
    """Give a graph's inputs without those that only declare an initializer, as old files do."""
    constants = {weight.name for weight in graph.initializer}
    return [value for value in graph.input if value.name not in constants]


def declared(value: ValueInfoProto) -> TensorSpec:
    """Describe an input or output as the graph declares it; `?` where it says nothing."""
    tensor = value.type.tensor_type
    shape = tuple(_declared_axes(tensor.shape)) if tensor.HasField("shape") else ("?",)
    return TensorSpec(value.name, _element(tensor.elem_type)[0] or "?", shape)


def _without_weights(model: ModelProto) -> ModelProto:
    from onnx import ModelProto, helper

    light = ModelProto(ir_version=model.ir_version)
    light.opset_import.extend(model.opset_import)  # functions are left out: they can nest endlessly
    graph = light.graph
    graph.name = model.graph.name or "graph"
    graph.node.extend(model.graph.node)
    graph.input.extend(real_inputs(model.graph))
    for weight in model.graph.initializer:
        if math.prod(weight.dims) > _LARGEST_SHAPE_CONSTANT:
            shape = list(weight.dims)
            graph.input.append(helper.make_tensor_value_info(weight.name, weight.data_type, shape))
        else:
            graph.initializer.append(weight)
    # Shapes that were written for another batch would contradict this one.
    graph.output.extend(helper.make_empty_tensor_value_info(v.name) for v in model.graph.output)
    return light


def _fix_sizes(shape: TensorShapeProto, sizes: tuple[int | str, ...]) -> None:
    for axis in shape.dim:
        if axis.dim_value < 0:  # PaddlePaddle's way to leave a size open
            axis.ClearField("dim_value")
    for axis, size in zip(shape.dim, sizes, strict=False):
        if isinstance(size, int):
            axis.dim_value = size


def _fix_batch(shape: TensorShapeProto, batch: int) -> None:
    if not shape.dim or shape.dim[0].HasField("dim_value"):
        return
    name = shape.dim[0].dim_param
    for axis in shape.dim:
        if axis is shape.dim[0] or (name and axis.dim_param == name):
            axis.dim_value = batch


def _tensor(value: ValueInfoProto) -> Tensor:
    tensor = value.type.tensor_type
    axes = tensor.shape.dim
    known = tensor.HasField("shape") and all(axis.HasField("dim_value") for axis in axes)
    shape = tuple(axis.dim_value for axis in axes) if known else None
    return Tensor(*_element(tensor.elem_type), shape)


def _declared_axes(shape: TensorShapeProto) -> Iterator[int | str]:
    for axis in shape.dim:
        closed = axis.HasField("dim_value") and axis.dim_value >= 0
        yield axis.dim_value if closed else axis.dim_param or "?"


def _element(kind: int) -> tuple[str, float]:
    from onnx import TensorProto, helper

    name = TensorProto.DataType.Name(kind) if kind in TensorProto.DataType.values() else ""
    if name in ("", "UNDEFINED", "STRING"):
        return name.lower() if name == "STRING" else "", 0
    bits = 4 if name.endswith("INT4") or name.startswith("FLOAT4") else 0
    dtype = helper.tensor_dtype_to_np_dtype(kind)
    return (name.lower() if bits else dtype.name), (bits / 8 or dtype.itemsize)
