"""Convolutions that ONNX Runtime makes slow int8 operators of, because they have few channels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgecnn.quantization.bound import is_depthwise

if TYPE_CHECKING:
    import onnx_ir as ir

# What MLAS's kernel for whole int8 convolutions wants on x86 (MlasConvSymPackWSize, convsym.cpp).
_FEWEST_OUTPUTS, _INPUTS_MULTIPLE, _OUTPUTS_MULTIPLE = 16, 4, 8


@dataclass(frozen=True)
class Patched:
    """The convolutions whose patches are copied, one by one, before they are multiplied.

    Attributes:
        layers: Their names.
        share: Their share of the multiply-adds, 0 to 1; None if those could not be counted.
    """

    layers: tuple[str, ...]
    share: float | None


def find_patched(model: ir.Model) -> Patched:
    """Find the int8 convolutions for which ONNX Runtime has no kernel that reads the image itself.

    On x86 that one takes 16 output channels or more, in eights, and input channels in fours. For
    others every patch is copied into a row of a matrix, which for few channels costs more than
    cheaper multiplications save.

    Args:
        model: A QDQ model.
    """
    from edgecnn.graph.clean import to_bytes
    from edgecnn.graph.summary import summarise

    layers = summarise(to_bytes(model), where="The quantized model").layers
    macs = {layer.name: layer.macs for layer in layers if layer.macs != 0}
    names = [str(node.name or node.outputs[0].name) for node in model.graph if _is_patched(node)]
    known = [count for count in macs.values() if count is not None]
    share = None
    if known and len(known) == len(macs):
        share = sum(macs.get(name) or 0 for name in names) / sum(known)
    return Patched(tuple(names), share)


def _is_patched(node: ir.Node) -> bool:
    weights = node.inputs[1].producer() if node.op_type == "Conv" and node.inputs[1] else None
    if weights is None or weights.op_type != "DequantizeLinear" or weights.inputs[0] is None:
        return False
    value = weights.inputs[0].const_value
    if value is None or is_depthwise(node, value.numpy().shape):
        return False
    outputs, inputs, *kernel = value.numpy().shape
    if max(kernel) == 1:
        return False
    groups = node.attributes.get("group")
    whole = groups is None or groups.as_int() == 1
    many = outputs >= _FEWEST_OUTPUTS and outputs % _OUTPUTS_MULTIPLE == 0
    return not (whole and many and inputs % _INPUTS_MULTIPLE == 0)
