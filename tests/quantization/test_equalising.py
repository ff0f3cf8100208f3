"""Channels between convolutions that are scaled to even ranges."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper

from edgecnn.graph import clean
from edgecnn.quantization.distance import measure_distance
from edgecnn.quantization.making import quantize_core
from edgecnn.quantization.plan import Plan
from edgecnn.quantization.preparing import PREPARATIONS
from edgecnn.quantization.running import run_core
from edgecnn.spec import InputContract

CONTRACT = InputContract(8, 8, mean=(0.5,) * 3, std=(0.25,) * 3)
IMAGES = np.random.default_rng(1).integers(0, 256, (48, 8, 8, 3), dtype=np.uint8)
NET = """
<ir_version: 8, opset_import: ["" : 18]>
net (float[N,3,8,8] image) => ({outputs}) {{
    a = Conv<kernel_shape=[1,1]>(image, w1, b1)
    {first}
    c = Conv<kernel_shape=[3,3], pads=[1,1,1,1], group=8>(p, w2, b2)
    q = Relu(c)
    d = Conv<kernel_shape=[1,1], group={groups}>(q, w3)
    pooled = GlobalAveragePool(d)
    out = Flatten(pooled)
}}
"""


def build(first: str = "p = Relu(a)", outputs: str = "float[N,4] out", groups: int = 1) -> ir.Model:
    """Make a block whose channels differ a thousandfold in size."""
    random = np.random.default_rng(2)
    size = np.exp(random.normal(0, 1.5, 8)).reshape(-1, 1, 1, 1)
    constants: dict[str, Any] = {
        "w1": random.normal(size=(8, 3, 1, 1)) * size,
        "b1": random.normal(size=8) * size.reshape(-1),
        "w2": random.normal(size=(8, 1, 3, 3)),
        "b2": random.normal(size=8) * size.reshape(-1),
        "w3": (random.normal(size=(4, 8, 1, 1)) / size.reshape(1, -1, 1, 1))[:, : 8 // groups],
        "low": np.array(0.0),
        "high": np.array(6.0),
    }
    proto = onnx.parser.parse_model(NET.format(first=first, outputs=outputs, groups=groups))
    for name, array in constants.items():
        proto.graph.initializer.append(numpy_helper.from_array(array.astype(np.float32), name))
    return clean.from_bytes(proto.SerializeToString(), where="the net")


def weights(model: ir.Model) -> dict[str, NDArray[Any]]:
    found = model.graph.initializers.items()
    return {name: value.const_value.numpy() for name, value in found if value.const_value}


def changed(model: ir.Model) -> list[str]:
    """Name the constants that equalisation changes; what is computed must stay."""
    before = clean.to_bytes(model)
    equal = PREPARATIONS["equalise"](model)
    assert clean.to_bytes(model) == before
    exact, found = (run_core(each, CONTRACT, IMAGES) for each in (model, equal))
    for name, values in exact.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-5, atol=1e-5 * np.abs(values).max())
    one, other = weights(model), weights(equal)
    return sorted(name for name in one if not np.array_equal(one[name], other[name]))


@pytest.mark.parametrize(
    "first",
    [
        "p = Relu(a)",
        "p = LeakyRelu<alpha=0.1>(a)",
        "r = Relu(a) p = MaxPool<kernel_shape=[2,2]>(r)",
    ],
)
@pytest.mark.parametrize("groups", [1, 2])
def test_channels_are_scaled_and_answers_stay(first: str, groups: int) -> None:
    assert changed(build(first, groups=groups)) == ["b1", "b2", "w1", "w2", "w3"]


@pytest.mark.parametrize(
    ("first", "outputs"),
    [
        ("p = Clip(a, low, high)", "float[N,4] out"),
        ("p = Sigmoid(a)", "float[N,4] out"),
        ("r = Relu(a) p = Add(r, a)", "float[N,4] out"),
        ("p = Relu(a)", "float[N,4] out, float[N,8,8,8] a"),
    ],
    ids=["relu6", "sigmoid", "read twice", "an output"],
)
def test_what_cannot_be_scaled_is_not(first: str, outputs: str) -> None:
    # What stands behind still is.
    assert changed(build(first, outputs)) == ["b2", "w2", "w3"]


def test_int8_loses_less() -> None:
    model = build()
    reference = run_core(model, CONTRACT, IMAGES)
    plans = [Plan(preparations=names) for names in ((), ("equalise",))]
    plain, equal = (
        measure_distance(
            reference,
            run_core(quantize_core(model, CONTRACT, IMAGES, plan), CONTRACT, IMAGES),
            classes=True,
        ).sqnr_db
        for plan in plans
    )
    assert equal > plain + 3
