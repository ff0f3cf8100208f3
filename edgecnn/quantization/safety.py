"""What can be promised of an int8 file on CPUs that are not at hand.

AVX2 multiplies unsigned by signed bytes and adds two products in 16 bits, with saturation: where
that saturates, a CPU without VNNI answers something else. Whatever runs in float between two
integer operators may be rounded differently, too, and so may some integer operators.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgecnn.disk import disk_errors, temporary_folder
from edgecnn.errors import ModelError
from edgecnn.quantization.additions import Scale, is_even
from edgecnn.quantization.bound import channel_axis, in_order, is_depthwise, largest_sums

if TYPE_CHECKING:
    import onnx
    import onnx_ir as ir
    from numpy.typing import NDArray

LARGEST_INT16 = 32_767
_LARGEST_UINT8 = 255
_MULTIPLIERS = {"Conv", "ConvTranspose", "Gemm", "MatMul"}
# Integer operators that every CPU rounds alike: one multiplication and one rounding to even, or,
# for average pools, float sums in a fixed order, or, for concatenations, a table of 256 numbers
# made by one multiplication, one division and one rounding to even. QLinearAdd does so with the
# right scales.
_EVEN = {
    "MaxPool",
    "NhwcMaxPool",
    "QGemm",
    "QLinearAveragePool",
    "QLinearConcat",
    "QLinearConv",
    "QLinearGlobalAveragePool",
    "QLinearMatMul",
}
_MOVES = {
    "Concat",
    "Flatten",
    "Identity",
    "Pad",
    "Reshape",
    "Slice",
    "Split",
    "Squeeze",
    "Transpose",
    "Unsqueeze",
}


def largest_pair_sums(model: ir.Model) -> dict[str, int]:
    """Give, for each layer with int8 weights, the largest sum that two products can make.

    It is 255 times the largest sum of two weights of one sign that meet (`bound` says which), the
    largest over all output channels; up to 32,767 nothing saturates, whatever the image. It holds
    for int8 activations as well: on x86 ONNX Runtime makes them uint8 by adding 128. Depthwise
    convolutions and uint8 weights are left out: they are exact on every CPU.

    Args:
        model: A QDQ model.

    Returns:
        The sums by the names of the nodes, or of their outputs where they have none.
    """
    sums = {}
    for node in model.graph:
        if node.op_type in _MULTIPLIERS and len(node.inputs) > 1:
            weights = _saturating_weights(node)
            if weights is not None:
                name = str(node.name or node.outputs[0].name)
                sums[name] = int(_LARGEST_UINT8 * largest_sums(weights).max())
    return sums


@dataclass(frozen=True)
class AsItRuns:
    """What ONNX Runtime runs of a QDQ model, after its own optimisation on this CPU.

    Attributes:
        operators: How many operators there are.
        floating: Those that compute in float after the first QuantizeLinear; each once, in order.
        uneven: Those that compute in integers and that CPUs may round differently; likewise.
    """

    operators: int
    floating: tuple[str, ...]
    uneven: tuple[str, ...]

    @property
    def same_everywhere(self) -> bool:
        """Every CPU gives the same bits, if no product saturates."""
        return not self.floating and not self.uneven


def as_it_runs(content: bytes) -> AsItRuns:
    """Ask ONNX Runtime what it will run: it writes out what it has optimised.

    Args:
        content: An ONNX model.

    Raises:
        ModelError: ONNX Runtime refuses the model.
    """
    graph = optimised(content).graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    floating: dict[str, None] = {}
    uneven: dict[str, None] = {}
    integers = _first_integers(graph)
    floats: set[str] = set()
    for node in graph.node:
        reads = set(node.input)
        if node.op_type == "QuantizeLinear":
            integers.update(node.output)
        elif reads & floats or (node.op_type == "DequantizeLinear" and reads & integers):
            floats.update(node.output)
            if node.op_type not in _MOVES | {"DequantizeLinear"}:
                floating[node.op_type] = None
        elif reads & integers:
            (floats if _ends_in_float(node) else integers).update(node.output)
            if not _is_integer(node):
                floating[node.op_type] = None
            elif not _is_even(node, constants):
                uneven[node.op_type] = None
    return AsItRuns(len(graph.node), tuple(floating) if integers else ("all",), tuple(uneven))


def optimised(content: bytes) -> onnx.ModelProto:
    """Give a model as ONNX Runtime runs it on this CPU, which it writes out itself.

    Args:
        content: An ONNX model.

    Raises:
        ModelError: ONNX Runtime refuses the model.
        InputError: The temporary folder is full.
    """
    import onnx
    import onnxruntime

    with temporary_folder() as folder:
        path = folder / "optimized.onnx"
        settings = onnxruntime.SessionOptions()
        settings.optimized_model_filepath = str(path)
        settings.log_severity_level = 4
        try:
            onnxruntime.InferenceSession(content, settings, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise ModelError(
                f"ONNX Runtime refuses the model: {str(error).partition(chr(10))[0].rstrip('.')}.",
                "Keep the fp32 variant.",
            ) from error
        with disk_errors(path):
            return onnx.load_model_from_string(path.read_bytes())


def _first_integers(graph: onnx.GraphProto) -> set[str]:
    """Give the pixels that integer operators read as they are, without a QuantizeLinear."""
    from onnx import TensorProto

    kinds = {value.name: value.type.tensor_type.elem_type for value in graph.input}
    pixels = {name for name, kind in kinds.items() if kind == TensorProto.UINT8}
    found: set[str] = set()
    for node in graph.node:
        if node.op_type in _MOVES and node.input[0] in pixels:
            pixels.update(node.output)
        elif node.op_type != "Cast":
            found |= pixels & set(node.input)
    return found


def _is_integer(node: onnx.NodeProto) -> bool:
    known = _EVEN | _MOVES
    return node.op_type in known or node.op_type.startswith("QLinear")


def _ends_in_float(node: onnx.NodeProto) -> bool:
    # Without a scale for its output, QGemm gives floats.
    return node.op_type == "QGemm" and len(node.input) < 8


def _is_even(node: onnx.NodeProto, constants: Mapping[str, onnx.TensorProto]) -> bool:
    from onnx import numpy_helper

    if node.op_type != "QLinearAdd":
        return node.op_type in _EVEN | _MOVES
    names = [name for place, name in enumerate(node.input) if place not in (0, 3)]
    if not all(name in constants for name in names):
        return False
    a, za, b, zb, c, zc = (numpy_helper.to_array(constants[name]) for name in names)
    lowest = -128 if zc.dtype.kind == "i" else 0
    scales = [Scale(each.item(), zero.item(), lowest) for each, zero in ((a, za), (b, zb), (c, zc))]
    return is_even(*scales)


def _saturating_weights(node: ir.Node) -> NDArray[Any] | None:
    """Give a node's int8 weights as they meet; None if it has none, or multiplies them exactly."""
    import numpy as np

    source = node.inputs[1].producer() if node.inputs[1] is not None else None
    if source is None or source.op_type != "DequantizeLinear":
        return None
    value = source.inputs[0]
    if value is None or value.const_value is None:
        return None
    weights = value.const_value.numpy()
    axis = channel_axis(node, weights.ndim)
    if axis is None or weights.dtype != np.int8 or is_depthwise(node, weights.shape):
        return None
    return in_order(weights.astype(np.int64), axis)
