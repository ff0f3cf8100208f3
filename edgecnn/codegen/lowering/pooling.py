"""MaxPool, AveragePool and GlobalAveragePool."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgecnn.codegen.lowering.attributes import ints, number
from edgecnn.codegen.lowering.convolution import Window, read_window
from edgecnn.codegen.lowering.refusing import unsupported
from edgecnn.codegen.lowering.rules import lowers
from edgecnn.codegen.lowering.values import sizes_of

if TYPE_CHECKING:
    import onnx_ir as ir

    from edgecnn.codegen.lowering.state import Lowering
    from edgecnn.codegen.program import Tensor


@lowers("MaxPool")
def lower_max_pool(lower: Lowering, node: ir.Node) -> None:
    """Take the largest number of each window; bytes stay bytes."""
    if len(node.outputs) > 1:
        raise unsupported(node, "which gives the places of what it finds, too")
    moved = lower.moved(node)
    image = lower.picture(moved.tensor, node)
    window = read_window(node, ints(node, "kernel_shape", ()), image)
    made = lower.tensor(moved.target, number=image.number)
    shape = _window_sizes(made, image, window)
    lower.add(node, f"max_pool_{image.suffix}", (image,), made, shape=shape)
    lower.give(moved.target, made)


@lowers("AveragePool")
def lower_mean_pool(lower: Lowering, node: ir.Node) -> None:
    """Take the mean of each window."""
    image = lower.picture(lower.floats(node.inputs[0]), node)
    window = read_window(node, ints(node, "kernel_shape", ()), image)
    whole = number(node, "count_include_pad", 0)
    if whole and number(node, "ceil_mode", 0):
        raise unsupported(node, "which counts padding beyond the picture's own")
    target = lower.target(node, clip=False)
    made = lower.tensor(target, number="float32")
    divisor = window.kernel[0] * window.kernel[1] if whole or not any(window.pads) else 0
    shape = _window_sizes(made, image, window) | {"divisor": divisor}
    lower.add(node, "mean_pool_f32", (image,), made, shape=shape)
    lower.finish(node, target, made)


@lowers("GlobalAveragePool")
def lower_global_mean(lower: Lowering, node: ir.Node) -> None:
    """Take the mean of each channel."""
    source = lower.source(node.inputs[0])
    target = lower.target(node, clip=False)
    if source.scale is None or target.scale is None:
        image = lower.picture(lower.floats(node.inputs[0]), node)
        made = lower.tensor(target, number="float32")
        shape = _sizes(image)
        lower.add(node, "global_mean_f32", (image,), made, shape=shape)
        lower.finish(node, target, made)
        return
    image = lower.picture(source.tensor, node)
    made = lower.tensor(target)
    pixels = np.float32(image.height * image.width)
    factor = np.float32(source.scale.scale) / (np.float32(target.scale.scale) * pixels)
    more = {"in_zero": source.scale.zero, "zero": target.scale.zero, "factor": float(factor)}
    lower.add(node, "global_mean_u8", (image,), made, shape=_sizes(image) | more)
    lower.give(target, made)


def _sizes(image: Tensor) -> dict[str, int | float]:
    return {"in_height": image.height, "in_width": image.width, "channels": image.channels}


def _window_sizes(made: Tensor, image: Tensor, window: Window) -> dict[str, int | float]:
    return sizes_of(made) | {
        "in_height": image.height,
        "in_width": image.width,
        "rows": window.kernel[0],
        "columns": window.kernel[1],
        "dilation_y": window.dilations[0],
        "dilation_x": window.dilations[1],
        "stride_y": window.strides[0],
        "stride_x": window.strides[1],
        "top": window.pads[0],
        "left": window.pads[1],
    }
