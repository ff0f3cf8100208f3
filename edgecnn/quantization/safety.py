"""What can be promised of an int8 file on CPUs that are not at hand.

AVX2 multiplies unsigned by signed bytes and adds two products in 16 bits, with saturation: where
that saturates, a CPU without VNNI answers something else. Whatever runs in float between two
integer operators may be rounded differently, too.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgecnn.disk import disk_errors
from edgecnn.errors import ModelError

if TYPE_CHECKING:
    import onnx
    import onnx_ir as ir
    from numpy.typing import NDArray

LARGEST_INT16 = 32_767
_LARGEST_UINT8 = 255
_MULTIPLIERS = {"Conv", "ConvTranspose", "Gemm", "MatMul"}
# What ONNX Runtime computes in integers, or only moves.
_INTEGER = {
    "QGemm",
    "QLinearAdd",
    "QLinearAveragePool",
    "QLinearConcat",
    "QLinearConv",
    "QLinearGlobalAveragePool",
    "QLinearMatMul",
    "MaxPool",
    "NhwcMaxPool",
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

    It is 255 times the sum of the two largest |w| of an output channel, the largest over all
    channels; up to 32,767 nothing saturates, whatever the image and whichever two meet.

    Args:
        model: A QDQ model.

    Returns:
        The sums by the names of the nodes, or of their outputs where they have none.
    """
    sums = {}
    for node in model.graph:
        if node.op_type in _MULTIPLIERS and len(node.inputs) > 1:
            weights = _weights(node)
            if weights is not None:
                sums[str(node.name or node.outputs[0].name)] = _largest_pair_sum(weights)
    return sums


def float_operators(content: bytes) -> tuple[str, ...]:
    """Name the operators that ONNX Runtime computes in float after the first QuantizeLinear.

    It is asked itself: what it will run after its own optimisation on this CPU is written out and
    read back.

    Args:
        content: A QDQ model.

    Returns:
        Operator names in order, each once; none if integers flow from the first QuantizeLinear to
        the DequantizeLinear that gives the output.

    Raises:
        ModelError: ONNX Runtime refuses the model.
    """
    graph = _as_it_runs(content).graph
    found: dict[str, None] = {}
    integer: set[str] = set()
    floating: set[str] = set()
    for node in graph.node:
        reads = set(node.input)
        if node.op_type == "QuantizeLinear":
            integer.update(node.output)
        elif node.op_type == "DequantizeLinear" and reads & integer:
            floating.update(node.output)
        elif reads & floating:
            floating.update(node.output)
            if node.op_type not in _MOVES:
                found[node.op_type] = None
        elif reads & integer:
            integer.update(node.output)
            if node.op_type not in _INTEGER | _MOVES or _ends_in_float(node):
                found[node.op_type] = None
    return tuple(found) if integer else ("all",)


def operator_count(content: bytes) -> int:
    """Count the operators that ONNX Runtime runs, after its own optimisation on this CPU."""
    return len(_as_it_runs(content).graph.node)


def _ends_in_float(node: onnx.NodeProto) -> bool:
    # Without a scale for its output, QGemm gives floats.
    return node.op_type == "QGemm" and len(node.input) < 8


def _weights(node: ir.Node) -> NDArray[Any] | None:
    """Give a node's int8 weights as [output channels, everything else]; None if it has none."""
    import numpy as np

    source = node.inputs[1].producer() if node.inputs[1] is not None else None
    if source is None or source.op_type != "DequantizeLinear":
        return None
    value = source.inputs[0]
    if value is None or value.const_value is None:
        return None
    weights = value.const_value.numpy()
    return np.moveaxis(weights, _channel_axis(node, weights.ndim), 0).reshape(
        weights.shape[_channel_axis(node, weights.ndim)], -1
    )


def _channel_axis(node: ir.Node, rank: int) -> int:
    if node.op_type == "Gemm":
        transposed = node.attributes.get("transB")
        return 0 if transposed is not None and transposed.as_int() else 1
    return {"Conv": 0, "ConvTranspose": 1}.get(node.op_type, rank - 1)


def _largest_pair_sum(weights: NDArray[Any]) -> int:
    import numpy as np

    sizes = np.sort(np.abs(weights.astype(np.int64)), axis=1)
    return int(_LARGEST_UINT8 * sizes[:, -2:].sum(axis=1).max())


def _as_it_runs(content: bytes) -> onnx.ModelProto:
    import onnx
    import onnxruntime

    with tempfile.TemporaryDirectory(prefix="edgecnn-") as folder:
        path = Path(folder) / "optimized.onnx"
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
