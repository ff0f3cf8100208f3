"""Functions of one number: as bytes those of ONNX Runtime, as floats close to the exact ones."""

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

pytestmark = pytest.mark.skipif(
    shutil.which("cc") is None, reason="There is no C compiler: `apt-get install gcc`."
)
EVERY = np.arange(256, dtype=np.uint8)
SIZE = 4096
# Far enough that each function is where it no longer changes, and closely around zero.
NUMBERS = np.concatenate([np.linspace(-12, 12, SIZE - 1024), np.linspace(-0.01, 0.01, 1024)])

Exact = Callable[[NDArray[np.float64]], NDArray[np.float64]]
erf: Exact = np.vectorize(math.erf)
FUNCTIONS: dict[str, tuple[str, dict[str, Any], Exact]] = {
    "abs": ("Abs", {}, np.abs),
    "elu": ("Elu", {"alpha": 0.7}, lambda x: np.where(x < 0, 0.7 * np.expm1(x), x)),
    "erf": ("Erf", {}, erf),
    "exp": ("Exp", {}, np.exp),
    "gelu": ("Gelu", {}, lambda x: x / 2 * (1 + erf(x / math.sqrt(2)))),
    "hard_sigmoid": ("HardSigmoid", {"alpha": 0.3}, lambda x: np.clip(0.3 * x + 0.5, 0, 1)),
    "hard_swish": ("HardSwish", {}, lambda x: x * np.clip(x / 6 + 0.5, 0, 1)),
    "leaky_relu": ("LeakyRelu", {"alpha": 0.1}, lambda x: np.where(x < 0, 0.1 * x, x)),
    "neg": ("Neg", {}, np.negative),
    "sigmoid": ("Sigmoid", {}, lambda x: 1 / (1 + np.exp(-x))),
    "tanh": ("Tanh", {}, np.tanh),
}
# Scale and zero point in and out; in each, many results lie on or near the middle of two bytes.
SCALES = [(0.05, 128, 1 / 256, 0), (0.0625, 100, 0.03125, 20), (0.031, 200, 0.0211, 77)]


def net(nodes: list[onnx.NodeProto], size: int, constants: dict[str, Any]) -> onnx.ModelProto:
    """Make a net of a chain of nodes from `x` to `y`."""
    graph = helper.make_graph(
        nodes,
        "function",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, size])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, size])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)


def quantized(
    nodes: list[onnx.NodeProto], scales: tuple[float, ...], kind: type
) -> onnx.ModelProto:
    """Put a chain of nodes from `a` to `b` between bytes."""
    low = -128 if kind is np.int8 else 0
    constants: dict[str, Any] = {
        "xs": np.float32(scales[0]),
        "xz": kind(scales[1] + low),
        "ys": np.float32(scales[2]),
        "yz": kind(scales[3] + low),
    }
    before = [
        helper.make_node("QuantizeLinear", ["x", "xs", "xz"], ["xq"]),
        helper.make_node("DequantizeLinear", ["xq", "xs", "xz"], ["a"]),
    ]
    behind = [
        helper.make_node("QuantizeLinear", ["b", "ys", "yz"], ["yq"]),
        helper.make_node("DequantizeLinear", ["yq", "ys", "yz"], ["y"]),
    ]
    return net([*before, *nodes, *behind], 256, constants)


def every_byte(scales: tuple[float, ...]) -> NDArray[np.float32]:
    """Give what becomes each byte once it is quantized."""
    return ((EVERY - np.float32(scales[1])) * np.float32(scales[0]))[None]


@pytest.mark.parametrize("kind", [np.uint8, np.int8])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_each_byte_gives_the_byte_of_onnx_runtime(name: str, kind: type, tmp_path: Path) -> None:
    operator, attributes, _ = FUNCTIONS[name]
    for place, scales in enumerate(SCALES):
        node = helper.make_node(operator, ["a"], ["b"], operator, **attributes)
        model, image = quantized([node], scales, kind), every_byte(scales)
        folder = tmp_path / str(place)
        folder.mkdir()
        made = compile_net(model, folder, (*FLAGS, "-O1"))
        kernels = [each.kernel for each in made.made.program.layers]
        assert kernels == ["quantize_u8", "table_u8", "dequantize_u8"]
        np.testing.assert_array_equal(made.run(image)["y"], run_ort(model, {"x": image})["y"])


def test_functions_that_follow_one_another_are_one_table(tmp_path: Path) -> None:
    scales = (0.05, 128, 0.01, 3)
    nodes = [
        helper.make_node("Sigmoid", ["a"], ["one"]),
        helper.make_node("Sub", ["half", "one"], ["two"]),
        helper.make_node("Relu", ["two"], ["b"]),
    ]
    model, image = quantized(nodes, scales, np.uint8), every_byte(scales)
    model.graph.initializer.append(numpy_helper.from_array(np.array(0.8, np.float32), "half"))
    made = compile_net(model, tmp_path)
    assert [each.kernel for each in made.made.program.layers].count("table_u8") == 1
    np.testing.assert_array_equal(made.run(image)["y"], run_ort(model, {"x": image})["y"])


@pytest.mark.parametrize("flags", [(), ("-O3", "-march=native")], ids=["plain C", "this CPU"])
def test_floats_are_close_to_the_exact_ones(flags: tuple[str, ...], tmp_path: Path) -> None:
    nodes = [
        helper.make_node(operator, ["x"], [name], name, **attributes)
        for name, (operator, attributes, _) in FUNCTIONS.items()
    ]
    image = NUMBERS.astype(np.float32)[None]
    nodes.append(helper.make_node("Identity", ["x"], ["y"]))
    model = net(nodes, SIZE, {})
    for name in FUNCTIONS:
        value = helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, SIZE])
        model.graph.output.append(value)
    found = compile_net(model, tmp_path, (*FLAGS, *flags)).run(image)
    for name, (_, _, exact) in FUNCTIONS.items():
        expected = exact(image.astype(np.float64))
        np.testing.assert_allclose(found[name], expected, rtol=4e-7, atol=3e-7, err_msg=name)


@pytest.mark.parametrize("kind", [np.uint8, np.int8])
def test_softmax_of_bytes_is_that_of_onnx_runtime(kind: type, tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    for place, scales in enumerate([(0.05, 128, 1 / 256, 0), (0.13, 60, 0.0047, 7)]):
        node = helper.make_node("Softmax", ["a"], ["b"], "softmax", axis=-1)
        model = quantized([node], scales, kind)
        folder = tmp_path / str(place)
        folder.mkdir()
        made = compile_net(model, folder)
        assert "softmax_u8" in [each.kernel for each in made.made.program.layers]
        for spread in (0.1, 1.0, 3.0):
            image = random.normal(size=(1, 256), scale=spread).astype(np.float32)
            image[0, 5] = 4 * spread
            np.testing.assert_array_equal(made.run(image)["y"], run_ort(model, {"x": image})["y"])
