"""Rounding that lets gradients through: what int8 does to a tensor, computed in float.

The gradient passes rounding unchanged and stops where a value is cut off (Y. Bengio et al., 2013);
a scale's gradient is that of LSQ (S. Esser et al., Learned Step Size Quantization, ICLR 2020).
"""

from __future__ import annotations

from typing import Any

import torch


class _Rounded(torch.autograd.Function):
    """One scale for the whole tensor; made by PyTorch's own kernel, which is one pass."""

    @staticmethod
    def forward(
        context: Any,
        x: torch.Tensor,
        scale: torch.Tensor,
        zero_point: torch.Tensor,
        low: int,
        high: int,
    ) -> torch.Tensor:
        """Round to `scale * (number - zero_point)` with numbers from low to high."""
        y = torch.fake_quantize_per_tensor_affine(x, scale, zero_point, low, high)
        context.save_for_backward(x, y, scale, zero_point)
        context.ends = low, high
        return y

    @staticmethod
    def backward(
        context: Any, gradient: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, None, None, None]:
        """Give the gradients of x and of the scale."""
        x, y, scale, zero_point = context.saved_tensors
        low, high = context.ends
        inside = (x >= (low - zero_point) * scale) & (x <= (high - zero_point) * scale)
        through = gradient * inside
        # LSQ: inside, dy/ds is the rounding error in steps; outside, the number cut off at.
        steps = (gradient * y).sum() - (through * x).sum()
        return through, steps / scale, None, None, None


def round_activations(
    x: torch.Tensor, scale: torch.Tensor, zero_point: torch.Tensor, low: int, high: int
) -> torch.Tensor:
    """Round a tensor as QuantizeLinear and DequantizeLinear do.

    Args:
        x: float32, of any shape.
        scale: float32, one number.
        zero_point: int32, one number.
        low: The least integer.
        high: The largest.
    """
    rounded: torch.Tensor = _Rounded.apply(x, scale, zero_point, low, high)
    return rounded


def round_weights(
    weights: torch.Tensor, scale: torch.Tensor, zero_point: torch.Tensor, low: int, high: int
) -> torch.Tensor:
    """Round weights; the scale and zero point have a shape that spreads over theirs."""
    return (to_integers(weights, scale, zero_point, low, high) - zero_point) * scale


def to_integers(
    weights: torch.Tensor, scale: torch.Tensor, zero_point: torch.Tensor, low: int, high: int
) -> torch.Tensor:
    """Give the integers that weights become, as floats."""
    steps = (weights / scale + zero_point).clamp(low, high)
    return steps + (steps.round() - steps).detach()
