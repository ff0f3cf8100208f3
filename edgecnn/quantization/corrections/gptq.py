"""GPTQ: the error of rounding a weight is taken up by the weights that are rounded after it.

How far one weight can stand in for another is said by the covariance of what they are multiplied
with, taken from calibration images. Means count only where there is no bias that the bias
correction, which follows, could put them into.

Sources: Frantar, Ashkboos, Hoefler, Alistarh, "GPTQ", ICLR 2023 (arXiv:2210.17323), in the order of
falling variances, on the error of Frantar, Alistarh, "Optimal Brain Compression", NeurIPS 2022
(arXiv:2208.11580).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgecnn.quantization.bound import channel_axis, in_order, is_depthwise, largest_sums
from edgecnn.quantization.corrections.layers import Layer, find_layers
from edgecnn.quantization.corrections.tapping import enough, tap
from edgecnn.quantization.corrections.windows import (
    Windows,
    from_rows,
    read_windows,
    to_rows,
    windows_of,
)

if TYPE_CHECKING:
    import numpy as np
    import onnx_ir as ir
    from numpy.typing import NDArray

    from edgecnn.spec import InputContract

    Matrices = NDArray[np.float64]

# Windows of a layer's input that its covariance is taken from; more gain nothing measurable.
_WINDOWS = 16_384
# Share of the mean variance that is added to each, as GPTQ does.
_DAMPING = 0.01
# Weights whose errors reach those after them in one product of matrices, as in GPTQ: one by one
# is the same and takes ten times as long.
_BLOCK = 128
# 255 times this is the largest sum of two products that 16 bits hold.
LARGEST_SUM = 128


@dataclass(frozen=True, eq=False)
class _Task:
    """A layer to round anew, the float weights that it stands for, and how it reads its input."""

    layer: Layer
    exact: NDArray[np.float32]
    windows: Windows


@dataclass(frozen=True, eq=False)
class _Moments:
    """How many rows were seen, [groups, K] of their sums and [groups, K, K] of their products."""

    count: int
    sums: Matrices
    products: Matrices

    def __add__(self, other: _Moments) -> _Moments:
        return _Moments(
            self.count + other.count, self.sums + other.sums, self.products + other.products
        )

    def second(self, *, about_mean: bool) -> Matrices:
        mean = self.sums / self.count if about_mean else 0 * self.sums
        return self.products / self.count - mean[:, :, None] * mean[:, None, :]


def round_by_covariance(
    quantized: ir.Model, core: ir.Model, contract: InputContract, images: NDArray[np.uint8]
) -> ir.Model:
    """Round the weights of convolutions and matrix products anew, within the same scales.

    No weight becomes larger than the largest of its channel was, and a channel no two of whose
    products could saturate 16 bits stays so. Layers whose padding is not written out, transposed
    convolutions and those of other ranks stay as they are.

    Args:
        quantized: The quantized core; it is left as it is.
        core: The float core that it was made from, with the same names of nodes.
        contract: Scale, mean, std and layout.
        images: Calibration images, uint8 [M, height, width, channels]; of large ones 64 are used.

    Returns:
        The quantized core with other integers for weights.

    Raises:
        ModelError: ONNX Runtime refuses the model.
    """
    model, images = quantized.clone(), enough(images)
    tasks = _tasks(model, core)
    for task, covariance in zip(tasks, _covariances(model, contract, images, tasks), strict=True):
        _round(task, covariance)
    return model


@dataclass(frozen=True, eq=False)
class Limits:
    """What integers weights may become.

    Attributes:
        low: The least; they broadcast to [groups, rows].
        high: The largest; likewise.
        room: The largest sum of two of one sign that meet; likewise.
        neighbours: Which meet each weight, [K, 2]; K stands for none.
    """

    low: NDArray[Any]
    high: NDArray[Any]
    room: NDArray[Any]
    neighbours: NDArray[np.int64]

    def clip(self, column: Matrices, beside: Matrices) -> Matrices:
        """Keep a weight of each row within the limits.

        Args:
            column: [groups, rows].
            beside: What it meets and is rounded already, else 0; [groups, 2, rows].
        """
        import numpy as np

        high = np.minimum(self.high, self.room - np.maximum(beside, 0).max(axis=1))
        low = np.maximum(self.low, np.maximum(-beside, 0).max(axis=1) - self.room)
        return np.clip(column, low, high)


def round_rows(rows: Matrices, covariance: Matrices, limits: Limits) -> Matrices:
    """Round rows of numbers to integers such that `rows @ input` changes little.

    Args:
        rows: float64 [groups, rows, K].
        covariance: Of the inputs, with damping; float64 [groups, K, K], positive definite.
        limits: What integers they may become.

    Returns:
        Integers; float64 [groups, rows, K].
    """
    import numpy as np

    order = np.argsort(-np.diagonal(covariance, axis1=1, axis2=2), axis=1, kind="stable")
    left = np.take_along_axis(rows, order[:, None, :], 2)
    shares = _shares(covariance, order)
    groups, count, size = rows.shape
    # The last column stands for no neighbour.
    rounded, every = np.zeros((groups, count, size + 1)), np.arange(groups)
    for start in range(0, size, _BLOCK):
        end = min(start + _BLOCK, size)
        block, errors = left[:, :, start:end].copy(), np.empty((groups, count, end - start))
        for i in range(start, end):
            here = i - start
            beside = rounded[every[:, None], :, limits.neighbours[order[:, i]]]
            number = limits.clip(np.rint(block[:, :, here]), beside)
            rounded[every, :, order[:, i]] = number
            errors[:, :, here] = (block[:, :, here] - number) / shares[:, i, i, None]
            block[:, :, here + 1 :] -= errors[:, :, here, None] * shares[:, None, i, i + 1 : end]
        left[:, :, end:] -= errors @ shares[:, start:end, end:]
    return rounded[:, :, :size]


def _shares(covariance: Matrices, order: NDArray[np.int64]) -> Matrices:
    """Say in row i by how much the weights after i, in order, make up for an error of weight i."""
    import numpy as np

    by_row = np.take_along_axis(covariance, order[:, :, None], 1)
    inverse = np.linalg.inv(np.take_along_axis(by_row, order[:, None, :], 2))
    shares: Matrices = np.linalg.cholesky(inverse).transpose(0, 2, 1)
    return shares


def _tasks(model: ir.Model, core: ir.Model) -> list[_Task]:
    twins = {str(node.name): node for node in core.graph}
    found = []
    for layer in find_layers(model):
        own, twin = layer.weights.numbers, twins.get(layer.name)
        weights = twin.inputs[1].const_value if twin is not None and twin.inputs[1] else None
        windows = windows_of(layer.node, own)
        if windows is not None and weights is not None and tuple(weights.shape) == own.shape:
            found.append(_Task(layer, weights.numpy(), windows))
    return found


def _covariances(
    model: ir.Model, contract: InputContract, images: NDArray[np.uint8], tasks: list[_Task]
) -> list[Matrices]:
    import numpy as np

    names = [str(task.layer.node.inputs[0].name) for task in tasks if task.layer.node.inputs[0]]
    places, random = -(-_WINDOWS // len(images)), np.random.default_rng(0)
    seen: dict[int, _Moments] = {}
    for arrays in tap(model, contract, images, names):
        for number, (task, array) in enumerate(zip(tasks, arrays, strict=True)):
            moments = _moments(read_windows(array, task.windows, places, random))
            seen[number] = seen[number] + moments if number in seen else moments
    return [
        seen[number].second(about_mean=task.layer.bias is not None)
        for number, task in enumerate(tasks)
    ]


def _moments(rows: NDArray[np.float32]) -> _Moments:
    import numpy as np

    # In float32 a matrix of few rows, whose mean is taken off, need not stay positive definite.
    exact = rows.astype(np.float64)
    return _Moments(rows.shape[1], exact.sum(axis=1), exact.transpose(0, 2, 1) @ exact)


def _round(task: _Task, covariance: Matrices) -> None:
    import numpy as np

    packed, node, groups = task.layer.weights, task.layer.node, task.windows.groups
    own = packed.numbers
    old = to_rows(node, own.astype(np.int64), groups)
    scale, zero = packed.by_channel(groups, old.shape[0] * old.shape[1])
    exact = to_rows(node, task.exact.astype(np.float64), groups) / scale[:, :, None]
    variance = np.trace(covariance, axis1=1, axis2=2)[:, None, None] / exact.shape[2]
    # Where nothing varies, the little that is left rounds to the nearest.
    damped = covariance + np.eye(exact.shape[2]) * (_DAMPING * variance + 1e-12)
    limits = _limits(task, old - zero[:, :, None], zero)
    new = round_rows(exact, damped, limits) + zero[:, :, None]
    packed.replace(from_rows(node, new, own))


def _limits(task: _Task, old: NDArray[np.int64], zero: NDArray[np.int64]) -> Limits:
    import numpy as np

    node, own = task.layer.node, task.layer.weights.numbers
    whole, largest = np.iinfo(own.dtype), np.abs(old).max(axis=2)
    low, high = np.maximum(-largest, whole.min - zero), np.minimum(largest, whole.max - zero)
    axis = channel_axis(node, own.ndim)
    assert axis is not None
    room = np.full(old.shape[:2], np.inf)
    if own.dtype == np.int8 and not is_depthwise(node, own.shape):
        sums = largest_sums(in_order(own.astype(np.int64), axis)).reshape(room.shape)
        room[sums <= LARGEST_SUM] = LARGEST_SUM
    return Limits(low, high, room, _neighbours(node, own.shape, axis))


def _neighbours(node: ir.Node, shape: tuple[int, ...], axis: int) -> NDArray[np.int64]:
    """Say which places of a channel's weights meet each of them, two at most; [K, 2]."""
    import numpy as np

    size = int(np.prod(shape)) // shape[axis]
    one = [1 if place == axis else length for place, length in enumerate(shape)]
    laid = in_order(np.arange(size).reshape(one), axis)[0]
    found = np.full((size, 2), size)
    # An odd number of channels is filled up with zeros, or runs on into the next place.
    for number, lines in enumerate((laid, laid.reshape(1, -1))):
        count = lines.shape[1] // 2 * 2
        first, second = lines[:, 0:count:2], lines[:, 1:count:2]
        found[first, number], found[second, number] = second, first
    return found
