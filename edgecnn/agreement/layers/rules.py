"""When two tensors differ by more than rounding."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgecnn.agreement.layers.report import LayerDifference, Rule
from edgecnn.agreement.metrics import MARGIN
from edgecnn.plain import UP_TO_ONE

if TYPE_CHECKING:
    from edgecnn.agreement.layers.tensors import InnerTensor

# A layer of int8 adds the rounding of its weights to that of its result, clips what calibration
# gave up, and with a symmetric scale wastes half its steps behind a Relu. No layer of lenet,
# resnet8, mobilenet-tiny and torchvision's mobilenet_v2 added more than 2.1 times what rounding its
# result costs; a scale that is wrong by a factor adds that many times of it.
LIMITS: dict[Rule, float] = {"float": MARGIN, "8 bits": 4, "steps": 2}
_STEPS = 255
# Squares of float32 that are no denormal numbers sum to more.
_TINY = 1e-30
_LEAST_AMPLITUDE = 10 ** (-36 / 20)  # of the noise between engines, where less was seen


@dataclass
class Sums:
    """What is kept of a tensor, chunk by chunk.

    Attributes:
        count: Values that were compared.
        signal: Sum of the first side's squares.
        noise: Sum of the squares of the difference.
        max_abs: Largest difference.
        largest: Largest absolute value of the first side.
        low: Lowest value of the float side, or 0.
        high: Highest value of the float side, or 0.
        not_finite: Values that are finite on one side alone.
        exact: Largest distance from float64 of each side.
        exact_noise: Sum of the squares of that distance, of each side.
        own: Sum of the squares of what int8's layer itself adds.
        own_count: Values in that sum.
    """

    count: int = 0
    signal: float = 0.0
    noise: float = 0.0
    max_abs: float = 0.0
    largest: float = 0.0
    low: float = 0.0
    high: float = 0.0
    not_finite: int = 0
    exact: tuple[float, float] = (0.0, 0.0)
    exact_noise: tuple[float, float] = (0.0, 0.0)
    own: float = 0.0
    own_count: int = 0

    def add(self, first: NDArray[Any], second: NDArray[Any]) -> None:
        """Add the same tensor of both sides, of the same shape."""
        one, other = first.astype(np.float64), second.astype(np.float64)
        both = np.isfinite(one) & np.isfinite(other)
        equal = (one == other) | (np.isnan(one) & np.isnan(other))
        self.not_finite += int((~both & ~equal).sum())
        one, other = one[both], other[both]
        self.count += one.size
        self.signal += float(np.square(one).sum())
        self.noise += float(np.square(one - other).sum())
        self.max_abs = max(self.max_abs, float(np.abs(one - other).max(initial=0.0)))
        self.largest = max(self.largest, float(np.abs(one).max(initial=0.0)))

    def add_exact(self, sides: tuple[NDArray[Any], NDArray[Any]], exact: NDArray[Any]) -> None:
        """Add how far each side lies from float64."""
        errors = [_finite(side.astype(np.float64) - exact) for side in sides]
        far = [float(np.abs(error).max(initial=0.0)) for error in errors]
        noise = [float(np.square(error).sum()) for error in errors]
        self.exact = (max(self.exact[0], far[0]), max(self.exact[1], far[1]))
        self.exact_noise = (self.exact_noise[0] + noise[0], self.exact_noise[1] + noise[1])

    def add_own(self, int8: NDArray[Any], layer: NDArray[Any]) -> None:
        """Add what int8 has, and what the layer gives in float for int8's own inputs."""
        error = _finite(int8.astype(np.float64) - layer.astype(np.float64))
        self.own += float(np.square(error).sum())
        self.own_count += error.size

    def add_range(self, values: NDArray[Any]) -> None:
        """Add the float side's values to its range."""
        finite = _finite(values)
        self.low = min(self.low, float(finite.min(initial=0.0)))
        self.high = max(self.high, float(finite.max(initial=0.0)))

    @property
    def sqnr_db(self) -> float:
        """Power of the first side over that of the difference, in dB."""
        if not self.noise:
            return math.inf
        return 10 * math.log10(max(self.signal, _TINY) / self.noise)


def judged(tensor: InnerTensor, sums: Sums, rule: Rule, eps: float) -> LayerDifference:
    """Say how far a tensor lies apart, and whether that is more than rounding.

    Args:
        tensor: The first side's.
        sums: What was found.
        rule: Which rounding.
        eps: Of the coarser of the two sides' float types.
    """
    units = {"float": _float_units, "8 bits": _own_units, "steps": _step_units}
    roundings = units[rule](tensor, sums, eps)
    return LayerDifference(
        tensor.name,
        tensor.layer,
        tensor.operator,
        sums.max_abs,
        sums.largest,
        sums.sqnr_db,
        roundings,
        sums.not_finite,
        parts=sums.not_finite > 0 or roundings > LIMITS[rule],
    )


def _float_units(tensor: InnerTensor, sums: Sums, eps: float) -> float:
    size = max(sums.largest, 1.0) if tensor.operator in UP_TO_ONE else sums.largest
    return _share(sums.max_abs, max(min(sums.exact), eps * size))


def _own_units(_: InnerTensor, sums: Sums, eps: float) -> float:
    step = (sums.high - sums.low) / _STEPS
    rounding = step * math.sqrt(sums.own_count / 12)
    return _share(math.sqrt(sums.own), max(rounding, eps * math.sqrt(sums.signal)))


def _step_units(_: InnerTensor, sums: Sums, eps: float) -> float:
    signal = math.sqrt(sums.signal)
    seen = math.sqrt(min(sums.exact_noise))
    return _share(math.sqrt(sums.noise), max(seen, _LEAST_AMPLITUDE * signal, eps * signal))


def _share(error: float, unit: float) -> float:
    if not error:
        return 0.0
    return error / unit if unit else math.inf


def _finite(values: NDArray[Any]) -> NDArray[Any]:
    found: NDArray[Any] = values[np.isfinite(values)]
    return found
