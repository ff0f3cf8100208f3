"""What is promised on CPUs that are not at hand."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from edgecnn.graph import clean
from edgecnn.quantization.safety import (
    LARGEST_INT16,
    float_operators,
    largest_pair_sums,
    operator_count,
)
from tests.conftest import TinyNet

HEAD = '<ir_version: 8, opset_import: ["" : 18]>'
SCALES = "float one = {1.0}, uint8 zero = {0}, int8 signed_zero = {0}"


def model(body: str, constants: str, x: str, y: str) -> ir.Model:
    text = f"{HEAD} net (float[{x}] x) => (float[{y}] y) <{SCALES}, {constants}> {{ {body} }}"
    return ir.from_onnx_text(text)


def test_the_pair_sum_of_a_convolution_is_worked_out_by_hand() -> None:
    # Channel 0: the two largest of |5, -7, 1| make 255 * 12; channel 1: 255 * (64 + 3).
    found = largest_pair_sums(
        model(
            "d = DequantizeLinear(w, one, signed_zero)  y = Conv(x, d)",
            "int8[2,3,1,1] w = {5, -7, 1, 3, 2, -64}",
            "N,3,4,4",
            "N,2,4,4",
        )
    )
    assert list(found.values()) == [255 * 67]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        # Rows are inputs, columns are output channels: (1, 3, 5) and (2, -4, 6).
        ("y = MatMul(x, d)", 255 * 10),
        ("y = Gemm(x, d)", 255 * 10),
        # Transposed, rows are output channels: (1, 2), (3, -4) and (5, 6).
        ("y = Gemm<transB=1>(z, d)", 255 * 11),
    ],
)
def test_the_pair_sum_runs_over_what_one_output_adds_up(body: str, expected: int) -> None:
    found = largest_pair_sums(
        model(
            f"d = DequantizeLinear(w, one, signed_zero)  z = Neg(x)  {body}",
            "int8[3,2] w = {1, 2, 3, -4, 5, 6}",
            "N,3",
            "N,2",
        )
    )
    assert list(found.values()) == [expected]


def test_seven_bits_are_safe_and_eight_are_not() -> None:
    def worst(largest: int) -> int:
        found = largest_pair_sums(
            model(
                "d = DequantizeLinear(w, one, signed_zero)  y = MatMul(x, d)",
                f"int8[2,1] w = {{{largest}, {-largest}}}",
                "N,2",
                "N,1",
            )
        )
        return max(found.values())

    assert worst(64) == 32_640 <= LARGEST_INT16
    assert worst(65) > LARGEST_INT16
    assert worst(-128) == 255 * 256


def test_the_bound_is_the_instruction_s() -> None:
    # vpmaddubsw: two products of an unsigned and a signed byte, added in 16 bits with saturation.
    pixels = np.array([255, 255], np.int64)
    for weights in ([64, 64], [64, 65], [127, 127], [-64, -64], [-128, -128]):
        exact = int((pixels * weights).sum())
        saturates = not -32_768 <= exact <= 32_767
        assert saturates == (255 * sum(map(abs, weights)) > LARGEST_INT16)


def test_float_weights_make_no_promise_and_need_none(core: ir.Model) -> None:
    assert largest_pair_sums(core) == {}
    assert float_operators(clean.to_bytes(core)) == ("all",)


def quantized_chain(middle: str, ending: str = "y = DequantizeLinear(c, one, zero)") -> bytes:
    body = (
        "a = QuantizeLinear(x, one, zero)  af = DequantizeLinear(a, one, zero)"
        f"  {middle}  c = QuantizeLinear(m, one, zero)  {ending}"
    )
    return clean.to_bytes(model(body, "int64[2] shape = {-1, 48}", "N,3,4,4", "N,_"))


def test_what_runs_in_float_between_integers_is_named() -> None:
    assert float_operators(quantized_chain("m = MaxPool<kernel_shape=[2,2]>(af)")) == ()
    assert float_operators(quantized_chain("m = Reshape(af, shape)")) == ()
    assert "Erf" in float_operators(quantized_chain("m = Erf(af)"))
    ending = "d = DequantizeLinear(c, one, zero)  y = Softmax(d)"
    assert "Softmax" in float_operators(quantized_chain("m = Reshape(af, shape)", ending))


def test_operators_are_counted_as_they_run(tiny_net: TinyNet) -> None:
    # Conv and Relu become one, Flatten stays.
    written = len(clean.from_bytes(tiny_net.onnx(preprocessing=False), where="it").graph)
    assert 3 <= operator_count(tiny_net.onnx(preprocessing=False)) <= written + 2
