"""How two tensors of different shapes meet: steps of 0 along axes that repeat.

Kernels for pairs go over rows, pixels and channels. Pictures are that already; of other tensors,
axes that repeat alike are one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgecnn.codegen.lowering.strided import PICTURE

if TYPE_CHECKING:
    import onnx_ir as ir

    from edgecnn.codegen.lowering.state import Lowering
    from edgecnn.codegen.program import Tensor

_LOOPS = 3
_MANY_ROWS = 3


@dataclass(frozen=True, eq=False)
class Pair:
    """Two tensors, ready for a kernel.

    Attributes:
        first: What the kernel has as `in`.
        second: What it has as `other`.
        sizes: The numbers in its struct that say how they meet.
        picture: The output lies as a picture.
    """

    first: Tensor
    second: Tensor
    sizes: dict[str, int | float]
    picture: bool


def pair(
    lower: Lowering, node: ir.Node, first: Tensor, second: Tensor, shape: tuple[int, ...]
) -> Pair:
    """Let two tensors meet in a shape, by ONNX's rules of broadcasting."""
    one, other = (_with_axes(lower, node, each, len(shape)) for each in (first, second))
    if len(shape) == len(PICTURE) and shape[0] == 1 and (one.picture or other.picture):
        one, other = (_widened(lower, node, lower.picture(e, node), shape) for e in (one, other))
        return Pair(one, other, _picture_sizes(one, other, shape), picture=True)
    one, other = (lower.plain(each, node) for each in (one, other))
    groups = _groups(one.shape, other.shape, shape)
    if len(groups) > _LOOPS:
        one, other = (_expanded(lower, node, each, shape) for each in (one, other))
        groups = [(math.prod(shape), True, True)]
    return Pair(one, other, _plain_sizes(groups), picture=False)


def repeats_first(first: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    """Say whether one number of the first tensor meets several of the second, one after another."""
    axes = [axis for axis, size in enumerate(shape) if size > 1]
    filled = (1,) * (len(shape) - len(first)) + first
    return not axes or filled[axes[-1]] == 1


def _with_axes(lower: Lowering, node: ir.Node, tensor: Tensor, count: int) -> Tensor:
    missing = count - len(tensor.shape)
    if not missing:
        return tensor
    strided = lower.layouts.strided(tensor).reshaped((1,) * missing + tensor.shape)
    assert strided is not None
    return lower.layouts.settled(lower.layouts.move(tensor.name, strided), node)


def _widened(lower: Lowering, node: ir.Node, tensor: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Repeat one number for each channel along a row, once for all rows: loops are long then."""
    _, channels, height, width = shape
    if tensor.shape != (1, channels, 1, 1) or height < _MANY_ROWS or width == 1:
        return tensor
    strided = lower.layouts.strided(tensor).expanded((1, channels, 1, width))
    return lower.picture(lower.layouts.move(f"{tensor.name}/row", strided), node)


def _expanded(lower: Lowering, node: ir.Node, tensor: Tensor, shape: tuple[int, ...]) -> Tensor:
    strided = lower.layouts.strided(tensor).expanded(shape)
    return lower.plain(lower.layouts.move(f"{tensor.name}/expanded", strided), node)


def _picture_sizes(one: Tensor, other: Tensor, shape: tuple[int, ...]) -> dict[str, int | float]:
    _, channels, height, width = shape
    sizes: dict[str, int | float] = {"height": height, "width": width, "channels": channels}
    for name, each in (("in", one), ("other", other)):
        sizes[f"{name}_step"] = int(each.channels == channels)
        if each.width != width:
            sizes[f"{name}_pixel"] = 0
        if each.height != height:
            sizes[f"{name}_row"] = 0
    if all((each.width, each.channels) == (width, channels) for each in (one, other)):
        sizes |= {"width": 1, "channels": width * channels}
    return sizes


def _groups(
    one: tuple[int, ...], other: tuple[int, ...], shape: tuple[int, ...]
) -> list[tuple[int, bool, bool]]:
    """Give axes, as few as can be: how long, and which of the two has them."""
    groups: list[tuple[int, bool, bool]] = []
    for axis, size in enumerate(shape):
        if size == 1:
            continue
        has = (one[axis] == size, other[axis] == size)
        if groups and groups[-1][1:] == has:
            groups[-1] = (groups[-1][0] * size, *has)
        else:
            groups.append((size, *has))
    return groups


def _plain_sizes(groups: list[tuple[int, bool, bool]]) -> dict[str, int | float]:
    filled = [(1, True, True)] * (_LOOPS - len(groups)) + groups
    sizes: dict[str, int | float] = {}
    steps = {"in": 1, "other": 1, "out": 1}
    for (size, *has), loop in reversed(
        list(zip(filled, ("height", "width", "channels"), strict=True))
    ):
        sizes[loop] = size
        for name, whole in zip(steps, (*has, True), strict=True):
            step = steps[name] if whole else 0
            if name != "out" or loop != "channels":
                sizes[f"{name}_{_STEPS[loop]}"] = step
            steps[name] *= size if whole else 1
    return sizes


_STEPS = {"height": "row", "width": "pixel", "channels": "step"}
