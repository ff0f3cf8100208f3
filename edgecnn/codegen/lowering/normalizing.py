"""Normalisations that no convolution took in: BatchNormalization and LRN."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgecnn.codegen.lowering.attributes import number, real
from edgecnn.codegen.lowering.broadcasting import pair
from edgecnn.codegen.lowering.refusing import unsupported
from edgecnn.codegen.lowering.rules import lowers
from edgecnn.codegen.lowering.values import LARGEST, sizes_of
from edgecnn.codegen.program import Tensor

if TYPE_CHECKING:
    import onnx_ir as ir
    from numpy.typing import NDArray

    from edgecnn.codegen.lowering.state import Lowering
    from edgecnn.codegen.lowering.values import Target

_POWER = 0.75


@lowers("BatchNormalization")
def lower_batch_norm(lower: Lowering, node: ir.Node) -> None:
    """Scale and shift each channel."""
    constants = [lower.constant(value) for value in node.inputs[1:5]]
    if number(node, "training_mode", 0) or any(each is None for each in constants):
        raise unsupported(node, "whose means are computed, not constant")
    gain, shift, mean, variance = (np.asarray(each, np.float64) for each in constants)
    factor = gain / np.sqrt(variance + real(node, "epsilon", 1e-5))
    numbers = (factor.astype(np.float32), (shift - mean * factor).astype(np.float32))
    old, target = lower.floats(node.inputs[0]), lower.target(node)
    if not old.picture:
        _by_pairs(lower, node, old, target, numbers)
        return
    made = lower.tensor(target, like=old, number="float32")
    sizes = sizes_of(made) | {"low": target.low, "high": target.high}
    lower.add(node, "affine_f32", (old,), made, numbers, sizes)
    lower.finish(node, target, made)


def _by_pairs(
    lower: Lowering,
    node: ir.Node,
    old: Tensor,
    target: Target,
    numbers: tuple[NDArray[np.float32], NDArray[np.float32]],
) -> None:
    """Multiply, then add, with one number for each channel."""
    made = old
    for kernel, constant in zip(("mul_f32", "add_f32"), numbers, strict=True):
        shape = (len(constant),) + (1,) * (len(old.shape) - 2)
        other = Tensor(f"{node.name}/{kernel}", shape)
        lower.add(node, "constant_f32", (), other, (constant,), {"size": constant.size})
        both = pair(lower, node, made, other, old.shape)
        last = kernel == "add_f32"
        low, high = (target.low, target.high) if last else (-LARGEST, LARGEST)
        made = lower.tensor(target, number="float32", picture=both.picture)
        shape_of_kernel = both.sizes | {"low": low, "high": high}
        lower.add(node, kernel, (both.first, both.second), made, shape=shape_of_kernel)
    lower.finish(node, target, made)


@lowers("LRN")
def lower_lrn(lower: Lowering, node: ir.Node) -> None:
    """Divide each number by what the channels around it come to."""
    if real(node, "beta", _POWER) != _POWER:
        raise unsupported(node, f"whose power is {real(node, 'beta', _POWER)}, not {_POWER}")
    old, size = lower.picture(lower.floats(node.inputs[0]), node), number(node, "size", 1)
    target = lower.target(node, clip=False)
    made = lower.tensor(target, like=old, number="float32")
    sizes = sizes_of(made) | {
        "before": (size - 1) // 2,
        "behind": size - 1 - (size - 1) // 2,
        "bias": real(node, "bias", 1.0),
        "factor": real(node, "alpha", 1e-4) / size,
    }
    lower.add(node, "lrn_f32", (old,), made, shape=sizes)
    lower.finish(node, target, made)
