"""What a layer multiplies its weights with: the windows of its input, as rows of numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import onnx_ir as ir
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Windows:
    """How a layer's outputs read its input; a matrix product has one window, all of its input.

    Attributes:
        groups: Groups of channels that are convolved apart.
        kernel: Height and width.
        strides: Down and across.
        dilations: Likewise.
        pads: Zeros above, left, below and right.
    """

    groups: int = 1
    kernel: tuple[int, int] = (1, 1)
    strides: tuple[int, int] = (1, 1)
    dilations: tuple[int, int] = (1, 1)
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)


def windows_of(node: ir.Node, weights: NDArray[Any]) -> Windows | None:
    """Say how a layer reads its input.

    Args:
        node: A layer.
        weights: As they stand in the file.

    Returns:
        None where it is not a convolution of images with pads that are written out, nor a product
        of rows.
    """
    settings = {name: each.value for name, each in node.attributes.items()}
    if node.op_type == "Gemm":
        plain = not settings.get("transA") and settings.get("alpha", 1.0) == 1.0
        return Windows() if plain else None
    padding = settings.get("auto_pad", "NOTSET")
    if node.op_type != "Conv" or weights.ndim != 4 or padding not in ("NOTSET", "VALID"):
        return None
    height, width = weights.shape[2:]
    names = {"strides": (1, 1), "dilations": (1, 1), "pads": (0, 0, 0, 0)}
    found = {name: tuple(settings.get(name, usual)) for name, usual in names.items()}
    return Windows(groups=settings.get("group", 1), kernel=(height, width), **found)


def to_rows(node: ir.Node, weights: NDArray[Any], groups: int) -> NDArray[Any]:
    """Give weights as [groups, output channels of one, what they are multiplied with]."""
    import numpy as np

    if node.op_type == "Gemm":
        return np.expand_dims(weights if _transposed(node) else weights.T, 0)
    return np.reshape(weights, (groups, len(weights) // groups, -1))


def from_rows(node: ir.Node, rows: NDArray[Any], like: NDArray[Any]) -> NDArray[Any]:
    """Give rows the shape of the weights that `to_rows` took."""
    import numpy as np

    if node.op_type == "Gemm":
        return np.asarray(rows[0] if _transposed(node) else rows[0].T)
    return np.reshape(rows, like.shape)


def read_windows(
    values: NDArray[np.float32], windows: Windows, places: int, random: np.random.Generator
) -> NDArray[np.float32]:
    """Read windows of a layer's input at random places, other ones of the same place in each image.

    Args:
        values: [N, channels, height, width], or [N, features].
        windows: How it is read.
        places: How many places; all of them if there are fewer.
        random: Where from.

    Returns:
        [groups, rows, what one output channel's weights are multiplied with].
    """
    import numpy as np

    if values.ndim == 2:
        return values[None]
    top, left, bottom, right = windows.pads
    padded = np.pad(values, ((0, 0), (0, 0), (top, bottom), (left, right)))
    reach = [(k - 1) * d + 1 for k, d in zip(windows.kernel, windows.dilations, strict=True)]
    view = np.lib.stride_tricks.sliding_window_view(padded, reach, axis=(2, 3))
    (down, across), (dy, dx) = windows.strides, windows.dilations
    view = view[:, :, ::down, ::across, ::dy, ::dx]
    count, channels, rows, columns = view.shape[:4]
    chosen = random.permutation(rows * columns)[:places]
    picked = view[:, :, chosen // columns, chosen % columns]  # [N, channels, places, kh, kw]
    size = channels // windows.groups * math.prod(windows.kernel)
    grouped = picked.reshape(count, windows.groups, -1, *picked.shape[2:])
    return grouped.transpose(1, 0, 3, 2, 4, 5).reshape(windows.groups, -1, size)


def _transposed(node: ir.Node) -> bool:
    found = node.attributes.get("transB")
    return found is not None and bool(found.as_int())
