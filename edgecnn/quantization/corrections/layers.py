"""The layers of a quantized core whose integers a correction may change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import onnx_ir as ir
    from numpy.typing import NDArray

_LAYERS = {"Conv", "ConvTranspose", "Gemm"}


@dataclass(frozen=True, eq=False)
class Packed:
    """A constant behind DequantizeLinear: `value = scale * (number - zero_point)`.

    Attributes:
        value: The initializer that holds the integers.
        scale: float64 [channels], or [1].
        zero_point: int64 likewise.
    """

    value: ir.Value
    scale: NDArray[np.float64]
    zero_point: NDArray[np.int64]

    @property
    def numbers(self) -> NDArray[Any]:
        """The integers, in their own type and shape."""
        assert self.value.const_value is not None
        return self.value.const_value.numpy()

    def by_channel(
        self, groups: int, channels: int
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Give scale and zero point of each output channel; [groups, channels of one] each."""
        import numpy as np

        scale = np.broadcast_to(self.scale, channels).reshape(groups, -1)
        return scale, np.broadcast_to(self.zero_point, channels).reshape(groups, -1)

    def replace(self, numbers: NDArray[Any]) -> None:
        """Put other integers of the same type and shape in their place."""
        import onnx_ir as ir

        own = self.numbers
        self.value.const_value = ir.Tensor(numbers.astype(own.dtype), name=self.value.name)


@dataclass(frozen=True, eq=False)
class Layer:
    """A convolution or matrix product with integer weights of its own.

    Attributes:
        node: Its node in the quantized core; in the float core one has the same name.
        weights: Its weights.
        bias: Its bias, int32; None if it has none that is its own.
    """

    node: ir.Node
    weights: Packed
    bias: Packed | None

    @property
    def name(self) -> str:
        """Name of its node."""
        return str(self.node.name)


def find_layers(model: ir.Model) -> list[Layer]:
    """Find the layers of a quantized core, in the order in which they are computed.

    Those that share their weights with another layer are left out: what corrects one is wrong for
    the other.
    """
    found = []
    for node in model.graph:
        weights = _packed(node, 1) if node.op_type in _LAYERS else None
        if weights is not None:
            bias = _packed(node, 2)
            found.append(Layer(node, weights, bias))
    return found


def _packed(node: ir.Node, place: int) -> Packed | None:
    import numpy as np

    read = node.inputs[place] if len(node.inputs) > place else None
    unpacking = read.producer() if read is not None else None
    if read is None or unpacking is None or unpacking.op_type != "DequantizeLinear":
        return None
    value, *rest = unpacking.inputs
    if value is None or len(list(read.uses())) > 1 or len(list(value.uses())) > 1:
        return None
    constants = [each.const_value for each in (value, *rest) if each is not None]
    if any(each is None for each in constants):
        return None
    scale, *zero = (each.numpy().reshape(-1) for each in constants[1:] if each is not None)
    zero_point = zero[0].astype(np.int64) if zero else np.zeros(len(scale), np.int64)
    return Packed(value, scale.astype(np.float64), zero_point)
