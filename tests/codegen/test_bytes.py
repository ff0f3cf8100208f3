"""Arithmetic with bytes: that of ONNX Runtime, for every pair of bytes and any scales."""

from __future__ import annotations

import shutil
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
# Simple fractions, so that many results lie exactly between two bytes; what shows how often the
# constant of a sum is rounded; and others.
SCALES = [(0.25, 0.5, 0.75), (0.0219, 0.0229, 0.0068), (0.1, 0.003, 0.02)]


def net(
    operator: str, order: str, scales: tuple[float, ...], kind: type, shape: tuple[int, ...]
) -> onnx.ModelProto:
    """Make a net that gives an operator two inputs cut out of one row, in bytes."""
    zeros = np.array([10, 131, 200], np.uint8) if kind is np.uint8 else np.array([-90, 3, 44])
    constants: dict[str, NDArray[Any]] = {}
    for name, scale, zero in zip("abc", scales, zeros, strict=True):
        constants |= {f"{name}s": np.array(scale, np.float32), f"{name}z": np.array(zero, kind)}
    nodes = []
    for name, start, count in (("a", 0, 256), ("b", 256, 65536)):
        constants |= {
            f"{name}_from": np.array([start]),
            f"{name}_to": np.array([start + count]),
            "axis": np.array([1]),
            f"{name}_shape": np.array((1, 256, 1, 1) if name == "a" else shape),
        }
        cut = ["row", f"{name}_from", f"{name}_to", "axis"]
        parts = [f"{name}s", f"{name}z"]
        nodes += [
            helper.make_node("Slice", cut, [f"{name}_flat"]),
            helper.make_node("Reshape", [f"{name}_flat", f"{name}_shape"], [f"{name}_f"]),
            helper.make_node("QuantizeLinear", [f"{name}_f", *parts], [f"{name}_q"]),
            helper.make_node("DequantizeLinear", [f"{name}_q", *parts], [f"{name}_d"]),
        ]
    nodes += [
        helper.make_node(operator, [f"{name}_d" for name in order], ["c"]),
        helper.make_node("QuantizeLinear", ["c", "cs", "cz"], ["c_q"]),
        helper.make_node("DequantizeLinear", ["c_q", "cs", "cz"], ["d"]),
    ]
    graph = helper.make_graph(
        nodes,
        "pair",
        [helper.make_tensor_value_info("row", TensorProto.FLOAT, [1, 256 + 65536])],
        [helper.make_tensor_value_info("d", TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def row(model: onnx.ModelProto, kind: type) -> NDArray[np.float32]:
    """Give what becomes every pair of bytes once it is quantized."""
    known = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}
    parts = []
    for name, numbers in (("a", EVERY), ("b", np.tile(EVERY, 256))):
        whole = numbers.astype(np.int32) - (128 if kind is np.int8 else 0)
        parts.append((whole - known[f"{name}z"].astype(np.int32)) * known[f"{name}s"])
    return np.concatenate(parts)[None].astype(np.float32)


@pytest.mark.parametrize("flags", [("-O1",), ("-O2", "-march=native")], ids=["plain C", "this CPU"])
@pytest.mark.parametrize("kind", [np.uint8, np.int8])
@pytest.mark.parametrize("operator", ["Add", "Mul"])
def test_every_pair_of_bytes_gives_the_byte_of_onnx_runtime(
    operator: str, kind: type, flags: tuple[str, ...], tmp_path: Path
) -> None:
    # Which of the two comes first decides in which order ONNX Runtime adds.
    for place, (order, scales) in enumerate(zip(("ba", "ba", "ab"), SCALES, strict=True)):
        model = net(operator, order, scales, kind, (1, 256, 16, 16))
        image = row(model, kind)
        folder = tmp_path / str(place)
        folder.mkdir()
        made = compile_net(model, folder, (*FLAGS, *flags))
        assert f"{operator.lower()}_u8" in [each.kernel for each in made.made.program.layers]
        found, expected = made.run(image)["d"], run_ort(model, {"row": image})["d"]
        np.testing.assert_array_equal(found, expected)
