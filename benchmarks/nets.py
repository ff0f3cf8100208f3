"""Nets of LeNet's and resnet8's size with random weights, written without torch."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper


class Graph:
    """Writes a net of random weights, layer by layer."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.random = np.random.default_rng(0)

    def add(self, kind: str, *inputs: str, **attributes: Any) -> str:
        name = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def weight(self, *shape: int) -> str:
        name = f"w{len(self.constants)}"
        values = self.random.normal(0, 0.1, shape).astype(np.float32)
        self.constants.append(numpy_helper.from_array(values, name))
        return name

    def conv(self, x: str, c_in: int, c_out: int, k: int, *, stride: int = 1, pad: int = 0) -> str:
        w, b = self.weight(c_out, c_in, k, k), self.weight(c_out)
        return self.add("Conv", x, w, b, strides=[stride] * 2, pads=[pad] * 4)

    def fc(self, x: str, n_in: int, n_out: int) -> str:
        return self.add("Gemm", x, self.weight(n_out, n_in), self.weight(n_out), transB=1)

    def model(self, output: str) -> bytes:
        value = helper.make_tensor_value_info
        inputs = [value("input", TensorProto.FLOAT, ["N", 3, 32, 32])]
        outputs = [value(output, TensorProto.FLOAT, ["N", 10])]
        graph = helper.make_graph(self.nodes, "net", inputs, outputs, self.constants)
        opset = helper.make_opsetid("", 18)
        content: bytes = helper.make_model(
            graph, opset_imports=[opset], ir_version=8
        ).SerializeToString()
        return content


def lenet() -> bytes:
    graph, x = Graph(), "input"
    for c_in, c_out in ((3, 6), (6, 16)):
        x = graph.add("Relu", graph.conv(x, c_in, c_out, 5))
        x = graph.add("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
    x = graph.add("Flatten", x)
    for n_in, n_out in ((400, 120), (120, 84)):
        x = graph.add("Relu", graph.fc(x, n_in, n_out))
    return graph.model(graph.fc(x, 84, 10))


def resnet8() -> bytes:
    graph = Graph()
    x = graph.add("Relu", graph.conv("input", 3, 16, 3, pad=1))
    for c_in, c_out in ((16, 16), (16, 32), (32, 64)):
        stride = c_out // c_in
        y = graph.add("Relu", graph.conv(x, c_in, c_out, 3, stride=stride, pad=1))
        y = graph.conv(y, c_out, c_out, 3, pad=1)
        shortcut = x if stride == 1 else graph.conv(x, c_in, c_out, 1, stride=stride)
        x = graph.add("Relu", graph.add("Add", y, shortcut))
    x = graph.add("Flatten", graph.add("GlobalAveragePool", x))
    return graph.model(graph.fc(x, 64, 10))
