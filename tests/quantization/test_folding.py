"""What stands behind a convolution and is folded into it before calibration."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import numpy_helper

from edgecnn.graph import clean
from edgecnn.quantization.plan import Plan
from edgecnn.quantization.preparing import PREPARATIONS
from edgecnn.quantization.running import run_core
from edgecnn.spec import InputContract

CONTRACT = InputContract(8, 8)
IMAGES = np.random.default_rng(1).integers(0, 256, (6, 8, 8, 3), dtype=np.uint8)
CONV = "m = Conv<kernel_shape=[3,3]>(image, w, b)"
NORM = "BatchNormalization(m, gain, shift, mean, variance)"
NET = """
<ir_version: 8, opset_import: ["" : 18]>
net (float[N,3,8,8] image) => (float[N,5,6,6] out) {{ {body} }}
"""


def build(body: str) -> ir.Model:
    random = np.random.default_rng(2)
    constants: dict[str, Any] = {
        "w": random.normal(size=(5, 3, 3, 3)),
        "v": random.normal(size=(3, 5, 3, 3)),
        "b": random.normal(size=5),
        "gain": random.uniform(0.5, 2, 5),
        "shift": random.normal(size=5),
        "mean": random.normal(size=5),
        "variance": random.uniform(0.5, 2, 5),
        "each": random.uniform(0.5, 2, (5, 1, 1)),
        "whole": random.uniform(0.5, 2, (1, 5, 1, 1)),
        "one": np.array(0.7),
        "columns": random.uniform(0.5, 2, 6),
        "zeros": np.zeros((5, 1, 1)),
    }
    proto = onnx.parser.parse_model(NET.format(body=body))
    for name, array in constants.items():
        proto.graph.initializer.append(numpy_helper.from_array(array.astype(np.float32), name))
    return clean.from_bytes(proto.SerializeToString(), where="the net")


@pytest.mark.parametrize(
    "body",
    [
        f"{CONV}  out = Mul(m, each)",
        f"{CONV}  out = Add(whole, m)",
        f"{CONV}  out = Sub(m, one)",
        f"{CONV}  out = Div(m, each)",
        "m = Conv<kernel_shape=[3,3]>(image, w)  out = Add(m, each)",
        f"{CONV}  n = {NORM}  s = Mul(n, each)  out = Add(s, one)",
        f"{CONV}  s = Mul(m, each)  n = {NORM.replace('m,', 's,')}  out = Sub(n, one)",
        "p = ConvTranspose<kernel_shape=[3,3], pads=[2,2,2,2]>(image, v)  out = Mul(p, each)",
    ],
)
def test_what_is_one_with_a_convolution_goes_into_it(body: str) -> None:
    model = build(body)
    before = clean.to_bytes(model)
    folded = PREPARATIONS["folding"](model)
    assert [node.op_type for node in folded.graph] == [model.graph[0].op_type]
    exact, found = (run_core(each, CONTRACT, IMAGES)["out"] for each in (model, folded))
    np.testing.assert_allclose(found, exact, atol=2e-5)
    assert clean.to_bytes(model) == before


@pytest.mark.parametrize(
    "body",
    [
        f"{CONV}  out = Mul(m, columns)",
        f"{CONV}  out = Sub(one, m)",
        f"{CONV}  out = Div(one, m)",
        f"{CONV}  out = Div(m, zeros)",
        f"{CONV}  s = Mul(m, each)  out = Add(s, m)",
        f"{CONV}  out = Add(m, m)",
    ],
)
def test_what_is_not_stays(body: str) -> None:
    model = build(body)
    kinds = [node.op_type for node in model.graph]
    assert [node.op_type for node in PREPARATIONS["folding"](model).graph] == kinds


def test_every_plan_folds_first() -> None:
    assert Plan().preparations[0] == "folding"
