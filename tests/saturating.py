"""Nets whose sums of two products exceed 16 bits, and a CPU to run them on."""

from __future__ import annotations

import platform
import shutil
import sys
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.conftest import CLASSES, SIZE

needs_qemu = pytest.mark.skipif(
    sys.platform != "linux"
    or platform.machine() != "x86_64"
    or not (shutil.which("qemu-x86_64-static") or shutil.which("qemu-x86_64")),
    reason="qemu-user for x86_64 is not installed",
)


def saturating_net(largest: int = 127) -> bytes:
    """Give an int8 net of every kind of layer that multiplies bytes.

    Pixels, uint8 [N, 8, 8, 3], go through a convolution with padding and an odd number of channels,
    one in two groups with holes, one for each channel alone, one of 1x1 with steps, and two matrix
    products.

    Args:
        largest: The largest |weight|; with 64 no sum of two products saturates.
    """
    from onnx import TensorProto, helper, numpy_helper

    random = np.random.default_rng(42)
    constants: dict[str, NDArray[Any]] = {}

    def keep(name: str, value: Any) -> str:
        constants[name] = np.asarray(value)
        return name

    def weights(shape: tuple[int, ...], kind: str) -> NDArray[np.int8]:
        # Mostly positive, so that the sums are large; but for the classes, which are to be close.
        least = -largest if kind == "QLinearMatMul" else -largest // 2
        return random.integers(least, largest + 1, shape).astype(np.int8)

    def layer(name: str, kind: str, shape: tuple[int, ...], grow: float) -> list[str]:
        channels = shape[0] if kind != "QLinearMatMul" else shape[1]
        spread = random.uniform(0.5, 1, channels).astype(np.float32)
        factor = keep(f"{name}.x_scale", np.float32(0.02))
        return [
            factor,
            keep(f"{name}.x_zero", np.uint8(9)),
            keep(f"{name}.w", weights(shape, kind)),
            keep(f"{name}.w_scale", spread / largest),
            keep(f"{name}.w_zero", np.zeros(channels, np.int8)),
            *([keep(f"{name}.bias", np.zeros(channels, np.int32))] if kind == "QGemm" else []),
            keep(f"{name}.y_scale", np.float32(0.02 * grow)),
            keep(f"{name}.y_zero", np.uint8(9)),
        ]

    conv = "QLinearConv"
    pads = [1, 1, 1, 1]
    nodes = [
        helper.make_node("Transpose", ["pixels"], ["image"], perm=[0, 3, 1, 2]),
        helper.make_node(
            conv, ["image", *layer("wide", conv, (8, 3, 3, 3), 5)], ["a"], "wide", pads=pads
        ),
        helper.make_node(
            conv,
            ["a", *layer("groups", conv, (32, 4, 3, 3), 5)],
            ["b"],
            "groups",
            group=2,
            dilations=[2, 2],
            pads=[2, 2, 2, 2],
        ),
        helper.make_node(
            conv,
            ["b", *layer("depthwise", conv, (32, 1, 3, 3), 2)],
            ["c"],
            "depthwise",
            group=32,
            pads=pads,
        ),
        helper.make_node(
            conv, ["c", *layer("steps", conv, (6, 32, 1, 1), 6)], ["d"], "steps", strides=[2, 2]
        ),
        helper.make_node("Flatten", ["d"], ["e"]),
        helper.make_node(
            "QGemm",
            ["e", *layer("gemm", "QGemm", (7, 96), 14)],
            ["f"],
            "gemm",
            domain="com.microsoft",
            transB=1,
        ),
        helper.make_node(
            "QLinearMatMul",
            ["f", *layer("matrix", "QLinearMatMul", (7, len(CLASSES)), 2)],
            ["g"],
            "matrix",
        ),
        helper.make_node("DequantizeLinear", ["g", "matrix.y_scale", "matrix.y_zero"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "saturating",
        [helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["N", SIZE, SIZE, 3])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", len(CLASSES)])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("com.microsoft", 1)]
    content: bytes = helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString(
        deterministic=True
    )
    return content


def bright_images(count: int) -> NDArray[np.uint8]:
    """Give coloured noise that is bright enough to saturate, uint8 [count, 8, 8, 3]."""
    random = np.random.default_rng(count)
    colours = random.integers(60, 256, (count, 1, 1, 3))
    noise = random.integers(-60, 61, (count, SIZE, SIZE, 3))
    pixels: NDArray[np.uint8] = np.clip(colours + noise, 0, 255).astype(np.uint8)
    return pixels
