"""The reference evaluator, in the graph's types and in double."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edgecnn.errors import InputError
from edgecnn.runtime import TensorSpec, open_session
from edgecnn.spec import Variant
from tests.conftest import TinyNet
from tests.runtimes import graphs

DOUBLE = {"precision": "float64"}


@pytest.fixture
def net(tiny_net: TinyNet, tmp_path: Path, request: pytest.FixtureRequest) -> Variant:
    path = tmp_path / "net.onnx"
    path.write_bytes(tiny_net.onnx(getattr(request, "param", "fp32")))
    return graphs.variant(path)


def _run(
    variant: Variant, x: Mapping[str, NDArray[Any]], runtime: str = "reference", **options: str
) -> NDArray[Any]:
    with open_session(variant, runtime=runtime, options=options) as session:
        (output,) = session.run(x).values()
    return output


def test_double_is_double(net: Variant, tiny_net: TinyNet) -> None:
    images = tiny_net.images[:8]
    with open_session(net, runtime="reference", options=DOUBLE) as session:
        assert [spec.dtype for spec in session.inputs] == ["uint8"]
        assert [spec.dtype for spec in session.outputs] == ["float64"]
        logits = session.run({"pixels": images})["logits"]
    exact = tiny_net.exact(images)
    error = np.abs(logits.astype("f8") - exact).max()
    # What is left is the rounding of scale and mean, which the file holds as float32.
    assert error < 1e-6 * np.abs(exact).max()
    assert logits.dtype == np.float64


@pytest.mark.parametrize("net", ["int8"], indirect=True)
def test_int8_keeps_its_bits_in_double(net: Variant, tiny_net: TinyNet) -> None:
    pixels = {"pixels": tiny_net.images}
    double, single = _run(net, pixels, **DOUBLE), _run(net, pixels)
    exact = tiny_net.exact(tiny_net.images)
    assert np.abs(double - single).max() < 1e-4 * np.abs(exact).max()
    assert np.abs(double - exact).max() > 1e-3 * np.abs(exact).max()


def test_dequantized_int32_is_exact(tmp_path: Path) -> None:
    spec = TensorSpec("x", "int32", (3, 2)), TensorSpec("y", "float32", (3, 2))
    node = helper.make_node("DequantizeLinear", ["x", "scale", "zero"], ["y"], axis=1)
    constants: graphs.Arrays = {
        "scale": np.array([0.5, 3], np.float32),
        "zero": np.zeros(2, np.int32),
    }
    variant = graphs.save(graphs.model([node], spec[:1], spec[1:], constants), tmp_path / "d.onnx")
    x = np.array([[2**24 + 1, 7], [-(2**30) - 1, -7], [5, 0]], np.int32)
    np.testing.assert_array_equal(_run(variant, {"x": x}, **DOUBLE), x * [0.5, 3.0])
    expected = x.astype("f4") * constants["scale"]
    np.testing.assert_array_equal(_run(variant, {"x": x}), expected)
    np.testing.assert_array_equal(_run(variant, {"x": x}, "ort"), expected)


def test_dequantized_in_blocks(tmp_path: Path) -> None:
    spec = TensorSpec("x", "int8", (2, 5)), TensorSpec("y", "float32", (2, 5))
    node = helper.make_node("DequantizeLinear", ["x", "scale"], ["y"], axis=1, block_size=3)
    scale: graphs.Arrays = {"scale": np.array([[1, 2], [4, 8]], np.float32)}
    content = graphs.model([node], spec[:1], spec[1:], scale, opset=21)
    content.ir_version = 10
    variant = graphs.save(content, tmp_path / "d.onnx")
    x = np.arange(-5, 5, dtype=np.int8).reshape(2, 5)
    expected = x * np.array([[1, 1, 1, 2, 2], [4, 4, 4, 8, 8]])
    for options in ({}, DOUBLE):
        np.testing.assert_array_equal(_run(variant, {"x": x}, **options), expected)


def test_double_reaches_casts_constants_and_branches(tmp_path: Path) -> None:
    third = numpy_helper.from_array(np.array([1 / 3], np.float32))
    nodes = [
        helper.make_node("Cast", ["x"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Constant", [], ["third"], value=third),
        helper.make_node("Constant", [], ["tenth"], value_float=0.1),
        helper.make_node("Mul", ["float", "third"], ["a"]),
        helper.make_node("Mul", ["a", "tenth"], ["b"]),
        helper.make_node("If", ["yes"], ["y"], then_branch=_branch(), else_branch=_branch()),
    ]
    spec = TensorSpec("x", "int64", (1,)), TensorSpec("y", "float32", (1,))
    yes: graphs.Arrays = {"yes": np.array(True)}
    variant = graphs.save(graphs.model(nodes, spec[:1], spec[1:], yes), tmp_path / "branch.onnx")
    x = np.array([2**40 + 1])
    single = [float(np.float32(value)) for value in (1 / 3, 0.1, 1 / 7)]
    expected = x * single[0] * single[1] * single[2]
    np.testing.assert_array_equal(_run(variant, {"x": x}, **DOUBLE), expected)


@pytest.mark.parametrize("operator", ["MaxPool", "AveragePool"])
@pytest.mark.parametrize(
    "attributes",
    [
        {"ceil_mode": 1},
        {"ceil_mode": 1, "pads": [1, 0, 1, 1]},
        {"auto_pad": "SAME_UPPER"},
        {"auto_pad": "SAME_LOWER"},
        {"auto_pad": "VALID"},
        {"pads": [1, 0, 1, 1]},
    ],
)
@pytest.mark.parametrize("strides", [(1, 1), (2, 3)])
def test_pools_round_up_as_ort_does(
    operator: str, attributes: dict[str, Any], strides: tuple[int, int], tmp_path: Path
) -> None:
    x = np.random.default_rng(3).normal(size=(2, 3, 7, 8)).astype(np.float32)
    content = graphs.single(operator, {"x": x}, kernel_shape=(3, 2), strides=strides, **attributes)
    variant = graphs.save(content, tmp_path / "pool.onnx")
    found, expected = _run(variant, {"x": x}), _run(variant, {"x": x}, "ort")
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("attributes", [{}, {"auto_pad": "SAME_UPPER"}, {"auto_pad": "SAME_LOWER"}])
@pytest.mark.parametrize("strides", [(1, 1), (2, 3)])
def test_convolutions_pad_as_ort_does(
    attributes: dict[str, Any], strides: tuple[int, int], tmp_path: Path
) -> None:
    random = np.random.default_rng(6)
    x, w = (random.normal(size=size).astype(np.float32) for size in ((2, 4, 7, 8), (6, 2, 3, 2)))
    content = graphs.single("Conv", {"x": x, "w": w}, group=2, strides=strides, **attributes)
    variant = graphs.save(content, tmp_path / "conv.onnx")
    found, expected = _run(variant, {"x": x}), _run(variant, {"x": x}, "ort")
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("operator", ["Softmax", "LogSoftmax"])
@pytest.mark.parametrize("attributes", [{}, {"axis": 0}, {"axis": -1}])
def test_old_softmax_runs_over_all_later_axes(
    operator: str, attributes: dict[str, Any], tmp_path: Path
) -> None:
    x = np.random.default_rng(5).normal(size=(2, 3, 2, 2)).astype(np.float32)
    for opset in (11, 13):
        content = graphs.single(operator, {"x": x}, **attributes)
        content.opset_import[0].version = opset
        variant = graphs.save(content, tmp_path / f"{opset}.onnx")
        found, expected = _run(variant, {"x": x}), _run(variant, {"x": x}, "ort")
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_places_of_the_maxima(tmp_path: Path) -> None:
    x = np.random.default_rng(4).normal(size=(1, 2, 6, 6)).astype(np.float32)
    content = graphs.single("MaxPool", {"x": x}, kernel_shape=(2, 2), strides=(2, 2))
    content.graph.node[0].output.append("places")
    axes = tuple(f"out{number}" for number in range(4))
    places = TensorSpec("places", "int64", axes)
    content.graph.output.append(graphs.model([], (places,), ()).graph.input[0])
    variant = graphs.save(content, tmp_path / "pool.onnx")
    with open_session(variant, runtime="reference") as one, open_session(variant) as two:
        found, expected = one.run({"x": x}), two.run({"x": x})
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value)


@pytest.mark.parametrize("options", [{"accuracy": "high"}, {"precision": "float128"}])
def test_unknown_options_are_refused(net: Variant, options: dict[str, str]) -> None:
    with pytest.raises(InputError, match="precision"):
        open_session(net, runtime="reference", options=options)


def _branch() -> Any:
    seventh = numpy_helper.from_array(np.array([1 / 7], np.float32), "seventh")
    node = helper.make_node("Mul", ["b", "seventh"], ["out"])
    out = helper.make_tensor_value_info("out", TensorProto.FLOAT, [1])
    return helper.make_graph([node], "branch", [], [out], [seventh])


@pytest.mark.parametrize("opset", [7, 9, 14, 18])
def test_a_trained_batch_normalization(tmp_path: Path, opset: int) -> None:
    x = np.random.default_rng(0).normal(size=(4, 3, 5, 5)).astype(np.float32)
    scale, bias, mean, variance = np.array(
        [[1, 2, 3], [0.5, -1, 0], [5, -5, 1], [4, 1, 0.25]], np.float32
    )
    arrays = {"x": x, "s": scale, "b": bias, "m": mean, "v": variance}
    content = graphs.single("BatchNormalization", arrays, epsilon=0.1, momentum=0.5)
    content.opset_import[0].version = opset
    found = _run(graphs.save(content, tmp_path / "bn.onnx"), {"x": x}, **DOUBLE)
    column = (3, 1, 1)
    expected = (x.astype("f8") - mean.reshape(column)) / np.sqrt(
        variance.astype("f8") + np.float32(0.1)
    ).reshape(column) * scale.reshape(column) + bias.reshape(column)
    np.testing.assert_allclose(found, expected, rtol=1e-7)


@pytest.mark.parametrize("runtime", ["ort", "reference"])
def test_sizes_that_paddle_leaves_open(tmp_path: Path, runtime: str) -> None:
    content = graphs.single("Relu", {"x": np.zeros((2, 2), np.float32)})
    for axis in content.graph.input[0].type.tensor_type.shape.dim:
        axis.dim_value = -1
    x = np.array([[-1, 2, 3]], np.float32)
    found = _run(graphs.save(content, tmp_path / "relu.onnx"), {"x": x}, runtime)
    np.testing.assert_array_equal(found, np.maximum(x, 0))
