"""How far two sets of outputs lie apart: for each tensor, and for each decision."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecnn.errors import InputError
from edgecnn.records import MaybeInfinite, MaybeNaN

# What rounding costs differs from machine to machine and from batch to batch; 16 times what was
# seen leaves room for that and is still far below any real mistake.
MARGIN = 16


@dataclass(frozen=True)
class Agreement:
    """How far outputs lie from the expected ones.

    Attributes:
        images: How many images were compared.
        max_abs: Largest absolute error of any value.
        mean_abs: Mean absolute error over all values.
        cosine: Cosine of the angle between the two, over all values; 1 for equal outputs.
        sqnr_db: Power of the expected outputs over the power of the error, in dB; infinite for
            equal outputs, which JSON writes as null.
        top1: Share (0 to 1) of images with the same likeliest class; None if outputs are no
            classes.
        not_finite: Images whose outputs hold NaN or infinity.
    """

    images: int
    max_abs: MaybeNaN
    mean_abs: MaybeNaN
    cosine: MaybeNaN
    sqnr_db: MaybeInfinite
    top1: float | None
    not_finite: int = 0


def compare(outputs: NDArray[Any], expected: NDArray[Any], *, decisions: bool = True) -> Agreement:
    """Measure how far outputs lie from the expected ones, in float64.

    Args:
        outputs: [N, ...] of any numeric dtype.
        expected: The same shape.
        decisions: Outputs are scores of classes, so that their order means something. Used only
            where the shape is [N, classes] with at least two classes.

    Raises:
        InputError: The shapes differ, or there is nothing to compare.
    """
    got, want = _pair(outputs, expected)
    error = _error(got, want)
    return Agreement(
        images=len(got),
        max_abs=float(error.max()),
        mean_abs=float(error.mean()),
        cosine=_cosine(got, want),
        sqnr_db=sqnr_db(got, want),
        top1=_top1(got, want) if decisions else None,
        not_finite=int((~np.isfinite(_flat(got)).all(axis=1)).sum()),
    )


def sqnr_db(outputs: NDArray[Any], expected: NDArray[Any]) -> float:
    """Give the signal-to-quantization-noise ratio in dB: infinite where nothing differs.

    It is `10 * log10(sum(expected ** 2) / sum((outputs - expected) ** 2))`.
    """
    got, want = _pair(outputs, expected)
    noise, signal = float(np.square(_error(got, want)).sum()), float(np.square(want).sum())
    if noise == 0:
        return math.inf
    ratio = signal / noise
    return -math.inf if ratio == 0 else 10 * math.log10(ratio)


def image_errors(outputs: NDArray[Any], expected: NDArray[Any]) -> NDArray[np.float64]:
    """Give the largest absolute error of each image; float64 [N], infinite where not finite."""
    got, want = _pair(outputs, expected)
    worst: NDArray[np.float64] = _flat(_error(got, want)).max(axis=1)
    return np.where(np.isfinite(worst), worst, np.inf)


def excess(outputs: NDArray[Any], expected: NDArray[Any], *, atol: float, rtol: float) -> float:
    """Give the largest error as a multiple of `atol + rtol * |expected|`; above 1 is too far.

    Infinite where an output is not finite, or where something differs and nothing may.
    """
    got, want = _pair(outputs, expected)
    error, allowed = _error(got, want), atol + rtol * np.abs(want)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        share = np.where(error == 0, 0.0, error / allowed)
    return float(np.where(np.isnan(share), np.inf, share).max())


def derived_atol(outputs: NDArray[Any], exact: NDArray[np.float64]) -> float:
    """Give the absolute tolerance of a float variant: 16 times its largest error.

    Args:
        outputs: What the variant answers, [N, ...].
        exact: The same computed in float64.

    Returns:
        At least 16 roundings of the largest exact output, so that a variant that happens to be
        exact here is not failed elsewhere.
    """
    got, want = _pair(outputs, exact)
    rounding = float(np.finfo(_float_dtype(outputs)).eps) * float(np.abs(want).max())
    return MARGIN * max(float(_error(got, want).max()), rounding)


def _float_dtype(outputs: NDArray[Any]) -> np.dtype[Any]:
    return outputs.dtype if outputs.dtype.kind == "f" else np.dtype(np.float32)


def _pair(a: NDArray[Any], b: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if a.shape != b.shape:
        raise InputError(
            f"Outputs of the shapes {list(a.shape)} and {list(b.shape)} cannot be compared.",
            "Compare models with the same outputs.",
        )
    if a.size == 0:
        raise InputError("There are no outputs to compare.", "Give at least one image.")
    return a.astype(np.float64), b.astype(np.float64)


def _error(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(invalid="ignore"):
        return np.abs(a - b)


def _flat(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return values.reshape(len(values), -1)


def _cosine(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    length = math.sqrt(float(np.square(a).sum())) * math.sqrt(float(np.square(b).sum()))
    if length == 0:
        return 1.0 if np.array_equal(a, b) else 0.0
    with np.errstate(invalid="ignore"):
        return float(np.minimum(1.0, (a * b).sum() / length))  # min() would swallow NaN


def _top1(a: NDArray[np.float64], b: NDArray[np.float64]) -> float | None:
    if a.ndim != 2 or a.shape[1] < 2:
        return None
    return float((a.argmax(axis=1) == b.argmax(axis=1)).mean())
