"""Which scheme is chosen, what is said of it, and what a symmetric file holds."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import numpy_helper

from edgecnn.graph import clean
from edgecnn.machine import this_machine
from edgecnn.quantization.additions import _tensors, is_even
from edgecnn.quantization.choosing import choose_scheme, variant_name
from edgecnn.quantization.cpus import CPUS, parse_cpus
from edgecnn.quantization.making import quantize_core
from edgecnn.quantization.plan import Plan
from edgecnn.quantization.safety import optimised
from edgecnn.quantization.schemes import SAFE, SCHEMES, find_scheme
from tests.conftest import CONTRACT, TinyNet
from tests.quantization.test_additions import TO_LOGITS, build


@pytest.mark.parametrize(
    ("fleet", "scheme"),
    [
        ("vnni", "u8s8"),
        ("vnni,amx,arm64,arm64-dot", "u8s8"),
        ("avx2", SAFE.name),
        ("vnni,nehalem", SAFE.name),
        ("any", SAFE.name),
    ],
)
def test_all_8_bits_where_every_cpu_is_exact_and_bounded_weights_elsewhere(
    fleet: str, scheme: str
) -> None:
    choice = choose_scheme(parse_cpus(fleet))
    assert (choice.scheme.name, choice.at_risk) == (scheme, ())
    assert choice.reason.startswith(f"{scheme}: ")
    assert choice.fleet == tuple(cpu.name for cpu in parse_cpus(fleet))


@pytest.mark.parametrize(
    ("scheme", "fleet", "at_risk", "said"),
    [
        ("u8s8", "avx2,vnni,avx512", ("avx2", "avx512"), "On avx2 and avx512 sums of two"),
        ("u8s8", "vnni", (), "asked for"),
        ("s8s8", "avx2,arm64", ("avx2",), "1.4 to 1.6 times fp32's time"),
        ("u8u8", "any", (), "no VNNI kernel"),
        (SAFE.name, "any", (), "asked for"),
    ],
)
def test_a_named_scheme_is_taken_and_what_it_risks_and_costs_is_said(
    scheme: str, fleet: str, at_risk: tuple[str, ...], said: str
) -> None:
    choice = choose_scheme(parse_cpus(fleet), find_scheme(scheme))
    assert (choice.scheme.name, choice.at_risk) == (scheme, at_risk)
    assert said in choice.reason


@pytest.mark.parametrize(
    ("source", "scheme", "expected"),
    [
        ("fp32", SAFE.name, "int8"),
        ("fp32", "u8s8", "int8-u8s8"),
        ("fp32-nchw", "s8s8", "int8-s8s8-nchw"),
        ("mine", SAFE.name, "mine-int8"),
    ],
)
def test_only_what_is_safe_everywhere_is_called_int8_alone(
    source: str, scheme: str, expected: str
) -> None:
    assert variant_name(source, find_scheme(scheme)) == expected


def test_the_default_is_safe_on_all() -> None:
    assert choose_scheme().scheme == SAFE == Plan().scheme
    assert choose_scheme().fleet == tuple(cpu.name for cpu in CPUS)


MANY_OPERATORS = """
<ir_version: 8, opset_import: ["" : 18]>
net (float[N,3,8,8] image) => (float[N,4] y) <float zero = {0.0}, float six = {6.0}> {
    a = Conv<kernel_shape=[3,3], pads=[1,1,1,1]>(image, w, b)
    clipped = Clip(a, zero, six)
    gate = Sigmoid(a)
    gated = Mul(clipped, gate)
    shifted = Add(gated, c)
    both = Concat<axis=1>(shifted, clipped)
    rectified = Relu(both)
    pooled = MaxPool<kernel_shape=[2,2], strides=[2,2]>(rectified)
    mean = GlobalAveragePool(pooled)
    flat = Flatten(mean)
    z = Gemm<transB=1>(flat, matrix, bias)
    y = Softmax(z)
}
"""
SHAPES = {"w": (4, 3, 3, 3), "b": (4,), "c": (1, 4, 1, 1), "matrix": (4, 8), "bias": (4,)}


@pytest.fixture(scope="module")
def symmetric(tiny_net: TinyNet) -> ir.Model:
    """Give a net of many operators in the symmetric scheme."""
    random = np.random.default_rng(5)
    proto = onnx.parser.parse_model(MANY_OPERATORS)
    proto.graph.initializer.extend(
        numpy_helper.from_array(random.normal(0, 0.5, shape).astype(np.float32), name)
        for name, shape in SHAPES.items()
    )
    core = clean.clean(clean.from_bytes(proto.SerializeToString(), where="the net"))
    return quantize_core(core, CONTRACT, tiny_net.images[:40], Plan(scheme=SCHEMES["s8s8"]))


def test_symmetric_files_hold_int8_around_zero_and_biases_of_32_bits(symmetric: ir.Model) -> None:
    kinds = set()
    for node in symmetric.graph:
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            zero = node.inputs[2]
            assert zero is not None
            assert zero.const_value is not None
            assert not zero.const_value.numpy().any()
            kinds.add(zero.const_value.numpy().dtype)
    assert kinds == {np.dtype(np.int8), np.dtype(np.int32)}


def test_symmetric_weights_have_8_bits_per_channel(symmetric: ir.Model) -> None:
    for name in ("w", "matrix"):
        value = symmetric.graph.initializers[f"{name}_quantized"].const_value
        assert value is not None
        numbers = np.abs(value.numpy().astype(int))
        assert (numbers.reshape(len(numbers), -1).max(axis=1) == 127).all()


def test_additions_of_symmetric_files_are_rounded_alike_everywhere(tiny_net: TinyNet) -> None:
    core, plan = build("float[N,4] logits", TO_LOGITS), Plan(scheme=SCHEMES["s8s8"])
    model = quantize_core(core, CONTRACT, tiny_net.images[:40], plan)
    additions = [scales for scales in map(_tensors, model.graph) if scales]
    assert len(additions) == 2
    for summands in additions:
        assert is_even(*(scale for _, scale in summands))
        assert all((each.zero_point, each.lowest) == (0, -128) for _, each in summands)


@pytest.mark.skipif(this_machine().architecture in ("aarch64", "arm64"), reason="needs x86")
def test_on_x86_symmetric_activations_are_multiplied_as_unsigned(symmetric: ir.Model) -> None:
    # Which is why they saturate as any other: 128 is added to each.
    graph = optimised(clean.to_bytes(symmetric)).graph
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    products = [node for node in graph.node if node.op_type in ("QLinearConv", "QGemm")]
    assert products
    for node in products:
        assert constants[node.input[2]].dtype == np.uint8
        assert constants[node.input[2]] == 128
