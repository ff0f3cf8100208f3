"""The sums that a CNN is made of, as textbooks write them: slow, and in double."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Pair = tuple[int, int]


def convolution(
    x: Array, w: Array, b: Array, stride: Pair, pads: Pair, dilation: Pair, groups: int
) -> Array:
    """y[n,m,i,j] = b[m] + Σ_c Σ_u Σ_v w[m,c,u,v] · x̂[n, ⌊m·G/M⌋·C/G + c, i·s₁ + u·d₁, j·s₂ + v·d₂].

    x [N,C,H,W] becomes x̂ by p₁ rows and p₂ columns of zeros on each side; w is [M,C/G,U,V].
    """
    padded = np.pad(x, ((0, 0), (0, 0), (pads[0],) * 2, (pads[1],) * 2))
    m_all, depth, u_all, v_all = w.shape
    height, width = _sizes(padded, (u_all, v_all), stride, dilation)
    y = np.zeros((len(x), m_all, height, width)) + b[:, None, None]
    for m, c, u, v in product(range(m_all), range(depth), range(u_all), range(v_all)):
        rows = u * dilation[0] + stride[0] * np.arange(height)[:, None]
        columns = v * dilation[1] + stride[1] * np.arange(width)
        y[:, m] += w[m, c, u, v] * padded[:, m * groups // m_all * depth + c, rows, columns]
    return y


def max_pool(x: Array, kernel: Pair, stride: Pair, pads: Pair) -> Array:
    """y[n,c,i,j] = max_{u<k₁, v<k₂} x̂[n, c, i·s₁ + u, j·s₂ + v], where x̂ is x in a rim of -∞."""
    padded = np.pad(x, ((0, 0), (0, 0), (pads[0],) * 2, (pads[1],) * 2), constant_values=-np.inf)
    y = np.zeros((*x.shape[:2], *_sizes(padded, kernel, stride)))
    for i, j, window in _windows(padded, y.shape[2:], kernel, stride):
        y[:, :, i, j] = window.max(axis=(2, 3))
    return y


def average_pool(x: Array, kernel: Pair, stride: Pair, pads: Pair, *, with_rim: bool) -> Array:
    """y[n,c,i,j] = 1/K · Σ_{u<k₁, v<k₂} x̂[n, c, i·s₁ + u, j·s₂ + v], where x̂ is x in a rim of 0.

    K is k₁·k₂ with the rim, or the number of its terms that lie inside x without.
    """
    rim = ((0, 0), (0, 0), (pads[0],) * 2, (pads[1],) * 2)
    padded, inside = np.pad(x, rim), np.pad(np.ones_like(x), rim, constant_values=float(with_rim))
    y = np.zeros((*x.shape[:2], *_sizes(padded, kernel, stride)))
    for i, j, window in _windows(padded, y.shape[2:], kernel, stride):
        y[:, :, i, j] = window.sum(axis=(2, 3))
    for i, j, window in _windows(inside, y.shape[2:], kernel, stride):
        y[:, :, i, j] /= window.sum(axis=(2, 3))
    return y


def fully_connected(x: Array, w: Array, b: Array) -> Array:
    """y[n,m] = b[m] + Σ_k x[n,k] · w[m,k]."""
    y: Array = b + np.einsum("nk,mk->nm", x, w)
    return y


def _sizes(padded: Array, kernel: Pair, stride: Pair, dilation: Pair = (1, 1)) -> Pair:
    """⌊(H + 2p - d·(k - 1) - 1) / s⌋ + 1, for rows and columns."""
    height, width = (
        (size - d * (k - 1) - 1) // s + 1
        for size, k, s, d in zip(padded.shape[2:], kernel, stride, dilation, strict=True)
    )
    return height, width


def _windows(
    padded: Array, sizes: tuple[int, ...], kernel: Pair, stride: Pair
) -> Iterator[tuple[int, int, Array]]:
    for i, j in product(*map(range, sizes)):
        top, left = i * stride[0], j * stride[1]
        yield i, j, padded[:, :, top : top + kernel[0], left : left + kernel[1]]
