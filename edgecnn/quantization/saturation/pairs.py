"""The saturating instruction in exact integers: vpmaddubsw, as AVX2 has it.

It multiplies unsigned by signed bytes and adds two neighbouring products in 16 bits: what goes
beyond 32,767 or -32,768 stays there. vpmaddwd with ones then adds two such sums in 32 bits, where
nothing is lost. Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2,
PMADDUBSW and PMADDWD.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

LOWEST, LARGEST = -32_768, 32_767
# Below it float32 holds every integer, and so every partial sum.
_EXACT_IN_FLOAT32 = 1 << 24


@dataclass(frozen=True, eq=False)
class Product:
    """A matrix product with and without saturation.

    Attributes:
        exact: int32 [M, N], as VNNI computes it.
        saturated: int32 [M, N], as AVX2 computes it.
        pairs: How many sums of two products there were.
        saturating: How many of them went beyond 16 bits.
        largest: The largest |sum of two products|, before saturation.
    """

    exact: NDArray[np.int32]
    saturated: NDArray[np.int32]
    pairs: int
    saturating: int
    largest: int


def add_pairs(left: NDArray[np.uint8], right: NDArray[np.int8]) -> NDArray[np.int16]:
    """Do what vpmaddubsw does.

    Args:
        left: uint8 [..., 2 * P].
        right: int8 [..., 2 * P].

    Returns:
        The P saturated sums of two neighbouring products, int16 [..., P].
    """
    products = left.astype(np.int32) * right
    sums = products[..., 0::2] + products[..., 1::2]
    return sums.clip(LOWEST, LARGEST).astype(np.int16)


def multiply(left: NDArray[np.uint8], right: NDArray[np.int8]) -> Product:
    """Multiply two matrices as `add_pairs` does, without computing every pair.

    Element 2 * i of K meets element 2 * i + 1; an odd K is filled with a zero. A pair whose weights
    cannot exceed 16 bits with the largest inputs that are there, nor the largest sum found so far,
    is left out: it changes nothing that is reported.

    Args:
        left: uint8 [M, K].
        right: int8 [K, N].
    """
    if right.shape[0] % 2:
        left, right = np.pad(left, [(0, 0), (0, 1)]), np.pad(right, [(0, 1), (0, 0)])
    exact = multiply_exactly(left, right)
    saturated = exact.copy()
    bounds = _bounds(left, right)
    largest = saturating = 0
    for pair in np.argsort(-bounds.max(axis=1, initial=0)):
        columns = np.flatnonzero(bounds[pair] > min(largest, LARGEST))
        if not columns.size:
            break
        first, second = 2 * pair, 2 * pair + 1
        sums = np.multiply.outer(left[:, first].astype(np.int32), right[first, columns])
        sums += np.multiply.outer(left[:, second].astype(np.int32), right[second, columns])
        largest = max(largest, int(sums.max(initial=0)), -int(sums.min(initial=0)))
        beyond = sums - sums.clip(LOWEST, LARGEST)
        saturating += int(np.count_nonzero(beyond))
        saturated[:, columns] -= beyond
    return Product(exact, saturated, exact.size * (right.shape[0] // 2), saturating, largest)


def multiply_exactly(left: NDArray[np.uint8], right: NDArray[np.int8]) -> NDArray[np.int32]:
    """Multiply two matrices without saturation: uint8 [M, K] by int8 [K, N] is int32 [M, N]."""
    fits = 255 * 128 * left.shape[1] <= _EXACT_IN_FLOAT32
    kind = np.float32 if fits else np.float64
    product: NDArray[Any] = left.astype(kind) @ right.astype(kind)
    return product.astype(np.int32)


def _bounds(left: NDArray[np.uint8], right: NDArray[np.int8]) -> NDArray[np.int32]:
    """Give the largest |sum| that each pair of K can make for each column, int32 [K / 2, N]."""
    most = left.max(axis=0, initial=0).astype(np.int32)[:, None]
    above, below = most * np.maximum(right, 0), -most * np.minimum(right, 0)
    bounds: NDArray[np.int32] = np.maximum(above[0::2] + above[1::2], below[0::2] + below[1::2])
    return bounds
