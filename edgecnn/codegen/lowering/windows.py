"""How a window moves over a picture: Conv, ConvTranspose and pools."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgecnn.codegen.lowering.attributes import ints, text
from edgecnn.codegen.lowering.refusing import unsupported

if TYPE_CHECKING:
    import onnx_ir as ir

    from edgecnn.codegen.program import Pads, Tensor

_AXES = 2


@dataclass(frozen=True)
class Window:
    """How a window moves over a picture; each pair is vertical, horizontal.

    Attributes:
        kernel: Its rows and columns.
        strides: From one place to the next.
        dilations: From one of its pixels to the next.
        pads: Around the picture: top, left, bottom, right.
    """

    kernel: tuple[int, int]
    strides: tuple[int, int]
    dilations: tuple[int, int]
    pads: Pads

    @property
    def sizes(self) -> dict[str, int | float]:
        """The numbers of strides and dilations in the struct of a kernel."""
        return {
            "dilation_y": self.dilations[0],
            "dilation_x": self.dilations[1],
            "stride_y": self.strides[0],
            "stride_x": self.strides[1],
        }


def read_window(node: ir.Node, kernel: tuple[int, ...], image: Tensor) -> Window:
    """Read the window of a Conv or a pool over a picture; one of one axis has one row.

    Args:
        node: The node.
        kernel: Sizes of the window.
        image: The picture.

    Raises:
        ModelError: It has more than two axes.
    """
    if len(kernel) > _AXES:
        raise unsupported(node, f"whose window has {len(kernel)} axes, not one or two")
    strides, dilations = (
        _pair(ints(node, name, (1,) * len(kernel))) for name in ("strides", "dilations")
    )
    size = _pair(kernel)
    pads = ints(node, "pads", (0,) * 2 * len(kernel))
    top, left, bottom, right = (*_pair(pads[: len(kernel)], 0), *_pair(pads[len(kernel) :], 0))
    how = text(node, "auto_pad", "NOTSET")
    if how.startswith("SAME"):
        window = Window(size, strides, dilations, (0, 0, 0, 0))
        top, left, bottom, right = _same_pads(image, window, upper=how == "SAME_UPPER")
    elif how == "VALID":
        top = left = bottom = right = 0
    return Window(size, strides, dilations, (top, left, bottom, right))


def _pair(values: tuple[int, ...], missing: int = 1) -> tuple[int, int]:
    filled = (missing,) * (_AXES - len(values)) + values
    return filled[0], filled[1]


def _same_pads(image: Tensor, window: Window, *, upper: bool) -> Pads:
    before, behind = [], []
    for axis, length in enumerate((image.height, image.width)):
        size = (window.kernel[axis] - 1) * window.dilations[axis] + 1
        places = math.ceil(length / window.strides[axis])
        total = max(0, (places - 1) * window.strides[axis] + size - length)
        less, more = total // 2, total - total // 2
        before.append(less if upper else more)
        behind.append(more if upper else less)
    return before[0], before[1], behind[0], behind[1]
