"""Batch normalisations that are written as convolutions."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edgecnn.graph import clean
from edgecnn.quantization.making import quantize_core
from edgecnn.quantization.normalisations import convolve_normalisations
from edgecnn.quantization.safety import as_it_runs
from edgecnn.spec import InputContract

CONTRACT = InputContract(8, 8)


def pre_activated(*, rank: int = 4, constant: bool = True) -> ir.Model:
    """Give a net that normalises before it convolves, as densenet does."""
    random = np.random.default_rng(3)
    constants: dict[str, Any] = {
        "scale": random.uniform(0.5, 2, 3),
        "shift": random.normal(size=3),
        "mean": random.uniform(0.2, 0.8, 3),
        "variance": random.uniform(0.05, 0.2, 3),
        "w": random.normal(size=(4, 3, 3, 3)),
        "half": np.array(0.5),
    }
    tensors = [numpy_helper.from_array(v.astype("f4"), name) for name, v in constants.items()]
    names = ["scale", "shift", "mean", "variance"]
    norm = helper.make_node(
        "BatchNormalization", ["image", *names], ["normal"], "norm", epsilon=0.01
    )
    nodes = [norm, helper.make_node("Relu", ["normal"], ["positive"])]
    shape: list[Any] = ["N", 3, 8, 8] if rank == 4 else ["N", 3]
    if rank == 4:
        nodes.append(helper.make_node("Conv", ["positive", "w"], ["out"]))
    else:
        nodes.append(helper.make_node("Mul", ["positive", "half"], ["out"]))
    if not constant:
        nodes.insert(0, helper.make_node("Mul", ["scale", "half"], ["halved"]))
        norm.input[1] = "halved"
    graph = helper.make_graph(
        nodes,
        "pre",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, None)],
        tensors,
    )
    opset = helper.make_opsetid("", 18)
    content = helper.make_model(graph, opset_imports=[opset], ir_version=8).SerializeToString()
    return clean.from_bytes(content, where="the net")


def outputs(model: ir.Model, images: NDArray[np.float32]) -> NDArray[np.float32]:
    import onnxruntime

    session = onnxruntime.InferenceSession(
        clean.to_bytes(model), providers=["CPUExecutionProvider"]
    )
    found: NDArray[np.float32] = session.run(None, {"image": images})[0]
    return found


def kinds(model: ir.Model) -> list[str]:
    return [node.op_type for node in model.graph]


def test_a_normalisation_becomes_a_convolution_that_computes_the_same() -> None:
    model = pre_activated()
    images = np.random.default_rng(0).random((5, 3, 8, 8), np.float32)
    changed = convolve_normalisations(model)
    assert kinds(changed) == ["Conv", "Relu", "Conv"]
    np.testing.assert_allclose(outputs(changed, images), outputs(model, images), atol=1e-5)
    assert kinds(model) == ["BatchNormalization", "Relu", "Conv"]


@pytest.mark.parametrize("change", [{"rank": 2}, {"constant": False}], ids=["rows", "computed"])
def test_what_is_no_such_convolution_stays(change: dict[str, Any]) -> None:
    model = pre_activated(**change)
    assert kinds(convolve_normalisations(model)) == kinds(model)


def test_a_model_without_them_is_the_same_object() -> None:
    changed = convolve_normalisations(pre_activated())
    assert convolve_normalisations(changed) is changed


def test_in_int8_nothing_of_it_stays_in_float() -> None:
    images = np.random.default_rng(1).integers(0, 256, (16, 8, 8, 3), dtype=np.uint8)
    model = pre_activated()
    quantized = quantize_core(model, CONTRACT, images)
    assert as_it_runs(clean.to_bytes(quantized)).floating == ()
    pixels = (images / 255).astype(np.float32).transpose(0, 3, 1, 2).copy()
    exact, found = outputs(model, pixels), outputs(quantized, pixels)
    assert 10 * np.log10(np.square(exact).sum() / np.square(exact - found).sum()) > 30
