"""ONNX graphs as PyTorch nets, for runtimes whose conversion starts from a net."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
import torch  # noqa: TID253
from onnx import helper, numpy_helper
from torch import nn  # noqa: TID253
from torch.nn import functional  # noqa: TID253

Tensor = torch.Tensor
Attributes = dict[str, Any]


class OnnxNet(nn.Module):
    """A graph of one input, as `edgecnn.nets.PixelNet` is: what converters are given."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        graph = onnx.load(str(path)).graph
        self._nodes = [
            (node.op_type, list(node.input), node.output[0], _attributes(node))
            for node in graph.node
        ]
        self._constants = {
            tensor.name: torch.from_numpy(np.array(numpy_helper.to_array(tensor)))
            for tensor in graph.initializer
        }
        for number, value in enumerate(self._constants.values()):
            self.register_buffer(f"constant_{number}", value)
        (given,) = graph.input
        self._dtype = helper.tensor_dtype_to_np_dtype(given.type.tensor_type.elem_type)
        self._shape = [axis.dim_value for axis in given.type.tensor_type.shape.dim]
        self.input_name = given.name
        self.output_names = tuple(value.name for value in graph.output)
        self.eval()

    @property
    def batch(self) -> Literal["dynamic"] | int:
        return self._shape[0] or "dynamic"

    def example(self, batch: int) -> Tensor:
        return torch.from_numpy(np.zeros((batch, *(n or 2 for n in self._shape[1:])), self._dtype))

    def forward(self, given: Tensor) -> tuple[Tensor, ...]:
        values = dict(self._constants) | {self.input_name: given}
        for operator, inputs, output, attributes in self._nodes:
            values[output] = _OPERATORS[operator]([values[name] for name in inputs], attributes)
        return tuple(values[name] for name in self.output_names)


def _attributes(node: onnx.NodeProto) -> Attributes:
    return {each.name: helper.get_attribute_value(each) for each in node.attribute}


def _padded(x: Tensor, attributes: Attributes, value: float) -> Tensor:
    top, left, bottom, right = attributes.get("pads", [0] * 4)
    return functional.pad(x, (left, right, top, bottom), value=value)


def _conv(values: list[Tensor], attributes: Attributes) -> Tensor:
    x, weight, *bias = values
    return functional.conv2d(
        _padded(x, attributes, 0),
        weight,
        bias[0] if bias else None,
        attributes.get("strides", 1),
        0,
        attributes.get("dilations", 1),
        attributes.get("group", 1),
    )


def _max_pool(values: list[Tensor], attributes: Attributes) -> Tensor:
    x = _padded(values[0], attributes, -torch.inf)
    return functional.max_pool2d(x, attributes["kernel_shape"], attributes["strides"])


def _average_pool(values: list[Tensor], attributes: Attributes) -> Tensor:
    top, left, _, _ = attributes["pads"]
    return functional.avg_pool2d(
        values[0],
        attributes["kernel_shape"],
        attributes["strides"],
        (top, left),
        count_include_pad=bool(attributes["count_include_pad"]),
    )


def _reshape(values: list[Tensor], _: Attributes) -> Tensor:
    x, shape = values
    sizes = [x.shape[i] if size == 0 else int(size) for i, size in enumerate(shape.tolist())]
    return x.reshape([x.shape[0], *sizes[1:]] if sizes[0] == -1 else sizes)


def _cast(values: list[Tensor], attributes: Attributes) -> Tensor:
    dtype = helper.tensor_dtype_to_np_dtype(attributes["to"]).name
    return values[0].to(getattr(torch, dtype))


_OPERATORS: dict[str, Callable[[list[Tensor], Attributes], Tensor]] = {
    "AveragePool": _average_pool,
    "Cast": _cast,
    "Conv": _conv,
    "Flatten": lambda v, _: v[0].flatten(1),
    "Gemm": lambda v, _: functional.linear(v[0], v[1], v[2]),
    "GlobalAveragePool": lambda v, _: v[0].mean((2, 3), keepdim=True),
    "MaxPool": _max_pool,
    "Mul": lambda v, _: v[0] * v[1],
    "Neg": lambda v, _: -v[0],
    "Relu": lambda v, _: v[0].relu(),
    "Reshape": _reshape,
    "Sub": lambda v, _: v[0] - v[1],
    "Transpose": lambda v, a: v[0].permute(a["perm"]),
}
