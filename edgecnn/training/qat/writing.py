"""What was learned, as the integers and scales of an ONNX file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from edgecnn.errors import ModelError
from edgecnn.quantization.additions import even_scales
from edgecnn.training.qat.rounding import to_integers

if TYPE_CHECKING:
    import onnx_ir as ir
    from numpy.typing import NDArray

    from edgecnn.training.qat.net import QdqNet

_LARGEST_BIAS = 2**31 - 1


def write_even(net: QdqNet, quantized: ir.Model) -> ir.Model:
    """Write what a net has learned, with scales such that every CPU rounds its additions alike.

    The net is given these scales, too: it goes on with what the file holds.

    Args:
        net: The net.
        quantized: The core that it was read from; it is left as it is.

    Raises:
        ModelError: A bias does not fit into 32 bits.
    """
    found = write_core(net, quantized)
    scales = {f"{name}_scale": each.scale for name, each in even_scales(found).items()}
    if not scales:
        return found
    net.set_scales(scales)
    return write_core(net, quantized, scales)


@torch.no_grad()
def write_core(
    net: QdqNet, quantized: ir.Model, scales: Mapping[str, float] | None = None
) -> ir.Model:
    """Put what a net has learned into the quantized core that it was read from.

    Args:
        net: The net.
        quantized: The core; it is left as it is.
        scales: Scales of activations that stand instead of the net's, by the names of their
            constants.

    Raises:
        ModelError: A bias does not fit into 32 bits.
    """
    program, found = net.program, quantized.clone()
    arrays = {name: _array(net.scale(name)) for name in program.scales}
    arrays |= {name: np.array(scale, np.float32) for name, scale in (scales or {}).items()}
    for name in program.learned:
        if name not in program.weights and name not in program.biases:
            arrays[name] = _array(net.learned(name))
    arrays |= _weights(net)
    for name in program.biases:
        arrays |= _bias(net, name, arrays)
    for name, array in arrays.items():
        _put(found, name, array)
    return found


def _weights(net: QdqNet) -> dict[str, NDArray[Any]]:
    found = {}
    for step in net.program.steps:
        how = step.rounding
        if how is not None and step.inputs[0] in net.program.weights:
            weights = net.learned(step.inputs[0])
            whole = to_integers(weights, *net.spread(how, weights.ndim), how.low, how.high)
            found[net.program.weights[step.inputs[0]].integers] = _array(whole)
    return found


def _bias(net: QdqNet, name: str, arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    place = net.program.biases[name]
    factor = net.program.constants[place.scale]
    scale = arrays[place.inputs_scale] * arrays[place.weights_scale] * factor
    whole = np.round(_array(net.learned(name)) / scale)
    if not (np.abs(whole) <= _LARGEST_BIAS).all():
        raise ModelError(
            f"The bias '{name}' does not fit into 32 bits after training.",
            "Use a lower --learning-rate.",
        )
    return {place.integers: whole, place.scale: scale}


def _put(model: ir.Model, name: str, array: NDArray[Any]) -> None:
    import onnx_ir as ir

    value = model.graph.initializers[name]
    assert value.const_value is not None
    before = value.const_value.numpy()
    value.const_value = ir.Tensor(array.astype(before.dtype).reshape(before.shape), name=name)


def _array(tensor: torch.Tensor) -> NDArray[Any]:
    array: NDArray[Any] = tensor.detach().cpu().numpy()
    return array
