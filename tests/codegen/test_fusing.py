"""Max pools within convolutions: the same numbers, and less memory; elsewhere pools stay."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgecnn.codegen import generate
from tests.codegen.compiled import FLAGS, KERNELS, compile_net, run_ort
from tests.codegen.graphs import QuantizedNet

pytestmark = pytest.mark.skipif(
    shutil.which("cc") is None, reason="There is no C compiler: `apt-get install gcc`."
)
KINDS = {"plain C": ("-DEDGECNN_NO_SIMD",), "this CPU": ("-march=native", "-O3")}


def _kernels(model: onnx.ModelProto) -> list[str]:
    content = model.SerializeToString()
    made = generate(content, where="net.onnx", name="net", prefix="net", kernels=KERNELS)
    return [layer.kernel for layer in made.program.layers]


@pytest.mark.parametrize("kind", KINDS)
def test_bytes_are_those_of_onnx_runtime(kind: str, tmp_path: Path) -> None:
    net = QuantizedNet((1, 3, 19, 23))
    one = net.max_pool(net.conv(net.first, 21, strides=[1, 2]))
    model = net.model(net.max_pool(net.conv(one, 6, relu=False), 3))
    compiled = compile_net(model, tmp_path, (*FLAGS, *KINDS[kind]))
    assert "max_pool_u8" not in [layer.kernel for layer in compiled.made.program.layers]
    for image in net.images(3):
        (expected,) = run_ort(model, {"image": image}).values()
        (found,) = compiled.run(image).values()
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("kind", KINDS)
def test_floats_are_those_of_onnx_runtime(kind: str, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    weights = random.normal(size=(21, 3, 5, 5)).astype(np.float32)
    nodes = [
        helper.make_node("Conv", ["image", "weights"], ["sums"]),
        helper.make_node("Relu", ["sums"], ["positive"]),
        helper.make_node("MaxPool", ["positive"], ["out"], kernel_shape=[2, 3], strides=[2, 3]),
    ]
    given = helper.make_tensor_value_info("image", TensorProto.FLOAT, (1, 3, 15, 20))
    made = helper.make_tensor_value_info("out", TensorProto.FLOAT, None)
    constants = [numpy_helper.from_array(weights, "weights")]
    graph = helper.make_graph(nodes, "net", [given], [made], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    model = onnx.shape_inference.infer_shapes(model)
    compiled = compile_net(model, tmp_path, (*FLAGS, *KINDS[kind]))
    assert "max_pool_f32" not in [layer.kernel for layer in compiled.made.program.layers]
    image = random.normal(size=(1, 3, 15, 20)).astype(np.float32)
    expected = run_ort(model, {"image": image})["out"]
    np.testing.assert_allclose(compiled.run(image)["out"], expected, rtol=1e-4, atol=1e-4)


def test_a_pool_stays_if_another_layer_reads_what_it_reads() -> None:
    net = QuantizedNet((1, 3, 8, 8))
    one = net.conv(net.first, 8)
    assert "max_pool_u8" in _kernels(net.model(net.max_pool(one), net.conv(one, 8)))


@pytest.mark.parametrize(
    "attributes", [{"strides": [1, 1]}, {"pads": [1, 1, 0, 0]}], ids=["overlapping", "padded"]
)
def test_a_pool_stays_if_its_windows_are_not_whole_and_apart(
    attributes: dict[str, list[int]],
) -> None:
    net = QuantizedNet((1, 3, 8, 8))
    model = net.model(net.max_pool(net.conv(net.first, 8), 2, **attributes))
    assert "max_pool_u8" in _kernels(model)
