"""As many levels for each output channel as can be had without a sum that saturates.

AVX2 adds two products of an unsigned and a signed byte in 16 bits. Weights of 7 bits, up to 64,
keep every such sum within. But all that must hold is that two weights of one sign which meet sum to
128 or less: where a large one has a small neighbour, the channel can have up to 8 bits. Depthwise
convolutions do not use the instruction and keep 8 bits in any case.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgecnn.quantization.bound import channel_axis, in_order, is_depthwise, largest_sums

if TYPE_CHECKING:
    import numpy as np
    import onnx_ir as ir
    from numpy.typing import NDArray

# 255 * 128 = 32,640 is the largest multiple of 255 that 16 bits hold.
_LARGEST_SUM, _LARGEST, _SAFE_LARGEST = 128, 127, 64
# Two numbers that sum to 128 still do when rounded, but for the scale's own last bit; at 127 they
# do in any case.
_TARGETS = (127.0, 128.0)

Overrides = dict[str, list[dict[str, Any]]]


def bounded_levels(core: ir.Model) -> Overrides:
    """Say how a core's constants are quantized, as the option TensorQuantOverrides takes it.

    Weights that two nodes use in different ways are left out: the quantizer gives them 7 bits.

    Args:
        core: A float core.

    Returns:
        A scale and zero point for each output channel, by the names of the weights; and all 8 bits
        for constants that nothing multiplies, such as those of an addition.
    """
    import numpy as np

    found: Overrides = {}
    for value in core.graph.initializers.values():
        if value.const_value is None or value.const_value.numpy().dtype != np.float32:
            continue
        axes = {_channel_axis(node, place, value) for node, place in value.uses()}
        if axes == {None} and not any(_multiplies(node) for node, _ in value.uses()):
            found[str(value.name)] = [{"reduce_range": False}]
        elif len(axes) == 1 and None not in axes:
            found[str(value.name)] = _scales(value, next(iter(axes)) or 0)
    return found


def channel_scales(weights: NDArray[np.float32], *, paired: bool) -> NDArray[np.float32]:
    """Give the smallest scale of each channel with which no weight is clipped and no sum saturates.

    Args:
        weights: float32 [channels, places of the kernel, input channels], as `in_order` gives them.
        paired: Two products may be added in 16 bits; without it every channel gets 8 bits.

    Returns:
        float32 [channels]; never larger than that of 7 bits. 1 for a channel of zeros.
    """
    import numpy as np

    largest = np.abs(weights).max(axis=(1, 2)).astype(np.float64)
    scales = _rounded(largest / (_SAFE_LARGEST if paired else _LARGEST))
    sums = largest_sums(weights.astype(np.float64))
    for target in _TARGETS if paired else ():
        tried = _rounded(np.maximum(sums / target, largest / _LARGEST))
        # Divided and rounded as the quantizer does.
        numbers = np.rint(weights / tried[:, None, None])
        scales = np.where(largest_sums(numbers) <= _LARGEST_SUM, np.minimum(scales, tried), scales)
    return scales


def _rounded(scales: NDArray[np.float64]) -> NDArray[np.float32]:
    import numpy as np

    rounded = scales.astype(np.float32)
    return np.where(rounded < np.finfo(np.float32).tiny, np.float32(1), rounded)


def _scales(value: ir.Value, axis: int) -> list[dict[str, Any]]:
    import numpy as np

    assert value.const_value is not None
    weights, zero_point = value.const_value.numpy(), np.array(0, np.int8)
    depthwise = all(is_depthwise(node, weights.shape) for node, _ in value.uses())
    scales = channel_scales(in_order(weights, axis), paired=not depthwise)
    return [{"axis": axis, "scale": scale, "zero_point": zero_point} for scale in scales]


def _channel_axis(node: ir.Node, place: int, value: ir.Value) -> int | None:
    """Give the axis of the output channels of what a node reads at some place as its weights."""
    rank = len(value.const_value.shape) if value.const_value is not None else 0
    # Of a product with more axes than two the quantizer takes another for the channels'.
    if place != 1 or (node.op_type == "MatMul" and rank != 2):
        return None
    return channel_axis(node, rank)


def _multiplies(node: ir.Node) -> bool:
    return channel_axis(node, 2) is not None
