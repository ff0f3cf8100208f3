"""Which weights meet in an instruction that adds two products in 16 bits.

On x86 without VNNI, vpmaddubsw multiplies unsigned by signed bytes and adds neighbours. Neighbours
are two weights of one output channel in the order kernel row, kernel column, input channel: the
first and the second, the third and the fourth, and so on. ONNX Runtime has that order for whole
convolutions (convsym.cpp), for those that it makes matrix products of, and for matrix products
(QgemmU8X8KernelAvx2.S); an odd number of channels runs on into the next place of the kernel. Other
runtimes fill it up with zeros instead, so both are counted. As one factor is unsigned, a product
has the sign of its weight, and only those of one sign add up.

Depthwise convolutions use other instructions (ConvSymKernelAvx2.S, ConvSymKernelAvx512Core.S), and
so do unsigned weights; both are exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import onnx_ir as ir
    from numpy.typing import NDArray


def channel_axis(node: ir.Node, rank: int) -> int | None:
    """Give the axis of the output channels in a node's weights; None for what has no weights."""
    if node.op_type == "Gemm":
        transposed = node.attributes.get("transB")
        return 0 if transposed is not None and transposed.as_int() else 1
    return {"Conv": 0, "ConvTranspose": 1, "MatMul": max(rank - 1, 1)}.get(node.op_type)


def is_depthwise(node: ir.Node, shape: Sequence[int]) -> bool:
    """Say whether a node is a convolution that keeps its channels apart, one filter for each.

    Args:
        node: Any node.
        shape: The shape of its weights.
    """
    if node.op_type != "Conv":
        return False
    groups = node.attributes.get("group")
    return tuple(shape[:2]) == (groups.as_int() if groups is not None else 1, 1)


def in_order(weights: NDArray[Any], axis: int) -> NDArray[Any]:
    """Lay weights out as they meet.

    Args:
        weights: Those of a convolution, [output channels, input channels, …] or with the two
            exchanged, or of a matrix product.
        axis: The axis of the output channels.

    Returns:
        [output channels, places of the kernel, input channels].
    """
    import numpy as np

    if weights.ndim == 1:
        return weights.reshape(1, 1, -1)
    if weights.ndim > 2 and axis < 2:
        moved = np.moveaxis(weights, (axis, 1 - axis), (0, -1))
        return moved.reshape(len(moved), -1, moved.shape[-1])
    moved = np.moveaxis(weights, axis, 0)
    return moved.reshape(len(moved), 1, -1)


def largest_sums(weights: NDArray[Any]) -> NDArray[Any]:
    """Give the size of the largest sum of two neighbours of one sign, for each output channel.

    Args:
        weights: As `in_order` lays them out.

    Returns:
        [output channels], in the type of the weights.
    """
    import numpy as np

    orders = [weights]
    if weights.shape[2] % 2:
        orders.append(weights.reshape(len(weights), 1, -1))
    sums = [_neighbours(np.maximum(sign * each, 0)) for each in orders for sign in (1, -1)]
    largest: NDArray[Any] = np.max(sums, axis=0)
    return largest


def _neighbours(weights: NDArray[Any]) -> NDArray[Any]:
    import numpy as np

    odd = weights.shape[2] % 2
    even = np.pad(weights, ((0, 0), (0, 0), (0, odd)))
    largest: NDArray[Any] = (even[:, :, ::2] + even[:, :, 1::2]).max(axis=(1, 2))
    return largest
