"""The preprocessing in front of a model, and taken off again."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgecnn.errors import ModelError
from edgecnn.graph import clean, prefix
from edgecnn.predictor import normalise
from edgecnn.spec import InputContract

PASS_THROUGH = """
<ir_version: 8, opset_import: ["" : 18]>
core (float[{shape}] input) => (float[{shape}] output) {{ output = Identity(input) }}
"""


def identity_core(contract: InputContract, batch: int | str = "N") -> ir.Model:
    shape = ",".join(map(str, (batch, *contract.float_shape)))
    return ir.from_onnx_text(PASS_THROUGH.format(shape=shape))


def run(model: ir.Model, **inputs: NDArray[Any]) -> NDArray[Any]:
    import onnxruntime

    session = onnxruntime.InferenceSession(
        clean.to_bytes(model), providers=["CPUExecutionProvider"]
    )
    output: NDArray[Any] = session.run(None, inputs)[0]
    return output


def pictures(contract: InputContract, count: int) -> NDArray[np.uint8]:
    random = np.random.default_rng(3)
    return random.integers(0, 256, (count, *contract.pixel_shape), dtype=np.uint8)


RGB = InputContract(5, 7, mean=(0.49, 0.48, 0.45), std=(0.24, 0.25, 0.26))
NHWC = InputContract(5, 7, color="bgr", mean=(1, 2, 3), std=(4, 5, 6), layout="nhwc")
GRAY = InputContract(6, 4, color="gray", scale=1.0, mean=(127.5,), std=(127.5,))


@pytest.mark.parametrize("contract", [RGB, GRAY, NHWC], ids=["rgb", "gray", "nhwc"])
@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_the_graph_normalises_bit_for_bit_as_numpy_does(
    contract: InputContract, count: int
) -> None:
    model = prefix.put_preprocessing_in_front(identity_core(contract), contract)
    images = pictures(contract, count)
    np.testing.assert_array_equal(run(model, pixels=images), normalise(contract, images))


@settings(max_examples=20, deadline=None)
@given(
    mean=st.tuples(*[st.floats(0, 1)] * 3),
    std=st.tuples(*[st.floats(0.05, 2)] * 3),
    scale=st.sampled_from([1 / 255, 1.0, 1 / 128]),
)
def test_the_graph_is_close_to_the_formula_in_float64(
    mean: tuple[float, ...], std: tuple[float, ...], scale: float
) -> None:
    contract = InputContract(3, 4, mean=mean, std=std, scale=scale)
    images = pictures(contract, 2)
    exact = ((images * scale - mean) / np.array(std)).transpose(0, 3, 1, 2)
    model = prefix.put_preprocessing_in_front(identity_core(contract), contract)
    largest = float(np.abs(exact).max() + max(np.array(mean) / std))
    np.testing.assert_allclose(run(model, pixels=images), exact, atol=4e-7 * largest)


def test_the_input_is_pixels_in_uint8_nhwc_with_an_open_batch() -> None:
    model = prefix.put_preprocessing_in_front(identity_core(RGB), RGB)
    [pixels] = model.graph.inputs
    assert (pixels.name, str(pixels.dtype), str(pixels.shape)) == ("pixels", "UINT8", "[N,5,7,3]")
    steps = [node for node in model.graph if (node.name or "").startswith("edgecnn/")]
    assert [node.op_type for node in steps] == [
        "Reshape",
        "Cast",
        "Mul",
        "Sub",
        "Reshape",
        "Transpose",
    ]


def test_a_static_batch_stays_static() -> None:
    model = prefix.put_preprocessing_in_front(identity_core(RGB, batch=4), RGB)
    assert str(model.graph.inputs[0].shape) == "[4,5,7,3]"
    images = pictures(RGB, 4)
    np.testing.assert_array_equal(run(model, pixels=images), normalise(RGB, images))


@pytest.mark.parametrize("batch", ["N", 2])
@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_taking_it_off_gives_the_core_back_to_the_byte(
    tiny_net: Any, precision: str, batch: int | str
) -> None:
    content = tiny_net.onnx(precision, preprocessing=False, batch=batch)
    core = clean.clean(clean.from_bytes(content, where="the tiny net"))
    contract = InputContract(8, 8)
    front = prefix.put_preprocessing_in_front(core, contract)
    stored = clean.from_bytes(clean.to_bytes(front), where="the front")
    assert clean.to_bytes(prefix.float_core(stored)) == clean.to_bytes(core)


def test_the_core_that_was_given_is_left_as_it_is() -> None:
    core = identity_core(RGB)
    before = clean.to_bytes(core)
    front = prefix.put_preprocessing_in_front(core, RGB)
    kept = clean.to_bytes(front)
    prefix.float_core(front)
    assert clean.to_bytes(core) == before
    assert clean.to_bytes(front) == kept


@pytest.mark.parametrize(
    "contract",
    [InputContract(5, 8), InputContract(5, 7, color="gray", mean=(0.0,), std=(1.0,))],
    ids=["size", "colour"],
)
def test_another_input_than_the_contract_says_is_refused(contract: InputContract) -> None:
    with pytest.raises(ModelError, match="cannot be put in front"):
        prefix.put_preprocessing_in_front(identity_core(RGB), contract)


def test_preprocessing_goes_in_front_once() -> None:
    front = prefix.put_preprocessing_in_front(identity_core(RGB), RGB)
    with pytest.raises(ModelError, match="cannot be put in front"):
        prefix.put_preprocessing_in_front(front, RGB)


def test_what_has_no_preprocessing_cannot_lose_it() -> None:
    with pytest.raises(ModelError, match="no preprocessing"):
        prefix.float_core(identity_core(RGB))
