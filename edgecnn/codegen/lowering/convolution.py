"""Conv."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edgecnn.codegen.lowering.attributes import ints, number, text
from edgecnn.codegen.lowering.integers import fold
from edgecnn.codegen.lowering.refusing import unsupported
from edgecnn.codegen.lowering.rules import lowers
from edgecnn.codegen.packing import by_channel, filled_run, pack_f32, pack_s8
from edgecnn.codegen.program import Read

if TYPE_CHECKING:
    import onnx_ir as ir
    from numpy.typing import NDArray

    from edgecnn.codegen.lowering.state import Lowering
    from edgecnn.codegen.program import Pads, Tensor


@dataclass(frozen=True)
class Window:
    """How a window moves over a picture; each pair is vertical, horizontal.

    Attributes:
        kernel: Its rows and columns.
        strides: From one place to the next.
        dilations: From one of its pixels to the next.
        pads: Around the picture: top, left, bottom, right.
    """

    kernel: tuple[int, int]
    strides: tuple[int, int]
    dilations: tuple[int, int]
    pads: Pads


def read_window(node: ir.Node, kernel: tuple[int, ...], image: Tensor) -> Window:
    """Read the window of a Conv or a pool over a picture.

    Raises:
        ModelError: It is none of two axes.
    """
    if len(kernel) != 2:
        raise unsupported(node, f"whose window has {len(kernel)} axes, not two")
    strides, dilations = (ints(node, name, (1, 1)) for name in ("strides", "dilations"))
    pads = ints(node, "pads", (0, 0, 0, 0))
    how = text(node, "auto_pad", "NOTSET")
    if how.startswith("SAME"):
        pads = _same_pads(image, kernel, strides, dilations, upper=how == "SAME_UPPER")
    elif how == "VALID":
        pads = (0, 0, 0, 0)
    top, left, bottom, right = pads
    return Window(
        (kernel[0], kernel[1]),
        (strides[0], strides[1]),
        (dilations[0], dilations[1]),
        (top, left, bottom, right),
    )


def _same_pads(
    image: Tensor,
    kernel: tuple[int, ...],
    strides: tuple[int, ...],
    dilations: tuple[int, ...],
    *,
    upper: bool,
) -> tuple[int, ...]:
    before, behind = [], []
    for axis, length in enumerate((image.height, image.width)):
        size = (kernel[axis] - 1) * dilations[axis] + 1
        places = math.ceil(length / strides[axis])
        total = max(0, (places - 1) * strides[axis] + size - length)
        less, more = total // 2, total - total // 2
        before.append(less if upper else more)
        behind.append(more if upper else less)
    return (*before, *behind)


@lowers("Conv")
def lower_conv(lower: Lowering, node: ir.Node) -> None:
    """Convolve a picture: all of its channels at once, or in groups."""
    source = lower.source(node.inputs[0])
    weights, scales, _ = lower.weights(node.inputs[1])
    image = lower.picture(source.tensor, node)
    window = read_window(node, weights.shape[2:], image)
    groups = number(node, "group", 1)
    if groups != 1:
        raise unsupported(node, f"which convolves in {groups} groups")
    if source.scale is not None and scales is not None:
        _lower_bytes(lower, node, window)
    else:
        _lower_floats(lower, node, window)


def _lower_floats(lower: Lowering, node: ir.Node, window: Window) -> None:
    weights, scales, zero = lower.weights(node.inputs[1])
    if scales is not None:
        weights = (weights.astype(np.int32) - zero.reshape(-1, 1, 1, 1)) * scales.reshape(
            -1, 1, 1, 1
        )
    image = lower.picture(lower.floats(node.inputs[0]), node)
    target = lower.target(node)
    made = lower.tensor(target, number="float32")
    packed = pack_f32(_runs(weights.astype(np.float32), window))
    bias = lower.bias(node, len(weights))
    lower.add(
        node,
        "conv_f32",
        (Read(image, window.pads),),
        made,
        (packed, by_channel(bias)),
        _shape(made, window, packed.shape[3], packed.shape[2])
        | {"low": target.low, "high": target.high},
        macs=made.size * math.prod(weights.shape[1:]),
    )
    lower.finish(node, target, made)


def _lower_bytes(lower: Lowering, node: ir.Node, window: Window) -> None:
    folded = fold(lower, node, lower.source(node.inputs[0]), lower.weights(node.inputs[1]))
    image = lower.picture(folded.source.tensor, node)
    assert folded.source.scale is not None
    packed = pack_s8(_runs(folded.weights, window))
    made = lower.tensor(folded.target)
    shape = _shape(made, window, filled_run(4 * packed.shape[3]), packed.shape[2])
    kernel, more = folded.ending("conv_u8")
    lower.add(
        node,
        kernel,
        (Read(image, window.pads, folded.source.scale.zero, beyond=True),),
        made,
        (packed, by_channel(folded.bias), by_channel(folded.factor)),
        shape | more,
        macs=made.size * math.prod(folded.weights.shape[1:]),
    )
    lower.finish(node, folded.target, made)


def _runs(weights: NDArray[Any], window: Window) -> NDArray[Any]:
    """Give weights [O, I, kh, kw] as [O, rows, runs, run]."""
    last = weights.transpose(0, 2, 3, 1)
    if window.dilations[1] == 1:
        return last.reshape(*last.shape[:2], 1, -1)
    return last


def _shape(made: Tensor, window: Window, run: int, runs: int) -> dict[str, int | float]:
    return {
        "height": made.height,
        "width": made.width,
        "channels": made.channels,
        "rows": window.kernel[0],
        "runs": runs,
        "run": run,
        "dilation_y": window.dilations[0],
        "dilation_x": window.dilations[1],
        "stride_y": window.strides[0],
        "stride_x": window.strides[1],
    }
