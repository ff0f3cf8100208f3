"""Convolutions of 3 x 3 by fewer products: Winograd's minimal filtering, F(2 x 2, 3 x 3).

16 products give 2 x 2 outputs, where sums over the window take 36; weights and what lies between
the two halves take more memory (Lavin and Gray, Fast Algorithms for Convolutional Neural Networks,
2015).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from edgecnn.codegen.packing import BLOCK
from edgecnn.codegen.program import Layer, Program, Read, Tensor

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SUMS = 16
_WINDOW = 3
# Below it, too few products are saved for what the transforms cost.
_FEWEST_CHANNELS = 16
# Above it weights no longer stay in a core's second-level cache, and reading them takes longest.
_MOST_WEIGHTS_BYTES = 1 << 20
_G = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])


def filter_minimally(program: Program) -> Program:
    """Part each convolution that gains by it into the two halves of minimal filtering."""
    layers = tuple(each for layer in program.layers for each in _halves(layer))
    return replace(program, layers=layers)


def _halves(layer: Layer) -> Iterator[Layer]:
    if not _gains(layer):
        yield layer
        return
    (read,), made, shape = layer.reads, layer.writes, layer.shape
    weights, bias = layer.constants
    channels = read.tensor.channels
    sizes = {"height": made.height // 2, "width": made.width // 2}
    windows = sizes["height"] * sizes["width"]
    sums = Tensor(f"{made.name}/windows", (sizes["height"], _SUMS, sizes["width"], channels))
    yield Layer(
        f"{layer.name}/windows",
        "winograd_in_f32",
        (read,),
        sums,
        shape=sizes | {"channels": channels},
    )
    ends = {"low": shape["low"], "high": shape["high"]}
    yield replace(
        layer,
        kernel="winograd_f32",
        reads=(Read(sums),),
        constants=(transformed(weights), bias),
        shape=sizes | {"channels": made.channels, "run": channels} | ends,
        macs=windows * _SUMS * channels * made.channels,
    )


def _gains(layer: Layer) -> bool:
    if layer.kernel != "conv_f32":
        return False
    made, shape, channels = layer.writes, layer.shape, layer.reads[0].tensor.channels
    window = (shape["rows"], shape["runs"], shape["run"])
    steps = [shape[name] for name in ("stride_y", "stride_x", "dilation_y", "dilation_x")]
    return (
        window == (_WINDOW, 1, _WINDOW * channels)
        and steps == [1, 1, 1, 1]
        and made.height % 2 == made.width % 2 == 0
        and channels % BLOCK == 0
        and min(channels, made.channels) >= _FEWEST_CHANNELS
        and _SUMS * layer.constants[0].nbytes // _WINDOW**2 <= _MOST_WEIGHTS_BYTES
    )


def transformed(packed: NDArray[np.float32]) -> NDArray[np.float32]:
    """Transform packed weights: G g G'.

    Args:
        packed: [channels / 16, 3, 1, 3 * run, 16], as `pack_f32` gives them.

    Returns:
        [channels / 16, 16, run, 16].
    """
    blocks = packed.reshape(len(packed), _WINDOW, _WINDOW, -1, BLOCK).astype(np.float64)
    sums = np.einsum("iy,jx,byxkc->bijkc", _G, _G, blocks)
    return np.ascontiguousarray(sums.reshape(len(packed), _SUMS, -1, BLOCK).astype(np.float32))
