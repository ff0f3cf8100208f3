"""Operators that the reference evaluator lacks, rounds where it need not, or gets wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from onnx.helper import tensor_dtype_to_np_dtype
from onnx.reference.op_run import OpRun
from onnx.reference.ops.op_average_pool import AveragePool_19 as PackageAveragePool
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


class Conv(OpRun):
    """`y = w * x + b` over each window; the package's own takes two to four times as long."""

    op_domain = ""

    def _run(self, x: Any, w: Any, b: Any = None, **attributes: Any) -> tuple[Any]:
        group, axes = attributes["group"] or 1, x.ndim - 2
        windows = _windows(x, 0, {**attributes, "kernel_shape": w.shape[2:]})
        sizes = windows.shape[2 : 2 + axes]
        by_channel = (1, *range(2 + axes, windows.ndim), 0, *range(2, 2 + axes))
        columns = windows.transpose(by_channel).reshape(group, w[0].size, -1)
        y = w.reshape(group, len(w) // group, -1) @ columns
        y = y.reshape(len(w), len(x), *sizes).swapaxes(0, 1)
        return (y if b is None else y + b.reshape(-1, *[1] * axes),)


class MaxPool(PackageMaxPool):
    """The greatest of each window, on any number of axes.

    With strides of 1 the package's own takes the rims of one axis for those of another (onnx
    1.23); it is also a loop in Python over every number.
    """

    op_domain = ""

    def _run(self, x: Any, **attributes: Any) -> tuple[Any, ...]:  # type: ignore[override]
        if len(self.output) > 1:  # the places of the maxima too
            return tuple(super()._run(x, **attributes))  # type: ignore[no-untyped-call]
        least = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
        return (_windows(x, least, attributes).max(axis=_inner_axes(x)),)


class AveragePool(PackageAveragePool):
    """The mean of each window, on any number of axes; the package's own is a loop in Python."""

    op_domain = ""

    def _run(self, x: Any, **attributes: Any) -> tuple[Any, ...]:  # type: ignore[override]
        with_rim = bool(attributes.pop("count_include_pad", 0))
        if with_rim and attributes.get("ceil_mode"):  # part of the rim counts, part does not
            return tuple(super()._run(x, count_include_pad=1, **attributes))  # type: ignore[no-untyped-call]
        axes = _inner_axes(x)
        inside = np.ones((1, 1, *x.shape[2:]), x.dtype)
        counts = _windows(inside, int(with_rim), attributes).sum(axis=axes)
        return ((_windows(x, 0, attributes).sum(axis=axes) / counts).astype(x.dtype),)


class _OverTheRest(OpRun):
    """Up to opset 12 the axis is the first of those that are taken together, and 1 by default."""

    op_domain = ""

    def _run(self, x: Any, axis: int | None = None) -> tuple[Any]:
        if self.run_params["opsets"][""] >= 13:
            return (self._rows(x, -1 if axis is None else axis).astype(x.dtype),)
        given = [item.i for item in self.onnx_node.attribute if item.name == "axis"]
        first = (given[0] if given else 1) % x.ndim
        rows = x.reshape(int(np.prod(x.shape[:first])), -1)
        return (self._rows(rows, 1).reshape(x.shape).astype(x.dtype),)

    def _rows(self, x: Any, axis: int) -> Any:
        raise NotImplementedError


class Softmax(_OverTheRest):
    """`exp(x) / sum(exp(x))`, as each opset has it; the package knows the newest alone."""

    def _rows(self, x: Any, axis: int) -> Any:
        powers = np.exp(x - x.max(axis=axis, keepdims=True))
        return powers / powers.sum(axis=axis, keepdims=True)


class LogSoftmax(_OverTheRest):
    """`log(softmax(x))`, likewise."""

    def _rows(self, x: Any, axis: int) -> Any:
        shifted = x - x.max(axis=axis, keepdims=True)
        return shifted - np.log(np.exp(shifted).sum(axis=axis, keepdims=True))


class BatchNormalization(OpRun):
    """`scale * (x - mean) / sqrt(variance + epsilon) + bias`, as a trained net computes it.

    From opset 7 to 13 the package mixes in the mean and variance of what it is given (onnx 1.23).
    """

    op_domain = ""

    def _run(
        self,
        x: Any,
        scale: Any,
        bias: Any,
        mean: Any,
        variance: Any,
        epsilon: float | None = None,
        momentum: float | None = None,
        training_mode: int | None = None,
        spatial: int | None = None,
    ) -> tuple[Any]:
        if training_mode:
            raise NotImplementedError("BatchNormalization in training mode")
        small = 1e-5 if epsilon is None else epsilon
        # Opset 7 knows numbers for each pixel, too.
        columns = scale.shape if spatial == 0 else (-1, *[1] * (x.ndim - 2))
        factor = (scale / np.sqrt(variance + small)).reshape(columns)
        y = (x - mean.reshape(columns)) * factor + bias.reshape(columns)
        return (y.astype(x.dtype),)


OPERATORS: list[type[OpRun]] = [
    AveragePool,
    BatchNormalization,
    Conv,
    DequantizeLinear,
    LogSoftmax,
    MaxPool,
    Softmax,
]


def _windows(x: Any, rim: float, attributes: Mapping[str, Any]) -> Any:
    """Give the windows that a kernel sees, as further axes behind those of the result."""
    kernel = attributes["kernel_shape"]
    strides = attributes.get("strides") or [1] * len(kernel)
    dilations = attributes.get("dilations") or [1] * len(kernel)
    spans = [d * (k - 1) + 1 for d, k in zip(dilations, kernel, strict=True)]
    rims = _rims(x.shape[2:], spans, strides, attributes)
    padded = np.pad(x, ((0, 0), (0, 0), *rims), constant_values=rim)
    windows = np.lib.stride_tricks.sliding_window_view(padded, spans, tuple(range(2, x.ndim)))
    whole = (slice(None), slice(None))
    return windows[(*whole, *(slice(None, None, step) for step in (*strides, *dilations)))]


def _inner_axes(x: Any) -> tuple[int, ...]:
    """Give the axes of a window, counted from the end."""
    return tuple(range(2 - x.ndim, 0))


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
