"""What ONNX Runtime makes of a float operator with weights between Dequantize- and QuantizeLinear.

Sums are 32-bit integers; the factor of a channel is `input scale * weight scale / output scale`,
each step rounded to float32 (QLinearConv, QGemm).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edgecnn.codegen.lowering.refusing import unsupported

if TYPE_CHECKING:
    import onnx_ir as ir
    from numpy.typing import NDArray

    from edgecnn.codegen.lowering.state import Lowering
    from edgecnn.codegen.lowering.values import Source, Target


@dataclass(frozen=True, eq=False)
class Folded:
    """An operator with weights, in integers.

    Attributes:
        source: Its input.
        target: What becomes of its output.
        weights: int8, output channels first.
        bias: int32 [channels], with the zero point of the input taken off.
        factor: float32 [channels], what a sum is multiplied by.
    """

    source: Source
    target: Target
    weights: NDArray[np.int8]
    bias: NDArray[np.int32]
    factor: NDArray[np.float32]

    def ending(self, kernel: str) -> tuple[str, dict[str, int | float]]:
        """Give the kernel, by what it ends in, and the numbers of its end."""
        if self.target.scale is None:
            return f"{kernel}_f32", {"low": self.target.low, "high": self.target.high}
        zero = self.target.scale.zero
        low, high = self.target.byte_range
        return kernel, {"zero": zero, "low": float(low - zero), "high": float(high - zero)}


def fold(
    lower: Lowering,
    node: ir.Node,
    source: Source,
    given: tuple[NDArray[Any], NDArray[Any] | None, Any],
    target: Target,
) -> Folded:
    """Fold scales and zero points of an operator whose input and weights are quantized.

    Args:
        lower: The graph.
        node: A Conv or Gemm.
        source: Its input.
        given: Its weights, output channels first, with their scales and zero points.
        target: What becomes of its output.

    Raises:
        ModelError: It cannot be computed in integers alone.
    """
    numbers, scales, zero = given
    assert scales is not None
    assert source.scale is not None
    weights = _signed(node, numbers, np.asarray(zero))
    channels = len(weights)
    steps = np.broadcast_to(np.float32(source.scale.scale) * scales.astype(np.float32), (channels,))
    bias = _bias(lower, node, channels, steps)
    sums = weights.reshape(channels, -1).sum(axis=1, dtype=np.int64)
    factor = steps if target.scale is None else steps / np.float32(target.scale.scale)
    return Folded(
        source,
        target,
        weights,
        (bias - source.scale.zero * sums).astype(np.int32),
        np.ascontiguousarray(factor.astype(np.float32)),
    )


def _signed(node: ir.Node, numbers: NDArray[Any], zero: NDArray[Any]) -> NDArray[np.int8]:
    """Give weights as signed bytes around zero; unsigned ones around 128 are that, too."""
    middle = 128 if numbers.dtype == np.uint8 else 0
    if numbers.dtype not in (np.uint8, np.int8) or (zero != middle).any():
        raise unsupported(node, "whose weights have a zero point of their own")
    return (numbers.astype(np.int16) - middle).astype(np.int8)


def _bias(
    lower: Lowering, node: ir.Node, channels: int, steps: NDArray[np.float32]
) -> NDArray[np.int64]:
    value = node.inputs[2] if len(node.inputs) > 2 else None
    if value is None:
        return np.zeros(channels, np.int64)
    numbers, scales, _ = lower.weights(value)
    if numbers.dtype == np.int32 and scales is not None:
        return np.broadcast_to(numbers.reshape(-1).astype(np.int64), (channels,))
    floats = numbers.reshape(-1).astype(np.float32)
    return np.asarray(np.rint(np.broadcast_to(floats, (channels,)) / steps), np.int64)
