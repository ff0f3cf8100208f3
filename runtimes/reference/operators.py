"""Operators that the reference evaluator lacks, or rounds where it need not."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx.helper import tensor_dtype_to_np_dtype
from onnx.reference.op_run import OpRun


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


OPERATORS: list[type[OpRun]] = [DequantizeLinear]


def _spread(values: Any, x: Any, axis: int, block_size: int | None) -> Any:
    if block_size:
        return np.repeat(values, block_size, axis).take(range(x.shape[axis]), axis)
    shape = [1] * x.ndim
    if values.size > 1:
        shape[axis] = -1
    return values.reshape(shape)
