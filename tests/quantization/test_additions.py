"""Residual additions that every CPU rounds alike."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import numpy_helper

from edgecnn.graph import clean
from edgecnn.predictor import normalise
from edgecnn.quantization.additions import Scale, _grow, even_scales, is_even
from edgecnn.quantization.making import quantize_core
from edgecnn.quantization.safety import as_it_runs
from tests.conftest import CONTRACT, TinyNet
from tests.emulator import needs_emulator, run_as

Numbers = NDArray[np.int64]


def fused(a: Scale, b: Scale, c: Scale) -> Numbers:
    """Add as AVX2 does: fused multiply-add in float32, halves to even."""
    x, y, r, s, rest = _floats(a, b, c)
    inner = (x.astype("f8") * r + rest).astype("f4")
    return _saturated(np.rint((y.astype("f8") * s + inner).astype("f4")))


def unfused(a: Scale, b: Scale, c: Scale) -> Numbers:
    """Add as SSE does: multiply and add in float32, halves to even."""
    x, y, r, s, rest = _floats(a, b, c)
    return _saturated(np.rint(y * s + (x * r + rest)))


def integers(a: Scale, b: Scale, c: Scale) -> Numbers:
    """Add as NEON does: ratios in 22 bits, halves away from zero."""
    x, y = np.arange(256)[:, None] - a.zero_point, np.arange(256)[None, :] - b.zero_point
    ratios = np.float32(a.scale) / np.float32(c.scale), np.float32(b.scale) / np.float32(c.scale)
    shift = 21 - int(np.floor(np.log2(max(ratios))))
    r, s = (int(np.rint(float(ratio) * 2**shift)) for ratio in ratios)
    total = x * r + y * s
    rounded = (np.abs(total) + 2 ** (shift - 1)) >> shift
    return _saturated(np.sign(total) * rounded + c.zero_point)


def _floats(a: Scale, b: Scale, c: Scale) -> tuple[Any, ...]:
    x = np.arange(256, dtype="f4")[:, None]
    y = np.arange(256, dtype="f4")[None, :]
    r = np.float32(a.scale) / np.float32(c.scale)
    s = np.float32(b.scale) / np.float32(c.scale)
    fixed = np.float32(a.zero_point) * r + np.float32(b.zero_point) * s
    return x, y, r, s, np.float32(c.zero_point) - fixed


def _saturated(values: NDArray[np.generic]) -> Numbers:
    return np.clip(values.astype(np.float64), 0, 255).astype(np.int64)


def test_halves_of_numbers_meet_a_half_and_are_rounded_differently() -> None:
    scales = Scale(0.5, 0), Scale(0.5, 0), Scale(1.0, 0)
    assert not is_even(*scales)
    assert (unfused(*scales) != integers(*scales)).any()


def test_fractions_over_an_odd_number_never_do() -> None:
    scales = Scale(100 / 201, 0), Scale(150 / 201, 7), Scale(1.0, 3)
    assert is_even(*scales)
    np.testing.assert_array_equal(fused(*scales), unfused(*scales))
    np.testing.assert_array_equal(fused(*scales), integers(*scales))


scale = st.floats(0.01, 1.0)
number = st.integers(0, 255)


@settings(max_examples=60, deadline=None)
@given(scale, number, scale, number, st.floats(0.3, 1.2), number)
def test_grown_scales_are_rounded_alike_by_every_way(
    a: float, za: int, b: float, zb: int, share: float, zc: int
) -> None:
    total = Scale((a + b) * share, zc)
    grown = _grow({"a": Scale(a, za), "b": Scale(b, zb)}, total)
    if grown is None:
        return
    for name, before in (("a", a), ("b", b)):
        assert before * (1 - 1e-5) <= grown[name].scale <= before * 1.0301
    scales = grown["a"], grown["b"], total
    assert is_even(*scales)
    np.testing.assert_array_equal(fused(*scales), unfused(*scales))
    np.testing.assert_array_equal(fused(*scales), integers(*scales))


@settings(max_examples=60, deadline=None)
@given(scale, number, scale, number, st.floats(0.3, 1.2), number)
def test_whatever_is_called_even_is_rounded_alike(
    a: float, za: int, b: float, zb: int, share: float, zc: int
) -> None:
    scales = Scale(a, za), Scale(b, zb), Scale((a + b) * share, zc)
    if is_even(*scales):
        np.testing.assert_array_equal(fused(*scales), unfused(*scales))
        np.testing.assert_array_equal(fused(*scales), integers(*scales))


RESIDUAL = """
<ir_version: 8, opset_import: ["" : 18]>
net (float[N,3,8,8] image) => ({output}) {{
    one = Conv<kernel_shape=[3,3], pads=[1,1,1,1]>(image, w1)
    first = Relu(one)
    two = Conv<kernel_shape=[3,3], pads=[1,1,1,1]>(first, w2)
    sum1 = Add(two, first)
    second = Relu(sum1)
    three = Conv<kernel_shape=[3,3], pads=[1,1,1,1]>(second, w3)
    sum2 = Add(three, second)
    third = Relu(sum2)
    {end}
}}
"""
TO_LOGITS = """pooled = AveragePool<kernel_shape=[8,8]>(third)
    flat = Flatten(pooled)
    logits = Gemm<transB=1>(flat, w4)"""


def build(output: str, end: str) -> ir.Model:
    """Make a net with two additions in a row: the sum of one is a summand of the other."""
    random = np.random.default_rng(4)
    shapes = {"w1": (6, 3, 3, 3), "w2": (6, 6, 3, 3), "w3": (6, 6, 3, 3), "w4": (4, 6)}
    weights = [
        numpy_helper.from_array(random.normal(0, 0.3, shape).astype(np.float32), name)
        for name, shape in shapes.items()
    ]
    proto = onnx.parser.parse_model(RESIDUAL.format(output=output, end=end))
    proto.graph.initializer.extend(weights)
    return clean.clean(clean.from_bytes(proto.SerializeToString(), where="the residual net"))


@pytest.fixture(scope="module")
def residual() -> ir.Model:
    """Give the net with logits."""
    return build("float[N,4] logits", TO_LOGITS)


def test_a_residual_net_is_the_same_everywhere(residual: ir.Model, tiny_net: TinyNet) -> None:
    model = quantize_core(residual, CONTRACT, tiny_net.images[:64])
    found = as_it_runs(clean.to_bytes(model))
    assert (found.floating, found.uneven) == ((), ())
    grown = even_scales(model)
    assert len(grown) == 4
    constants = {
        k: v.const_value.numpy() for k, v in model.graph.initializers.items() if v.const_value
    }
    for name, each in grown.items():
        assert float(constants[f"{name}_scale"]) == pytest.approx(each.scale, rel=2e-3)


def test_even_scales_cost_next_to_no_accuracy(residual: ir.Model, tiny_net: TinyNet) -> None:
    import onnxruntime

    model = quantize_core(residual, CONTRACT, tiny_net.images[:64])
    inputs = {"image": normalise(CONTRACT, tiny_net.images)}
    outputs = []
    for each in (residual, model):
        session = onnxruntime.InferenceSession(
            clean.to_bytes(each), providers=["CPUExecutionProvider"]
        )
        outputs.append(session.run(None, inputs)[0])
    noise = np.square(outputs[0] - outputs[1]).sum()
    assert 10 * np.log10(np.square(outputs[0]).sum() / noise) > 30


# With these scales, sums lie so near a half that fused and unfused arithmetic part.
RAW = {
    "a": Scale(0.09946241229772568, 1),
    "b": Scale(0.08030714839696884, 107),
    "c": Scale(0.09757308661937714, 3),
}
ADDITION = """
<ir_version: 8, opset_import: ["" : 18]>
net (uint8[256,256] x, uint8[256,256] y) => (uint8[256,256] z)
<float sa = {{{a.scale}}}, float sb = {{{b.scale}}}, float sc = {{{c.scale}}},
 uint8 za = {{{a.zero_point}}}, uint8 zb = {{{b.zero_point}}}, uint8 zc = {{{c.zero_point}}}> {{
    xf = DequantizeLinear(x, sa, za)  yf = DequantizeLinear(y, sb, zb)
    sum = Add(xf, yf)  z = QuantizeLinear(sum, sc, zc)
}}
"""


def test_the_raw_scales_of_the_test_below_do_part_the_ways() -> None:
    assert not is_even(*RAW.values())
    assert (fused(*RAW.values()) != unfused(*RAW.values())).any()
    grown = {**RAW, **(_grow({"a": RAW["a"], "b": RAW["b"]}, RAW["c"]) or {})}
    assert is_even(*grown.values())


@pytest.mark.slow
@needs_emulator
@pytest.mark.parametrize(
    ("cpu", "way"), [("haswell", fused), ("sandybridge", unfused), ("nehalem", unfused)]
)
def test_emulated_cpus_add_in_these_ways(
    tmp_path: Path, cpu: str, way: Callable[[Scale, Scale, Scale], Numbers]
) -> None:
    grown = {**RAW, **(_grow({"a": RAW["a"], "b": RAW["b"]}, RAW["c"]) or {})}
    y, x = np.meshgrid(np.arange(256, dtype=np.uint8), np.arange(256, dtype=np.uint8))
    raw, even = (
        run_as(
            cpu,
            onnx.parser.parse_model(ADDITION.format(**scales)).SerializeToString(),
            {"x": x, "y": y},
            tmp_path,
        )[0]
        for scales in (RAW, grown)
    )
    np.testing.assert_array_equal(raw, way(*RAW.values()))
    for each in (fused, unfused, integers):
        np.testing.assert_array_equal(even, each(*grown.values()))
