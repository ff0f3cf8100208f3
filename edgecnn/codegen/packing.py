"""Weights in the order in which kernels read them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

BLOCK = 16  # as in runtimes/c/kernels/common.h
_TOGETHER = 4  # bytes that meet in one instruction


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
