"""Levels of the bounded scheme, and which weights really meet, on emulated CPUs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
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
from edgecnn.quantization.safety import largest_pair_sums
from tests.conftest import CONTRACT, TinyNet

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


def test_weights_with_two_uses_are_left_to_the_quantizer() -> None:
    text = """<ir_version: 8, opset_import: ["" : 18]>
    net (float[N,4] x) => (float[N,4] y)
    <float[4,4] w = {0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15}> {
        a = Gemm(x, w)  y = Gemm<transB=1>(a, w)
    }"""
    assert bounded_levels(ir.from_onnx_text(text)) == {}


EMULATOR = "qemu-x86_64-static"
# Channels in and out, groups, kernel; None for a matrix product.
SHAPES = [
    (3, 8, 1, 3),  # an odd number of channels
    (16, 16, 1, 3),  # MLAS's kernel for whole convolutions
    (16, 6, 1, 3),  # a matrix product
    (5, 7, 1, 5),
    (8, 8, 2, 3),
    (6, 16, 1, 1),
    (7, 5, 1, None),
]
DEPTHWISE = [(16, 3), (6, 3), (64, 5), (1, 3)]
CHILD = """
import sys
import numpy as np, onnxruntime
for file in sys.argv[1:]:
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    shape = session.get_inputs()[0].shape
    x = np.full([3 if size == "N" else size for size in shape], 255, np.uint8)
    rows = [session.run(None, {"x": part})[0] for part in (x, x[:1])]
    print(*sorted({int(value) for row in rows for value in row.ravel()}))
"""


def net_of(weights: NDArray[np.int8], groups: int = 1) -> bytes:
    """Make a layer that answers 200 to pixels of 255, if all its sums are exact."""
    image = weights.ndim == 4
    per_output = weights.astype(int).reshape(len(weights), -1).sum(axis=1)
    larger = 255 * (per_output if image else weights.astype(int).sum(axis=0)) / 200
    arrays = {
        "one": np.float32(1),
        "zero": np.uint8(0),
        "w": weights,
        "none": np.int8(0),
        "larger": np.float32(larger[0]),
    }
    size = weights.shape[-1] + 2
    shape: list[str | int | None] = ["N", len(weights)]
    if image:
        shape = ["N", weights.shape[1] * groups, size, size]
    layer: dict[str, Any] = {"group": groups, "kernel_shape": weights.shape[2:]} if image else {}
    nodes = [
        helper.make_node("DequantizeLinear", ["x", "one", "zero"], ["xf"]),
        helper.make_node("DequantizeLinear", ["w", "one", "none"], ["wf"]),
        helper.make_node("Conv" if image else "MatMul", ["xf", "wf"], ["yf"], **layer),
        helper.make_node("QuantizeLinear", ["yf", "larger", "zero"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "layer",
        [helper.make_tensor_value_info("x", TensorProto.UINT8, shape)],
        [helper.make_tensor_value_info("y", TensorProto.UINT8, None)],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in arrays.items()],
    )
    opset = [helper.make_opsetid("", 18)]
    content: bytes = helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString()
    return content


def patterned(shape: tuple[int, int, int, int | None], pattern: list[int]) -> NDArray[np.int8]:
    """Repeat a pattern along the order in which weights meet, for each output channel."""
    inputs, outputs, groups, kernel = shape
    inputs //= groups
    count = inputs * (kernel or 1) ** 2
    row = np.resize(np.array(pattern, np.int8), count)
    if kernel is None:
        return np.repeat(row[:, None], outputs, axis=1)
    return np.repeat(row.reshape(1, kernel, kernel, inputs).transpose(0, 3, 1, 2), outputs, axis=0)


def answers(cpu: str, files: list[Path]) -> list[str]:
    """Run layers on an emulated CPU, and give what each answers."""
    unset = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
    environment = {k: v for k, v in os.environ.items() if k not in unset}
    environment |= {"PYTHONPATH": os.pathsep.join(sys.path), "ORT_DISABLE_TELEMETRY": "1"}
    python = os.path.realpath(sys.executable)
    child = subprocess.run(
        [EMULATOR, "-cpu", cpu, python, "-c", CHILD, *map(str, files)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=True,
        env=environment,
    )
    return child.stdout.splitlines()


def write(folder: Path, nets: list[bytes]) -> list[Path]:
    files = [folder / f"{number}.onnx" for number in range(len(nets))]
    for file, net in zip(files, nets, strict=True):
        file.write_bytes(net)
    return files


needs_emulator = pytest.mark.skipif(
    shutil.which(EMULATOR) is None, reason="needs `apt-get install qemu-user-static`"
)


@pytest.mark.slow
@needs_emulator
def test_on_avx2_only_neighbours_meet_and_depthwise_is_exact(tmp_path: Path) -> None:
    # Were any other two added, 127 + 127 would meet, and saturate.
    apart = [net_of(patterned(shape, [127, 1]), shape[2]) for shape in SHAPES]
    together = [net_of(patterned(shape, [127, 127, 1, 1]), shape[2]) for shape in SHAPES]
    depthwise = [net_of(np.full((n, 1, k, k), 127, np.int8), n) for n, k in DEPTHWISE]
    found = answers("Haswell", write(tmp_path, [*apart, *together, *depthwise]))
    assert found[: len(SHAPES)] == ["200"] * len(SHAPES)
    assert "200" not in found[len(SHAPES) : 2 * len(SHAPES)]
    assert found[2 * len(SHAPES) :] == ["200"] * len(DEPTHWISE)


@pytest.mark.slow
@needs_emulator
def test_depthwise_is_exact_without_avx_too(tmp_path: Path) -> None:
    depthwise = [net_of(np.full((n, 1, k, k), 127, np.int8), n) for n, k in DEPTHWISE]
    assert answers("Nehalem", write(tmp_path, depthwise)) == ["200"] * len(DEPTHWISE)


def test_the_layers_above_answer_200_where_sums_are_exact(tmp_path: Path) -> None:
    from edgecnn.quantization.running import open_core

    for shape in SHAPES:
        session = open_core(net_of(patterned(shape, [127, 1]), shape[2]))
        sizes = [1 if isinstance(size, str) else size for size in session.get_inputs()[0].shape]
        [answer] = session.run(None, {"x": np.full(sizes, 255, np.uint8)})
        assert set(answer.ravel().tolist()) == {200}
