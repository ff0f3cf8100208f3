"""The operators of ONNX Runtime's optimised graph that multiply unsigned by signed bytes.

They take an output as a row of inputs by a column of weights. In a convolution the row runs over
the kernel's rows, then its columns, then the group's channels. Two neighbours of that order meet in
a pair, whichever kernel ONNX Runtime chooses: the one for whole convolutions wants channels in
fours, so that its pairs are the same. Depthwise convolutions do not use the instruction.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import onnx
    from numpy.typing import NDArray

# Places of a node's inputs: data, scale and zero point of the inputs, of the weights and of the
# outputs, and the bias.
_PLACES = {
    "QLinearConv": (0, 1, 2, 3, 4, 5, 6, 7, 8),
    "QLinearMatMul": (0, 1, 2, 3, 4, 5, 6, 7),
    "QGemm": (0, 1, 2, 3, 4, 5, 7, 8, 6),
}
# They multiply bytes too, but do not come out of static quantization.
_OTHERS = {
    "ConvInteger",
    "DynamicQuantizeLSTM",
    "DynamicQuantizeMatMul",
    "MatMulInteger",
    "MatMulIntegerToFloat",
    "QAttention",
}


@dataclass(frozen=True)
class Window:
    """How a convolution moves over its input; one number for each axis of the image.

    Attributes:
        kernel: Its size.
        strides: Its steps.
        dilations: Distance of its elements.
        pads: Values added before each axis, then those added behind.
        automatic: How the padding follows from the size of the image instead: `SAME_UPPER` or
            `SAME_LOWER`; empty if it does not.
        groups: Groups of channels.
        channels_last: The channels are the last axis.
    """

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    pads: tuple[int, ...]
    automatic: str
    groups: int
    channels_last: bool


@dataclass(frozen=True, eq=False)
class Multiplier:
    """One operator with unsigned inputs and constant signed weights.

    Attributes:
        name: The operator's.
        source: The tensor that it reads.
        target: The tensor that it makes.
        weights: int8 [groups, K, N], K in the order in which two neighbours meet.
        bias: int32 [groups, N].
        input_zero_point: That of its inputs.
        weight_zero_point: That of its weights, int32 [groups, N].
        factor: What a 32-bit sum is multiplied by, float32 [groups, N].
        output_zero_point: That of its outputs; None where they are floats.
        window: How a convolution's rows are cut out; None for a matrix product.
    """

    name: str
    source: str
    target: str
    weights: NDArray[np.int8]
    bias: NDArray[np.int32]
    input_zero_point: int
    weight_zero_point: NDArray[np.int32]
    factor: NDArray[np.float32]
    output_zero_point: int | None
    window: Window | None


def read_multiplier(
    node: onnx.NodeProto, constants: Mapping[str, NDArray[Any]]
) -> Multiplier | None:
    """Read an operator; None where no pair can saturate, or where it cannot be replayed.

    Unsigned weights are multiplied as 16-bit numbers, which is exact, and so are signed inputs. But
    on x86 ONNX Runtime has made inputs unsigned before, wherever a graph is in QDQ form.
    """
    if node.op_type not in _PLACES or left_out(node, constants):
        return None
    arrays = _arrays(node, constants)
    attributes, weights = _attributes(node), arrays["w"]
    signed = arrays["x_zero"].dtype != np.uint8 or weights.dtype != np.int8
    window = _window(attributes, weights) if node.op_type == "QLinearConv" else None
    if signed or (window and weights.shape[:2] == (window.groups, 1)):
        return None
    laid = _laid_out(weights, window, transposed=bool(attributes.get("transB")))
    shape = laid.shape[0], laid.shape[2]
    alpha = np.float32(attributes.get("alpha", 1.0))
    factor = alpha * arrays["x_scale"].reshape(-1) * arrays["w_scale"].reshape(-1)
    zero = arrays.get("y_zero")
    return Multiplier(
        name=node.name or node.output[0],
        source=node.input[0],
        target=node.output[0],
        weights=laid,
        bias=_spread(arrays.get("bias", np.zeros(1, np.int32)), shape),
        input_zero_point=int(arrays["x_zero"].item()),
        weight_zero_point=_spread(
            arrays.get("w_zero", np.zeros(1, np.int8)).astype(np.int32), shape
        ),
        factor=_spread(factor / arrays.get("y_scale", np.ones(1, np.float32)).reshape(-1), shape),
        output_zero_point=None if zero is None else int(zero.item()),
        window=window,
    )


def left_out(node: onnx.NodeProto, constants: Mapping[str, NDArray[Any]]) -> bool:
    """Say whether an operator multiplies bytes in a way that is not replayed here."""
    if node.op_type not in _PLACES:
        return node.op_type in _OTHERS
    known = _arrays(node, constants)
    if not {"x_scale", "x_zero", "w", "w_scale"} <= known.keys() or known["w"].ndim < 2:
        return True
    signed = known["x_zero"].dtype == known["w"].dtype == np.int8
    return bool(_attributes(node).get("transA")) or (signed and not _on_x86())


def _arrays(node: onnx.NodeProto, constants: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    words = ("x", "x_scale", "x_zero", "w", "w_scale", "w_zero", "y_scale", "y_zero", "bias")
    names = {
        word: node.input[place]
        for word, place in zip(words, _PLACES[node.op_type], strict=False)
        if place < len(node.input)
    }
    return {word: constants[name] for word, name in names.items() if name in constants}


def _on_x86() -> bool:
    return platform.machine().lower() in ("x86_64", "amd64")


def _spread(values: NDArray[Any], shape: tuple[int, int]) -> NDArray[Any]:
    """Give one value for each column of each group, from one for all or one for each."""
    return np.broadcast_to(values.reshape(-1), (shape[0] * shape[1],)).reshape(shape)


def _laid_out(
    weights: NDArray[np.int8], window: Window | None, *, transposed: bool
) -> NDArray[np.int8]:
    """Give weights as [groups, K, N]."""
    if window is None:
        return (weights.T if transposed else weights)[None]
    grouped = weights.reshape(window.groups, -1, *weights.shape[1:])
    last = np.moveaxis(grouped, 2, -1)  # [groups, N, …kernel, channels]
    return last.reshape(window.groups, last.shape[1], -1).transpose(0, 2, 1)


def _window(attributes: Mapping[str, Any], weights: NDArray[np.int8]) -> Window:
    rank = weights.ndim - 2
    ones = (1,) * rank
    automatic = attributes.get("auto_pad", b"NOTSET").decode()
    return Window(
        kernel=weights.shape[2:],
        strides=tuple(attributes.get("strides", ones)),
        dilations=tuple(attributes.get("dilations", ones)),
        pads=tuple(attributes.get("pads", (0,) * 2 * rank)),
        automatic=automatic if automatic.startswith("SAME") else "",
        groups=int(attributes.get("group", 1)),
        channels_last=bool(attributes.get("channels_last", 0)),
    )


def _attributes(node: onnx.NodeProto) -> dict[str, Any]:
    from onnx.helper import get_attribute_value

    return {each.name: get_attribute_value(each) for each in node.attribute}
