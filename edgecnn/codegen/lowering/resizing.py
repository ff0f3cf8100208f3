"""Resize and Upsample: a picture in another size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edgecnn.codegen.lowering.attributes import ints, number, text
from edgecnn.codegen.lowering.gathering import gathered
from edgecnn.codegen.lowering.moving import moving
from edgecnn.codegen.lowering.refusing import unsupported
from edgecnn.codegen.lowering.rules import lowers
from edgecnn.codegen.lowering.values import sizes_of

if TYPE_CHECKING:
    import onnx_ir as ir
    from numpy.typing import NDArray

    from edgecnn.codegen.lowering.state import Lowering

_ROWS, _COLUMNS, _PICTURE_AXES = 2, 3, 4


@dataclass(frozen=True, eq=False)
class Axis:
    """An axis on its way to another size.

    Attributes:
        old: Its size.
        new: Its size afterwards.
        scale: What ONNX computes places with; not always new / old.
    """

    old: int
    new: int
    scale: float


@lowers("Resize", "Upsample")
def lower_resize(lower: Lowering, node: ir.Node) -> None:
    """Take the nearest pixel, or a mixture of four."""
    mode = text(node, "mode", "nearest")
    if mode not in ("nearest", "linear"):
        raise unsupported(node, f"whose mode is {mode}, not nearest or linear")
    if number(node, "antialias", 0):
        raise unsupported(node, "which smooths before it makes smaller")
    axes = _axes(lower, node)
    if mode == "nearest":
        _lower_nearest(lower, node, axes)
    else:
        _lower_linear(lower, node, axes)


def _lower_nearest(lower: Lowering, node: ir.Node, axes: list[Axis]) -> None:
    moved = moving(lower, node)
    tensor = lower.layouts.settled(moved.tensor, node)
    places = [_nearest(node, axis) for axis in axes]
    if tensor.picture and axes[1].old == axes[1].new:
        made = lower.tensor(moved.target, like=tensor, number=tensor.number)
        constants = (places[_ROWS], places[_COLUMNS])
        kernel = f"resize_nearest_{tensor.suffix}"
        lower.add(node, kernel, (tensor,), made, constants, sizes_of(made))
        lower.give(moved.target, made)
        return
    for place, axis in enumerate(axes):
        if axis.old != axis.new:
            tensor = gathered(lower, node, tensor, place, places[place])
    lower.give(moved.target, tensor)


def _lower_linear(lower: Lowering, node: ir.Node, axes: list[Axis]) -> None:
    if len(axes) != _PICTURE_AXES or any(axis.old != axis.new for axis in axes[:_ROWS]):
        raise unsupported(node, "which mixes along other axes than a picture's two")
    old, target = lower.picture(lower.floats(node.inputs[0]), node), lower.target(node, clip=False)
    made = lower.tensor(target, like=old, number="float32")
    constants = (*_mixed(node, axes[_ROWS]), *_mixed(node, axes[_COLUMNS]))
    lower.add(node, "resize_linear_f32", (old,), made, constants, sizes_of(made))
    lower.finish(node, target, made)


def _axes(lower: Lowering, node: ir.Node) -> list[Axis]:
    old, new = lower.shape(node.inputs[0]), lower.shape(node.outputs[0])
    scales, sizes = _given(lower, node)
    named = [axis % len(old) for axis in ints(node, "axes", tuple(range(len(old))))]
    found = [1.0] * len(old)
    for place, axis in enumerate(named):
        ratio = new[axis] / old[axis] if sizes is None else sizes[place] / old[axis]
        found[axis] = ratio if scales is None else float(scales[place])
    policy = text(node, "keep_aspect_ratio_policy", "stretch")
    if sizes is not None and policy != "stretch":
        ratios = [found[axis] for axis in named]
        for axis in named:
            found[axis] = min(ratios) if policy == "not_larger" else max(ratios)
    return [Axis(*each) for each in zip(old, new, found, strict=True)]


def _given(
    lower: Lowering, node: ir.Node
) -> tuple[NDArray[np.float32] | None, NDArray[np.int64] | None]:
    """Give scales or sizes: inputs, or an attribute of an old Upsample."""
    attribute = node.attributes.get("scales")
    if attribute is not None:
        return np.asarray(attribute.as_floats(), np.float32), None
    # The old Resize and Upsample have no region of interest.
    places = (1, None) if len(node.inputs) == 2 else (2, 3)
    constants = []
    for place in places:
        value = node.inputs[place] if place is not None and place < len(node.inputs) else None
        constant = lower.constant(value)
        if value is not None and constant is None:
            raise unsupported(node, "whose size is computed, not constant")
        constants.append(constant if constant is not None and constant.size else None)
    return constants[0], constants[1]


def _places(node: ir.Node, axis: Axis) -> NDArray[np.float32]:
    """Give where in the old picture each new pixel lies, by ONNX's coordinate_transformation_mode.

    Each step is rounded to float32, as in ONNX Runtime.
    """
    asymmetric = node.op_type == "Upsample" or len(node.inputs) == 2
    how = text(node, "coordinate_transformation_mode", "asymmetric" if asymmetric else "half_pixel")
    new, scale = np.arange(axis.new, dtype=np.float32), np.float32(axis.scale)
    half = np.float32(0.5)
    if how == "asymmetric":
        return new / scale
    if how == "half_pixel" or (how == "pytorch_half_pixel" and axis.new > 1):
        return (new + half) / scale - half
    if how == "pytorch_half_pixel":
        return np.zeros(1, np.float32)
    if how == "align_corners":
        return new * np.float32(axis.old - 1) / np.float32(max(axis.new - 1, 1))
    if how == "half_pixel_symmetric":
        shift = np.float32(axis.old / 2) * (1 - np.float32(axis.new) / (scale * axis.old))
        return np.asarray(shift + (new + half) / scale - half, np.float32)
    raise unsupported(node, f"whose coordinates are {how}")


def _nearest(node: ir.Node, axis: Axis) -> NDArray[np.int32]:
    places = np.arange(axis.new, dtype=np.float32)
    if axis.old != axis.new:
        places = _places(node, axis)
    asymmetric = node.op_type == "Upsample" or len(node.inputs) == 2
    how = text(node, "nearest_mode", "floor" if asymmetric else "round_prefer_floor")
    half = np.float32(0.5)
    rounded = {
        "floor": np.floor(places),
        "ceil": np.ceil(places),
        "round_prefer_floor": np.ceil(places - half),
        "round_prefer_ceil": np.floor(places + half),
    }[how]
    return np.asarray(np.clip(rounded, 0, axis.old - 1), np.int32)


def _mixed(node: ir.Node, axis: Axis) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Give the two old places that each new one lies between, and their shares."""
    places = np.clip(_places(node, axis), 0, axis.old - 1).astype(np.float32)
    low = np.floor(places).astype(np.int32)
    high = np.minimum(low + 1, axis.old - 1).astype(np.int32)
    share = (places - low).astype(np.float32)
    return np.stack([low, high], axis=1), np.stack([1 - share, share], axis=1)
