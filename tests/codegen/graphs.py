"""Small int8 nets, made by hand: as a quantizer writes them, but with any shape a test wants.

    net = QuantizedNet((1, 3, 9, 11))
    one = net.conv(net.first, 20)
    two = net.add(net.conv(one, 20, relu=False), one)
    model = net.model(net.dense(net.max_pool(two), 5))

Every value is a float behind a DequantizeLinear. Weights keep to seven bits by default, so that no
CPU's ONNX Runtime saturates within a sum.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

_OPSET, _IR = 17, 8
# What most values of unit variance lie between, and what is left of these behind a Relu.
_SPREAD, _POSITIVE = 5.0, 2.5


class QuantizedNet:
    """An int8 net in the making.

    Args:
        shape: Of the float input, [1, C, H, W] or [1, N].
        seed: Of the weights.
        signed: Values are int8 and not uint8.
        largest: No weight is beyond it.
    """

    def __init__(
        self, shape: tuple[int, ...], *, seed: int = 0, signed: bool = False, largest: int = 63
    ) -> None:
        self._random = np.random.default_rng(seed)
        self._signed, self._largest = signed, largest
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        self._shape = shape
        self._channels: dict[str, int] = {}
        self._scales: dict[str, tuple[str, str]] = {}
        self.first = self.quantize("image", shape[1])

    def node(self, operator: str, inputs: list[str], **attributes: Any) -> str:
        """Add a node of any kind; gives the name of its output."""
        name = f"{operator.lower()}{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, inputs, [name], name, **attributes))
        return name

    def constant(self, values: NDArray[Any]) -> str:
        """Add a constant; gives its name."""
        name = f"constant{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(values, name))
        return name

    def quantize(
        self, value: str, channels: int, *, relu: bool = False, like: str | None = None
    ) -> str:
        """Put QuantizeLinear and DequantizeLinear behind a float.

        Args:
            value: The float.
            channels: How many it has.
            relu: It is never below zero.
            like: A value with the same scale; by default, it has one of its own.
        """
        parts = self._scales[like] if like else self._scale(relu=relu)
        made = self.node("QuantizeLinear", [value, *parts])
        made = self.node("DequantizeLinear", [made, *parts])
        self._channels[made], self._scales[made] = channels, parts
        return made

    def conv(
        self,
        value: str,
        channels: int,
        *,
        kernel: int = 3,
        relu: bool = True,
        quantized: bool = True,
        **attributes: Any,
    ) -> str:
        """Add a convolution with a bias, and ONNX's attributes; `pads` keep the size by default."""
        attributes = {"pads": [kernel // 2] * 4} | attributes
        group = attributes.get("group", 1)
        shape = (channels, self._channels[value] // group, kernel, kernel)
        made = self.node("Conv", [value, *self._weights(value, shape)], **attributes)
        return self._end(made, channels, relu=relu, quantized=quantized)

    def dense(
        self, value: str, channels: int, run: int, *, relu: bool = False, quantized: bool = True
    ) -> str:
        """Add a fully connected layer over all of a value's `run` numbers."""
        flat = self.quantize(self.node("Flatten", [value]), run, like=value)
        parts = self._weights(flat, (channels, run))
        made = self.node("Gemm", [flat, *parts], transB=1)
        return self._end(made, channels, relu=relu, quantized=quantized)

    def max_pool(self, value: str, kernel: int = 2, **attributes: Any) -> str:
        """Add a MaxPool, with strides as long as its window by default."""
        attributes = {"strides": [kernel] * 2, "kernel_shape": [kernel] * 2} | attributes
        made = self.node("MaxPool", [value], **attributes)
        return self.quantize(made, self._channels[value], like=value)

    def add(self, one: str, other: str, *, relu: bool = True) -> str:
        """Add two values of the same shape."""
        return self._end(self.node("Add", [one, other]), self._channels[one], relu=relu)

    def mean(self, value: str) -> str:
        """Add a GlobalAveragePool."""
        return self._end(self.node("GlobalAveragePool", [value]), self._channels[value])

    def model(self, *outputs: str) -> onnx.ModelProto:
        """Give the net as a model, with shapes inferred."""
        given = helper.make_tensor_value_info("image", TensorProto.FLOAT, self._shape)
        made = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs]
        graph = helper.make_graph(self._nodes, "net", [given], made, self._constants)
        opsets = [helper.make_opsetid("", _OPSET)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=_IR)
        return onnx.shape_inference.infer_shapes(model, strict_mode=True)

    def images(self, count: int) -> NDArray[np.float32]:
        """Give inputs [count, 1, C, H, W] of about unit variance."""
        return np.random.default_rng(1).normal(size=(count, *self._shape)).astype(np.float32)

    def _end(self, made: str, channels: int, *, relu: bool = False, quantized: bool = True) -> str:
        made = self.node("Relu", [made]) if relu else made
        return self.quantize(made, channels, relu=relu) if quantized else made

    def _scale(self, *, relu: bool) -> tuple[str, str]:
        spread = (_POSITIVE if relu else _SPREAD) * self._random.uniform(0.8, 1.2)
        kind = np.int8 if self._signed else np.uint8
        zero = (0 if relu else int(self._random.integers(100, 150))) - 128 * self._signed
        return self.constant(np.array(spread / 255, np.float32)), self.constant(
            np.array(zero, kind)
        )

    def _weights(self, value: str, shape: tuple[int, ...]) -> list[str]:
        """Add int8 weights with a scale for each channel, and an int32 bias."""
        channels, run = shape[0], math.prod(shape[1:])
        whole = self._random.integers(-self._largest, self._largest + 1, shape).astype(np.int8)
        variance = np.square(whole.astype(np.float32)).mean() * run
        scale = (self._random.uniform(0.5, 2, channels) / np.sqrt(variance)).astype(np.float32)
        weights = [self.constant(whole), self.constant(scale)]
        weights.append(self.constant(np.zeros(channels, np.int8)))
        known = {each.name: each for each in self._constants}
        steps = numpy_helper.to_array(known[self._scales[value][0]]) * scale
        bias = np.rint(self._random.normal(size=channels) * 0.5 / steps).astype(np.int32)
        parts = [self.constant(bias), self.constant(steps.astype(np.float32))]
        return [
            self.node("DequantizeLinear", weights, axis=0),
            self.node("DequantizeLinear", parts, axis=0),
        ]


def chain(channels: int = 20, *, signed: bool = False) -> QuantizedNet:
    """Give an input of 11 x 13 pixels for a row of layers of a test's own."""
    return QuantizedNet((1, channels, 11, 13), signed=signed)


def residual_block(net: QuantizedNet, value: str, channels: int, *, stride: int = 1) -> str:
    """Add two convolutions and what goes past them, as in a ResNet; both ends are quantized."""
    past = value
    if stride != 1:
        past = net.conv(value, channels, kernel=1, relu=False, strides=[stride] * 2)
    one = net.conv(value, channels, strides=[stride] * 2)
    return net.add(net.conv(one, channels, relu=False), past)


def every_layer(*, signed: bool = False) -> tuple[QuantizedNet, onnx.ModelProto]:
    """Give a small net of all that a classifier has, in sizes that leave remainders everywhere."""
    net = QuantizedNet((1, 3, 23, 29), signed=signed)
    one = net.max_pool(net.conv(net.first, 12))
    two = residual_block(net, residual_block(net, one, 12), 20, stride=2)
    last = net.conv(net.max_pool(net.conv(two, 33, kernel=1)), 19, kernel=2, pads=[0] * 4)
    hidden = net.dense(last, 21, 19 * 2 * 2, relu=True)
    return net, net.model(net.dense(hidden, 7, 21))
