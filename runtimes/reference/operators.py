"""Operators that the reference evaluator lacks, rounds where it need not, or gets wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from onnx.helper import tensor_dtype_to_np_dtype
from onnx.reference.op_run import OpRun
from onnx.reference.ops.op_max_pool import MaxPool as PackageMaxPool


class DequantizeLinear(OpRun):
    """`(x - zero_point) * scale`, the difference exact, the product in the scale's own type.

    The package has none below opset 19, and from there on rounds x to float32 first, which an
    int32 bias does not survive.
    """

    op_domain = ""

    def _run(
        self,
        x: Any,
        scale: Any,
        zero_point: Any = None,
        axis: int | None = None,
        block_size: int | None = None,
        output_dtype: int | None = None,
    ) -> tuple[Any]:
        along = 1 if axis is None else axis
        difference = x.astype(np.float64)
        if zero_point is not None:
            difference -= _spread(zero_point.astype(np.float64), x, along, block_size)
        factor = _spread(scale, x, along, block_size)
        result = difference.astype(scale.dtype) * factor
        dtype = tensor_dtype_to_np_dtype(output_dtype) if output_dtype else scale.dtype
        return (result.astype(dtype),)


class MaxPool(PackageMaxPool):
    """The greatest of each window, on any number of axes.

    With strides of 1 the package's own takes the rims of one axis for those of another (onnx
    1.23); it is also a loop in Python over every number.
    """

    op_domain = ""

    def _run(self, x: Any, **attributes: Any) -> tuple[Any, ...]:  # type: ignore[override]
        if len(self.output) > 1:  # the places of the maxima too
            return tuple(super()._run(x, **attributes))  # type: ignore[no-untyped-call]
        kernel = attributes["kernel_shape"]
        strides = attributes.get("strides") or [1] * len(kernel)
        dilations = attributes.get("dilations") or [1] * len(kernel)
        spans = [d * (k - 1) + 1 for d, k in zip(dilations, kernel, strict=True)]
        rims = _rims(x.shape[2:], spans, strides, attributes)
        least = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
        padded = np.pad(x, ((0, 0), (0, 0), *rims), constant_values=least)
        axes = tuple(range(2, x.ndim))
        windows = np.lib.stride_tricks.sliding_window_view(padded, spans, axes)
        whole = (slice(None), slice(None))
        picked = windows[(*whole, *(slice(None, None, step) for step in (*strides, *dilations)))]
        return (picked.max(axis=tuple(axis - x.ndim for axis in axes)),)


OPERATORS: list[type[OpRun]] = [DequantizeLinear, MaxPool]


def _rims(
    sizes: Sequence[int],
    spans: Sequence[int],
    strides: Sequence[int],
    attributes: Mapping[str, Any],
) -> list[tuple[int, int]]:
    """Give the padding before and after each axis, so that whole windows cover what they must."""
    mode = attributes.get("auto_pad") or "NOTSET"
    pads = attributes.get("pads") or [0] * 2 * len(sizes)
    rims = []
    for axis, (size, span, stride) in enumerate(zip(sizes, spans, strides, strict=True)):
        before, after = pads[axis], pads[axis + len(sizes)]
        if mode.startswith("SAME"):
            total = max((-(-size // stride) - 1) * stride + span - size, 0)
            before = total // 2 if mode == "SAME_UPPER" else total - total // 2
            after = total - before
        elif attributes.get("ceil_mode"):
            steps = -(-(size + before + after - span) // stride)
            steps -= steps * stride >= size + before  # no window lies in the rim alone
            after = max(after, steps * stride + span - size - before)
        rims.append((before, after))
    return rims


def _spread(values: Any, x: Any, axis: int, block_size: int | None) -> Any:
    if block_size:
        return np.repeat(values, block_size, axis).take(range(x.shape[axis]), axis)
    shape = [1] * x.ndim
    if values.size > 1:
        shape[axis] = -1
    return values.reshape(shape)
