"""Means over whole maps: what they become, and that every CPU rounds them alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from numpy.typing import NDArray

from edgecnn.graph import clean
from edgecnn.quantization.calibration.histogram import count
from edgecnn.quantization.making import Subject, make_int8
from edgecnn.quantization.plan import Plan
from edgecnn.quantization.pools import pool_whole_maps
from edgecnn.quantization.preparing import prepare
from edgecnn.spec import InputContract
from tests.emulator import needs_emulator, run_as

NET = """
<ir_version: 8, opset_import: ["" : 18]> net (float[N,2,6,4] image) => (float[N,2{tail}] y)
<int64[2] axes = {{2, 3}}, int64[2] minus = {{-1, -2}}, int64[1] one = {{2}}> {{ y = {pool} }}
"""
WHOLE = [
    ("AveragePool <kernel_shape = [6, 4]> (image)", ",1,1"),
    ("ReduceMean (image, axes)", ",1,1"),
    ("ReduceMean <keepdims = 0> (image, minus)", ""),
]
PARTS = [
    ("AveragePool <kernel_shape = [3, 4]> (image)", ",4,1"),
    ("AveragePool <kernel_shape = [6, 4], pads = [1, 1, 1, 1]> (image)", ",3,3"),
    ("ReduceMean (image, one)", ",1,4"),
]


def net(pool: str, tail: str) -> ir.Model:
    return ir.from_onnx_text(NET.format(pool=pool, tail=tail))


def run(model: ir.Model, image: NDArray[Any]) -> Any:
    import onnxruntime

    session = onnxruntime.InferenceSession(
        clean.to_bytes(model), providers=["CPUExecutionProvider"]
    )
    return session.run(None, {"image": image})[0]


@pytest.mark.parametrize(("pool", "tail"), WHOLE)
def test_a_mean_over_the_whole_map_becomes_a_global_average_pool(pool: str, tail: str) -> None:
    before = net(pool, tail)
    after = pool_whole_maps(before)
    assert next(iter(after.graph)).op_type == "GlobalAveragePool"
    image = np.random.default_rng(0).normal(size=(3, 2, 6, 4)).astype(np.float32)
    found, expected = run(after, image), run(before, image)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize(("pool", "tail"), PARTS)
def test_other_means_stay_what_they_are(pool: str, tail: str) -> None:
    before = net(pool, tail)
    after = pool_whole_maps(before)
    assert [node.op_type for node in after.graph] == [node.op_type for node in before.graph]


def test_the_mean_has_a_scale_of_its_own() -> None:
    text = """<ir_version: 8, opset_import: ["" : 18]> net (float[N,2,6,4] image)
    => (float[N,2,1,1] y) {
        big = Relu (image)  mean = AveragePool <kernel_shape = [6, 4]> (big)  y = Relu (mean) }"""
    core = prepare(ir.from_onnx_text(text), Plan().preparations)
    seen, small = (count(np.linspace(0, most, 9, dtype=np.float32)) for most in (8, 1))
    observed = {"image": seen, "big": seen, "mean": small, "y": small}
    contract = InputContract(6, 4)
    images = np.zeros((1, 6, 4, 3), np.uint8)
    model = make_int8(Subject(core, contract, images, observed), Plan())
    scales = {
        name: float(value.const_value.numpy())
        for name, value in model.graph.initializers.items()
        if name.endswith("_scale") and value.const_value is not None
    }
    assert sorted({round(255 * scale, 4) for scale in scales.values()}) == [1, 8]


# What a pool of 5x5 bytes becomes, with scales at which many means lie at a half.
SCALES = [(0.02, 0.01, 3, 7), (0.013, 0.0065, 0, 0), (1.0, 0.08, 128, 128), (0.1, 0.25, 255, 0)]
POOL = """
<ir_version: 8, opset_import: ["" : 18]>
net (uint8[8,96,5,5] x) => (uint8[8,96,1,1] y)
<float sx = {{{sx}}}, float sy = {{{sy}}}, uint8 zx = {{{zx}}}, uint8 zy = {{{zy}}}> {{
    xf = DequantizeLinear (x, sx, zx)  m = GlobalAveragePool (xf)  y = QuantizeLinear (m, sy, zy)
}}
"""
BYTES = np.random.default_rng(3).integers(0, 256, (8, 96, 5, 5)).astype(np.uint8)


def textbook(sx: float, sy: float, zx: int, zy: int) -> NDArray[np.uint8]:
    """Sum in integers, multiply once in float32, round to even."""
    sums = (BYTES.astype(np.int64) - zx).sum(axis=(2, 3), keepdims=True).astype(np.float32)
    factor = np.float32(sx) / (np.float32(sy) * np.float32(25))
    found: NDArray[np.uint8] = np.clip(np.rint(sums * factor) + zy, 0, 255).astype(np.uint8)
    return found


def pool(sx: float, sy: float, zx: int, zy: int) -> bytes:
    text = POOL.format(sx=sx, sy=sy, zx=zx, zy=zy)
    content: bytes = onnx.parser.parse_model(text).SerializeToString()
    return content


@pytest.mark.parametrize("case", SCALES)
def test_it_rounds_once_and_to_even(case: tuple[float, float, int, int]) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(pool(*case), providers=["CPUExecutionProvider"])
    np.testing.assert_array_equal(session.run(None, {"x": BYTES})[0], textbook(*case))


@pytest.mark.slow
@needs_emulator
@pytest.mark.parametrize("cpu", ["haswell", "sandybridge", "nehalem"])
def test_emulated_cpus_do_the_same(cpu: str, tmp_path: Path) -> None:
    [found] = run_as(cpu, pool(*SCALES[0]), {"x": BYTES}, tmp_path)
    np.testing.assert_array_equal(found, textbook(*SCALES[0]))
