"""Constant weights of an operator, as floats."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edgecnn.codegen.lowering.attributes import number

if TYPE_CHECKING:
    import onnx_ir as ir
    from numpy.typing import NDArray

    from edgecnn.codegen.lowering.state import Lowering


def is_constant(lower: Lowering, value: ir.Value | None) -> bool:
    """Say whether a value is a constant, or one behind a DequantizeLinear."""
    if value is None:
        return False
    node = value.producer()
    if node is not None and node.op_type == "DequantizeLinear":
        value = node.inputs[0]
    return lower.constant(value) is not None


def float_weights(lower: Lowering, value: ir.Value | None) -> NDArray[np.float32]:
    """Give constants as floats, dequantized with the scales of their axis.

    Raises:
        ModelError: They are computed.
    """
    numbers, scales, zero = lower.weights(value)
    if scales is None:
        return numbers.astype(np.float32)
    shape = [1] * numbers.ndim
    if scales.size > 1:
        shape[scale_axis(value, numbers)] = scales.size
    zeros = np.broadcast_to(np.asarray(zero).reshape(-1), scales.shape).reshape(shape)
    whole = numbers.astype(np.int32) - zeros.astype(np.int32)
    return np.asarray(whole * scales.reshape(shape), np.float32)


def scale_axis(value: ir.Value | None, numbers: NDArray[Any]) -> int:
    """Give the axis along which weights have scales of their own."""
    node = value.producer() if value is not None else None
    axis = 1 if node is None else number(node, "axis", 1)
    return axis % max(numbers.ndim, 1)


def has_scales_along(
    value: ir.Value | None, numbers: NDArray[Any], scales: NDArray[Any] | None, axis: int
) -> bool:
    """Say whether weights have one scale, or one for each channel of an axis."""
    return scales is None or scales.size == 1 or scale_axis(value, numbers) == axis
