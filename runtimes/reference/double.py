"""A graph whose floats are all double.

Integers stay as they are, so a quantized graph keeps its 8 bits; what lies between is computed in
double. No rounding is left but that of QuantizeLinear, which is the graph's own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from onnx import (
    AttributeProto,
    GraphProto,
    ModelProto,
    NodeProto,
    TensorProto,
    ValueInfoProto,
    helper,
    numpy_helper,
)

_FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16)
# Attributes that name the element type of a result: Cast, EyeLike, QuantizeLinear, …
_TYPE_ATTRIBUTES = ("to", "dtype", "output_dtype", "precision")


def in_double(model: ModelProto) -> ModelProto:
    """Copy a model with every float constant, cast, input and output in double."""
    twin = ModelProto()
    twin.CopyFrom(model)
    for graph in _graphs(twin.graph):
        _convert_graph(graph)
    for function in twin.functions:
        _convert_nodes(function.node)
    return twin


def _graphs(graph: GraphProto) -> Iterator[GraphProto]:
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                if inner.node:
                    yield from _graphs(inner)


def _convert_graph(graph: GraphProto) -> None:
    for tensor in graph.initializer:
        _convert_tensor(tensor)
    del graph.value_info[:]
    for value in (*graph.input, *graph.output):
        _convert_value(value)
    _convert_nodes(graph.node)


def _convert_value(value: ValueInfoProto) -> None:
    if value.type.tensor_type.elem_type in _FLOATS:
        value.type.tensor_type.elem_type = TensorProto.DOUBLE


def _convert_nodes(nodes: Iterable[NodeProto]) -> None:
    for node in nodes:
        for attribute in node.attribute:
            _convert_attribute(node, attribute)


def _convert_attribute(node: NodeProto, attribute: AttributeProto) -> None:
    if attribute.type == AttributeProto.TENSOR:
        _convert_tensor(attribute.t)
    elif attribute.name in _TYPE_ATTRIBUTES and attribute.i in _FLOATS:
        attribute.i = TensorProto.DOUBLE
    elif node.op_type == "Constant" and attribute.name in ("value_float", "value_floats"):
        scalar = attribute.name == "value_float"
        values = np.array(attribute.f if scalar else attribute.floats, np.float64)
        attribute.CopyFrom(helper.make_attribute("value", numpy_helper.from_array(values)))


def _convert_tensor(tensor: TensorProto) -> None:
    if tensor.data_type in _FLOATS:
        values = numpy_helper.to_array(tensor).astype(np.float64)
        tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
