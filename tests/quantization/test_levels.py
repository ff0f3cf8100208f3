"""Levels of the bounded scheme, and which weights really meet, on emulated CPUs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edgecnn.graph import clean
from edgecnn.quantization.bound import in_order, largest_sums
from edgecnn.quantization.levels import bounded_levels, channel_scales
from edgecnn.quantization.making import quantize_core
from edgecnn.quantization.running import open_core
from edgecnn.quantization.safety import largest_pair_sums
from tests.conftest import CONTRACT, TinyNet
from tests.emulator import needs_emulator, run_as

Array = NDArray[np.float32]


def scale_of(*weights: float) -> float:
    rows = np.array(weights, np.float32).reshape(1, 1, -1)
    return float(channel_scales(rows, paired=True)[0])


@pytest.mark.parametrize(
    ("weights", "largest"),
    [
        ((1.0, 1.0), 64),  # both at once: 64 + 64 = 128
        ((1.0, -1.0), 127),  # of different signs, they never add up
        ((1.0, 0.0, 1.0), 127),  # the third meets no other
        ((3.0, 1.0), 96),  # 96 + 32 = 128
        ((-3.0, -1.0, 2.0, -3.0), 96),
    ],
)
def test_a_channel_gets_as_many_levels_as_its_neighbours_leave(
    weights: tuple[float, ...], largest: int
) -> None:
    biggest = max(map(abs, weights))
    assert biggest / scale_of(*weights) == pytest.approx(largest, rel=1e-6)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 5), st.sampled_from([1, 9]))
def test_no_sum_of_neighbours_saturates_and_no_level_is_lost(
    seed: int, inputs: int, places: int
) -> None:
    random = np.random.default_rng(seed)
    weights = random.standard_t(3, (4, places, inputs)).astype(np.float32)
    scales = channel_scales(weights, paired=True)
    numbers = np.rint(weights / scales[:, None, None])
    assert largest_sums(numbers).max() <= 128
    assert np.abs(numbers).max() <= 127
    assert (scales <= (np.abs(weights).max(axis=(1, 2)) / 64).astype(np.float32)).all()
    # A hundredth smaller, and it would no longer fit: nothing was given away.
    finer = np.rint(weights / (0.99 * scales)[:, None, None])
    assert ((largest_sums(finer) > 127.5) | (np.abs(finer).max(axis=(1, 2)) > 126.5)).all()


def test_a_scale_s_last_bit_makes_no_sum_too_large() -> None:
    # At a scale of 1 these are 63.5 and 64.5: both are rounded up where the scale is too small.
    sizes = np.linspace(0.1, 1, 5000)[:, None, None]
    weights = (sizes * np.array([63.5, 64.5])).astype(np.float32)
    plain = (weights.astype(np.float64).sum(axis=(1, 2)) / 128).astype(np.float32)
    assert largest_sums(np.rint(weights / plain[:, None, None])).max() == 129
    scales = channel_scales(weights, paired=True)
    assert largest_sums(np.rint(weights / scales[:, None, None])).max() == 128


def test_a_channel_of_zeros_has_a_scale() -> None:
    assert scale_of(0.0, 0.0, 0.0) == 1


def test_neighbours_follow_the_channels_then_the_kernel() -> None:
    # Two input channels, a kernel of 1x2: channel 0 first, then channel 1, at each place.
    weights = np.array([[[[1, 2]], [[30, 40]]]])
    assert in_order(weights, 0).tolist() == [[[1, 30], [2, 40]]]
    assert largest_sums(in_order(weights, 0)).tolist() == [42]
    # An odd number runs on into the next place, or is filled up: both are counted.
    odd = np.array([[[[5, 60]]]])
    assert largest_sums(in_order(odd, 0)).tolist() == [65]


def depthwise_core(net: TinyNet) -> ir.Model:
    """Make a net of one depthwise convolution, one pointwise and a matrix."""
    text = """<ir_version: 8, opset_import: ["" : 18]>
    net (float[N,3,8,8] image) => (float[N,4] logits) {
        deep = Conv<kernel_shape=[3,3], group=3>(image, wd)
        point = Conv<kernel_shape=[1,1]>(deep, wp)
        rectified = Relu(point)
        pooled = AveragePool<kernel_shape=[6,6]>(rectified)
        flat = Flatten(pooled)
        logits = Gemm<transB=1>(flat, matrix)
    }"""
    random = np.random.default_rng(3)
    proto = onnx.parser.parse_model(text)
    proto.graph.initializer.extend(
        numpy_helper.from_array(random.normal(0, 0.3, shape).astype(np.float32), name)
        for name, shape in {"wd": (3, 1, 3, 3), "wp": (6, 3, 1, 1), "matrix": (4, 6)}.items()
    )
    return clean.clean(clean.from_bytes(proto.SerializeToString(), where="the depthwise net"))


def test_the_quantizer_takes_the_levels(tiny_net: TinyNet) -> None:
    core = depthwise_core(tiny_net)
    model = quantize_core(core, CONTRACT, tiny_net.images[:40])
    constants = {
        name: value.const_value.numpy()
        for name, value in model.graph.initializers.items()
        if value.const_value is not None
    }
    largest = {
        name: np.abs(constants[f"{name}_quantized"].astype(int)).reshape(count, -1).max(axis=1)
        for name, count in (("wd", 3), ("wp", 6), ("matrix", 4))
    }
    assert (largest["wd"] == 127).all()
    assert (largest["wp"] >= 64).all()
    assert largest["matrix"].max() > 64
    sums = largest_pair_sums(model)
    assert len(sums) == 2  # the depthwise one is exact on every CPU
    assert max(sums.values()) <= 32_640


def test_what_is_not_a_weight_keeps_8_bits_and_what_has_two_uses_7() -> None:
    text = """<ir_version: 8, opset_import: ["" : 18]>
    net (float[N,4] x) => (float[N,4] y)
    <float[4,4] w = {0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15}, float[4] c = {1,2,3,4},
     float[4] bias = {1,2,3,4}> {
        a = Gemm(x, w, bias)  b = Gemm<transB=1>(a, w)  y = Add(b, c)
    }"""
    assert bounded_levels(ir.from_onnx_text(text)) == {"c": [{"reduce_range": False}]}


# Channels in and out, groups, kernel; None for a matrix product.
Shape = tuple[int, int, int, int | None]
SHAPES: list[Shape] = [
    (3, 8, 1, 3),  # an odd number of channels
    (16, 16, 1, 3),  # MLAS's kernel for whole convolutions
    (16, 6, 1, 3),  # a matrix product
    (5, 7, 1, 5),
    (8, 8, 2, 3),
    (6, 16, 1, 1),
    (7, 5, 1, None),
]
DEPTHWISE: list[Shape] = [(16, 16, 16, 3), (6, 6, 6, 3), (64, 64, 64, 5), (1, 1, 1, 3)]
Layer = tuple[Shape, list[int]]
BATCH = 3


def make_net(layers: list[Layer]) -> bytes:
    """Make layers side by side that answer 200 to pixels of 255, if all their sums are exact."""
    arrays: dict[str, Any] = {"one": np.float32(1), "zero": np.uint8(0), "none": np.int8(0)}
    nodes, inputs, outputs = [], [], []
    for number, (shape, pattern) in enumerate(layers):
        x, xf, w, wf, yf, y, larger = (
            f"{name}{number}" for name in ["x", "xf", "w", "wf", "yf", "y", "larger"]
        )
        arrays[w] = weights = patterned(shape, pattern)
        image = weights.ndim == 4
        total = weights.astype(int).reshape(len(weights), -1).sum(axis=1 if image else 0)[0]
        arrays[larger] = np.float32(255 * total / 200)
        layer: dict[str, Any] = {}
        if image:
            layer = {"group": shape[2], "kernel_shape": weights.shape[2:]}
        nodes += [
            helper.make_node("DequantizeLinear", [x, "one", "zero"], [xf]),
            helper.make_node("DequantizeLinear", [w, "one", "none"], [wf]),
            helper.make_node("Conv" if image else "MatMul", [xf, wf], [yf], **layer),
            helper.make_node("QuantizeLinear", [yf, larger, "zero"], [y]),
        ]
        sizes = input_of(shape).shape
        inputs.append(helper.make_tensor_value_info(x, TensorProto.UINT8, sizes))
        outputs.append(helper.make_tensor_value_info(y, TensorProto.UINT8, None))
    constants = [numpy_helper.from_array(np.asarray(array), name) for name, array in arrays.items()]
    graph = helper.make_graph(nodes, "layers", inputs, outputs, constants)
    opset = [helper.make_opsetid("", 18)]
    content: bytes = helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString()
    return content


def patterned(shape: Shape, pattern: list[int]) -> NDArray[np.int8]:
    """Repeat a pattern along the order in which weights meet, for each output channel."""
    inputs, outputs, groups, kernel = shape
    inputs //= groups
    row = np.resize(np.array(pattern, np.int8), inputs * (kernel or 1) ** 2)
    if kernel is None:
        return np.repeat(row[:, None], outputs, axis=1)
    return np.repeat(row.reshape(1, kernel, kernel, inputs).transpose(0, 3, 1, 2), outputs, axis=0)


def input_of(shape: Shape) -> NDArray[np.uint8]:
    inputs, _, _, kernel = shape
    size = () if kernel is None else (kernel + 2, kernel + 2)
    return np.full((BATCH, inputs, *size), 255, np.uint8)


def answers(outputs: list[NDArray[Any]]) -> list[set[int]]:
    return [set(output.ravel().tolist()) for output in outputs]


# Were any other two added, 127 + 127 would meet, and saturate.
APART: list[Layer] = [(shape, [127, 1]) for shape in SHAPES]
TOGETHER: list[Layer] = [(shape, [127, 127, 1, 1]) for shape in SHAPES]
ALONE: list[Layer] = [(shape, [127]) for shape in DEPTHWISE]


@pytest.mark.slow
@needs_emulator
def test_on_avx2_only_neighbours_meet_and_depthwise_is_exact(tmp_path: Path) -> None:
    layers = [*APART, *ALONE, *TOGETHER]
    inputs = {f"x{number}": input_of(shape) for number, (shape, _) in enumerate(layers)}
    found = answers(run_as("haswell", make_net(layers), inputs, tmp_path))
    exact = len(APART) + len(ALONE)
    assert found[:exact] == [{200}] * exact
    assert all(200 not in each for each in found[exact:])


@pytest.mark.slow
@needs_emulator
@pytest.mark.parametrize("cpu", ["SandyBridge", "Nehalem"])
def test_depthwise_is_exact_on_older_cpus_too(tmp_path: Path, cpu: str) -> None:
    inputs = {f"x{number}": input_of(shape) for number, shape in enumerate(DEPTHWISE)}
    found = answers(run_as(cpu, make_net(ALONE), inputs, tmp_path))
    assert found == [{200}] * len(DEPTHWISE)


def test_the_layers_above_answer_200_here() -> None:
    layers = [*APART, *ALONE]
    inputs = {f"x{number}": input_of(shape) for number, (shape, _) in enumerate(layers)}
    found = answers(open_core(make_net(layers)).run(None, inputs))
    assert found == [{200}] * len(layers)
