"""ConvTranspose."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from edgecnn.codegen.lowering.attributes import number, text
from edgecnn.codegen.lowering.pictures import (
    finish_picture,
    picture_floats,
    picture_for,
)
from edgecnn.codegen.lowering.rules import lowers
from edgecnn.codegen.lowering.weights import float_weights
from edgecnn.codegen.lowering.windows import Window, read_window
from edgecnn.codegen.packing import by_channel, pack_f32
from edgecnn.codegen.program import Read

if TYPE_CHECKING:
    import onnx_ir as ir
    from numpy.typing import NDArray

    from edgecnn.codegen.lowering.state import Lowering
    from edgecnn.codegen.program import Pads, Tensor


@lowers("ConvTranspose")
def lower_conv_transpose(lower: Lowering, node: ir.Node) -> None:
    """Convolve the other way round, with floats: so does ONNX Runtime between bytes, too."""
    weights = float_weights(lower, node.inputs[1])
    groups = number(node, "group", 1)
    image, target = picture_floats(lower, node), lower.target(node)
    made = picture_for(lower, node, target, "float32")
    window = _with_pads(node, read_window(node, weights.shape[2:], image), image, made)
    around = _around(window, image, made)
    packed, sizes = _packed(weights, groups)
    bias = np.split(lower.bias(node, made.channels), groups)
    sizes |= {
        "height": made.height,
        "width": made.width,
        "top": window.pads[0] + around[0] * window.strides[0],
        "left": window.pads[1] + around[1] * window.strides[1],
        "low": target.low,
        "high": target.high,
    }
    lower.add(
        node,
        "conv_transpose_f32",
        (Read(image, around, beyond=True),),
        made,
        (packed, np.concatenate([by_channel(part) for part in bias])),
        sizes | window.sizes,
        macs=image.size * math.prod(weights.shape[1:]),
    )
    finish_picture(lower, node, target, made)


def _packed(
    weights: NDArray[np.float32], groups: int
) -> tuple[NDArray[np.float32], dict[str, int | float]]:
    """Pack weights [I, O, kh, kw] group by group; give the sizes of the kernel with them."""
    weights = weights.reshape(*weights.shape[:2], -1, weights.shape[-1])
    inputs, channels, rows, columns = weights.shape
    turned = weights.reshape(groups, -1, channels, rows, columns).transpose(0, 2, 3, 4, 1)
    sizes: dict[str, int | float] = {
        "groups": groups,
        "channels": channels,
        "rows": rows,
        "columns": columns,
        "run": inputs // groups,
    }
    return np.concatenate([pack_f32(part) for part in turned]), sizes


def _with_pads(node: ir.Node, window: Window, image: Tensor, made: Tensor) -> Window:
    """Find the pads before the picture where an output's shape is given, and they are not."""
    how = text(node, "auto_pad", "NOTSET")
    if "output_shape" not in node.attributes and not how.startswith("SAME"):
        return window
    before = []
    for axis, (length, given) in enumerate(
        ((image.height, made.height), (image.width, made.width))
    ):
        size = (window.kernel[axis] - 1) * window.dilations[axis] + 1
        total = max(0, (length - 1) * window.strides[axis] + size - given)
        before.append(total // 2 if how == "SAME_UPPER" else total - total // 2)
    return replace(window, pads=(before[0], before[1], 0, 0))


def _around(window: Window, image: Tensor, made: Tensor) -> Pads:
    """Give what is read around the picture, at most."""
    before, behind = [], []
    for axis, (length, given) in enumerate(
        ((image.height, made.height), (image.width, made.width))
    ):
        stride, start = window.strides[axis], window.pads[axis]
        reach = (window.kernel[axis] - 1) * window.dilations[axis]
        before.append(max(0, -((start - reach) // stride)))
        behind.append(max(0, (given - 1 + start) // stride - (length - 1)))
    return before[0], before[1], behind[0], behind[1]
