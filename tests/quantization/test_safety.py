"""What is promised on CPUs that are not at hand."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from edgecnn.graph import clean
from edgecnn.quantization.safety import LARGEST_INT16, as_it_runs, largest_pair_sums
from tests.conftest import TinyNet

HEAD = '<ir_version: 8, opset_import: ["" : 18]>'
SCALES = "float one = {1.0}, uint8 zero = {0}, int8 signed_zero = {0}"


def model(body: str, constants: str, x: str, y: str) -> ir.Model:
    text = f"{HEAD} net (float[{x}] x) => (float[{y}] y) <{SCALES}, {constants}> {{ {body} }}"
    return ir.from_onnx_text(text)


def test_the_pair_sum_of_a_convolution_is_worked_out_by_hand() -> None:
    # Channel 0: 40 and 30 meet, 60 meets none; channel 1: 3 and -2 do not add up, -64 meets none.
    found = largest_pair_sums(
        model(
            "d = DequantizeLinear(w, one, signed_zero)  y = Conv(x, d)",
            "int8[2,3,1,1] w = {40, 30, 60, 3, -2, -64}",
            "N,3,4,4",
            "N,2,4,4",
        )
    )
    assert list(found.values()) == [255 * 70]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        # Rows are inputs, columns are output channels: (1, 3, 5) and (2, -4, 6).
        ("y = MatMul(x, d)", 255 * 6),
        ("y = Gemm(x, d)", 255 * 6),
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
                f"int8[2,1] w = {{{largest}, {largest}}}",
                "N,2",
                "N,1",
            )
        )
        return max(found.values())

    assert worst(64) == 32_640 <= LARGEST_INT16
    assert worst(65) > LARGEST_INT16
    assert worst(-128) == 255 * 256


@pytest.mark.parametrize(
    "layer",
    [
        "d = DequantizeLinear(w, one, signed_zero)  y = Conv<group=2>(x, d)",  # depthwise
        "d = DequantizeLinear(u, one, zero)  y = Conv(x, d)",  # unsigned weights
    ],
)
def test_what_is_exact_everywhere_is_left_out(layer: str) -> None:
    weights = "int8[2,1,1,2] w = {127, 127, 127, 127}, uint8[1,2,1,1] u = {255, 255}"
    assert largest_pair_sums(model(layer, weights, "N,2,4,4", "N,M,H,W")) == {}


def test_int8_activations_saturate_as_well() -> None:
    layer = """a = QuantizeLinear(x, one, signed_zero)  b = DequantizeLinear(a, one, signed_zero)
        d = DequantizeLinear(w, one, signed_zero)  y = MatMul(b, d)"""
    found = largest_pair_sums(model(layer, "int8[2,1] w = {100, 100}", "N,2", "N,1"))
    assert list(found.values()) == [255 * 200]


def test_the_bound_is_the_instruction_s() -> None:
    # vpmaddubsw: two products of an unsigned and a signed byte, added in 16 bits with saturation.
    pixels = np.array([255, 255], np.int64)
    for weights in ([64, 64], [64, 65], [127, 127], [-64, -64], [-128, -128]):
        exact = int((pixels * weights).sum())
        saturates = not -32_768 <= exact <= 32_767
        assert saturates == (255 * sum(map(abs, weights)) > LARGEST_INT16)


def test_float_weights_make_no_promise_and_need_none(core: ir.Model) -> None:
    assert largest_pair_sums(core) == {}
    assert as_it_runs(clean.to_bytes(core)).floating == ("all",)


def quantized_chain(middle: str, ending: str = "y = DequantizeLinear(c, one, zero)") -> bytes:
    body = (
        "a = QuantizeLinear(x, one, zero)  af = DequantizeLinear(a, one, zero)"
        f"  {middle}  c = QuantizeLinear(m, one, zero)  {ending}"
    )
    return clean.to_bytes(model(body, "int64[2] shape = {-1, 48}", "N,3,4,4", "N,_"))


@pytest.mark.parametrize(
    "middle", ["m = MaxPool<kernel_shape=[2,2]>(af)", "m = Reshape(af, shape)", "m = Flatten(af)"]
)
def test_what_only_picks_or_moves_is_the_same_everywhere(middle: str) -> None:
    assert as_it_runs(quantized_chain(middle)).same_everywhere


def test_what_runs_in_float_between_integers_is_named() -> None:
    assert "Erf" in as_it_runs(quantized_chain("m = Erf(af)")).floating
    ending = "d = DequantizeLinear(c, one, zero)  y = Softmax(d)"
    assert "Softmax" in as_it_runs(quantized_chain("m = Reshape(af, shape)", ending)).floating


def test_integer_operators_that_cpus_round_differently_are_named() -> None:
    found = as_it_runs(quantized_chain("m = Sigmoid(af)"))
    assert (found.floating, found.uneven) == ((), ("QLinearSigmoid",))
    assert not found.same_everywhere


@pytest.mark.parametrize(("scale", "uneven"), [("2.0", ("QLinearAdd",)), ("2.01", ())])
def test_additions_are_even_or_named(scale: str, uneven: tuple[str, ...]) -> None:
    # Halves of two numbers meet a half again and again; 100 / 201 of them never do.
    body = (
        "a = QuantizeLinear(x, one, zero)  af = DequantizeLinear(a, one, zero)"
        "  m = MaxPool<kernel_shape=[1,1]>(af)  b = QuantizeLinear(m, one, zero)"
        "  bf = DequantizeLinear(b, one, zero)  n = Add(af, bf)"
        "  c = QuantizeLinear(n, other, zero)  y = DequantizeLinear(c, other, zero)"
    )
    added = model(body, f"float other = {{{scale}}}", "N,3,4,4", "N,3,4,4")
    assert as_it_runs(clean.to_bytes(added)).uneven == uneven


def test_operators_are_counted_as_they_run(tiny_net: TinyNet) -> None:
    # Conv and Relu become one.
    written = len(clean.from_bytes(tiny_net.onnx(preprocessing=False), where="it").graph)
    assert 3 <= as_it_runs(tiny_net.onnx(preprocessing=False)).operators <= written + 2
