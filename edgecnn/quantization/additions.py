"""Residual additions that every CPU rounds alike.

An int8 addition rounds `a * r + b * s`, where r and s are ratios of scales. CPUs compute that in
float with and without a fused multiply-add, or in integers, and round halves to even or away from
zero: a sum that lies at a half, or as near as these differ, comes out differently. Where r and s
are fractions over one odd number q, every sum lies at least `1 / (2 * q)` away from a half, which
is more than any of these ways errs by. To make them so, the scales of what is added grow by a few
thousandths.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import onnx_ir as ir
    from numpy.typing import NDArray

_LARGEST_GROWTH = 0.03
_LEAST_DENOMINATOR = 101
# What any of the ways errs by at the most: six roundings of float32 sums near 512, or two ratios
# of 22 bits times 255.
_ERROR = 4e-4


@dataclass(frozen=True)
class Scale:
    """How a tensor is quantized: `value = scale * (number - zero_point)`.

    Attributes:
        scale: The value of one step.
        zero_point: The number that stands for 0.
        lowest: The smallest number: 0 for uint8, -128 for int8.
    """

    scale: float
    zero_point: int
    lowest: int = 0


def is_even(a: Scale, b: Scale, c: Scale) -> bool:
    """Say whether every CPU rounds a sum of two 8-bit numbers alike, by trying all 65,536.

    Args:
        a: The first summand's.
        b: The second's.
        c: The sum's.
    """
    import numpy as np

    numbers = np.arange(256, dtype=np.float64)
    first = (numbers + a.lowest - a.zero_point) * _ratio(a, c)
    second = (numbers + b.lowest - b.zero_point) * _ratio(b, c)
    sums = first[:, None] + second[None, :] + c.zero_point - c.lowest
    seen = sums[(sums > -1) & (sums < 256)]
    from_half = np.abs(seen - np.floor(seen) - 0.5)
    return bool((from_half > _error([_ratio(a, c), _ratio(b, c)])).all())


def even_scales(model: ir.Model) -> dict[str, Scale]:
    """Find scales with which every CPU rounds a model's additions alike.

    Args:
        model: A QDQ model.

    Returns:
        New scales by the names of the tensors; none for an addition that cannot be made even
        without growing a scale by more than three in a hundred.
    """
    found: dict[str, Scale] = {}
    fixed: set[str] = set()
    # From the last to the first: what is a summand of one addition is the sum of one before it.
    for node in reversed(list(model.graph)):
        tensors = _tensors(node)
        if tensors is None:
            continue
        (a, scale_a), (b, scale_b), (c, scale_c) = tensors
        total = found.get(c, scale_c)
        summands = {a: found.get(a, scale_a), b: found.get(b, scale_b)}
        grown = None if fixed & {a, b} else _grow(summands, total)
        fixed |= {a, b, c}
        if grown is not None:
            found |= grown
    return found


def _grow(summands: dict[str, Scale], total: Scale) -> dict[str, Scale] | None:
    targets = [_ratio(each, total) for each in summands.values()]
    best, growth = 0, math.inf
    for q in range(_LEAST_DENOMINATOR, int(0.4 / _error(targets)), 2):
        worst = max(math.ceil(q * target - 1e-6) / (q * target) - 1 for target in targets)
        if worst < growth:
            best, growth = q, worst
    if growth > _LARGEST_GROWTH:
        return None
    return {
        name: replace(each, scale=total.scale * math.ceil(best * target - 1e-6) / best)
        for (name, each), target in zip(summands.items(), targets, strict=True)
    }


def _error(ratios: list[float]) -> float:
    return _ERROR * max(1.0, sum(ratios))


def _ratio(part: Scale, whole: Scale) -> float:
    return part.scale / whole.scale


def _tensors(node: ir.Node) -> list[tuple[str, Scale]] | None:
    """Give the names and scales of an addition's summands and sum; None if it is not quantized."""
    if node.op_type != "Add":
        return None
    sources = [value.producer() if value is not None else None for value in node.inputs]
    consumers = [consumer for consumer, _ in node.outputs[0].uses()]
    steps = [*sources, consumers[0] if len(consumers) == 1 else None]
    kinds = ["DequantizeLinear", "DequantizeLinear", "QuantizeLinear"]
    found = []
    for step, kind in zip(steps, kinds, strict=True):
        if step is None or step.op_type != kind:
            return None
        scale, zero_point = (_constant(value) for value in step.inputs[1:3])
        if scale is None or zero_point is None or scale.size != 1:
            return None
        name = str(step.inputs[1].name).removesuffix("_scale")  # type: ignore[union-attr]
        lowest = -128 if zero_point.dtype.kind == "i" else 0
        found.append((name, Scale(float(scale), int(zero_point), lowest)))
    return found


def _constant(value: ir.Value | None) -> NDArray[Any] | None:
    return None if value is None or value.const_value is None else value.const_value.numpy()
