"""What a QuantizeLinear or DequantizeLinear says of bytes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from edgecnn.codegen.lowering.refusing import unsupported
from edgecnn.codegen.lowering.values import Scale

if TYPE_CHECKING:
    import onnx_ir as ir
    from numpy.typing import NDArray


def constant_of(value: ir.Value | None) -> NDArray[Any] | None:
    """Give a constant's numbers; None of what is computed, or missing."""
    if value is None or value.const_value is None:
        return None
    return value.const_value.numpy()


def scale_of(node: ir.Node) -> Scale | None:
    """Read one scale and zero point for all; None where channels have their own.

    Raises:
        ModelError: They stand for something other than bytes, or no step between bytes is so long.
    """
    scale, zero = (
        constant_of(node.inputs[place]) if place < len(node.inputs) else None for place in (1, 2)
    )
    if scale is None or scale.size != 1 or (zero is not None and zero.size != 1):
        return None
    check_bytes(node)
    step, point = float(scale.item()), 0 if zero is None else int(zero.item())
    if not 0 < step < math.inf and constant_of(node.inputs[0]) is None:
        raise unsupported(node, f"whose scale is {step:g}, not a finite number above zero")
    return Scale(step, point + 128 * (_kind(node) == "INT8"))


def check_bytes(node: ir.Node) -> None:
    """Refuse a QuantizeLinear or DequantizeLinear of anything but bytes and constants."""
    kind = _kind(node)
    if kind not in ("UINT8", "INT8", "") and constant_of(node.inputs[0]) is None:
        raise unsupported(node, f"whose numbers are {kind.lower()}, not bytes")


def _kind(node: ir.Node) -> str:
    """Give ONNX's name for the numbers on the quantized side of a node; empty if nobody says."""
    value = (node.inputs if node.op_type == "DequantizeLinear" else node.outputs)[0]
    zero = node.inputs[2] if len(node.inputs) > 2 else None
    for each in (zero, value):
        if each is not None and each.dtype is not None:
            return each.dtype.name
    return ""
