"""Concatenations of int8 numbers: every CPU must bring them to the common scale alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from tests.emulator import needs_emulator, run_as


def cases() -> list[dict[str, Any]]:
    """Give scales and zero points, many of which meet halves exactly."""
    random = np.random.default_rng(5)
    found = []
    for ratio in (*random.uniform(0.1, 4, 20), *(0.5, 1, 1.5, 2, 2.5, 3) * 5):
        scale = np.float32(random.uniform(0.001, 0.2))
        zeros = dict(zip(("zx", "zy"), random.integers(0, 256, 2).astype(np.uint8), strict=True))
        found.append({"x": np.float32(scale * np.float32(ratio)), "y": scale, **zeros})
    return found


def model() -> onnx.ModelProto:
    """Give one concatenation for each case."""
    nodes, tensors, outputs = [], [], []
    for number, case in enumerate(cases()):
        names = {key: f"{key}{number}" for key in case}
        tensors += [numpy_helper.from_array(np.asarray(v), names[k]) for k, v in case.items()]
        part = ["x", names["x"], names["zx"]]
        inputs = [names["y"], names["zy"], *part, *part]
        output = f"out{number}"
        nodes.append(
            helper.make_node("QLinearConcat", inputs, [output], domain="com.microsoft", axis=1)
        )
        outputs.append(helper.make_tensor_value_info(output, TensorProto.UINT8, [1, 512]))
    image = helper.make_tensor_value_info("x", TensorProto.UINT8, [1, 256])
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("com.microsoft", 1)]
    graph = helper.make_graph(nodes, "concat", [image], outputs, tensors)
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def rounded() -> NDArray[np.uint8]:
    """Give what one multiplication, one division and one rounding to even give."""
    numbers = np.arange(256)
    rows = []
    for case in cases():
        values = (numbers - int(case["zx"])).astype(np.float32) * case["x"]
        steps = np.rint(values / case["y"]).astype(np.int64) + int(case["zy"])
        rows.append(np.tile(np.clip(steps, 0, 255), 2)[None])
    return np.array(rows, np.uint8)


def test_the_cases_meet_halves() -> None:
    halves = 0
    for case in cases():
        steps = (np.arange(256) - int(case["zx"])).astype(np.float32) * case["x"] / case["y"]
        halves += int((steps - np.floor(steps) == 0.5).sum())
    assert halves > 1000


def test_a_concatenation_rounds_once_and_to_even() -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(
        model().SerializeToString(), providers=["CPUExecutionProvider"]
    )
    found = session.run(None, {"x": np.arange(256, dtype=np.uint8)[None]})
    np.testing.assert_array_equal(np.array(found), rounded())


@pytest.mark.slow
@needs_emulator
@pytest.mark.parametrize("cpu", ["haswell", "sandybridge", "nehalem"])
def test_emulated_cpus_do_the_same(tmp_path: Path, cpu: str) -> None:
    numbers = np.arange(256, dtype=np.uint8)[None]
    found = run_as(cpu, model().SerializeToString(), {"x": numbers}, tmp_path)
    np.testing.assert_array_equal(np.array(found), rounded())
