"""The small integer and float tensors from which graphs compute shapes, computed beforehand.

Only what exporters write around Shape, Reshape, Expand, Slice and Resize; anything else stays
unknown, which is safe: a shape that depends on it is then unknown too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgecnn.graph.limits import VALUE_ELEMENTS

if TYPE_CHECKING:
    from onnx import NodeProto, TensorProto

Array = NDArray[Any]
Settings = Mapping[str, Any]


def read_value(tensor: TensorProto) -> Array | None:
    """Give the numbers of a small tensor of integers, floats or truths; None for any other."""
    from onnx import TensorProto, numpy_helper

    plain = (1, 6, 7, 9, 11)  # float, int32, int64, bool, double
    small = math.prod(tensor.dims) <= VALUE_ELEMENTS
    if not small or tensor.data_type not in plain or tensor.data_location == TensorProto.EXTERNAL:
        return None
    try:
        return numpy_helper.to_array(tensor)
    except ValueError:
        return None  # it holds less than it declares, or more


def compute(node: NodeProto, inputs: Sequence[Array | None], size: int) -> Array | None:
    """Compute a node's first output; None if it cannot be told beforehand.

    Args:
        node: A node of ONNX's own domain.
        inputs: The value of each input; None where unknown or left out.
        size: The elements that the output will have.
    """
    operation = _OPERATIONS.get(node.op_type)
    unknown = any(name and value is None for name, value in zip(node.input, inputs, strict=True))
    if operation is None or size > VALUE_ELEMENTS or not inputs or unknown:
        return None
    from onnx import helper

    settings = {each.name: helper.get_attribute_value(each) for each in node.attribute}
    try:
        with np.errstate(all="ignore"):
            value = np.asarray(operation(settings, *inputs))
    except (TypeError, ValueError, IndexError, ZeroDivisionError, OverflowError, MemoryError):
        return None  # the inputs do not fit one another: the engine has its own words for that
    return value if value.size == size else None


def _elementwise(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda settings, *arrays: function(*arrays).astype(arrays[0].dtype)


def _divide(settings: Settings, a: Array, b: Array) -> Array:
    if a.dtype.kind == "f":
        return np.asarray(a / b)
    return np.trunc(a / b).astype(a.dtype)


def _cast(settings: Settings, value: Array) -> Array | None:
    from onnx import helper

    return value.astype(helper.tensor_dtype_to_np_dtype(settings["to"]))


def _gather(settings: Settings, data: Array, indices: Array) -> Array:
    return data.take(indices.astype(np.int64), axis=settings.get("axis", 0))


def _concat(settings: Settings, *arrays: Array) -> Array:
    return np.concatenate(arrays, axis=settings["axis"])


def _slice(settings: Settings, data: Array, *bounds: Any) -> Array:
    own = (settings.get("starts"), settings.get("ends"), settings.get("axes"))
    starts, ends, axes, steps = (*bounds, *[None] * 4)[:4] if bounds else (*own, None)
    axes = range(len(starts)) if axes is None else axes
    steps = [1] * len(starts) if steps is None else steps
    cut = [slice(None)] * data.ndim
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        # An end before the first element, counted from the back, means "to the beginning".
        last = None if step < 0 and end < -data.shape[axis] else int(end)
        cut[int(axis)] = slice(int(start), last, int(step))
    return data[tuple(cut)]


def _squeeze(settings: Settings, data: Array, axes: Array | None = None) -> Array:
    chosen = settings.get("axes") if axes is None else axes
    return data.squeeze(None if chosen is None else tuple(int(axis) for axis in chosen))


def _unsqueeze(settings: Settings, data: Array, axes: Array | None = None) -> Array:
    chosen = settings["axes"] if axes is None else axes
    return np.expand_dims(data, tuple(int(axis) for axis in chosen))


def _fill(settings: Settings, shape: Array) -> Array:
    from onnx import numpy_helper

    fill = numpy_helper.to_array(settings["value"])[0] if "value" in settings else np.float32(0)
    return np.full(tuple(shape), fill)


def _reduce_prod(settings: Settings, data: Array, axes: Array | None = None) -> Array:
    chosen = settings.get("axes") if axes is None else axes
    along = None if chosen is None else tuple(int(axis) for axis in chosen)
    return np.asarray(np.prod(data, axis=along, keepdims=bool(settings.get("keepdims", 1))))


# The size of each result is known before it is computed, and small.
_OPERATIONS: dict[str, Callable[..., Any]] = {
    "Add": _elementwise(np.add),
    "Cast": _cast,
    "Ceil": _elementwise(np.ceil),
    "Concat": _concat,
    "ConstantOfShape": _fill,
    "Div": _divide,
    "Equal": lambda settings, a, b: a == b,
    "Expand": lambda settings, data, shape: data * np.ones(tuple(shape), data.dtype),
    "Floor": _elementwise(np.floor),
    "Gather": _gather,
    "Identity": lambda settings, data: data,
    "Max": lambda settings, *arrays: np.max(np.broadcast_arrays(*arrays), axis=0),
    "Min": lambda settings, *arrays: np.min(np.broadcast_arrays(*arrays), axis=0),
    "Mul": _elementwise(np.multiply),
    "Neg": _elementwise(np.negative),
    "Range": lambda settings, start, limit, step: np.arange(start, limit, step).astype(start.dtype),
    "ReduceProd": _reduce_prod,
    "Reshape": lambda settings, data, shape: data.reshape(tuple(shape)),
    "Slice": _slice,
    "Squeeze": _squeeze,
    "Sub": _elementwise(np.subtract),
    "Transpose": lambda settings, data: data.transpose(settings.get("perm")),
    "Unsqueeze": _unsqueeze,
    "Where": lambda settings, condition, a, b: np.where(condition, a, b),
}
