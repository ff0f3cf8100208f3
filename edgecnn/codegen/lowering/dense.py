"""Gemm and MatMul with constant weights: fully connected layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edgecnn.codegen.lowering.attributes import number, real
from edgecnn.codegen.lowering.integers import fold
from edgecnn.codegen.lowering.refusing import unsupported
from edgecnn.codegen.lowering.rules import lowers
from edgecnn.codegen.packing import by_channel, filled_run, pack_f32, pack_s8
from edgecnn.codegen.program import Read

if TYPE_CHECKING:
    import onnx_ir as ir
    from numpy.typing import NDArray

    from edgecnn.codegen.lowering.state import Lowering
    from edgecnn.codegen.lowering.values import Source
    from edgecnn.codegen.program import Tensor


@lowers("Gemm", "MatMul")
def lower_dense(lower: Lowering, node: ir.Node) -> None:
    """Multiply one row of numbers by constant weights."""
    rows = lower.shape(node.inputs[0])
    if len(rows) != 2 or rows[0] != 1 or number(node, "transA", 0):
        raise unsupported(node, f"whose first input is [{', '.join(map(str, rows))}], not one row")
    numbers, scales, zero = lower.weights(node.inputs[1])
    if not (node.op_type == "Gemm" and number(node, "transB", 0)):
        numbers = numbers.T
    source, picture = lower.flattened(node.inputs[0], node)
    if picture is not None:
        numbers = _channels_last(numbers, picture)
    if source.scale is not None and scales is not None and real(node, "alpha", 1.0) == 1.0:
        _lower_bytes(lower, node, source, (numbers, scales, zero))
        return
    if scales is not None:
        numbers = (numbers.astype(np.int32) - zero.reshape(-1, 1)) * scales.reshape(-1, 1)
    _lower_floats(lower, node, lower.as_floats(source, node), numbers.astype(np.float32))


def _lower_floats(
    lower: Lowering, node: ir.Node, row: Tensor, weights: NDArray[np.float32]
) -> None:
    target = lower.target(node)
    made = lower.tensor(target, number="float32")
    channels, run = weights.shape
    packed = pack_f32((weights * np.float32(real(node, "alpha", 1.0)))[:, None, None, :])
    bias = lower.bias(node, channels) * np.float32(real(node, "beta", 1.0))
    lower.add(
        node,
        "dense_f32",
        (row,),
        made,
        (packed, by_channel(bias)),
        {"channels": channels, "run": run, "low": target.low, "high": target.high},
        macs=weights.size,
    )
    lower.finish(node, target, made)


def _lower_bytes(lower: Lowering, node: ir.Node, source: Source, given: Any) -> None:
    folded = fold(lower, node, source, given)
    channels, run = folded.weights.shape
    made = lower.tensor(folded.target)
    kernel, more = folded.ending("dense_u8")
    lower.add(
        node,
        kernel,
        (Read(source.tensor, beyond=True),),
        made,
        (
            pack_s8(folded.weights[:, None, None, :]),
            by_channel(folded.bias),
            by_channel(folded.factor),
        ),
        {"channels": channels, "run": filled_run(run)} | more,
        macs=folded.weights.size,
    )
    lower.finish(node, folded.target, made)


def _channels_last(weights: NDArray[Any], picture: Tensor) -> NDArray[Any]:
    """Let weights [O, C * H * W] take a picture as it lies, [H * W * C]."""
    shape = (len(weights), picture.channels, picture.height, picture.width)
    return weights.reshape(shape).transpose(0, 2, 3, 1).reshape(len(weights), -1)
