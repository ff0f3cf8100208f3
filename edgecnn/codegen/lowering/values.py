"""What a value of the graph is on its way to C: where it lies, what its bytes stand for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgecnn.codegen.program import Number, Tensor

if TYPE_CHECKING:
    import onnx_ir as ir

# No float is beyond it, so clipping to it changes nothing.
LARGEST = 3.4028234663852886e38


@dataclass(frozen=True)
class Scale:
    """What unsigned bytes stand for: `(byte - zero) * scale`.

    Attributes:
        scale: A float32.
        zero: The zero point; of signed bytes with 128 added, as they are.
    """

    scale: float
    zero: int


@dataclass(frozen=True, eq=False)
class Source:
    """A value that a node reads.

    Attributes:
        tensor: Where it is.
        scale: What its bytes stand for; None of floats.
    """

    tensor: Tensor
    scale: Scale | None = None


@dataclass(frozen=True, eq=False)
class Target:
    """What becomes of a node's output in the same kernel.

    Attributes:
        values: The values that the kernel's result is known as.
        low: What it is clipped to, as a float.
        high: As low.
        scale: What it is quantized with at last; None if it stays a float.
    """

    values: tuple[ir.Value, ...]
    low: float = -LARGEST
    high: float = LARGEST
    scale: Scale | None = None

    @property
    def number(self) -> Number:
        """Type of the result."""
        return "float32" if self.scale is None else "uint8"

    @property
    def clips(self) -> bool:
        """Something is clipped that a float or a byte could hold."""
        return self.low > -LARGEST or self.high < LARGEST

    @property
    def byte_range(self) -> tuple[int, int]:
        """The bytes between which a quantized result is clipped."""
        assert self.scale is not None
        low, high = (quantize(bound, self.scale) for bound in (self.low, self.high))
        return low, high


@dataclass(frozen=True, eq=False)
class Moved:
    """What a node moves without changing it.

    Attributes:
        tensor: What it reads: floats, or bytes.
        target: What becomes of its output.
    """

    tensor: Tensor
    target: Target


def quantize(value: float, scale: Scale) -> int:
    """Quantize one number as QuantizeLinear does, halves to even."""
    import numpy as np

    with np.errstate(over="ignore"):
        found = np.rint(np.float32(value) / np.float32(scale.scale)) + np.float32(scale.zero)
    return int(min(max(found, 0.0), 255.0))


def view(tensor: Tensor, shape: tuple[int, ...], *, picture: bool) -> Tensor:
    """Give a tensor's memory another shape."""
    return Tensor(tensor.name, shape, tensor.number, picture, tensor.memory)


def sizes_of(tensor: Tensor, scale: Scale | None = None) -> dict[str, int | float]:
    """Give the numbers in the struct of a kernel that goes over all pixels alike."""
    sizes: dict[str, int | float] = {
        "height": tensor.height,
        "width": tensor.width,
        "channels": tensor.channels,
    }
    return sizes if scale is None else sizes | {"scale": scale.scale, "zero": scale.zero}
