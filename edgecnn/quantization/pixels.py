"""Pixels straight into int8: mean and std become part of the first convolution.

A uint8 pixel is a quantized number already: `(pixel - zero_point) * scale`. Where the first
convolution does the rest of the normalisation, nothing is left to be computed before it, and the
pixel is not rounded a second time. The zero point is the pixel value next to the mean: with 0, what
rounding the weights does to the mean would cost lenet 4 dB.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import onnx_ir as ir
    from numpy.typing import NDArray

    from edgecnn.quantization.schemes import Scheme
    from edgecnn.spec import InputContract

# Steps of a pixel by which what stands for a zero beside the image may miss it; rounding the image
# to 8 bits misses by as much.
_LARGEST_MISS = 0.5


@dataclass(frozen=True, eq=False)
class FoldedPixels:
    """A float core that takes pixels which are scaled and nothing more.

    Attributes:
        core: Its first convolution normalises.
        contract: The same pixels become its input by `pixel * scale - mean`, mean a whole number of
            steps and alike in all channels, std 1.
    """

    core: ir.Model
    contract: InputContract


def fold_pixels(core: ir.Model, contract: InputContract) -> FoldedPixels | None:
    """Fold mean and std into a float core's first convolution.

    Without padding the answers stay the same but for float32's rounding. Padding puts zeros around
    the normalised image; where one pixel value lies within half a step of the mean of every
    channel, it stands for them.

    Args:
        core: A float core; it is left as it is.
        contract: Scale, mean, std and layout of its input.

    Returns:
        The core and how it is fed. None where the input does not go into one convolution alone, or
        no pixel value stands for the zeros of its padding.
    """
    model = core.clone()
    conv = _first_convolution(model.graph, contract)
    zero = None if conv is None else _zero(conv, contract)
    if conv is None or zero is None:
        return None
    _fold(model.graph, conv, contract, zero)
    channels = contract.channels
    mean, std = (zero * contract.scale,) * channels, (1.0,) * channels
    return FoldedPixels(model, replace(contract, mean=mean, std=std))


def feed(
    core: ir.Model, contract: InputContract, *, pixels: bool, scheme: Scheme
) -> tuple[ir.Model, InputContract]:
    """Give a float core and how it is fed; pixels go straight into it where that can be.

    Args:
        core: A float core.
        contract: Scale, mean, std and layout of its input.
        pixels: The variant takes raw pixels.
        scheme: The number formats that it is quantized to.
    """
    folded = fold_pixels(core, contract) if pixels and not scheme.symmetric else None
    return (folded.core, folded.contract) if folded else (core, contract)


def pixel_range(contract: InputContract) -> tuple[float, float]:
    """Give the least and the largest value that the preprocessing makes of pixels."""
    ends = [
        (pixel * contract.scale - mean) / std
        for pixel in (0, 255)
        for mean, std in zip(contract.mean, contract.std, strict=True)
    ]
    return min(ends), max(ends)


def _first_convolution(graph: ir.Graph, contract: InputContract) -> ir.Node | None:
    [image] = graph.inputs
    uses = list(image.uses())
    if contract.layout != "nchw" or len(uses) != 1 or image.is_graph_output():
        return None
    [(conv, place)] = uses
    constant = all(value is None or value.const_value is not None for value in conv.inputs[1:])
    grouped = conv.attributes.get("group")
    if conv.op_type != "Conv" or place != 0 or not constant:
        return None
    return conv if grouped is None or grouped.as_int() == 1 else None


def _zero(conv: ir.Node, contract: InputContract) -> int | None:
    """Give the pixel value next to the means, if it stands for zeros beside the image as well."""
    pixels = [mean / contract.scale for mean in contract.mean]
    nearest = min(max(round((min(pixels) + max(pixels)) / 2), 0), 255)
    misses = max(abs(pixel - nearest) for pixel in pixels)
    settings = {name: each.value for name, each in conv.attributes.items()}
    unpadded = settings.get("auto_pad", "NOTSET") in ("NOTSET", "VALID")
    if unpadded and not any(settings.get("pads", ())):
        return nearest
    return nearest if misses <= _LARGEST_MISS + 1e-9 else None


def _fold(graph: ir.Graph, conv: ir.Node, contract: InputContract, zero: int) -> None:
    import numpy as np

    weights, *rest = [_numbers(value) for value in conv.inputs[1:] if value is not None]
    bias = rest[0] if rest else np.zeros(len(weights))
    std, mean = np.asarray(contract.std), np.asarray(contract.mean)
    spread = weights / std.reshape(1, -1, 1, 1)
    shift = (zero * contract.scale - mean).reshape(1, -1, 1, 1)
    conv.resize_inputs(3)
    for place, what, array in (
        (1, "weight", spread),
        (2, "bias", bias + (spread * shift).sum(axis=(1, 2, 3))),
    ):
        conv.replace_input_with(place, _constant(graph, f"{conv.name}/pixels/{what}", array))


def _numbers(value: ir.Value) -> NDArray[np.float64]:
    import numpy as np

    assert value.const_value is not None
    return value.const_value.numpy().astype(np.float64)


def _constant(graph: ir.Graph, name: str, array: NDArray[np.float64]) -> ir.Value:
    import numpy as np
    import onnx_ir as ir

    tensor = ir.Tensor(array.astype(np.float32), name=name)
    value = ir.Value(
        name=name, shape=tensor.shape, type=ir.TensorType(tensor.dtype), const_value=tensor
    )
    graph.register_initializer(value)
    return value
