"""What is generated, before it is text: tensors, and the kernels that run over them in turn."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from numpy.typing import NDArray

Number = Literal["float32", "uint8"]
Pads = tuple[int, int, int, int]

NO_PADS: Pads = (0, 0, 0, 0)
ITEM_BYTES: Mapping[str, int] = {"float32": 4, "uint8": 1}


@dataclass(frozen=True, eq=False)
class Tensor:
    """What one kernel hands to others, for one image. Two are the same only if they are one object.

    Attributes:
        name: As the graph calls it.
        shape: As the graph has it; each axis is known.
        number: Type of its elements. Signed bytes are held with 128 added.
        picture: It is [1, C, H, W] and lies channels last; everything else lies as ONNX has it.
        view_of: The tensor whose memory it is; None if it has its own. No view is a view of a view.
    """

    name: str
    shape: tuple[int, ...]
    number: Number = "float32"
    picture: bool = False
    view_of: Tensor | None = None

    @property
    def height(self) -> int:
        """Rows; 1 of what is no picture."""
        return self.shape[2] if self.picture else 1

    @property
    def width(self) -> int:
        """Columns; 1 of what is no picture."""
        return self.shape[3] if self.picture else 1

    @property
    def channels(self) -> int:
        """Channels; all its numbers, if it is no picture."""
        return self.shape[1] if self.picture else self.size

    @property
    def size(self) -> int:
        """How many numbers it holds."""
        return math.prod(self.shape)

    @property
    def suffix(self) -> str:
        """How kernels for such numbers are called: `conv_f32`, `conv_u8`."""
        return {"float32": "f32", "uint8": "u8"}[self.number]

    @property
    def memory(self) -> Tensor:
        """The tensor that has the memory."""
        return self.view_of or self


@dataclass(frozen=True, eq=False)
class Read:
    """A tensor that a kernel reads.

    Attributes:
        tensor: The tensor.
        pads: Rows and columns around the picture that the kernel reads, too: top, left, bottom,
            right.
        fill: What these hold.
        beyond: The kernel may read a few numbers behind the last one.
    """

    tensor: Tensor
    pads: Pads = NO_PADS
    fill: int = 0
    beyond: bool = False


@dataclass(frozen=True, eq=False)
class Layer:
    """One call of a kernel.

    Attributes:
        name: The graph's name of its first node.
        kernel: The kernel's file, function and struct, such as `conv_f32`.
        reads: What it reads; the kernel's first parameters.
        writes: What it makes; the next one.
        constants: Weights and tables, as the kernel wants them; the parameters behind these.
        shape: The numbers in the kernel's struct, by their names. The plan adds the steps through
            memory, such as `in_row`, that are not among them.
        macs: Multiply-accumulates.
        part: An earlier layer began what it writes, and it writes another part of that.
    """

    name: str
    kernel: str
    reads: tuple[Read, ...]
    writes: Tensor
    constants: tuple[NDArray[Any], ...] = ()
    shape: Mapping[str, int | float] = field(default_factory=dict)
    macs: int = 0
    part: bool = False


@dataclass(frozen=True, eq=False)
class Program:
    """A net, ready to be written.

    Attributes:
        input: What the caller gives: a picture as [H, W, C], or a tensor as ONNX has it.
        outputs: What the caller gets, floats, in the graph's order.
        layers: In the order in which they run. The first ones read the input.
    """

    input: Tensor
    outputs: tuple[Tensor, ...]
    layers: tuple[Layer, ...]
