"""A net in which one layer is known to hurt: a channel that nobody needs has a huge range."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_ir as ir
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edgecnn.graph.clean import from_bytes
from edgecnn.quantization.making import Subject, observe_subject
from edgecnn.quantization.plan import Plan
from edgecnn.quantization.running import run_core
from tests.conftest import CONTRACT

MakeSubject = Callable[..., Subject]
IMAGES = 96


def two_convolutions(huge: float) -> ir.Model:
    """Give conv1, relu1, conv2, relu2, mean, flat, fc; conv1's first channel is so many times 1.

    conv2 multiplies that channel by 0, so that what fp32 answers does not depend on it.
    """
    random = np.random.default_rng(3)
    first = random.normal(size=(8, 3, 3, 3)).astype(np.float32)
    first[0] = np.abs(first[0]) * huge
    second = random.normal(size=(8, 8, 3, 3)).astype(np.float32)
    second[:, 0] = 0
    constants = {
        "w1": first,
        "b1": np.ones(8, np.float32),
        "w2": second,
        "b2": np.zeros(8, np.float32),
        "w3": random.normal(size=(4, 8)).astype(np.float32),
        "b3": np.zeros(4, np.float32),
    }
    nodes = [
        helper.make_node("Conv", ["image", "w1", "b1"], ["maps1"], name="conv1"),
        helper.make_node("Relu", ["maps1"], ["relu1"], name="relu1"),
        helper.make_node("Conv", ["relu1", "w2", "b2"], ["maps2"], name="conv2"),
        helper.make_node("Relu", ["maps2"], ["relu2"], name="relu2"),
        helper.make_node("AveragePool", ["relu2"], ["mean"], name="mean", kernel_shape=[4, 4]),
        helper.make_node("Flatten", ["mean"], ["flat"], name="flat"),
        helper.make_node("Gemm", ["flat", "w3", "b3"], ["logits"], name="fc", transB=1),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 3, 8, 8])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 4])],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    opset = helper.make_opsetid("", 18)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=8)
    return from_bytes(model.SerializeToString(), where="the net")


def convolutions(count: int) -> ir.Model:
    """Give conv1, conv2, …, whose outputs are called c1, c2, …."""
    random = np.random.default_rng(4)
    names = ["image", *(f"c{number}" for number in range(1, count + 1))]
    nodes = [
        helper.make_node(
            "Conv", [names[at - 1], f"w{at}"], [names[at]], name=f"conv{at}", pads=[1, 1, 1, 1]
        )
        for at in range(1, count + 1)
    ]
    weights = {
        f"w{at}": random.normal(size=(3, 3, 3, 3)).astype(np.float32) for at in range(1, count + 1)
    }
    graph = helper.make_graph(
        nodes,
        "chain",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 3, 8, 8])],
        [helper.make_tensor_value_info(f"c{count}", TensorProto.FLOAT, ["N", 3, 8, 8])],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    opset = helper.make_opsetid("", 18)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=8)
    return from_bytes(model.SerializeToString(), where="the chain")


@pytest.fixture(scope="session")
def pixels() -> NDArray[np.uint8]:
    """Give images of one colour each, with noise: 32 to calibrate, and others to select with."""
    random = np.random.default_rng(5)
    colours = random.integers(20, 236, (32 + IMAGES, 1, 1, 3))
    noise = random.integers(-20, 21, (32 + IMAGES, 8, 8, 3))
    images: NDArray[np.uint8] = np.clip(colours + noise, 0, 255).astype(np.uint8)
    return images


@pytest.fixture(scope="session")
def make_subject(pixels: NDArray[np.uint8]) -> MakeSubject:
    """Give a function that observes the net; without a huge channel, unless it is asked for."""

    def make(huge: float = 1.0) -> Subject:
        return observe_subject(two_convolutions(huge), CONTRACT, pixels[:32], Plan())

    return make


def centred(subject: Subject, images: NDArray[np.uint8]) -> Subject:
    """Give the same net with a bias by which the classes are about as frequent as one another."""
    scores = next(iter(run_core(subject.core, CONTRACT, images).values()))
    core = subject.core.clone()
    bias = core.graph.initializers["b3"]
    bias.const_value = ir.Tensor(-scores.mean(axis=0), name="b3")
    return observe_subject(core, CONTRACT, subject.images, Plan())
