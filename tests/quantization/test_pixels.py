"""Mean and std folded into the first convolution, and pixels that go straight into int8."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edgecnn.graph import clean, prefix
from edgecnn.quantization.distance import measure_distance
from edgecnn.quantization.making import quantize_core
from edgecnn.quantization.pixels import fold_pixels, pixel_range
from edgecnn.quantization.plan import Plan
from edgecnn.quantization.running import run_core
from edgecnn.quantization.safety import as_it_runs
from edgecnn.quantization.schemes import find_scheme
from edgecnn.spec import InputContract

UNLIKE: dict[str, Any] = {"mean": (0.5, 0.4, 0.3), "std": (0.2, 0.25, 0.3)}
ALIKE: dict[str, Any] = {"mean": (0.5, 0.501, 0.502), "std": (0.2, 0.25, 0.3)}
PIXELS = np.random.default_rng(0).integers(0, 256, (40, 9, 7, 3), dtype=np.uint8)


def contract(layout: Any = "nchw", **settings: Any) -> InputContract:
    return InputContract(9, 7, layout=layout, **settings)


def build(batch: int | str = "N", *, twice: bool = False, **conv: Any) -> ir.Model:
    """Make a net of one convolution and a Gemm."""
    random = np.random.default_rng(3)
    constants = {"w": (5, 3 // conv.get("group", 1), 3, 3), "b": (5,), "m": (4, 5)}
    if conv.get("group"):
        constants["w"] = (3, 1, 3, 3)
        constants |= {"b": (3,), "m": (4, 3)}
    tensors = {name: random.normal(0, 0.4, shape) for name, shape in constants.items()}
    nodes = [
        helper.make_node("Conv", ["image", "w", "b"], ["maps"], "conv", **conv),
        helper.make_node("Relu", ["maps"], ["positive"], "relu"),
        helper.make_node("GlobalAveragePool", ["positive"], ["means"], "pool"),
        helper.make_node("Flatten", ["means"], ["rows"], "flatten"),
        helper.make_node("Gemm", ["rows", "m"], ["logits"], "fc", transB=1),
    ]
    outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [batch, 4])]
    if twice:
        nodes.append(helper.make_node("GlobalAveragePool", ["image"], ["colour"], "second"))
        outputs.append(helper.make_tensor_value_info("colour", TensorProto.FLOAT, [batch, 3, 1, 1]))
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [batch, 3, 9, 7])],
        outputs,
        [numpy_helper.from_array(v.astype(np.float32), name) for name, v in tensors.items()],
    )
    opset = helper.make_opsetid("", 18)
    content = helper.make_model(graph, opset_imports=[opset], ir_version=8).SerializeToString()
    return clean.clean(clean.from_bytes(content, where="the net"))


def run(model: ir.Model, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    import onnxruntime

    session = onnxruntime.InferenceSession(
        clean.to_bytes(model), providers=["CPUExecutionProvider"]
    )
    found: NDArray[np.float32] = session.run(["logits"], {"pixels": images})[0]
    return found


def decibels(reference: dict[str, Any], found: dict[str, Any]) -> float:
    return measure_distance(reference, found, classes=True).sqnr_db


@pytest.mark.parametrize("settings", [UNLIKE, ALIKE, {}], ids=["unlike", "alike", "none"])
def test_without_padding_float_answers_stay_the_same(settings: dict[str, Any]) -> None:
    core, given = build(), contract(**settings)
    before = clean.to_bytes(core)
    folded = fold_pixels(core, given)
    assert folded is not None
    reference = run_core(core, given, PIXELS)
    assert decibels(reference, run_core(folded.core, folded.contract, PIXELS)) > 120
    assert clean.to_bytes(core) == before
    assert folded.contract.std == (1, 1, 1)
    step = folded.contract.mean[0] * 255
    assert folded.contract.mean == (folded.contract.mean[0],) * 3
    assert step == pytest.approx(round(step), abs=1e-9)


def test_with_padding_one_pixel_value_must_stand_for_zero() -> None:
    core = build(pads=[1, 1, 1, 1])
    assert fold_pixels(core, contract(**UNLIKE)) is None
    exact = fold_pixels(core, contract(mean=(0.4,) * 3, std=(0.2, 0.25, 0.3)))
    near = fold_pixels(core, contract(mean=(0.5,) * 3, std=(0.2, 0.25, 0.3)))
    for folded, mean, least in ((exact, 0.4, 120), (near, 0.5, 45)):
        assert folded is not None
        given = contract(mean=(mean,) * 3, std=(0.2, 0.25, 0.3))
        reference = run_core(core, given, PIXELS)
        assert decibels(reference, run_core(folded.core, folded.contract, PIXELS)) > least


@pytest.mark.parametrize(
    "core",
    [build(group=3), build(twice=True), build(auto_pad="SAME_UPPER")],
    ids=["depthwise", "used twice", "padded by name"],
)
def test_what_cannot_be_folded_is_not(core: ir.Model) -> None:
    assert fold_pixels(core, contract(**UNLIKE)) is None


def test_without_padding_any_pixel_value_stands_for_the_mean() -> None:
    core, given = build(), contract(mean=(3.0, 0, 0))
    folded = fold_pixels(core, given)
    assert folded is not None
    reference = run_core(core, given, PIXELS)
    assert decibels(reference, run_core(folded.core, folded.contract, PIXELS)) > 110


@pytest.mark.parametrize("pads", [[0, 0, 0, 0], [1, 1, 1, 1]], ids=["unpadded", "padded"])
@pytest.mark.parametrize("batch", ["N", 4])
def test_pixels_go_straight_into_int8(pads: list[int], batch: int | str) -> None:
    core, given = build(batch, pads=pads), contract(**ALIKE)
    folded = fold_pixels(core, given)
    assert folded is not None
    int8 = quantize_core(folded.core, folded.contract, PIXELS)
    front = prefix.put_preprocessing_in_front(int8, folded.contract)
    kinds = [node.op_type for node in front.graph]
    assert not {"Cast", "Mul", "Sub", "Reshape"} & set(kinds)
    # What is left computes on integers, and on every CPU alike.
    assert as_it_runs(clean.to_bytes(front)).same_everywhere
    images = PIXELS[:4]
    answers = run(front, images)
    np.testing.assert_array_equal(answers, run_core(int8, folded.contract, images)["logits"])
    reference = run_core(core, given, images)
    before = quantize_core(core, given, PIXELS)
    plain = decibels(reference, run_core(before, given, images))
    assert decibels(reference, {"logits": answers}) > plain - 3
    stored = clean.from_bytes(clean.to_bytes(front), where="the front")
    assert clean.to_bytes(prefix.float_core(stored)) == clean.to_bytes(int8)


@pytest.mark.parametrize("scheme", ["u8s8-7bit", "s8s8"])
def test_where_quantizing_changes_pixels_the_preprocessing_stays(scheme: str) -> None:
    given = contract(**UNLIKE) if scheme == "u8s8-7bit" else contract()
    int8 = quantize_core(build(), given, PIXELS, Plan(find_scheme(scheme)))
    front = prefix.put_preprocessing_in_front(int8, given)
    assert "Cast" in [node.op_type for node in front.graph]
    np.testing.assert_array_equal(run(front, PIXELS), run_core(int8, given, PIXELS)["logits"])


def test_an_fp32_net_with_pixels_in_computes_in_float() -> None:
    front = prefix.put_preprocessing_in_front(build(), contract(**UNLIKE))
    assert as_it_runs(clean.to_bytes(front)).floating == ("all",)


def test_the_inputs_range_is_that_of_all_pixels_whatever_the_images() -> None:
    dark = PIXELS // 8
    given = contract(**UNLIKE)
    low, high = pixel_range(given)
    assert (low, high) == pytest.approx((-2.5, 0.7 / 0.3 if 0.7 / 0.3 > 2.5 else 2.5))
    models = [quantize_core(build(), given, images) for images in (dark, PIXELS)]
    scales = [
        {k: v.const_value.numpy() for k, v in model.graph.initializers.items() if v.const_value}
        for model in models
    ]
    assert scales[0]["image_scale"] == scales[1]["image_scale"]
    assert scales[0]["image_scale"] == pytest.approx((high - low) / 255, rel=1e-5)
