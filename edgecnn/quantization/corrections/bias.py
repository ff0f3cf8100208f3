"""Bias correction: the mean error that quantization leaves in each channel goes into its bias.

Source: Nagel, van Baalen, Blankevoort, Welling, "Data-Free Quantization Through Weight
Equalization and Bias Correction", ICCV 2019 (arXiv:1906.04721), section 4.2 and appendix D, in its
empirical form.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgecnn.quantization.corrections.layers import Packed, find_layers
from edgecnn.quantization.corrections.tapping import enough, tap

if TYPE_CHECKING:
    import numpy as np
    import onnx_ir as ir
    from numpy.typing import NDArray

    from edgecnn.spec import InputContract


def correct_biases(
    quantized: ir.Model, core: ir.Model, contract: InputContract, images: NDArray[np.uint8]
) -> ir.Model:
    """Shift each bias such that its layer's output has the same mean as in float.

    The layers follow one another: each is measured with those before it corrected.

    Args:
        quantized: The quantized core; it is left as it is.
        core: The float core that it was made from, with the same names of nodes.
        contract: Scale, mean, std and layout.
        images: Calibration images, uint8 [M, height, width, channels]; of large ones 64 are used.

    Returns:
        The quantized core with other biases, int32 at the same scales.
    """
    model, images = quantized.clone(), enough(images)
    in_float = {str(node.name): str(node.outputs[0].name) for node in core.graph}
    layers = [layer for layer in find_layers(model) if layer.bias and layer.name in in_float]
    wanted = channel_means(core, contract, images, [in_float[each.name] for each in layers])
    for layer, mean in zip(layers, wanted, strict=True):
        [found] = channel_means(model, contract, images, [str(layer.node.outputs[0].name)])
        assert layer.bias is not None
        _shift(layer.bias, mean - found)
    return model


def channel_means(
    core: ir.Model, contract: InputContract, images: NDArray[np.uint8], tensors: list[str]
) -> list[NDArray[np.float64]]:
    """Give the mean of each channel (axis 1) of some tensors over images and places."""
    import numpy as np

    sums: list[list[NDArray[np.float64]]] = [[] for _ in tensors]
    for arrays in tap(core, contract, images, tensors):
        for kept, array in zip(sums, arrays, strict=True):
            axes = tuple(axis for axis in range(array.ndim) if axis != 1)
            kept.append(np.atleast_2d(array.mean(axis=axes, dtype=np.float64) * len(array)))
    return [np.concatenate(kept).sum(axis=0) / len(images) for kept in sums]


def _shift(bias: Packed, change: NDArray[np.float64]) -> None:
    import numpy as np

    steps = np.rint(change / bias.scale)
    limits = np.iinfo(bias.numbers.dtype)
    bias.replace(np.clip(bias.numbers + steps, limits.min, limits.max))
