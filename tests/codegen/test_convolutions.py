"""Convolutions, pools and products as C: ONNX Runtime's answers, in int8 to the bit."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from tests.codegen.compiled import FLAGS, compile_net, run_ort
from tests.codegen.graphs import QuantizedNet

pytestmark = pytest.mark.skipif(
    shutil.which("cc") is None, reason="There is no C compiler: `apt-get install gcc`."
)
KINDS = {"plain C": (), "this CPU": ("-march=native",)}
SHAPE = (1, 20, 11, 13)


def floats_net(
    shape: tuple[int, ...], layers: dict[str, tuple[str, list[tuple[int, ...]], dict[str, Any]]]
) -> onnx.ModelProto:
    """Make a net of layers beside one another, each with constants of some shapes."""
    random, nodes, constants = np.random.default_rng(0), [], []
    for name, (operator, shapes, attributes) in layers.items():
        inputs = ["image", *(f"{name}/{place}" for place in range(len(shapes)))]
        if operator == "left":
            operator, inputs = "MatMul", inputs[::-1]
        for key, size in zip((each for each in inputs if each != "image"), shapes, strict=True):
            scale = 1 / math.sqrt(math.prod(size[1:]))
            values = (random.normal(size=size) * scale).astype(np.float32)
            constants.append(numpy_helper.from_array(values, key))
        nodes.append(helper.make_node(operator, inputs, [name], name, **attributes))
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in layers]
    given = helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)
    graph = helper.make_graph(nodes, "net", [given], outputs, constants)
    opsets = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    return onnx.shape_inference.infer_shapes(model, strict_mode=True)


PICTURES: dict[str, tuple[str, list[tuple[int, ...]], dict[str, Any]]] = {
    "depthwise": ("Conv", [(20, 1, 3, 3), (20,)], {"group": 20, "pads": [1, 1, 1, 1]}),
    "stride": ("Conv", [(20, 1, 5, 4)], {"group": 20, "strides": [2, 3], "pads": [2, 0, 1, 3]}),
    "dilated": ("Conv", [(20, 1, 3, 3)], {"group": 20, "dilations": [2, 3], "pads": [2] * 4}),
    "multiplied": ("Conv", [(60, 1, 3, 3), (60,)], {"group": 20}),
    "groups": ("Conv", [(24, 5, 3, 3), (24,)], {"group": 4, "pads": [1, 1, 1, 1]}),
    "pairs": ("Conv", [(70, 10, 2, 2)], {"group": 2, "dilations": [2, 2], "strides": [2, 1]}),
    "transposed": ("ConvTranspose", [(20, 18, 3, 3), (18,)], {"strides": [2, 2], "pads": [1] * 4}),
    "longer": (
        "ConvTranspose",
        [(20, 3, 2, 4)],
        {"strides": [3, 2], "output_padding": [2, 1], "dilations": [2, 1], "group": 5},
    ),
    "same": ("ConvTranspose", [(20, 4, 3, 3)], {"strides": [2, 2], "auto_pad": "SAME_LOWER"}),
    "mean": ("AveragePool", [], {"kernel_shape": [3, 2], "pads": [1, 1, 1, 0], "ceil_mode": 1}),
    "largest": ("MaxPool", [], {"kernel_shape": [2, 3], "dilations": [3, 2], "pads": [1, 1, 1, 1]}),
    "over channels": ("ReduceMean", [], {"axes": [1], "keepdims": 0}),
    "over rows": ("ReduceMax", [], {"axes": [-2]}),
    "rows": ("MatMul", [(13, 33)], {}),
}
ROWS: dict[str, tuple[str, list[tuple[int, ...]], dict[str, Any]]] = {
    "row": ("Conv", [(17, 6, 3), (17,)], {"pads": [1, 1], "strides": [2]}),
    "depthwise row": ("Conv", [(6, 1, 5)], {"group": 6, "auto_pad": "SAME_UPPER"}),
    "transposed row": ("ConvTranspose", [(6, 3, 4), (3,)], {"strides": [3]}),
    "largest of a row": ("MaxPool", [], {"kernel_shape": [3], "strides": [2], "pads": [1, 0]}),
    "mean of a row": ("AveragePool", [], {"kernel_shape": [4], "strides": [3]}),
    "matrices": ("MatMul", [(1, 19, 4)], {}),
}
MATRIX: dict[str, tuple[str, list[tuple[int, ...]], dict[str, Any]]] = {
    "left": ("left", [(9, 1)], {}),
    "added": ("Gemm", [(21, 8), (1, 1)], {"transB": 0, "alpha": 0.5, "beta": 2.0}),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("shape", "layers"),
    [(SHAPE, PICTURES), ((1, 6, 19), ROWS), ((1, 21), MATRIX)],
    ids=["pictures", "rows", "matrices"],
)
def test_floats_are_those_of_onnx_runtime(
    shape: tuple[int, ...], layers: Any, kind: str, tmp_path: Path
) -> None:
    model = floats_net(shape, layers)
    net = compile_net(model, tmp_path, (*FLAGS, *KINDS[kind]))
    for image in np.random.default_rng(1).normal(size=(3, *shape)).astype(np.float32):
        found = net.run(image)
        for name, expected in run_ort(model, {"image": image}).items():
            np.testing.assert_allclose(
                found[name], expected, rtol=1e-4, atol=1e-5, err_msg=name, strict=True
            )


def convolutions(net: QuantizedNet) -> list[str]:
    """Convolve each channel by itself, with strides, dilations, a multiplier; and in groups."""
    return [
        net.conv(net.first, 20, group=20),
        net.conv(net.first, 20, group=20, kernel=5, strides=[2, 1], pads=[2, 0, 1, 3], relu=False),
        net.conv(net.first, 20, group=20, dilations=[2, 2], pads=[2] * 4),
        net.conv(net.first, 60, group=20, relu=False),
        net.conv(net.first, 24, group=4),
        net.conv(net.first, 70, group=2, kernel=2, pads=[0] * 4, strides=[2, 2], relu=False),
        net.conv(net.conv(net.first, 8, kernel=1), 8, group=8),
    ]


def pools(net: QuantizedNet) -> list[str]:
    """Take means and largest numbers of windows and of all pixels."""
    means: list[dict[str, Any]] = [
        {"kernel_shape": [3, 3]},
        {"kernel_shape": [2, 3], "strides": [2, 1], "pads": [1, 1, 0, 2]},
        {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1] * 4, "count_include_pad": 1},
        {"kernel_shape": [4, 4], "strides": [3, 3], "ceil_mode": 1},
        {"kernel_shape": [3, 3], "strides": [2, 2], "auto_pad": "SAME_LOWER"},
    ]
    made = [
        net.quantize(net.node("AveragePool", [net.first], **each), SHAPE[1], like=like)
        for each in means
        for like in (None, net.first)
    ]
    made += [net.mean(net.first), net.max_pool(net.first, 3, pads=[1, 1, 0, 0], ceil_mode=1)]
    made.append(net.max_pool(net.first, 2, dilations=[3, 2], strides=[1, 2], pads=[1] * 4))
    for operator in ("GlobalMaxPool", "ReduceMax"):
        largest = net.node(operator, [net.first])
        made.append(net.quantize(largest, SHAPE[1], like=net.first))
    return made


def products(net: QuantizedNet) -> list[str]:
    """Multiply rows of bytes by weights, and by one another."""
    random = np.random.default_rng(5)
    weights = net.constant(random.integers(-63, 64, (13, 37)).astype(np.int8))
    scales = net.constant((random.uniform(0.5, 2, 37) / 150).astype(np.float32))
    zeros = net.constant(np.zeros(37, np.int8))
    weights = net.node("DequantizeLinear", [weights, scales, zeros], axis=1)
    turned = net.node("Transpose", [net.first], perm=[0, 1, 3, 2])
    turned = net.quantize(turned, SHAPE[1], like=net.first)
    return [
        net.quantize(net.node("MatMul", [net.first, weights]), 37),
        net.quantize(net.node("MatMul", [net.first, turned]), 11),
    ]


def chain(net: QuantizedNet) -> list[str]:
    """Put layers behind one another, each of which has one reader.

    Where several read a signed value, ONNX Runtime leaves it signed, and computes them with floats.
    """
    one = net.conv(net.conv(net.first, 20, group=20, kernel=5), 40, group=20, strides=[2, 1])
    two = net.quantize(net.node("AveragePool", [one], kernel_shape=[3, 3]), 40)
    three = net.conv(net.max_pool(two, 2, strides=[1, 1]), 60, group=4, relu=False)
    return [net.mean(net.conv(three, 60, group=60, dilations=[2, 2], pads=[2] * 4))]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("layers", "signed"),
    [(convolutions, False), (pools, False), (products, False), (chain, False), (chain, True)],
)
def test_bytes_are_those_of_onnx_runtime_to_the_bit(
    layers: Callable[[QuantizedNet], list[str]], signed: bool, kind: str, tmp_path: Path
) -> None:
    net = QuantizedNet(SHAPE, signed=signed)
    model = net.model(*layers(net))
    made = compile_net(model, tmp_path, (*FLAGS, *KINDS[kind]))
    for image in net.images(5):
        found = made.run(image)
        for name, expected in run_ort(model, {"image": image}).items():
            np.testing.assert_array_equal(found[name], expected, err_msg=name)


def test_the_mean_of_a_large_picture_is_that_of_onnx_runtime(tmp_path: Path) -> None:
    """Its sum is beyond what a float holds exactly."""
    net = QuantizedNet((1, 3, 300, 290))
    model = net.model(net.mean(net.first))
    made = compile_net(model, tmp_path)
    images: NDArray[np.float32] = np.abs(net.images(2)) * 10
    for image in images:
        (found,), (expected,) = made.run(image).values(), run_ort(model, {"image": image}).values()
        np.testing.assert_array_equal(found, expected)


def test_a_bias_of_floats_beside_bytes_is_rounded_as_onnx_runtime_does(tmp_path: Path) -> None:
    net = QuantizedNet((1, 12, 9, 9))
    random = np.random.default_rng(0)
    weights = net.constant(random.integers(-63, 64, (16, 12, 3, 3)).astype(np.int8))
    scale, zero = net.constant(np.array(0.002, np.float32)), net.constant(np.array(0, np.int8))
    weights = net.node("DequantizeLinear", [weights, scale, zero])
    bias = net.constant(random.normal(size=16).astype(np.float32))
    made = net.quantize(net.node("Conv", [net.first, weights, bias]), 16)
    model = net.model(made)
    compiled = compile_net(model, tmp_path)
    assert "conv_u8" in [layer.kernel for layer in compiled.made.program.layers]
    for image in net.images(20):
        (found,) = compiled.run(image).values()
        (expected,) = run_ort(model, {"image": image}).values()
        np.testing.assert_array_equal(found, expected)
