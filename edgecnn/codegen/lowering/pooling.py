"""MaxPool, AveragePool, and their forms over whole pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgecnn.codegen.lowering.attributes import ints, number
from edgecnn.codegen.lowering.pictures import (
    finish_picture,
    moved_picture,
    picture_floats,
    picture_for,
    picture_source,
)
from edgecnn.codegen.lowering.refusing import unsupported
from edgecnn.codegen.lowering.rules import lowers
from edgecnn.codegen.lowering.values import sizes_of
from edgecnn.codegen.lowering.windows import Window, read_window
from edgecnn.codegen.program import Read

if TYPE_CHECKING:
    import onnx_ir as ir

    from edgecnn.codegen.lowering.state import Lowering
    from edgecnn.codegen.lowering.values import Scale, Source, Target
    from edgecnn.codegen.program import Tensor


@lowers("MaxPool")
def lower_max_pool(lower: Lowering, node: ir.Node) -> None:
    """Take the largest number of each window; bytes stay bytes."""
    if len(node.outputs) > 1:
        raise unsupported(node, "which gives the places of what it finds, too")
    moved = moved_picture(lower, node)
    image = moved.tensor
    window = read_window(node, ints(node, "kernel_shape", ()), image)
    made = picture_for(lower, node, moved.target, image.number)
    shape = _window_sizes(node, made, image, window)
    lower.add(node, f"max_pool_{image.suffix}", (_beyond(image),), made, shape=shape)
    finish_picture(lower, node, moved.target, made)


@lowers("GlobalMaxPool")
def lower_global_max(lower: Lowering, node: ir.Node) -> None:
    """Take the largest number of each channel: of a window as large as the picture."""
    moved = moved_picture(lower, node)
    image = moved.tensor
    window = Window((image.height, image.width), (1, 1), (1, 1), (0, 0, 0, 0))
    made = picture_for(lower, node, moved.target, image.number)
    shape = _window_sizes(node, made, image, window)
    lower.add(node, f"max_pool_{image.suffix}", (_beyond(image),), made, shape=shape)
    finish_picture(lower, node, moved.target, made)


@lowers("AveragePool")
def lower_mean_pool(lower: Lowering, node: ir.Node) -> None:
    """Take the mean of each window."""
    source, target = picture_source(lower, node), lower.target(node)
    image = source.tensor
    window = read_window(node, ints(node, "kernel_shape", ()), image)
    made = picture_for(lower, node, target, target.number)
    shape = _window_sizes(node, made, image, window)
    if source.scale is not None and target.scale is not None and not target.clips:
        shape |= _in_bytes(node, window, source.scale, target.scale)
        lower.add(node, "mean_pool_u8", (_beyond(image),), made, shape=shape)
        finish_picture(lower, node, target, made)
        return
    made = picture_for(lower, node, target, "float32")
    shape |= _counted(node, image, window) | {"low": target.low, "high": target.high}
    read = _beyond(picture_floats(lower, node))
    lower.add(node, "mean_pool_f32", (read,), made, shape=shape)
    finish_picture(lower, node, target, made)


@lowers("GlobalAveragePool")
def lower_global_mean(lower: Lowering, node: ir.Node) -> None:
    """Take the mean of each channel."""
    source, target = picture_source(lower, node), lower.target(node, clip=False)
    if source.scale is not None and target.scale is not None:
        _lower_global_mean_of_bytes(lower, node, source, target)
        return
    image = picture_floats(lower, node)
    made = picture_for(lower, node, target, "float32")
    lower.add(node, "global_mean_f32", (_beyond(image),), made, shape=picture_sizes(image))
    finish_picture(lower, node, target, made)


def _lower_global_mean_of_bytes(
    lower: Lowering, node: ir.Node, source: Source, target: Target
) -> None:
    image = source.tensor
    assert source.scale is not None
    assert target.scale is not None
    made = picture_for(lower, node, target, "uint8")
    pixels = np.float32(image.height * image.width)
    factor = np.float32(source.scale.scale) / (np.float32(target.scale.scale) * pixels)
    more = {"in_zero": source.scale.zero, "zero": target.scale.zero, "factor": float(factor)}
    shape = picture_sizes(image) | more
    lower.add(node, "global_mean_u8", (_beyond(image),), made, shape=shape)
    finish_picture(lower, node, target, made)


def picture_sizes(image: Tensor) -> dict[str, int | float]:
    """Give the sizes of a picture in the struct of a kernel that gives one number a channel."""
    return {"in_height": image.height, "in_width": image.width, "channels": image.channels}


def _beyond(image: Tensor) -> Read:
    """Read whole vectors of channels."""
    return Read(image, beyond=True)


def _window_sizes(
    node: ir.Node, made: Tensor, image: Tensor, window: Window
) -> dict[str, int | float]:
    for axis, (places, length) in enumerate(
        ((made.height, image.height), (made.width, image.width))
    ):
        starts = (place * window.strides[axis] - window.pads[axis] for place in range(places))
        if not all(_holds_something(start, axis, window, length) for start in starts):
            raise unsupported(node, "which has windows that hold nothing of the picture")
    return (
        sizes_of(made)
        | window.sizes
        | {
            "in_height": image.height,
            "in_width": image.width,
            "rows": window.kernel[0],
            "columns": window.kernel[1],
            "top": window.pads[0],
            "left": window.pads[1],
        }
    )


def _holds_something(start: int, axis: int, window: Window, length: int) -> bool:
    taps = range(window.kernel[axis])
    return any(0 <= start + tap * window.dilations[axis] < length for tap in taps)


def _counted(node: ir.Node, image: Tensor, window: Window) -> dict[str, int | float]:
    """Say what a mean counts: the picture, or its padding, too, but nothing beyond that."""
    whole = number(node, "count_include_pad", 0)
    top, left, bottom, right = window.pads if whole else (0, 0, 0, 0)
    return {
        "counted_top": top,
        "counted_left": left,
        "counted_height": top + image.height + bottom,
        "counted_width": left + image.width + right,
    }


def _in_bytes(node: ir.Node, window: Window, given: Scale, out: Scale) -> dict[str, int | float]:
    whole = window.kernel[0] * window.kernel[1]
    return {
        "divisor": whole if number(node, "count_include_pad", 0) else 0,
        "in_zero": given.zero,
        "in_scale": given.scale,
        "scale": out.scale,
        "zero": float(out.zero),
    }
