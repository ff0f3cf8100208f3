"""Run one operator in exact integers, with saturating pairs or without.

The zero point of the inputs fills the borders of an image. Zero points are taken off afterwards,
in 32 bits, so that the bytes themselves meet in a pair. The sums are multiplied by one float32,
clipped, and rounded with halves to even, as ONNX Runtime does it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edgecnn.quantization.saturation.pairs import multiply, multiply_exactly

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgecnn.quantization.saturation.reading import Multiplier, Window

# Rows of a product are taken some at a time, so that memory does not grow with the image.
_VALUES_AT_ONCE = 1 << 21


@dataclass(frozen=True)
class Counts:
    """What was counted while one operator ran.

    Attributes:
        pairs: Sums of two products.
        saturated: Those that went beyond 16 bits.
        largest: The largest |sum|.
        outputs: Numbers that it made.
        changed: Those that differ from what the same inputs make without saturation.
    """

    pairs: int = 0
    saturated: int = 0
    largest: int = 0
    outputs: int = 0
    changed: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.pairs + other.pairs,
            self.saturated + other.saturated,
            max(self.largest, other.largest),
            self.outputs + other.outputs,
            self.changed + other.changed,
        )


def run_multiplier(
    layer: Multiplier, inputs: NDArray[np.uint8], *, saturating: bool
) -> tuple[NDArray[Any], Counts]:
    """Run one operator.

    Args:
        layer: The operator.
        inputs: uint8, in the layout that it reads.
        saturating: Saturate, and count; otherwise nothing is counted.

    Returns:
        Its outputs, in its layout and type, and what was counted.
    """
    counts, groups = Counts(), []
    shape, parts = _rows(layer, inputs)
    for group, rows in enumerate(parts):
        blocks = []
        for block in _blocks(rows):
            outputs, found = _run_block(layer, group, block, saturating=saturating)
            blocks.append(outputs)
            counts += found
        groups.append(np.concatenate(blocks))
    outputs = np.concatenate(groups, axis=1).reshape(shape)
    if layer.window and not layer.window.channels_last:
        outputs = np.moveaxis(outputs, -1, 1)
    return np.ascontiguousarray(outputs), counts


def _run_block(
    layer: Multiplier, group: int, rows: NDArray[np.uint8], *, saturating: bool
) -> tuple[NDArray[Any], Counts]:
    weights = layer.weights[group]
    if not saturating:
        return _finish(layer, group, rows, multiply_exactly(rows, weights)), Counts()
    product = multiply(rows, weights)
    exact = _finish(layer, group, rows, product.exact)
    if not product.saturating:
        return exact, Counts(product.pairs, 0, product.largest, exact.size, 0)
    outputs = _finish(layer, group, rows, product.saturated)
    changed = int(np.count_nonzero(outputs != exact))
    counts = Counts(product.pairs, product.saturating, product.largest, exact.size, changed)
    return outputs, counts


def _finish(
    layer: Multiplier, group: int, rows: NDArray[np.uint8], sums: NDArray[np.int32]
) -> NDArray[Any]:
    """Take the zero points off, add the bias, and give the sums the output's scale and type."""
    weights, zero = layer.weights[group].astype(np.int32), layer.weight_zero_point[group]
    offset = layer.bias[group] - layer.input_zero_point * (weights - zero).sum(axis=0)
    sums = sums + offset.astype(np.int32)
    if zero.any():
        sums = sums - rows.sum(axis=1, dtype=np.int32)[:, None] * zero
    scaled: NDArray[np.float32] = sums.astype(np.float32) * layer.factor[group]
    zero_point = layer.output_zero_point
    if zero_point is None:
        return scaled
    clipped = scaled.clip(np.float32(-zero_point), np.float32(255 - zero_point))
    rounded: NDArray[np.float32] = np.rint(clipped) + np.float32(zero_point)
    return rounded.astype(np.uint8)


def _rows(
    layer: Multiplier, inputs: NDArray[np.uint8]
) -> tuple[tuple[int, ...], Iterator[NDArray[np.uint8]]]:
    """Give the outputs' shape, channels last, and for each group its rows, uint8 [M, …K]."""
    groups, length, columns = layer.weights.shape
    window = layer.window
    if window is None:
        return (*inputs.shape[:-1], columns), iter([inputs.reshape(-1, length)])
    image = inputs if window.channels_last else np.moveaxis(inputs, 1, -1)
    seen = _seen(image, window, layer.input_zero_point)
    places = seen.shape[: 1 + len(window.kernel)]
    depth = image.shape[-1] // groups
    parts = (
        seen[..., group * depth : (group + 1) * depth].reshape(-1, length)
        for group in range(groups)
    )
    return (*places, groups * columns), parts


def _blocks(rows: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
    size = max(1, _VALUES_AT_ONCE // max(1, rows.shape[1]))
    for start in range(0, max(1, len(rows)), size):
        yield rows[start : start + size]


def _seen(image: NDArray[np.uint8], window: Window, fill: int) -> NDArray[np.uint8]:
    """View an image [N, …, C] as what the kernel sees at each place: [N, …places, …kernel, C]."""
    axes = tuple(range(1, image.ndim - 1))
    sizes = [
        (size - 1) * step + 1 for size, step in zip(window.kernel, window.dilations, strict=True)
    ]
    pads = [(0, 0), *_pads(window, image.shape[1:-1], sizes), (0, 0)]
    padded = np.pad(image, pads, constant_values=fill)
    seen = np.lib.stride_tricks.sliding_window_view(padded, sizes, axes)  # [N, …places, C, …kernel]
    places = tuple(slice(None, None, step) for step in window.strides)
    elements = tuple(slice(None, None, step) for step in window.dilations)
    return np.moveaxis(seen[(slice(None), *places, slice(None), *elements)], len(axes) + 1, -1)


def _pads(window: Window, image: tuple[int, ...], sizes: list[int]) -> Iterator[tuple[int, int]]:
    """Give the padding before and behind each axis, as ONNX defines it."""
    rank = len(sizes)
    for axis, (length, size, step) in enumerate(zip(image, sizes, window.strides, strict=True)):
        if not window.automatic:
            yield window.pads[axis], window.pads[axis + rank]
            continue
        total = max(0, (math.ceil(length / step) - 1) * step + size - length)
        less, more = total // 2, total - total // 2
        yield (less, more) if window.automatic == "SAME_UPPER" else (more, less)
