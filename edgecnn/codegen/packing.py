"""Weights in the order in which kernels read them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

BLOCK = 16  # as in runtimes/c/kernels/parts/common.h
_TOGETHER = 4  # bytes that meet in one instruction
_LARGEST_BYTE = 255


def pack_f32(weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """Pack for `conv_f32` and `dense_f32`.

    Args:
        weights: [channels, rows, runs, run].

    Returns:
        [channels / 16, rows, runs, run, 16]; what is behind the last channel is zero.
    """
    return np.ascontiguousarray(np.moveaxis(_blocks(weights), 1, -1))


def pack_s8(weights: NDArray[np.int8]) -> NDArray[np.int8]:
    """Pack for `conv_u8` and `dense_u8`.

    Args:
        weights: [channels, rows, runs, run].

    Returns:
        [channels / 16, rows, runs, run / 4, 16, 4]; runs are filled up with zeros.
    """
    blocks = _blocks(weights)
    blocks = np.pad(blocks, [(0, 0)] * 4 + [(0, filled_run(blocks.shape[4]) - blocks.shape[4])])
    fours = blocks.reshape(*blocks.shape[:4], -1, _TOGETHER)
    return np.ascontiguousarray(np.moveaxis(fours, 1, -2))


def pack_apart(weights: NDArray[Any]) -> NDArray[Any]:
    """Pack for `depthwise_f32` and `depthwise_u8`.

    Args:
        weights: [channels, rows, columns].

    Returns:
        [channels / 16, rows, columns, 16]; what is behind the last channel is zero.
    """
    return np.ascontiguousarray(np.moveaxis(_blocks(weights), 1, -1))


def pairs_fit(packed: NDArray[np.int8]) -> bool:
    """Say whether two neighbouring weights times bytes always add up to a number of 16 bits.

    Cores with AVX2 and without VNNI multiply twice as fast where it is so, and would saturate where
    it is not.
    """
    pairs = packed.reshape(-1, 2).astype(np.int16)
    most = np.maximum(pairs, 0).sum(axis=1).max(initial=0)
    least = np.minimum(pairs, 0).sum(axis=1).min(initial=0)
    return bool(_LARGEST_BYTE * int(most) < 1 << 15 and _LARGEST_BYTE * int(least) >= -(1 << 15))


def filled_run(run: int) -> int:
    """Give the length of a run of bytes once it is filled up."""
    return -(-run // _TOGETHER) * _TOGETHER


def by_channel(values: NDArray[Any]) -> NDArray[Any]:
    """Fill one value for each channel up to whole blocks, with zeros."""
    return np.pad(values, (0, -len(values) % BLOCK))


def _blocks(weights: NDArray[Any]) -> NDArray[Any]:
    channels = len(weights)
    filled = np.pad(weights, [(0, -channels % BLOCK)] + [(0, 0)] * (weights.ndim - 1))
    return filled.reshape(-1, BLOCK, *weights.shape[1:])
