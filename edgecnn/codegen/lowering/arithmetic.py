"""Add, Sub, Mul, Div and PRelu: two tensors, one of which may be constant or repeated."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgecnn.codegen.lowering.broadcasting import pair, repeats_first
from edgecnn.codegen.lowering.rules import lowers
from edgecnn.codegen.lowering.unary import lower_as_table
from edgecnn.codegen.lowering.values import Scale, Source, Target

if TYPE_CHECKING:
    import onnx_ir as ir

    from edgecnn.codegen.lowering.state import Lowering

_IN_BYTES = ("Add", "Mul")
# Up to it, round_even (common.h) rounds. Only scales that no quantizer would choose reach it.
_ROUNDED = 1 << 22


@lowers("Add", "Sub", "Mul", "Div", "PRelu")
def lower_pair(lower: Lowering, node: ir.Node) -> None:
    """Compute with the numbers of two tensors."""
    if lower_as_table(lower, node):
        return
    target = lower.target(node)
    if node.op_type in _IN_BYTES and target.scale is not None and _are_bytes(lower, node):
        scales = [lower.at_hand(value).scale for value in node.inputs]
        if _largest(node, [each for each in (*scales, target.scale) if each]) < _ROUNDED:
            _lower_bytes(lower, node, target)
            return
    first, second = (lower.floats(value) for value in node.inputs)
    both = pair(lower, node, first, second, lower.shape(target.values[0]))
    made = lower.tensor(target, number="float32", picture=both.picture)
    shape = both.sizes | {"low": target.low, "high": target.high}
    lower.add(node, f"{node.op_type.lower()}_f32", (both.first, both.second), made, shape=shape)
    lower.finish(node, target, made)


def _are_bytes(lower: Lowering, node: ir.Node) -> bool:
    """Say whether ONNX Runtime computes with bytes: it holds signed ones as unsigned, as we do.

    Signed constants stay signed, and then it has two kinds of bytes and computes with floats.
    """
    for value in node.inputs:
        given = value.producer() if value is not None else None
        constant = lower.constant(given.inputs[0]) if given is not None else None
        if constant is not None and constant.dtype == np.int8:
            return False
    return all(lower.at_hand(value).scale is not None for value in node.inputs)


def _largest(node: ir.Node, scales: list[Scale]) -> float:
    """Give what no result exceeds, in steps of the output, before it is clipped to a byte."""
    first, second, out = (each.scale for each in scales)
    if node.op_type == "Add":
        return 512 * (first + second) / out + 256
    return 65536 * first * second / out + 256


def _lower_bytes(lower: Lowering, node: ir.Node, target: Target) -> None:
    shape = lower.shape(target.values[0])
    first, second = (lower.source(value) for value in node.inputs)
    if repeats_first(first.tensor.shape, shape):
        first, second = second, first
    both = pair(lower, node, first.tensor, second.tensor, shape)
    made = lower.tensor(target, picture=both.picture)
    low, high = target.byte_range
    scales = _scale(first), _scale(second), _scale(target)
    numbers = _of_sum(*scales) if node.op_type == "Add" else _of_product(*scales)
    sizes = both.sizes | numbers | {"low": low, "high": high}
    lower.add(node, f"{node.op_type.lower()}_u8", (both.first, both.second), made, shape=sizes)
    lower.give(target, made)


def _of_sum(first: Scale, second: Scale, out: Scale) -> dict[str, float]:
    """Give the numbers of ONNX Runtime's QLinearAdd, in its order.

    MlasQLinearAddKernelAvx2Helper (qladd_avx2.cpp) adds the second product to the constant, then
    the first, and its compiler makes one rounding of each product with its sum, even of the zero
    points'. Where the first tensor is one number that is repeated, the two have changed places.
    """
    step = np.float32(out.scale)
    factors = [np.float32(each.scale) / step for each in (first, second)]
    zeros = [each.zero for each in (first, second)]
    shift = np.float32(
        np.float64(factors[0]) * zeros[0] + np.float64(factors[1] * np.float32(zeros[1]))
    )
    constant = np.float32(out.zero) - shift
    return {
        "in_factor": float(factors[0]),
        "other_factor": float(factors[1]),
        "constant": float(constant),
    }


def _of_product(first: Scale, second: Scale, out: Scale) -> dict[str, float]:
    """Give the numbers of ONNX Runtime's QLinearMul, in its order (MlasQLinearMulKernel)."""
    factor = np.float32(first.scale) * np.float32(second.scale) / np.float32(out.scale)
    return {
        "in_zero": first.zero,
        "other_zero": second.zero,
        "zero": float(out.zero),
        "factor": float(factor),
    }


def _scale(what: Source | Target) -> Scale:
    assert what.scale is not None
    return what.scale
