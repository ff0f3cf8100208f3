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

from edgecnn.quantization.corrections.layers import Layer, find_layers
from edgecnn.quantization.corrections.tapping import tap
from edgecnn.quantization.corrections.windows import (
    Windows,
    from_rows,
    read_windows,
    to_rows,
    windows_of,
)
from edgecnn.quantization.safety import LARGEST_INT16

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
_LARGEST_UINT8 = 255


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

    No weight becomes larger than the largest of its channel was, and a channel whose products
    could not saturate in 16 bits stays so. Layers whose padding is not written out, transposed
    convolutions and those of other ranks stay as they are.

    Args:
        quantized: The quantized core; it is left as it is.
        core: The float core that it was made from, with the same names of nodes.
        contract: Scale, mean, std and layout.
        images: Calibration images, uint8 [M, height, width, channels].

    Returns:
        The quantized core with other integers for weights.

    Raises:
        ModelError: ONNX Runtime refuses the model.
    """
    model = quantized.clone()
    tasks = _tasks(model, core)
    for task, covariance in zip(tasks, _covariances(model, contract, images, tasks), strict=True):
        _round(task, covariance)
    return model


def round_rows(
    rows: Matrices, covariance: Matrices, low: NDArray[Any], high: NDArray[Any]
) -> Matrices:
    """Round rows of numbers to integers such that `rows @ input` changes little.

    Args:
        rows: float64 [groups, rows, K].
        covariance: Of the inputs, with damping; float64 [groups, K, K], positive definite.
        low: The least integers allowed; they broadcast to [groups, rows].
        high: The largest.

    Returns:
        Integers; float64 [groups, rows, K].
    """
    import numpy as np

    order = np.argsort(-np.diagonal(covariance, axis1=1, axis2=2), axis=1, kind="stable")
    left = np.take_along_axis(rows, order[:, None, :], 2)
    inverse = np.linalg.inv(
        np.take_along_axis(
            np.take_along_axis(covariance, order[:, :, None], 1), order[:, None, :], 2
        )
    )
    # Row i says by how much the weights after i make up for an error of weight i.
    shares = np.linalg.cholesky(inverse).transpose(0, 2, 1)
    rounded = np.empty_like(left)
    for i in range(left.shape[2]):
        rounded[:, :, i] = np.clip(np.rint(left[:, :, i]), low, high)
        error = (left[:, :, i] - rounded[:, :, i]) / shares[:, i, i, None]
        left[:, :, i + 1 :] -= error[:, :, None] * shares[:, None, i, i + 1 :]
    return np.take_along_axis(rounded, np.argsort(order, axis=1)[:, None, :], 2)


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

    exact = rows.astype(np.float64)
    return _Moments(rows.shape[1], exact.sum(axis=1), exact.transpose(0, 2, 1) @ exact)


def _round(task: _Task, covariance: Matrices) -> None:
    import numpy as np

    packed, node, groups = task.layer.weights, task.layer.node, task.windows.groups
    own, limits = packed.numbers, np.iinfo(packed.numbers.dtype)
    old = to_rows(node, own.astype(np.int64), groups)
    scale, zero = packed.by_channel(groups, old.shape[0] * old.shape[1])
    old = old - zero[:, :, None]
    largest = np.abs(old).max(axis=2)
    low, high = np.maximum(-largest, limits.min - zero), np.minimum(largest, limits.max - zero)
    rows = to_rows(node, task.exact.astype(np.float64), groups) / scale[:, :, None]
    variance = np.trace(covariance, axis1=1, axis2=2)[:, None, None] / rows.shape[2]
    # Where nothing varies, the little that is left rounds to the nearest.
    damped = covariance + np.eye(rows.shape[2]) * (_DAMPING * variance + 1e-12)
    new = round_rows(rows, damped, low, high).astype(np.int64)
    new = np.where(_saturates(new) & ~_saturates(old), old, new)
    packed.replace(from_rows(node, new + zero[:, :, None], own))


def _saturates(rows: NDArray[np.int64]) -> NDArray[np.bool_]:
    import numpy as np

    largest = np.sort(np.abs(rows), axis=2)[:, :, -2:].sum(axis=2, keepdims=True)
    found: NDArray[np.bool_] = _LARGEST_UINT8 * largest > LARGEST_INT16
    return found
