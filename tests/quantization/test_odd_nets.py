"""Nets and data at the edge of what is sensible: they are quantized, and answer as fp32 does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper

from edgecnn.data import Dataset, Split
from edgecnn.graph import clean
from edgecnn.quantization import quantize
from edgecnn.quantization.calibration.choosing import Images
from edgecnn.quantization.candidates import find_plan
from edgecnn.quantization.distance import measure_distance
from edgecnn.quantization.making import quantize_core
from edgecnn.quantization.plan import Plan
from edgecnn.quantization.running import run_core
from edgecnn.quantization.tensors import measure_tensors
from edgecnn.spec import InputContract
from tests.conftest import CONTRACT
from tests.quantization.conftest import MakeFp32

CORRECTED = Plan(corrections=("gptq", "bias"))
BRIEFLY = 0.05
LEAST_DB = 15

Weights = dict[str, NDArray[np.float32]]
NET = """
<ir_version: 8, opset_import: ["" : 18]>
net (float[{image}] image) => (float[N,K] out) {{
  m = Conv<kernel_shape=[3,3], pads=[1,1,1,1]>({read}, w, b)
  a = Relu(m)
  n = Conv<kernel_shape=[3,3]>(a, v, c)
  d = Relu(n)
  g = GlobalAveragePool(d)
  f = Flatten(g)
  out = Gemm<transB=1>(f, matrix, bias)
}}
"""


def weights_of(colours: int = 3, classes: int = 4) -> Weights:
    random = np.random.default_rng(3)
    shapes = {"w": (6, colours, 3, 3), "b": (6,), "v": (6, 6, 3, 3), "c": (6,)}
    shapes |= {"matrix": (classes, 6), "bias": (classes,)}
    return {name: random.normal(size=each).astype("f4") for name, each in shapes.items()}


def net(weights: Weights, image: str = "N,3,8,8", read: str = "image", first: str = "") -> ir.Model:
    """Give two convolutions and a fully connected layer; `first` may come before them."""
    text = NET.format(image=image, read=read).replace("{\n", "{\n" + first, 1)
    proto = onnx.parser.parse_model(text)
    for name, array in weights.items():
        proto.graph.initializer.append(numpy_helper.from_array(array, name))
    return clean.from_bytes(proto.SerializeToString(), where="the net")


def pictures(count: int, colours: int = 3) -> NDArray[np.uint8]:
    """Give smooth pictures of different brightness."""
    random = np.random.default_rng(count)
    coarse = random.integers(0, 256, (count, 2, 2, colours), dtype=np.uint8)
    return coarse.repeat(4, axis=1).repeat(4, axis=2)


def decibels(core: ir.Model, contract: InputContract = CONTRACT) -> float:
    """Quantize a net with every correction; give its distance from fp32 on other pictures."""
    colours = contract.pixel_shape[2]
    int8 = quantize_core(core, contract, pictures(48, colours), CORRECTED)
    exact, found = (run_core(each, contract, pictures(33, colours)) for each in (core, int8))
    assert all(np.isfinite(each).all() for each in found.values())
    return measure_distance(exact, found, classes=False).sqnr_db


def without_weights(weights: Weights) -> None:
    weights["w"][2] = 0
    weights["v"][:2] = 0
    weights["matrix"][1] = 0


def without_anything(weights: Weights) -> None:
    without_weights(weights)
    weights["b"][2] = weights["c"][0] = weights["bias"][1] = 0


def never_active(weights: Weights) -> None:
    weights["b"][:3] = -100


def never_active_at_all(weights: Weights) -> None:
    weights["b"][:] = -1000


def tiny_weights(weights: Weights) -> None:
    weights["w"][1] *= 1e-30
    weights["v"][3] = 1e-42


@pytest.mark.parametrize(
    "kill",
    [
        without_weights,
        without_anything,
        never_active,
        never_active_at_all,
        tiny_weights,
    ],
)
def test_dead_channels_are_as_exact_as_others(kill: Callable[[Weights], None]) -> None:
    weights = weights_of()
    kill(weights)
    assert decibels(net(weights)) > LEAST_DB


def test_a_net_of_two_classes_that_is_gray() -> None:
    gray = replace(CONTRACT, color="gray", mean=(0.5,), std=(0.25,), labels=("no", "yes"))
    core = net(weights_of(colours=1, classes=2), "N,1,8,8")
    assert decibels(core, gray) > LEAST_DB


def test_a_net_that_takes_channels_last() -> None:
    contract = replace(CONTRACT, layout="nhwc")
    turn = "t = Transpose<perm=[0,3,1,2]>(image)\n"
    assert decibels(net(weights_of(), "N,8,8,3", "t", turn), contract) > LEAST_DB


def test_a_fixed_batch_that_divides_no_number_of_images() -> None:
    assert decibels(net(weights_of(), "5,3,8,8")) > LEAST_DB


@pytest.mark.parametrize(("calibrating", "selecting"), [(1, 1), (2, 1), (1, 2)])
def test_one_picture_is_enough_to_go_on(calibrating: int, selecting: int) -> None:
    images = Images(pictures(calibrating), pictures(7)[:selecting])
    chosen = find_plan(net(weights_of()), CONTRACT, images, Plan(), classes=True)
    losses = measure_tensors(chosen.subject, chosen.model, images.selection)
    assert len(losses) == 4
    assert chosen.choices.reason


def cut(data: Dataset, training: int) -> Dataset:
    few = Split(data.train.images[:training], data.train.labels[:training])
    return replace(data, train=few)


@pytest.mark.parametrize("form", [{}, {"batch": 3}], ids=["dynamic", "batch of 3"])
def test_four_training_images_make_an_int8(
    make_fp32: MakeFp32, tiny_data: Dataset, form: dict[str, Any]
) -> None:
    report = quantize(make_fp32(**form), data=cut(tiny_data, 4), duration=BRIEFLY, threads=1)
    assert report.calibration_images == 2
    assert report.paired is not None
    assert report.paired.same > 0.8
    assert [each.tensor for each in report.tensors] == ["rectified", "means", "logits"]
