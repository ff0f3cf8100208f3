"""Conv: all channels at once, in groups, or each channel by itself."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edgecnn.codegen.lowering.attributes import number
from edgecnn.codegen.lowering.integers import fold
from edgecnn.codegen.lowering.pictures import (
    finish_picture,
    picture_floats,
    picture_for,
    picture_source,
)
from edgecnn.codegen.lowering.rules import lowers
from edgecnn.codegen.lowering.weights import float_weights, has_scales_along
from edgecnn.codegen.lowering.windows import Window, read_window
from edgecnn.codegen.packing import by_channel, filled_run, pack_apart, pack_f32, pack_s8, pairs_fit
from edgecnn.codegen.program import Read

if TYPE_CHECKING:
    import onnx_ir as ir
    from numpy.typing import NDArray

    from edgecnn.codegen.lowering.state import Lowering
    from edgecnn.codegen.lowering.values import Source, Target


@dataclass(frozen=True)
class _Kind:
    """Which channels meet.

    Attributes:
        window: The window.
        groups: How many groups of channels there are.
        apart: Each input channel is a group.
    """

    window: Window
    groups: int
    apart: bool

    @property
    def kernel(self) -> str:
        """The kernel's name, without the kind of its numbers."""
        return "depthwise" if self.apart else "conv"


@lowers("Conv")
def lower_conv(lower: Lowering, node: ir.Node) -> None:
    """Convolve a picture, or a row."""
    source = picture_source(lower, node)
    weights, scales, _ = lower.weights(node.inputs[1])
    window = read_window(node, weights.shape[2:], source.tensor)
    groups = number(node, "group", 1)
    kind = _Kind(window, groups, apart=groups == source.tensor.channels > 1)
    target = lower.target(node)
    quantized = source.scale is not None and scales is not None
    quantized = quantized and has_scales_along(node.inputs[1], weights, scales, 0)
    if quantized and (target.scale is not None or not kind.apart):
        _lower_bytes(lower, node, kind, source, target)
    else:
        _lower_floats(lower, node, kind, target)


def _lower_floats(lower: Lowering, node: ir.Node, kind: _Kind, target: Target) -> None:
    weights = _with_rows(float_weights(lower, node.inputs[1]))
    image = picture_floats(lower, node)
    made = picture_for(lower, node, target, "float32")
    packed, sizes = _packed(weights, kind)
    bias = _by_group(lower.bias(node, len(weights)), kind)
    sizes |= kind.window.sizes | {"height": made.height, "width": made.width}
    lower.add(
        node,
        f"{kind.kernel}_f32",
        (Read(image, kind.window.pads, beyond=True),),
        made,
        (packed, bias),
        sizes | {"low": target.low, "high": target.high},
        macs=made.size * math.prod(weights.shape[1:]),
    )
    finish_picture(lower, node, target, made)


def _lower_bytes(
    lower: Lowering, node: ir.Node, kind: _Kind, source: Source, target: Target
) -> None:
    folded = fold(lower, node, source, lower.weights(node.inputs[1]), target)
    assert source.scale is not None
    weights = _with_rows(folded.weights)
    made = picture_for(lower, node, target, target.number)
    packed, sizes = _packed(weights, kind)
    sizes |= kind.window.sizes | {"height": made.height, "width": made.width}
    kernel, more = folded.ending(f"{kind.kernel}_u8")
    lower.add(
        node,
        kernel,
        (Read(source.tensor, kind.window.pads, source.scale.zero, beyond=True),),
        made,
        (packed, _by_group(folded.bias, kind), _by_group(folded.factor, kind)),
        sizes | more,
        macs=made.size * math.prod(weights.shape[1:]),
    )
    finish_picture(lower, node, target, made)


def _with_rows(weights: NDArray[Any]) -> NDArray[Any]:
    """Give weights [O, I, kh, kw]; those of a row are of one row."""
    return weights.reshape(*weights.shape[:2], -1, weights.shape[-1])


def _packed(weights: NDArray[Any], kind: _Kind) -> tuple[NDArray[Any], dict[str, int | float]]:
    """Pack weights [O, I, kh, kw]; give the sizes of the kernel with them."""
    channels, _, rows, columns = weights.shape
    sizes: dict[str, int | float] = {"rows": rows}
    if kind.apart:
        multiplier = channels // kind.groups
        sizes |= {"columns": columns, "channels": channels, "multiplier": multiplier}
        return pack_apart(weights[:, 0]), sizes
    last = weights.transpose(0, 2, 3, 1)
    if kind.groups == 1 and kind.window.dilations[1] == 1:
        last = last.reshape(channels, rows, 1, -1)
    pack = pack_f32 if weights.dtype == np.float32 else pack_s8
    packed = np.concatenate([pack(part) for part in np.split(last, kind.groups)])
    run = last.shape[3] if weights.dtype == np.float32 else filled_run(last.shape[3])
    sizes |= {"runs": last.shape[2], "run": run, "channels": channels // kind.groups}
    if weights.dtype != np.float32:
        sizes["pairs_fit"] = int(pairs_fit(packed))
    return packed, sizes | {"groups": kind.groups}


def _by_group(values: NDArray[Any], kind: _Kind) -> NDArray[Any]:
    """Fill one value for each channel up to whole blocks of each group."""
    parts = 1 if kind.apart else kind.groups
    return np.concatenate([by_channel(part) for part in np.split(values, parts)])
