"""The shapes of every tensor of an ONNX graph, at one batch size."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgecnn.graph.walk import full_shape, walk
from edgecnn.spec import TensorSpec

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, TensorShapeProto, TypeProto, ValueInfoProto


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
        Refusal: The graph contradicts itself, or needs more than the limits allow.
    """
    light = _with_sizes(model, {spec.name: spec.shape for spec in inputs})
    found = walk(light, batch)
    known = {name: _tensor(kind) for name, kind in found.types.items()}
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


def _with_sizes(model: ModelProto, sizes: Mapping[str, tuple[int | str, ...]]) -> ModelProto:
    from onnx import ModelProto

    if not sizes:
        return model
    sized = ModelProto()
    sized.CopyFrom(model)
    for value in sized.graph.input:
        axes = value.type.tensor_type.shape.dim
        for axis, size in zip(axes, sizes.get(value.name, ()), strict=False):
            if isinstance(size, int):
                axis.dim_value = size
    return sized


def _tensor(kind: TypeProto) -> Tensor:
    return Tensor(*_element(kind.tensor_type.elem_type), full_shape(kind))


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
