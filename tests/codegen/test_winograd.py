"""Convolutions by minimal filtering: the sums of ONNX Runtime, wherever it is used."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgecnn.codegen import generate
from tests.codegen.compiled import FLAGS, KERNELS, compile_net, run_ort

pytestmark = pytest.mark.skipif(
    shutil.which("cc") is None, reason="There is no C compiler: `apt-get install gcc`."
)


def _conv(channels: int, made: int, height: int, width: int, **attributes: Any) -> bytes:
    random = np.random.default_rng(0)
    weights = random.normal(size=(made, channels, 3, 3)).astype(np.float32) / channels
    constants = [
        numpy_helper.from_array(weights, "weights"),
        numpy_helper.from_array(random.normal(size=made).astype(np.float32), "bias"),
    ]
    nodes = [
        helper.make_node("Conv", ["image", "weights", "bias"], ["sums"], "conv", **attributes),
        helper.make_node("Relu", ["sums"], ["out"]),
    ]
    shape = (1, channels, height, width)
    given = helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)
    found = helper.make_tensor_value_info("out", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "net", [given], [found], constants)
    opsets = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    return bytes(onnx.shape_inference.infer_shapes(model).SerializeToString())


@pytest.mark.parametrize("flags", [(), ("-march=native",)], ids=["plain C", "this CPU"])
@pytest.mark.parametrize(
    ("channels", "made", "height", "width", "pads"),
    [(16, 16, 6, 12, [1] * 4), (32, 21, 8, 26, [1] * 4), (16, 37, 6, 4, [0] * 4)],
)
def test_it_gives_the_sums_of_onnx_runtime(
    channels: int,
    made: int,
    height: int,
    width: int,
    pads: list[int],
    flags: tuple[str, ...],
    tmp_path: Path,
) -> None:
    model = onnx.load_model_from_string(_conv(channels, made, height, width, pads=pads))
    net = compile_net(model, tmp_path, (*FLAGS, *flags))
    assert "winograd_f32" in [layer.kernel for layer in net.made.program.layers]
    image = np.random.default_rng(1).normal(size=(1, channels, height, width)).astype(np.float32)
    expected = run_ort(model, {"image": image})["out"]
    np.testing.assert_allclose(net.run(image)["out"], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "content",
    [
        _conv(16, 16, 6, 12, pads=[1] * 4, strides=[2, 2]),
        _conv(16, 16, 9, 12, pads=[2] * 4, dilations=[2, 2]),
        _conv(16, 16, 7, 12, pads=[1] * 4),
        _conv(8, 16, 6, 12, pads=[1] * 4),
    ],
    ids=["stride 2", "dilated", "odd height", "few channels"],
)
def test_other_convolutions_stay_what_they_are(content: bytes) -> None:
    made = generate(content, where="net.onnx", name="net", prefix="net", kernels=KERNELS)
    assert "conv_f32" in [layer.kernel for layer in made.program.layers]


def test_it_can_be_left_out_where_memory_is_short() -> None:
    content = _conv(16, 16, 6, 12, pads=[1] * 4)
    fast, small = (
        generate(
            content,
            where="net.onnx",
            name="net",
            prefix="net",
            kernels=KERNELS,
            winograd=winograd,
        )
        for winograd in (True, False)
    )
    assert small.arena_bytes < fast.arena_bytes
    assert "winograd" not in small.source
