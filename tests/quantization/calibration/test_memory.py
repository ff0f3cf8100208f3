"""Calibrating on eight times as many images needs no more memory."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

resource = pytest.importorskip("resource", reason="Windows does not say what a process needed")

# Held at once, the activations of 512 images would take 256 MB.
PROGRAM = """
import json, resource, sys
import numpy as np
from onnx import TensorProto, helper, numpy_helper
from edgecnn.graph.clean import from_bytes
from edgecnn.quantization.calibration import observe
from edgecnn.spec import InputContract

contract = InputContract(64, 64, labels=("a", "b"))
weights = np.random.default_rng(0).normal(size=(16, 3, 3, 3)).astype(np.float32)
nodes = [
    helper.make_node("Conv", ["image", "weights"], ["maps"], pads=[1, 1, 1, 1]),
    helper.make_node("Relu", ["maps"], ["rectified"]),
    helper.make_node("GlobalAveragePool", ["rectified"], ["means"]),
]
sides = (("image", ["N", 3, 64, 64]), ("means", ["N", 16, 1, 1]))
values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in sides]
constants = [numpy_helper.from_array(weights, "weights")]
graph = helper.make_graph(nodes, "maps", values[:1], values[1:], constants)
opset = helper.make_opsetid("", 18)
model = helper.make_model(graph, opset_imports=[opset], ir_version=8)
core = from_bytes(model.SerializeToString(), where="the net")
images = np.zeros((int(sys.argv[1]), 64, 64, 3), np.uint8)
seen = observe(core, contract, images)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps([peak, len(seen), int(seen["image"].zeros)]))
"""


def needed(images: int) -> int:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(images)], capture_output=True, check=True
    )
    peak, tensors, zeros = json.loads(done.stdout)
    assert tensors == 4
    assert zeros == pytest.approx(images * 3 * 64 * 64, rel=0.01)
    return int(peak)


def test_memory_does_not_grow_with_the_number_of_images() -> None:
    assert needed(512) < 1.2 * needed(64)
