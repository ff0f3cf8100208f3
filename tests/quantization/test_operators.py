"""Operators that users' nets bring: each is quantized, loads, and answers nearly as fp32 does."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import numpy_helper

from edgecnn.graph import clean
from edgecnn.quantization.distance import measure_distance
from edgecnn.quantization.making import quantize_core
from edgecnn.quantization.running import run_core
from edgecnn.spec import InputContract

CONTRACT = InputContract(8, 8)
RANDOM = np.random.default_rng(1)
# Smooth, as pictures are, and of different brightness.
COARSE = RANDOM.integers(0, 256, (24, 2, 2, 3), dtype=np.uint8)
IMAGES = COARSE.repeat(4, axis=1).repeat(4, axis=2)
CONV = "m = Conv<kernel_shape=[3,3], pads=[1,1,1,1]>(image, w, b)"
BACK = "out = Conv<kernel_shape=[1,1]>(a, p)"
MEANS = "g = AveragePool<kernel_shape=[8,8]>(m)"
NET = """
<ir_version: 8, opset_import: ["" : 18]>
net (float[N,3,8,8] image) => (float[N,C,H,W] out) {{ {body} }}
"""
LEAST_DB = 20


def build(body: str) -> ir.Model:
    random = np.random.default_rng(2)
    constants: dict[str, Any] = {
        "w": random.normal(size=(4, 3, 3, 3)),
        "b": random.normal(size=4),
        "p": random.normal(size=(4, 4, 1, 1)),
        "twice": random.normal(size=(4, 8, 1, 1)),
        "depthwise": random.normal(size=(4, 1, 3, 3)),
        "grouped": random.normal(size=(4, 2, 3, 3)),
        "transposed": random.normal(size=(4, 4, 2, 2)),
        "slope": np.full((4, 1, 1), 0.25),
        "low": np.array(0.0),
        "high": np.array(6.0),
        "scales": np.array([1, 1, 2, 2]),
    }
    proto = onnx.parser.parse_model(NET.format(body=body))
    for name, array in constants.items():
        proto.graph.initializer.append(numpy_helper.from_array(array.astype(np.float32), name))
    return clean.from_bytes(proto.SerializeToString(), where="the net")


@pytest.mark.parametrize(
    "body",
    [
        f"{CONV}  a = Conv<group=4, kernel_shape=[3,3]>(m, depthwise)  {BACK}",
        f"{CONV}  a = Conv<group=2, kernel_shape=[3,3]>(m, grouped)  {BACK}",
        f"{CONV}  a = ConvTranspose<kernel_shape=[2,2], strides=[2,2]>(m, transposed)  {BACK}",
        f"{CONV}  a = HardSwish(m)  {BACK}",
        f"{CONV}  a = HardSigmoid(m)  {BACK}",
        f"{CONV}  {MEANS}  h = HardSigmoid(g)  a = Mul(m, h)  {BACK}",
        f'{CONV}  a = Resize<mode="nearest">(m, , scales)  {BACK}',
        f"{CONV}  r = Relu(m)  a = Concat<axis=1>(m, r)  out = Conv<kernel_shape=[1,1]>(a, twice)",
        f"{CONV}  a = PRelu(m, slope)  {BACK}",
        f"{CONV}  a = LeakyRelu<alpha=0.1>(m)  {BACK}",
        f"{CONV}  a = Clip(m, low, high)  {BACK}",
        f"{CONV}  {MEANS}  out = Softmax<axis=1>(g)",
    ],
)
def test_answers_stay_near_fp32(body: str) -> None:
    core = build(body)
    int8 = quantize_core(core, CONTRACT, IMAGES)
    assert "QuantizeLinear" in {node.op_type for node in int8.graph}
    exact, found = (run_core(each, CONTRACT, IMAGES) for each in (core, int8))
    assert measure_distance(exact, found, classes=False).sqnr_db > LEAST_DB
